//! From samples to planes on all cores: a window of images at a time, in order, so that memory stays bounded and equal
//! sources give equal bytes however many cores there are.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Mutex,
    thread,
};

use fast_image_resize::Resizer;

use super::{
    DataError, Transform,
    source::{Samples, picture},
};

/// Bytes of a window of decoded images.
const WINDOW: usize = 32 << 20;
/// Images of a window at most, so that progress is seen.
const MOST_IMAGES: usize = 1024;

/// An image that could not be used.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Bad {
    /// Which file, entry or row.
    pub name: String,
    /// What is wrong with it.
    pub why: String,
}

/// Which of a source's samples were taken, and which were not.
#[derive(Debug, Default)]
pub(super) struct Filled {
    pub(super) taken: Vec<usize>,
    pub(super) bad: Vec<Bad>,
}

/// Decodes and transforms every sample; `sink` gets the planes of each good one, in order, and `progress` how many are done.
///
/// # Errors
/// More than `max_bad` bad samples, no good one, or what `sink` says.
pub(super) fn fill(
    source: &str,
    samples: &dyn Samples,
    transform: &Transform,
    max_bad: usize,
    mut sink: impl FnMut(&[u8]) -> Result<(), DataError>,
    progress: &mut dyn FnMut(usize),
) -> Result<Filled, DataError> {
    let length = transform.sample_len();
    let window = (WINDOW / length).clamp(1, MOST_IMAGES);
    let mut planes = vec![0; window.min(samples.len()) * length];
    let mut filled = Filled::default();
    for start in (0..samples.len()).step_by(window) {
        let count = window.min(samples.len() - start);
        let verdicts = decode(samples, transform, start, &mut planes[..count * length])?;
        for ((i, verdict), image) in verdicts.into_iter().enumerate().zip(planes.chunks_exact(length)) {
            match verdict {
                Ok(()) => {
                    sink(image)?;
                    filled.taken.push(start + i);
                }
                Err(why) => filled.bad.push(Bad { name: samples.name(start + i), why }),
            }
        }
        if filled.bad.len() > max_bad {
            let found = filled.bad.len();
            return Err(DataError::TooManyBad {
                source_name: source.to_owned(),
                found,
                most: max_bad,
                first: filled.bad.swap_remove(0),
            });
        }
        progress(start + count);
    }
    if filled.taken.is_empty() {
        return Err(DataError::NoneLeft { source_name: source.to_owned(), bad: filled.bad.len() });
    }
    for Bad { name, why } in &filled.bad {
        tracing::warn!("left out {name}: {why}");
    }
    Ok(filled)
}

/// Fills a window; each image is fetched by whichever thread is free.
fn decode(
    samples: &dyn Samples,
    transform: &Transform,
    start: usize,
    planes: &mut [u8],
) -> Result<Vec<Result<(), String>>, DataError> {
    let length = transform.sample_len();
    let count = planes.len() / length;
    let slots = Mutex::new(planes.chunks_exact_mut(length).enumerate());
    // A function of its own: in the loop's head, the lock would be held while the image is decoded. A thread that panicked
    // holds none, as nothing else is done under it.
    let next = || slots.lock().unwrap_or_else(std::sync::PoisonError::into_inner).next();
    let work = || {
        let (mut resizer, mut verdicts) = (Resizer::new(), Vec::new());
        let (mut buffer, mut pixels) = (Vec::new(), Vec::new());
        while let Some((i, to)) = next() {
            let one = || {
                let picture = picture(samples, start + i, &mut buffer, std::mem::take(&mut pixels))?;
                transform.apply(&picture, &mut resizer, to)?;
                pixels = picture.pixels;
                Ok(())
            };
            let verdict = catch_unwind(AssertUnwindSafe(one));
            verdicts.push((i, verdict.unwrap_or_else(|_| Err("its decoder gave up; please report the file".into()))));
        }
        verdicts
    };
    let threads = thread::available_parallelism().map_or(1, usize::from).min(count);
    let mut verdicts: Vec<(usize, Result<(), String>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>()
    })
    .map_err(|_| DataError::Worker("a decoder's thread ended".into()))?
    .concat();
    verdicts.sort_unstable_by_key(|(i, _)| *i);
    Ok(verdicts.into_iter().map(|(_, verdict)| verdict).collect())
}

#[cfg(test)]
mod tests {
    use std::{
        sync::{Condvar, Mutex},
        time::Duration,
    };

    use super::{super::source::Content, *};
    use crate::data::Crop;

    /// Two samples; each is read only while the other one is, too.
    struct Together {
        inside: Mutex<usize>,
        changed: Condvar,
    }

    impl Samples for Together {
        fn len(&self) -> usize {
            2
        }

        fn name(&self, index: usize) -> String {
            index.to_string()
        }

        fn read(&self, _: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
            let mut inside = self.inside.lock().unwrap();
            *inside += 1;
            self.changed.notify_all();
            let (_inside, waited) =
                self.changed.wait_timeout_while(inside, Duration::from_secs(20), |inside| *inside < 2).unwrap();
            if waited.timed_out() {
                return Err("alone".into());
            }
            *buffer = vec![0; 4];
            Ok(Content::Raw { width: 2, height: 2, channels: 1 })
        }
    }

    #[test]
    fn images_are_read_and_decoded_on_several_threads_at_once() {
        if thread::available_parallelism().map_or(1, usize::from) < 2 {
            return;
        }
        let samples = Together { inside: Mutex::new(0), changed: Condvar::new() };
        let transform = Transform { image_size: 2, crop: Crop::None, channels: 1 };
        let filled = fill("here", &samples, &transform, 2, |_| Ok(()), &mut |_| {}).unwrap();
        assert_eq!((filled.taken, filled.bad), (vec![0, 1], vec![]));
    }
}
