//! What ends a comparison. A run that fails does not: it is a row of the table.

use std::{io, path::PathBuf};

use crate::{config::ConfigError, image::ImageError, run::RunError, text::Show as _};

/// A plan that cannot be run, or results that cannot be put into one table.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// A file or process could not be used.
    #[error("cannot {operation} {}: {source}", path.shown())]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The plan is not what a plan may be.
    #[error("{}: {what}", path.shown())]
    Plan {
        /// The plan's file.
        path: PathBuf,
        /// Where and what.
        what: String,
    },
    /// A run's configuration.
    #[error("{}: method `{}` on `{}`: {source}", path.shown(), method.shown(), data.shown())]
    Config {
        /// The plan's file.
        path: PathBuf,
        /// The method's name.
        method: String,
        /// The data set's name.
        data: String,
        /// What is wrong with it.
        source: Box<ConfigError>,
    },
    /// A run refused to start; others would for the same reason.
    #[error("{} does not start: {message}", run.shown())]
    Refused {
        /// The run directory.
        run: PathBuf,
        /// What it said.
        message: String,
    },
    /// Runs are watched by threads.
    #[error("no thread can be started to watch a run: {source}; end other programs, or raise `ulimit -u`")]
    NoThread {
        /// What the system said.
        source: io::Error,
    },
    /// Two runs measured different things under one metric.
    #[error(transparent)]
    Unlike(Box<Unlike>),
    /// A run directory.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A picture.
    #[error(transparent)]
    Image(#[from] ImageError),
}

/// Two runs that measured different things under one metric.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{metric}` is not the same figure in all runs on `{}`: {} has \"{}\", {} has \"{}\"; \
     give both the same extractor, number of samples and data, or leave one out of the plan",
    data.shown(), a.shown(), name_a.shown(), b.shown(), name_b.shown()
)]
pub struct Unlike {
    /// The metric.
    pub metric: String,
    /// The data set.
    pub data: String,
    /// One run.
    pub a: PathBuf,
    /// What it calls its figure.
    pub name_a: String,
    /// The other.
    pub b: PathBuf,
    /// What that calls it.
    pub name_b: String,
}

impl CompareError {
    /// For `map_err`: this operation on this path failed.
    pub(super) fn io(operation: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::Io { operation, path, source }
    }

    /// Whether the plan is at fault (exit code 2) rather than what happened (1).
    pub const fn is_usage(&self) -> bool {
        matches!(self, Self::Plan { .. } | Self::Config { .. } | Self::Refused { .. })
    }
}
