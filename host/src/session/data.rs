//! The configuration's data as what is to be read.

use std::path::PathBuf;

use super::SessionError;
use crate::{
    config::{self, Data, DataKind},
    data::{Crop, Dataset, Source, Spec, Split, Transform},
};

/// Opens the data set that a configuration names: from its cache where `tandem data prepare` wrote one.
pub fn open(data: &Data) -> Result<Dataset, SessionError> {
    Ok(Dataset::open(&spec(data))?)
}

/// What a configuration wants read, and what is to be done to it.
pub fn spec(data: &Data) -> Spec {
    let source = source(data);
    let grey = matches!(data.kind, DataKind::Digits | DataKind::Mnist);
    let crop = match data.crop {
        None if grey => Crop::Digits,
        None | Some(config::Crop::Center) => Crop::Center,
        Some(config::Crop::None) => Crop::None,
        Some(config::Crop::ResizeCenter) => Crop::ResizeCenter,
        Some(config::Crop::Celeba178) => Crop::Celeba178,
    };
    let channels = match data.channels {
        Some(config::Channels::Grey) => 1,
        None if grey => 1,
        None | Some(config::Channels::Rgb) => 3,
    };
    let transform = Transform { image_size: data.image_size, crop, channels };
    let standard = Spec::new(source, transform);
    Spec {
        labelled: data.use_labels.unwrap_or(standard.labelled),
        flip: data.flip.unwrap_or(standard.flip),
        max_bad: data.max_bad.unwrap_or(standard.max_bad),
        caches: data.cache.clone().or_else(caches).filter(|_| data.use_cache != Some(false)),
        ..standard
    }
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

/// Where caches lie if the configuration does not say.
fn caches() -> Option<PathBuf> {
    let folder = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    let base = folder("XDG_CACHE_HOME").filter(|p| p.is_absolute()).or_else(|| Some(folder("HOME")?.join(".cache")))?;
    Some(base.join("tandem"))
}
