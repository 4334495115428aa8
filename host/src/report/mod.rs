//! A run as one HTML page that needs nothing else: curves, γ, samples, metrics, configuration, timings. It reads the
//! run directory, also of a run that goes on, and draws; measuring and writing the file are done elsewhere.

mod chart;
mod evaluations;
mod film;
mod gamma;
mod numbers;
mod page;
mod sections;
mod tables;

pub(crate) use evaluations::smaller_is_better;
pub use evaluations::{Evaluation, Figure, evaluations};
pub(crate) use numbers::number;
pub use page::html;

use crate::{config::ConfigError, image::ImageError, run::RunError};

/// What keeps a page from being made.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The run directory, or a file in it.
    #[error(transparent)]
    Run(#[from] RunError),
    /// Its configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A sample grid.
    #[error("{path}: {source}")]
    Sample {
        /// The grid's file.
        path: String,
        /// What is the matter with it.
        source: ImageError,
    },
}
