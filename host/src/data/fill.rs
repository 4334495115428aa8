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
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
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
/// While `sink` has a window's images, the next window is being decoded.
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
    let threads = thread::available_parallelism().map_or(1, usize::from);
    // Of very large images, still several for each thread.
    let window = (WINDOW / length).clamp(4 * threads, MOST_IMAGES.max(4 * threads));
    let mut planes = vec![0; window.min(samples.len()) * length];
    // The window before: its planes, and which of them are good.
    let (mut before, mut good) = (Vec::new(), Vec::new());
    let mut filled = Filled::default();
    for start in (0..samples.len()).step_by(window) {
        let count = window.min(samples.len() - start);
        let pour = || good.drain(..).try_for_each(|i| sink(&before[i * length..(i + 1) * length]));
        let verdicts = decode(samples, transform, start, threads, &mut planes[..count * length], pour)?;
        for (i, verdict) in verdicts.into_iter().enumerate() {
            match verdict {
                Ok(()) => {
                    good.push(i);
                    filled.taken.push(start + i);
                }
                Err(why) => filled.bad.push(Bad { name: samples.name(start + i), why }),
            }
        }
        check_bad(source, &filled.bad, max_bad)?;
        if before.is_empty() && start + count < samples.len() {
            before = vec![0; planes.len()];
        }
        std::mem::swap(&mut planes, &mut before);
        progress(start + count);
    }
    good.drain(..).try_for_each(|i| sink(&before[i * length..(i + 1) * length]))?;
    if filled.taken.is_empty() {
        let nothing = || Bad { name: source.to_owned(), why: "it is empty".into() };
        let (source_name, bad) = (source.to_owned(), filled.bad.len());
        return Err(DataError::NoneLeft {
            source_name,
            bad,
            first: filled.bad.into_iter().next().unwrap_or_else(nothing),
        });
    }
    for Bad { name, why } in &filled.bad {
        tracing::warn!("left out {name}: {why}");
    }
    Ok(filled)
}

/// Refuses more bad images than are wanted.
pub(super) fn check_bad(source: &str, bad: &[Bad], most: usize) -> Result<(), DataError> {
    match bad.first() {
        Some(first) if bad.len() > most => {
            Err(DataError::TooManyBad { source_name: source.to_owned(), found: bad.len(), most, first: first.clone() })
        }
        _ => Ok(()),
    }
}

/// Fills a window; each image is fetched by whichever thread is free. `meanwhile` is done here.
fn decode(
    samples: &dyn Samples,
    transform: &Transform,
    start: usize,
    threads: usize,
    planes: &mut [u8],
    meanwhile: impl FnOnce() -> Result<(), DataError>,
) -> Result<Vec<Result<(), String>>, DataError> {
    let length = transform.sample_len();
    let count = planes.len() / length;
    let mut slots: Vec<(usize, &mut [u8])> = planes.chunks_exact_mut(length).enumerate().collect();
    if start + count == samples.len() {
        // At the very end no thread should begin a large photograph when the others have nothing left to do.
        slots.sort_by_cached_key(|(i, _)| std::cmp::Reverse(samples.bytes(start + i)));
    }
    let slots = Mutex::new(slots.into_iter());
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
    let (done, verdicts) = thread::scope(|scope| {
        // Fewer threads than wanted are enough; none is an error, such as memory that is gone.
        let workers: Vec<_> =
            (0..threads.min(count)).map(|_| thread::Builder::new().spawn_scoped(scope, work)).collect();
        let done = meanwhile();
        let none =
            if workers.iter().all(Result::is_err) { workers.iter().find_map(|w| w.as_ref().err()) } else { None };
        let none = none.map(|why| DataError::Worker(format!("no thread can be started to decode: {why}")));
        (
            done.and(none.map_or(Ok(()), Err)),
            workers.into_iter().flatten().map(thread::ScopedJoinHandle::join).collect::<Result<Vec<_>, _>>(),
        )
    });
    done?;
    let mut verdicts = verdicts.map_err(|_| DataError::Worker("a decoder's thread ended".into()))?.concat();
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

    /// As many images as it is told; every seventh is bad.
    struct Numbered(usize);

    impl Samples for Numbered {
        fn len(&self) -> usize {
            self.0
        }

        fn name(&self, index: usize) -> String {
            index.to_string()
        }

        fn bytes(&self, index: usize) -> u64 {
            (index * 31 % 17) as u64
        }

        fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
            *buffer = (index as u32).to_le_bytes().to_vec();
            let raw = Content::Raw { width: 2, height: 2, channels: 1 };
            if index % 7 == 6 { Err("the seventh".into()) } else { Ok(raw) }
        }
    }

    const SMALL: Transform = Transform { image_size: 2, crop: Crop::None, channels: 1 };

    #[test]
    fn images_arrive_in_order_whatever_was_decoded_first_and_however_many_windows_there_are() {
        for count in [1, 5, MOST_IMAGES, MOST_IMAGES + 1, 3 * MOST_IMAGES + 5] {
            let (mut seen, mut steps) = (Vec::new(), Vec::new());
            let sink = |planes: &[u8]| {
                seen.push(u32::from_le_bytes(planes.try_into().unwrap()) as usize);
                Ok(())
            };
            let filled = fill("here", &Numbered(count), &SMALL, count, sink, &mut |done| steps.push(done)).unwrap();
            let expected: Vec<usize> = (0..count).filter(|i| i % 7 != 6).collect();
            assert_eq!((&seen, &filled.taken), (&expected, &expected));
            assert_eq!((filled.bad.len(), steps.last()), (count - expected.len(), Some(&count)));
        }
    }

    #[test]
    fn an_error_of_the_sink_ends_it_and_so_do_too_many_bad_ones() {
        let full = || Err(DataError::NoPlace);
        for count in [5, 2 * MOST_IMAGES] {
            let found = fill("here", &Numbered(count), &SMALL, count, |_| full(), &mut |_| {});
            assert!(matches!(found, Err(DataError::NoPlace)));
        }
        let message = fill("here", &Numbered(30), &SMALL, 3, |_| Ok(()), &mut |_| {}).unwrap_err().to_string();
        assert!(message.contains("4 images so far") && message.contains("the first is 6: the seventh"), "{message}");
    }
}
