//! Batches prepared ahead on a thread of their own, so that training never waits for them.

use std::{
    sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel},
    thread::JoinHandle,
    time::{Duration, Instant},
};

use super::{DataError, Dataset, Sampler, SamplerState, sampler::flipped};

/// Batches that lie ready: enough to ride out a hiccup, few enough to forget.
const AHEAD: usize = 4;

/// One batch in host memory.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct HostBatch {
    /// `[N, C, H, W]` in `[-1, 1]`, row-major.
    pub images: Vec<f32>,
    /// `[N]`; empty without labels.
    pub labels: Vec<i64>,
    /// Where the sampler stands once this batch has been used: what a checkpoint keeps.
    pub after: Option<SamplerState>,
}

/// A batch, or why there is none.
type Ready = Result<HostBatch, DataError>;

/// A thread that fills batches ahead of use.
#[derive(Debug)]
pub struct Prefetch {
    // Dropped first: the thread then finds nobody listening, and ends.
    ready: Option<Receiver<Ready>>,
    spare: Option<SyncSender<HostBatch>>,
    thread: Option<JoinHandle<()>>,
    waited: Duration,
}

impl Prefetch {
    /// Starts filling batches in the sampler's order.
    pub fn start(dataset: Dataset, sampler: Sampler) -> Result<Self, DataError> {
        Self::spawn(move |ready, spare| fill(&dataset, sampler, ready, spare))
    }

    fn spawn(fill: impl FnOnce(&SyncSender<Ready>, &Receiver<HostBatch>) + Send + 'static) -> Result<Self, DataError> {
        let (to_trainer, ready) = sync_channel(AHEAD);
        let (spare, from_trainer) = sync_channel::<HostBatch>(AHEAD + 1);
        let thread = std::thread::Builder::new()
            .name("batches".into())
            .spawn(move || fill(&to_trainer, &from_trainer))
            .map_err(|e| DataError::Worker(format!("no thread can be started to make batches: {e}")))?;
        Ok(Self { ready: Some(ready), spare: Some(spare), thread: Some(thread), waited: Duration::ZERO })
    }

    /// The next batch; waits for it if it is not ready.
    pub fn next_batch(&mut self) -> Result<HostBatch, DataError> {
        let received = self.ready.as_ref().and_then(|ready| match ready.try_recv() {
            Ok(batch) => Some(batch),
            Err(TryRecvError::Disconnected) => None,
            Err(TryRecvError::Empty) => {
                let since = Instant::now();
                let received = ready.recv().ok();
                self.waited += since.elapsed();
                received
            }
        });
        received.unwrap_or_else(|| Err(DataError::Worker(self.join())))
    }

    /// How long [`Self::next_batch`] has waited so far, over all calls.
    pub const fn waited(&self) -> Duration {
        self.waited
    }

    /// Gives a used batch's memory back.
    pub fn recycle(&self, batch: HostBatch) {
        if let Some(spare) = &self.spare {
            // A full queue means that there is memory enough already.
            let _ = spare.try_send(batch);
        }
    }

    /// Ends the thread and says what it died of.
    fn join(&mut self) -> String {
        (self.ready, self.spare) = (None, None);
        match self.thread.take().map(JoinHandle::join) {
            Some(Err(panic)) => {
                let text = panic.downcast_ref::<&str>().map(ToString::to_string);
                text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "it panicked".into())
            }
            _ => "it ended".into(),
        }
    }
}

impl Drop for Prefetch {
    fn drop(&mut self) {
        self.join();
    }
}

fn fill(dataset: &Dataset, mut sampler: Sampler, ready: &SyncSender<Ready>, spare: &Receiver<HostBatch>) {
    let mut image = vec![0; dataset.sample_len()];
    loop {
        let mut batch = match spare.try_recv() {
            Ok(used) => used,
            Err(TryRecvError::Empty) => HostBatch::default(),
            Err(TryRecvError::Disconnected) => return,
        };
        let filled = fill_one(dataset, &mut sampler, &mut image, &mut batch).map(|()| batch);
        let failed = filled.is_err();
        if ready.send(filled).is_err() || failed {
            return;
        }
    }
}

fn fill_one(
    dataset: &Dataset,
    sampler: &mut Sampler,
    image: &mut [u8],
    batch: &mut HostBatch,
) -> Result<(), DataError> {
    batch.images.clear();
    batch.labels.clear();
    let order = sampler.next_batch().to_vec();
    let after = sampler.state();
    for index in order {
        dataset.read(index as usize, image)?;
        if dataset.flip() && flipped(after.seed, after.epoch, index) {
            image.chunks_exact_mut(dataset.size()).for_each(<[u8]>::reverse);
        }
        batch.images.extend(image.iter().map(|&v| f32::from(v) / 127.5 - 1.0));
        batch.labels.extend(dataset.label(index as usize));
    }
    batch.after = Some(after);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: SamplerState = SamplerState { seed: 1, epoch: 0, offset: 0 };

    fn prefetch(state: SamplerState) -> Prefetch {
        let digits = Dataset::digits(32).unwrap();
        let sampler = Sampler::new(digits.len(), 64, state).unwrap();
        Prefetch::start(digits, sampler).unwrap()
    }

    #[test]
    fn a_batch_holds_the_samplers_images_and_says_where_to_go_on() {
        let mut batches = prefetch(START);
        let first = batches.next_batch().unwrap();
        assert_eq!((first.images.len(), first.labels.len()), (64 * 32 * 32, 64));
        batches.recycle(first.clone());
        let second = batches.next_batch().unwrap();
        let mut resumed = prefetch(first.after.unwrap());
        assert_eq!(resumed.next_batch().unwrap(), second);
    }

    #[test]
    fn a_panic_in_the_thread_is_an_error_that_says_so() {
        let mut batches = Prefetch::spawn(|ready, _| {
            ready.send(Ok(HostBatch::default())).unwrap();
            panic!("no image {}", 7)
        })
        .unwrap();
        assert_eq!(batches.next_batch().unwrap(), HostBatch::default());
        let message = batches.next_batch().unwrap_err().to_string();
        assert_eq!(message, "the thread that prepares batches stopped: no image 7");
        assert!(batches.next_batch().is_err());
        batches.recycle(HostBatch::default());
    }

    #[test]
    fn only_what_is_not_ready_is_waited_for() {
        let (go, told) = sync_channel(0);
        let mut batches = Prefetch::spawn(move |ready, _| {
            ready.send(Ok(HostBatch::default())).unwrap();
            told.recv().unwrap();
            std::thread::sleep(Duration::from_millis(30));
            ready.send(Ok(HostBatch::default())).unwrap();
        })
        .unwrap();
        batches.next_batch().unwrap();
        let before = batches.waited().as_secs_f64();
        go.send(()).unwrap();
        batches.next_batch().unwrap();
        assert!(batches.waited().as_secs_f64() - before >= 0.025, "{:?}", batches.waited());
    }

    #[test]
    fn dropping_it_in_the_middle_ends_the_thread() {
        let mut batches = prefetch(START);
        batches.next_batch().unwrap();
        drop(batches);
    }
}
