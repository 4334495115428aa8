//! What a person sees while a run trains: a bar on a terminal, plain lines elsewhere.

use std::io::IsTerminal as _;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tandem_plugin_api::Stages;

use super::terminal::say;
use crate::{
    session::{Evaluation, Progress, Watch},
    text::printable,
    train::Trainer,
};

/// Shows a run's progress on standard error.
pub(super) struct Screen {
    bar: Option<ProgressBar>,
}

impl Screen {
    pub(super) fn new() -> Self {
        let bar = || bar("{bar:30} {pos}/{len} steps, {per_sec}, {eta} left  {msg}");
        Self { bar: std::io::stderr().is_terminal().then(bar) }
    }

    fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(printable(text)),
            None => say(format_args!("{text}")),
        }
    }
}

impl Watch for Screen {
    fn begin(&mut self, trainer: &Trainer, step: u64, steps: u64) {
        let settings = trainer.settings();
        let mode = match settings.stages {
            Stages::One => {
                let choice = trainer.choice();
                format!("one stage, strategy {}: {}", choice.strategy, choice.reason)
            }
            Stages::Two if settings.reuse_fakes => "two stages, D's fakes used again for G".into(),
            Stages::Two => "two stages, new fakes for G".into(),
        };
        self.line(&format!("{mode}; on {}", device(settings.device)));
        if step > 0 {
            self.line(&format!("going on at step {step} of {steps}"));
        }
        if let Some(bar) = &self.bar {
            bar.set_length(steps);
            bar.set_position(step);
            bar.reset_eta();
        }
    }

    fn round(&mut self, step: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(step);
        }
    }

    fn reading(&mut self, progress: &Progress) {
        let mut text = format!("D {:.4}  G {:.4}", progress.loss_discriminator, progress.loss_generator);
        if let (Some(mean), Some(min), Some(max)) = (progress.gamma_mean, progress.gamma_min, progress.gamma_max) {
            text += &format!("  γ {mean:.3} [{min:.3}, {max:.3}]");
        }
        text += &format!("  {:.0} images/s", progress.images_per_second);
        if progress.data_wait >= NOTICED_WAIT {
            text += &format!("  {:.0} % waiting for data", 100.0 * progress.data_wait);
        }
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => say(format_args!("step {}: {text}, {:.2} steps/s", progress.step, progress.steps_per_second)),
        }
    }

    fn evaluated(&mut self, step: u64, evaluation: &Evaluation) {
        for warning in &evaluation.warnings {
            tracing::warn!("{warning}");
        }
        let figures = evaluation.figures.iter().map(|figure| format!("{} {}", figure.metric, number(figure.value)));
        self.line(&format!("step {step}: {}", figures.collect::<Vec<_>>().join(", ")));
    }

    fn wrote(&mut self, what: &str, path: &str) {
        tracing::info!("wrote {what} {path}");
    }
}

/// The share of time waiting for data from which on it is told.
const NOTICED_WAIT: f64 = 0.02;

/// A bar on standard error, which nobody sees where that is no terminal.
fn bar(template: &str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    // The template is fixed; were it wrong, the plain style serves.
    bar.with_style(ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// A figure with as many digits as it is worth.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.1}") } else { format!("{value:.4}") }
}

/// A bar over a bench's rounds.
pub(super) fn rounds(count: u64) -> ProgressBar {
    let bar = bar("{bar:30} round {pos}/{len}, {eta} left");
    bar.set_length(count);
    bar
}

/// A bar over a data set's images.
pub(super) fn images() -> ProgressBar {
    bar("{bar:30} {pos}/{len} images, {per_sec}, {eta} left")
}

/// A device as a person writes it.
pub(super) fn device(device: tch::Device) -> String {
    match device {
        tch::Device::Cuda(n) => format!("cuda:{n}"),
        _ => match tch::get_num_threads() {
            1 => "the CPU, 1 thread".into(),
            n => format!("the CPU, {n} threads"),
        },
    }
}
