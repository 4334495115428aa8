//! What can be wrong with an extractor, with features, or with two figures, each time with what was expected and found.

use std::{io, path::PathBuf};

use tch::TchError;

use crate::{
    text::{Show as _, sentence},
    work::Interrupted,
};

/// An error of measuring images.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The extractor's file could not be read.
    #[error("cannot read the extractor {path}: {source}", path = path.shown())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// There is no extractor of this name.
    #[error("{0}")]
    Unknown(String),
    /// The extractor is not what it has to be.
    #[error("extractor {}: {}", name.shown(), sentence(what))]
    Extractor {
        /// Its name or file.
        name: String,
        /// What is wrong, with what was expected and found.
        what: String,
    },
    /// The file has another sum than was asked for.
    #[error(
        "{path} has the SHA-256 {found}, expected {expected}; it is another file, or a damaged one, and was not used",
        path = path.shown()
    )]
    Sum {
        /// The file.
        path: PathBuf,
        /// The sum asked for.
        expected: String,
        /// The sum of the file.
        found: String,
    },
    /// The extractor could not be downloaded.
    #[error("cannot fetch {url}: {why}")]
    Fetch {
        /// From where.
        url: &'static str,
        /// What curl or the system said, and what to do.
        why: String,
    },
    /// Features that no figure can be computed from.
    #[error("{metric} cannot be computed: {why}")]
    Figure {
        /// The metric's title.
        metric: &'static str,
        /// Why, with what was expected and found.
        why: String,
    },
    /// Two figures that must not be compared.
    #[error("`{one}` and `{other}` are unlike figures and cannot be compared: {why}")]
    Unlike {
        /// The first one's name.
        one: String,
        /// The second one's name.
        other: String,
        /// In what they differ.
        why: String,
    },
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
    /// libtorch failed.
    #[error("libtorch failed while measuring: {}", sentence(&first_line(.0)))]
    Torch(#[from] TchError),
}

/// The line of libtorch's error that says what happened; the others say where in its source.
pub(super) fn first_line(error: &TchError) -> String {
    let text = error.to_string();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    // An error inside TorchScript is a traceback, whose last words are the error.
    let told = lines.iter().rev().find(|line| line.contains("Error: "));
    told.or(lines.first()).map_or_else(|| "it does not say why".to_owned(), |line| line.shown().to_string())
}
