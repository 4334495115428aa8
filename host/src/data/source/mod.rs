//! Where images come from: each kind of data set as a list of samples that any thread may read in any order.

mod celeba;
mod cifar;
mod compressed;
mod detect;
mod file;
mod folder;
pub(super) mod idx;
mod labels;
mod lmdb;
mod names;
mod passed;
mod pickle;
pub(super) mod regular;
mod shards;
mod tar;
mod tree;
mod zip;

use std::{
    fs,
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

use sha2::{Digest, Sha256};

pub(super) use labels::Labels;
pub(super) use passed::PassedOver;

use super::{
    DataError, Transform,
    picture::{Picture, is_picture},
};
use crate::{files, text::Show as _};

/// Which images a data set has been divided into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// To train on.
    Train,
    /// To choose between models (`CelebA` alone has it).
    Valid,
    /// To measure on.
    Test,
}

impl Split {
    /// The name in configurations.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }
}

/// A data set, by where it lies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The digits that ship with Tandem.
    Digits,
    /// MNIST's files in a folder under their usual names.
    Mnist {
        /// The folder.
        folder: PathBuf,
        /// Which pair of files; [`Split::Valid`] has none.
        split: Split,
        /// Rows are columns, as in EMNIST.
        transposed: bool,
    },
    /// IDX files by name.
    Idx {
        /// The images' file.
        images: PathBuf,
        /// The labels' file.
        labels: Option<PathBuf>,
        /// Rows are columns, as in EMNIST.
        transposed: bool,
    },
    /// CIFAR-10's binary files.
    Cifar10 {
        /// The folder that holds them, or one of them.
        path: PathBuf,
        /// Which files of the folder.
        split: Split,
    },
    /// CIFAR-100's binary files, with the fine labels.
    Cifar100 {
        /// The folder that holds them, or one of them.
        path: PathBuf,
        /// Which file of the folder.
        split: Split,
    },
    /// Image files below a folder.
    Folder(PathBuf),
    /// Image files in a ZIP archive.
    Zip(PathBuf),
    /// A tar file, or a folder of tar files: `key.jpg` beside `key.cls`.
    Tar(PathBuf),
    /// An LMDB whose values are image files, as LSUN has it.
    Lmdb(PathBuf),
    /// `CelebA`'s aligned photographs with their attributes.
    Celeba {
        /// The folder that holds `img_align_celeba` and the lists.
        folder: PathBuf,
        /// The attribute that is the label.
        attribute: Option<String>,
        /// Which images; all of them without one.
        split: Option<Split>,
    },
    /// A file that `prepare` wrote.
    Cache(PathBuf),
}

/// What a sample's bytes are.
pub(super) enum Content {
    /// An image file.
    Encoded,
    /// Pixels, one after the other.
    Raw { width: usize, height: usize, channels: usize },
}

/// Samples to be read in any order from any thread.
pub(super) trait Samples: Send + Sync {
    /// How many there are.
    fn len(&self) -> usize;
    /// What messages call sample `index`.
    fn name(&self, index: usize) -> String;
    /// About how many bytes sample `index` has, where that is told cheaply: of what is decoded last, the largest is begun first.
    fn bytes(&self, _index: usize) -> u64 {
        0
    }
    /// Puts sample `index` into `buffer`, whatever that held; otherwise what went wrong.
    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String>;
}

/// Sample `index` as a picture; otherwise what is wrong with it. `buffer` and `spare` are memory, whatever they hold.
pub(super) fn picture(
    samples: &dyn Samples,
    index: usize,
    buffer: &mut Vec<u8>,
    spare: Vec<u8>,
) -> Result<Picture, String> {
    match samples.read(index, buffer)? {
        Content::Encoded => Picture::decode(buffer, spare),
        Content::Raw { width, height, channels } => {
            Ok(Picture { width, height, channels, pixels: std::mem::replace(buffer, spare) })
        }
    }
}

/// The files that a data set consists of, in a fixed order.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) files: Vec<PathBuf>,
    /// What lies among them.
    passed: PassedOver,
}

impl From<Vec<PathBuf>> for Listed {
    fn from(files: Vec<PathBuf>) -> Self {
        Self { files, passed: PassedOver::default() }
    }
}

/// A data set opened: nothing decoded yet.
pub(super) struct Opened {
    pub(super) samples: Box<dyn Samples>,
    pub(super) labels: Labels,
}

impl Source {
    /// The files that the data set consists of.
    pub(super) fn files(&self) -> Result<Listed, DataError> {
        let files = match self {
            Self::Folder(path) => return folder::files(path),
            Self::Tar(path) => return tar::files(path),
            Self::Digits => Vec::new(),
            Self::Mnist { folder, split, .. } => {
                let (images, labels) = idx::pair(folder, *split)?;
                vec![images, labels]
            }
            Self::Idx { images, labels, .. } => [images].into_iter().chain(labels).cloned().collect(),
            Self::Cifar10 { path, split } => cifar::files(path, *split, &cifar::TEN)?,
            Self::Cifar100 { path, split } => cifar::files(path, *split, &cifar::HUNDRED)?,
            Self::Zip(path) | Self::Cache(path) => vec![path.clone()],
            Self::Lmdb(path) => vec![lmdb::file(path)?],
            Self::Celeba { folder, attribute, split } => celeba::files(folder, attribute.is_some(), split.is_some())?,
        };
        Ok(files.into())
    }

