//! `evaluations.jsonl` as numbers: what the page and the comparison read of it.

use std::path::Path;

use serde::Deserialize;

use crate::run::{RunDir, RunError};

/// One evaluation of a run.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Evaluation {
    /// Steps that were done.
    pub step: u64,
    /// Real images that training had seen.
    #[serde(default)]
    pub images: Option<u64>,
    /// Passes through the networks so far.
    #[serde(default)]
    pub passes: Option<Passes>,
    /// Seconds of training so far, without evaluations.
    #[serde(default)]
    pub seconds: Option<f64>,
    /// Samples that were drawn.
    #[serde(default)]
    pub n: Option<u64>,
    /// Which weights were measured: `generator_ema` or `generator`.
    #[serde(default)]
    pub weights: Option<String>,
    /// What was measured.
    pub figures: Vec<Figure>,
    /// By what, and against what.
    #[serde(default)]
    pub record: Sums,
}

/// What a figure's name cannot tell apart: the SHA-256 of files and images of equal names.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct Sums {
    /// Of the extractor.
    #[serde(default)]
    pub extractor_sha256: Option<String>,
    /// Of the real images.
    #[serde(default)]
    pub real_sha256: Option<String>,
}

/// Passes through each network, a forward pass counted 1 (docs/one-stage.md).
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct Passes {
    /// Through G.
    pub generator: f64,
    /// Through D.
    pub discriminator: f64,
}

/// One number.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Figure {
    /// Which metric, for example `fid`.
    pub metric: String,
    /// The metric with all that its value depends on: extractor, number of samples, split, resize. Values of unlike
    /// names are not to be compared.
    pub name: String,
    /// The value; `None` where it is not finite.
    pub value: Option<f64>,
    /// Its spread over subsets, where the metric has one.
    #[serde(default)]
    pub std: Option<f64>,
}

impl Evaluation {
    /// The figure of a metric.
    pub fn figure(&self, metric: &str) -> Option<&Figure> {
        self.figures.iter().find(|f| f.metric == metric)
    }
}

/// A run's evaluations by step, lowest first; of several at one step, the last that was written.
pub fn evaluations(run: &RunDir) -> Result<Vec<Evaluation>, RunError> {
    let mut all: Vec<Evaluation> = Vec::new();
    for (at, line) in run.evaluations()?.into_iter().enumerate() {
        let read: Evaluation = serde_json::from_value(line).map_err(|e| damaged(run.path(), at, &e))?;
        all.retain(|other| other.step != read.step);
        all.push(read);
    }
    all.sort_by_key(|e| e.step);
    Ok(all)
}

fn damaged(run: &Path, at: usize, error: &serde_json::Error) -> RunError {
    RunError::Damaged { path: run.join("evaluations.jsonl"), what: format!("line {}: {error}", at + 1) }
}

/// Whether a smaller value of a metric is the better one; `None` for a metric that is not known.
pub(crate) fn smaller_is_better(metric: &str) -> Option<bool> {
    match metric.split(['-', '_']).next().unwrap_or(metric) {
        "fid" | "kid" => Some(true),
        "is" | "inception" | "precision" | "recall" | "density" | "coverage" => Some(false),
        _ => None,
    }
}
