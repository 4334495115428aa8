//! What can be wrong with a data set, each with the file and what was found.

use std::{
    io,
    path::{Path, PathBuf},
};

use super::{Bad, source::PassedOver};
use crate::{text::Show as _, work::Interrupted};

/// An error of reading or serving data.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// The file could not be read.
    #[error("cannot read {path}: {source}", path = path.shown())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not what its header promises.
    #[error("{path}: {what}", path = path.shown())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, with the numbers found and expected.
        what: String,
    },
    /// The folder has none of the files that a data set consists of.
    #[error("{path} holds no MNIST: expected `{expected}` or `{expected}.gz` in it", path = path.shown())]
    NotFound {
        /// The folder.
        path: PathBuf,
        /// The file that was looked for.
        expected: String,
    },
    /// The folder has several sets in MNIST's form.
    #[error(
        "{path} holds several data sets in MNIST's form: {}; choose one by data.images and data.labels in place of \
         data.path, for example data.images = {:?} with data.labels = {:?}",
        images.join(", "), path.join(&images[0]), path.join(images[0].replace("images-idx3", "labels-idx1")),
        path = path.shown()
    )]
    Several {
        /// The folder.
        path: PathBuf,
        /// The images' files, more than one.
        images: Vec<String>,
    },
    /// The folder lacks a file of its data set.
    #[error("{path} holds no {what}: expected `{expected}` in it", path = path.shown())]
    Missing {
        /// The folder.
        path: PathBuf,
        /// What it should hold.
        what: &'static str,
        /// The file that was looked for.
        expected: String,
    },
    /// The folder has no images.
    #[error("{path} holds no images: expected files ending in .jpg, .png, .webp, .gif, .bmp, .tif or another picture's ending in it or its folders", path = path.shown())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// The folder or archive has images, or what may be meant to be, and none that is read.
    #[error("{path} holds no images that are read: {passed}", path = path.shown())]
    NoneTaken {
        /// The folder or archive.
        path: PathBuf,
        /// What was passed over.
        passed: String,
    },
    /// More classes than a label can name.
    #[error("{path} has {found} folders of images; at most 65536 can be classes", path = path.shown())]
    TooManyClasses {
        /// The folder.
        path: PathBuf,
        /// How many there are.
        found: usize,
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
    #[error(
        "image_size = {size} is not supported for {height}x{width} images: use 64 (resized), or 32 (padded) if they are no larger"
    )]
    Size {
        /// What was asked for.
        size: usize,
        /// The images' height.
        height: usize,
        /// The images' width.
        width: usize,
    },
    /// The images do not fit into memory.
    #[error(
        "{count} images at {size}x{size} take more than {most} GiB of memory; write them to a cache with `tandem data prepare`"
    )]
    TooLarge {
        /// How many images there are.
        count: usize,
        /// What was asked for.
        size: usize,
        /// The most that is taken, in GiB.
        most: usize,
    },
    /// More bad images than are left out.
    #[error(
        "{source_name}: {found} images so far cannot be used, more than data.max_bad = {most}; the first is {name}: {why}",
        name = first.name.shown(), why = first.why.shown()
    )]
    TooManyBad {
        /// The data set.
        source_name: String,
        /// How many, as far as it was read.
        found: usize,
        /// The limit.
        most: usize,
        /// The first of them.
        first: Bad,
    },
    /// No image can be used.
    #[error(
        "{source_name}: none of its {bad} images can be used; the first is {name}: {why}",
        name = first.name.shown(), why = first.why.shown()
    )]
    NoneLeft {
        /// The data set.
        source_name: String,
        /// How many there are.
        bad: usize,
        /// The first of them.
        first: Bad,
    },
    /// A cache is not what it should be.
    #[error("cache {path}: {what}", path = path.shown())]
    Cache {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what to do.
        what: String,
    },
    /// Another process is writing this cache.
    #[error("cache {path}: another process is writing it; wait until it is done", path = path.shown())]
    Busy {
        /// The file.
        path: PathBuf,
    },
    /// No folder for caches is known.
    #[error("there is no folder for caches: set data.cache, XDG_CACHE_HOME or HOME")]
    NoPlace,
    /// A file could not be written.
    #[error("cannot write {path}: {source}", path = path.shown())]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// A batch cannot be filled.
    #[error("batch_size = {batch} is more than the {samples} images of the data set; lower it")]
    BatchSize {
        /// What was asked for.
        batch: usize,
        /// What there is.
        samples: usize,
    },
    /// A sampler's position lies outside the data.
    #[error(
        "cannot go on after {offset} images of an epoch: the data set has {samples}; is it the one that the run began with?"
    )]
    Position {
        /// The position's images of its epoch.
        offset: u64,
        /// What there is.
        samples: usize,
    },
    /// The thread that prepares batches is gone.
    #[error("the thread that prepares batches stopped: {0}")]
    Worker(String),
    /// Somebody asked for the end.
    #[error("interrupted")]
    Interrupted(#[from] Interrupted),
}

impl DataError {
    /// That a folder or archive has no images, and what it has instead.
    pub(super) fn no_images(path: &Path, passed: &PassedOver) -> Self {
        let (path, lines) = (path.to_owned(), passed.all());
        if lines.is_empty() { Self::NoImages { path } } else { Self::NoneTaken { path, passed: lines.join("; ") } }
    }
}
