//! Time by phase of a step, heard from the trainer's spans.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tch::{Cuda, Device};
use tracing::{Subscriber, span, subscriber::with_default};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, SubscriberExt as _},
    registry::LookupSpan,
};

use crate::train::PHASE_TARGET;

/// Runs `work` and says how long each phase in it took, on this thread. Waits for the device at every border between
/// phases, so that each has its own work; this makes the whole slower than it is.
pub(super) fn time_phases<R>(device: Device, work: impl FnOnce() -> R) -> (R, BTreeMap<&'static str, Duration>) {
    let clock = Clock { device, state: Arc::default() };
    let state = Arc::clone(&clock.state);
    let result = with_default(Registry::default().with(clock), work);
    let mut state = locked(&state);
    (result, std::mem::take(&mut state.total))
}

/// Waits until the device has done all that it was given.
pub(super) fn finish(device: Device) {
    if let Device::Cuda(n) = device {
        Cuda::synchronize(n as i64);
    }
}

#[derive(Debug, Default)]
struct State {
    entered: Option<Instant>,
    total: BTreeMap<&'static str, Duration>,
}

struct Clock {
    device: Device,
    state: Arc<Mutex<State>>,
}

fn locked(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<S: Subscriber + for<'s> LookupSpan<'s>> Layer<S> for Clock {
    fn enabled(&self, metadata: &tracing::Metadata<'_>, _: Context<'_, S>) -> bool {
        metadata.target() == PHASE_TARGET
    }

    fn on_enter(&self, _: &span::Id, _: Context<'_, S>) {
        finish(self.device);
        locked(&self.state).entered = Some(Instant::now());
    }

    fn on_exit(&self, id: &span::Id, context: Context<'_, S>) {
        finish(self.device);
        let mut state = locked(&self.state);
        if let (Some(entered), Some(metadata)) = (state.entered.take(), context.metadata(id)) {
            *state.total.entry(metadata.name()).or_default() += entered.elapsed();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::{PHASES, phase};

    #[test]
    fn each_phase_has_its_own_time_and_nothing_else_counts() {
        let ((), times) = time_phases(Device::Cpu, || {
            for _ in 0..3 {
                let _data = phase!("data");
                std::thread::sleep(Duration::from_millis(4));
            }
            std::thread::sleep(Duration::from_millis(50));
            tracing::info_span!("another").in_scope(|| {
                let _phase = phase!("optimizer");
            });
        });
        assert_eq!(times.keys().copied().collect::<Vec<_>>(), ["data", "optimizer"]);
        assert!(times["data"] >= Duration::from_millis(12), "{times:?}");
        assert!(times["optimizer"] < Duration::from_millis(50), "{times:?}");
        assert!(times.keys().all(|name| PHASES.contains(name)));
    }
}
