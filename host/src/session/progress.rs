//! What a run says of itself between two lines of `metrics.jsonl`, and the clock that counts its training.

use std::time::{Duration, Instant};

use serde::Serialize;

use crate::train::{GAMMA_BINS, Gamma, Reading};

/// A line of `metrics.jsonl`, after the step.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    /// The step.
    #[serde(skip)]
    pub step: u64,
    /// Mean of `L_D` since the last line.
    pub loss_discriminator: f64,
    /// Mean of `L_G` since the last line.
    pub loss_generator: f64,
    /// Mean of the penalties since the last line.
    pub penalty: f64,
    /// Mean of `D(x)` since the last line.
    pub score_real: f64,
    /// Mean of `D(G(z))` since the last line.
    pub score_fake: f64,
    /// Mean γ since the last line, in one stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_mean: Option<f64>,
    /// Least γ since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_min: Option<f64>,
    /// Largest γ since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_max: Option<f64>,
    /// Share of fakes for which γ does not exist, since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saturated: Option<f64>,
    /// How many γ since the last line lie in each bin of [`crate::train::gamma_edges`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_histogram: Option<Vec<u64>>,
    /// What the schedule multiplied both learning rates by in this step.
    pub rate_factor: f64,
    /// Steps in a second, since the last line.
    pub steps_per_second: f64,
    /// Real images in a second, since the last line.
    pub images_per_second: f64,
    /// Share of the time since the last line in which the next batch was not ready.
    pub data_wait: f64,
}

/// Where a line of `metrics.jsonl` begins.
#[derive(Debug, Clone, Copy)]
pub(super) struct Since {
    pub(super) at: Instant,
    pub(super) step: u64,
    /// For batches, since the process began.
    pub(super) waited: Duration,
}

/// Time spent training, over all processes of a run.
#[derive(Debug, Default)]
pub(super) struct Clock {
    pub(super) before: Duration,
    running: Option<Instant>,
}

impl Clock {
    pub(super) fn start(&mut self) {
        self.running = Some(Instant::now());
    }

    pub(super) fn stop(&mut self) {
        self.before = self.total();
        self.running = None;
    }

    pub(super) fn total(&self) -> Duration {
        self.before + self.running.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// The readings since the last line, as one; `None` if there are none. `rate_factor` is what a round (from 0) multiplies learning rates by.
pub(super) fn summary(
    readings: &[Reading],
    since: Since,
    now: Since,
    images: u64,
    rate_factor: impl Fn(u64) -> f64,
) -> Option<Progress> {
    let last = readings.last()?;
    let mean = |f: fn(&Reading) -> f64| readings.iter().map(f).sum::<f64>() / readings.len() as f64;
    let gammas: Vec<_> = readings.iter().filter_map(|r| r.gamma).collect();
    let gamma = |fold: fn(f64, f64) -> f64, of: fn(&Gamma) -> f64| gammas.iter().map(of).reduce(fold);
    let finite: Vec<f64> = gammas.iter().map(|g| g.mean).filter(|m| m.is_finite()).collect();
    let elapsed = (now.at - since.at).as_secs_f64().max(1e-9);
    Some(Progress {
        step: last.step,
        loss_discriminator: mean(|r| r.loss_discriminator),
        loss_generator: mean(|r| r.loss_generator),
        penalty: mean(|r| r.penalty),
        score_real: mean(|r| r.score_real),
        score_fake: mean(|r| r.score_fake),
        gamma_mean: (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64),
        gamma_min: gamma(f64::min, |g| g.min).filter(|g| g.is_finite()),
        gamma_max: gamma(f64::max, |g| g.max).filter(|g| g.is_finite()),
        saturated: (!gammas.is_empty()).then(|| gammas.iter().map(|g| g.saturated).sum::<f64>() / gammas.len() as f64),
        gamma_histogram: (!gammas.is_empty()).then(|| {
            let count = |bin: usize| gammas.iter().map(|g| u64::from(g.histogram[bin])).sum();
            (0..GAMMA_BINS).map(count).collect()
        }),
        rate_factor: rate_factor(last.step.saturating_sub(1)),
        steps_per_second: readings.len() as f64 / elapsed,
        images_per_second: images as f64 / elapsed,
        data_wait: now.waited.saturating_sub(since.waited).as_secs_f64() / elapsed,
    })
}