    /// Opens it, and says what was passed over; `listed` are its [`Self::files`].
    pub(super) fn open(&self, listed: &Listed, transform: &Transform) -> Result<(Opened, PassedOver), DataError> {
        let files = &listed.files[..];
        // Among images, one that is no file is a bad one.
        let by_itself = |file: &Path| {
            let name = file.file_name().unwrap_or_default();
            matches!(self, Self::Folder(_) | Self::Celeba { .. }) && is_image(&name.to_string_lossy())
        };
        for file in files.iter().filter(|file| !by_itself(file)) {
            files::facts(file).map_err(|source| DataError::Read { path: file.clone(), source })?;
        }
        let opened = match self {
            Self::Folder(path) => return folder::open(path, listed),
            Self::Zip(path) => return zip::open(path),
            Self::Tar(path) => return tar::open(path, listed),
            Self::Digits => idx::digits(transform),
            Self::Mnist { transposed, .. } | Self::Idx { transposed, .. } => {
                idx::open(&files[0], files.get(1), *transposed, transform)
            }
            Self::Cifar10 { .. } => cifar::open(files, &cifar::TEN),
            Self::Cifar100 { .. } => cifar::open(files, &cifar::HUNDRED),
            Self::Lmdb(_) => lmdb::open(&files[0]),
            Self::Celeba { folder, attribute, split } => celeba::open(folder, files, attribute.as_deref(), *split),
            Self::Cache(path) => {
                Err(DataError::Cache { path: path.clone(), what: "a cache is opened, not decoded".into() })
            }
        };
        Ok((opened?, PassedOver::default()))
    }

    /// What the source is, in words: for messages and a cache's description.
    pub fn describe(&self) -> String {
        let at = |kind: &str, path: &Path| format!("{kind} {}", path.shown());
        let half = |kind: &str, path: &Path, split: Split| format!("{kind} {} ({})", path.shown(), split.name());
        let turned = |transposed: bool| if transposed { ", transposed" } else { "" };
        match self {
            Self::Digits => "digits".into(),
            Self::Mnist { folder, split, transposed } => half("mnist", folder, *split) + turned(*transposed),
            Self::Idx { images, labels, transposed } => {
                let labels = labels.as_ref().map_or_else(String::new, |l| format!(" with {}", l.shown()));
                at("mnist", images) + &labels + turned(*transposed)
            }
            Self::Cifar10 { path, split } => half("cifar10", path, *split),
            Self::Cifar100 { path, split } => half("cifar100", path, *split),
            Self::Folder(path) => at("folder", path),
            Self::Zip(path) => at("zip", path),
            Self::Tar(path) => at("tar", path),
            Self::Lmdb(path) => at("lmdb", path),
            Self::Celeba { folder, attribute, split } => {
                let split = split.map_or_else(String::new, |s| format!(" ({})", s.name()));
                let attribute = attribute.as_ref().map_or_else(String::new, |a| format!(", {a}"));
                at("celeba", folder) + &split + &attribute
            }
            Self::Cache(path) => at("cache", path),
        }
    }

    /// The place that the user named.
    pub fn path(&self) -> &Path {
        match self {
            Self::Digits => Path::new("the shipped digits"),
            Self::Mnist { folder: path, .. }
            | Self::Idx { images: path, .. }
            | Self::Cifar10 { path, .. }
            | Self::Cifar100 { path, .. }
            | Self::Folder(path)
            | Self::Zip(path)
            | Self::Tar(path)
            | Self::Lmdb(path)
            | Self::Celeba { folder: path, .. }
            | Self::Cache(path) => path,
        }
    }

    /// Tells what kind of data set lies at `path` by what is in it.
    pub fn detect(path: &Path) -> Result<Self, DataError> {
        detect::detect(path)
    }

    /// SHA-256, in hex, of what the source is and of its files: absolute path, and each file's name, length and time.
    /// Contents are not read, so that a cache of a hundred thousand files is found at once.
    pub(super) fn identity(&self, listed: &Listed) -> Result<String, DataError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DataError::Read { source: files::explained(&path, source), path }
        };
        let mut hash = Sha256::new();
        // Another number for other rules of what is an image and which class it has: a cache that was made by older ones is
        // not taken for one of these.
        let rules = if matches!(self, Self::Folder(_) | Self::Zip(_) | Self::Tar(_)) { 2 } else { 1 };
        hash.update(format!("tandem source {rules}\n"));
        if *self == Self::Digits {
            hash.update("digits");
        } else {
            let root = self.path().canonicalize().map_err(failed(self.path()))?;
            hash.update(root.as_os_str().as_encoded_bytes());
            // The rest of the description, without the path as it was written.
            hash.update(self.describe().replace(&self.path().shown().to_string(), ""));
        }
        for file in &listed.files {
            // A link that leads nowhere has facts of its own; that it cannot be read is told with the images.
            let facts = fs::metadata(file).or_else(|_| fs::symlink_metadata(file)).map_err(failed(file))?;
            let time = facts.modified().ok().and_then(|t| t.duration_since(UNIX_EPOCH).ok());
            hash.update(file.strip_prefix(self.path()).unwrap_or(file).as_os_str().as_encoded_bytes());
            hash.update(format!("\n{} {}\n", facts.len(), time.unwrap_or_default().as_nanos()));
        }
        Ok(format!("{:x}", hash.finalize()))
    }
}

/// Whether a file's name says that it holds an image.
pub(super) fn is_image(name: &str) -> bool {
    !names::is_hidden(name.as_bytes()) && is_picture(name)
}
