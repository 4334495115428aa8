//! What a person sees while a run trains: how far it is, and a line for each reading where that is no terminal.

use std::io::IsTerminal as _;

use tandem_plugin_api::Stages;

use super::terminal::say;
use crate::{
    session::{Evaluation, Progress, Watch},
    train::Trainer,
    work::Work,
};

/// Shows a run's progress on standard error.
pub(super) struct Screen {
    /// Whether readings are notes to the status rather than lines.
    notes: bool,
    work: Option<Work>,
}

impl Screen {
    pub(super) fn new() -> Self {
        Self { notes: std::io::stderr().is_terminal(), work: None }
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
        say(format_args!("{mode}; on {}", device(settings.device)));
        if step > 0 {
            say(format_args!("going on at step {step} of {steps}"));
        }
        self.work = Some(Work::of("training", steps, "steps").from(step));
    }

    fn round(&mut self, step: u64) {
        if let Some(work) = &self.work {
            // The run looks by itself whether it is to stop.
            let _ = work.at(step);
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
        match &self.work {
            Some(work) if self.notes => work.note(text),
            _ => say(format_args!("step {}: {text}, {:.2} steps/s", progress.step, progress.steps_per_second)),
        }
    }

    fn evaluated(&mut self, step: u64, evaluation: &Evaluation) {
        for warning in &evaluation.warnings {
            tracing::warn!("{warning}");
        }
        let figures = evaluation.figures.iter().map(|figure| format!("{} {}", figure.metric, number(figure.value)));
        say(format_args!("step {step}: {}", figures.collect::<Vec<_>>().join(", ")));
    }

    fn wrote(&mut self, what: &str, path: &str) {
        tracing::info!("wrote {what} {path}");
    }
}

/// The share of time waiting for data from which on it is told.
const NOTICED_WAIT: f64 = 0.02;

/// A figure with as many digits as it is worth.
pub(super) fn number(value: f64) -> String {
    if value.abs() >= 100.0 { format!("{value:.1}") } else { format!("{value:.4}") }
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
