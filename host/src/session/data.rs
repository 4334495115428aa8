//! The configuration's data as what is to be read.

use std::path::PathBuf;

use super::SessionError;
use crate::{
    config::{self, Data, DataKind},
    data::{Crop, Dataset, Source, Spec, Split, Transform},
    folders,
};

/// Opens the data set that a configuration names: from its cache where `tandem data prepare` wrote one.
pub fn open(data: &Data) -> Result<Dataset, SessionError> {
    Ok(Dataset::open(&spec(data))?)
}

/// What a configuration wants read, and what is to be done to it.
pub fn spec(data: &Data) -> Spec {
    let usual = spec_of(source(data), data.image_size);
    let crop = match data.crop {
        None => usual.transform.crop,
        Some(config::Crop::Center) => Crop::Center,
        Some(config::Crop::None) => Crop::None,
        Some(config::Crop::ResizeCenter) => Crop::ResizeCenter,
        Some(config::Crop::Celeba178) => Crop::Celeba178,
    };
    let channels = match data.channels {
        None => usual.transform.channels,
        Some(config::Channels::Grey) => 1,
        Some(config::Channels::Rgb) => 3,
    };
    Spec {
        transform: Transform { crop, channels, ..usual.transform },
        labelled: data.use_labels.unwrap_or(usual.labelled),
        flip: data.flip.unwrap_or(usual.flip),
        max_bad: data.max_bad.unwrap_or(usual.max_bad),
        caches: data.cache.clone().or_else(cache_directory).filter(|_| data.use_cache != Some(false)),
        ..usual
    }
}

/// The same where nothing is said but which data set it is, and the size.
pub(super) fn spec_of(source: Source, image_size: usize) -> Spec {
    let grey = matches!(source, Source::Digits | Source::Mnist { .. } | Source::Idx { .. });
    let (crop, channels) = if grey { (Crop::Digits, 1) } else { (Crop::Center, 3) };
    let spec = Spec::new(source, Transform { image_size, crop, channels });
    Spec { caches: cache_directory(), ..spec }
}

fn source(data: &Data) -> Source {
    // The configuration's check has seen to it that a path is set where one is needed.
    let path = data.path.clone().unwrap_or_default();
    let split = |split| match split {
        config::Split::Train => Split::Train,
        config::Split::Valid => Split::Valid,
        config::Split::Test => Split::Test,
    };
    let one_of = split(data.split.unwrap_or_default());
    let transposed = data.transposed.unwrap_or(false);
    match (data.kind, &data.images) {
        (DataKind::Digits, _) => Source::Digits,
        (DataKind::Mnist, Some(images)) => {
            Source::Idx { images: images.clone(), labels: data.labels.clone(), transposed }
        }
        (DataKind::Mnist, None) => Source::Mnist { folder: path, split: one_of, transposed },
        (DataKind::Cifar10, _) => Source::Cifar10 { path, split: one_of },
        (DataKind::Cifar100, _) => Source::Cifar100 { path, split: one_of },
        (DataKind::Folder, _) => Source::Folder(path),
        (DataKind::Zip, _) => Source::Zip(path),
        (DataKind::Tar, _) => Source::Tar(path),
        (DataKind::Lmdb, _) => Source::Lmdb(path),
        (DataKind::Celeba, _) => {
            Source::Celeba { folder: path, attribute: data.attribute.clone(), split: data.split.map(split) }
        }
        (DataKind::Cache, _) => Source::Cache(path),
    }
}

/// Where caches lie if nobody says: `$XDG_CACHE_HOME/tandem`, or `~/.cache/tandem`.
pub fn cache_directory() -> Option<PathBuf> {
    folders::cache(|name| std::env::var_os(name))
}
