//! A run as TensorBoard shows it: which of its numbers and pictures go there, and under which tags.

use serde_json::Value;

use super::{Progress, SessionError};
use crate::{
    config::Config,
    export::block,
    metrics::Figure,
    run::{Board, TrainingRun},
};

/// Tags by the names of `metrics.jsonl`, in groups.
const TAGS: [(&str, &str); 13] = [
    ("loss_discriminator", "loss/discriminator"),
    ("loss_generator", "loss/generator"),
    ("penalty", "loss/penalty"),
    ("score_real", "score/real"),
    ("score_fake", "score/fake"),
    ("gamma_mean", "gamma/mean"),
    ("gamma_min", "gamma/min"),
    ("gamma_max", "gamma/max"),
    ("saturated", "gamma/saturated"),
    ("rate_factor", "rate/factor"),
    ("steps_per_second", "speed/steps_per_second"),
    ("images_per_second", "speed/images_per_second"),
    ("data_wait", "speed/data_wait"),
];

/// Begins the event file where the configuration asks for one; `step` steps are done.
pub(super) fn begin(run: &TrainingRun, config: &Config, step: u64) -> Result<Option<Board>, SessionError> {
    if !config.tensorboard {
        return Ok(None);
    }
    // The first grid is of step 0; a run that goes on repeats nothing of its checkpoint's step.
    let mut board = run.board(if step == 0 { 0 } else { step + 1 })?;
    let text = block("toml", &config.to_toml()?);
    board.add(|file| file.text(step, "config", &text))?;
    Ok(Some(board))
}

/// Adds a line of `metrics.jsonl`.
pub(super) fn add(board: &mut Board, progress: &Progress) -> Result<(), SessionError> {
    // By the names that the line has, so that there is one place where they are made.
    let line = serde_json::to_value(progress).unwrap_or(Value::Null);
    let scalars = TAGS.iter().filter_map(|(name, tag)| Some((*tag, line.get(name)?.as_f64()?)));
    Ok(board.add(|file| file.scalars(progress.step, scalars))?)
}

/// Adds an evaluation's figures. The tag is the metric's name, so that one chart holds all runs; what the figure depends on stands in its
/// description, which TensorBoard shows beside the chart.
pub(super) fn add_figures(board: &mut Board, step: u64, figures: &[Figure]) -> Result<(), SessionError> {
    for figure in figures {
        let tag = format!("metrics/{}", figure.metric.name());
        board.add(|file| file.described_scalar(step, &tag, &figure.name, figure.value))?;
    }
    Ok(())
}

/// Adds a sample grid.
pub(super) fn add_grid(board: &mut Board, step: u64, png: &[u8]) -> Result<(), SessionError> {
    Ok(board.add(|file| file.image(step, "samples", png, size(png)))?)
}

/// Width and height from a PNG's header, where they always stand.
fn size(png: &[u8]) -> [u32; 2] {
    [16, 20].map(|at| png.get(at..at + 4).and_then(|b| b.try_into().ok()).map_or(0, u32::from_be_bytes))
}
