//! What can be wrong with a data set, each with the file and what was found.

use std::{io, path::PathBuf};

/// An error of reading or serving data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not what its header promises.
    #[error("{path}: {what}", path = path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the numbers found and expected.
        what: String,
    },
    /// The folder has none of the files that a data set consists of.
    #[error("{path} holds no MNIST: expected `{expected}` or `{expected}.gz` in it", path = path.display())]
    NotFound {
        /// The folder.
        path: PathBuf,
        /// The file that was looked for.
        expected: String,
    },
    /// Images and labels do not belong together.
    #[error("{labels} has {found} labels, but {images} has {expected} images; they must be equal")]
    LabelCount {
        /// The images' file.
        images: String,
        /// The labels' file.
        labels: String,
        /// The number of images.
        expected: usize,
        /// The number of labels.
        found: usize,
    },
    /// Images cannot be brought to this size.
    #[error("image_size = {size} is not supported for {height}x{width} images: use 32 (padded) or 64 (resized)")]
    Size {
        /// What was asked for.
        size: usize,
        /// The images' height.
        height: usize,
        /// The images' width.
        width: usize,
    },
    /// A batch cannot be filled.
    #[error("batch_size = {batch} is more than the {samples} images of the data set; lower it")]
    BatchSize {
        /// What was asked for.
        batch: usize,
        /// What there is.
        samples: usize,
    },
    /// The thread that prepares batches is gone.
    #[error("the thread that prepares batches stopped: {0}")]
    Worker(String),
}
