//! What kind of data set lies at a path, told by what is in it, never by guessing.

use std::{
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use super::{Source, celeba, cifar, folder, idx, lmdb, tar};
use crate::data::{DataError, cache};

pub(super) fn detect(path: &Path) -> Result<Source, DataError> {
    if path.is_dir() { in_folder(path) } else { by_content(path) }
}

fn in_folder(path: &Path) -> Result<Source, DataError> {
    let folder = path.to_owned();
    if let Some(split) = idx::split_in(path)? {
        return Ok(Source::Mnist { folder, split, transposed: false });
    }
    if let Some(split) = cifar::split_in(path, &cifar::TEN)? {
        return Ok(Source::Cifar10 { path: folder, split });
    }
    if let Some(split) = cifar::split_in(path, &cifar::HUNDRED)? {
        return Ok(Source::Cifar100 { path: folder, split });
    }
    if lmdb::is_here(path) {
        return lmdb::file(path).map(|_| Source::Lmdb(folder));
    }
    if celeba::is_here(path) {
        return Ok(Source::Celeba { folder, attribute: None, split: None });
    }
    if tar::files(path).is_ok() {
        return Ok(Source::Tar(folder));
    }
    folder::files(path).map(|_| Source::Folder(folder))
}

fn by_content(path: &Path) -> Result<Source, DataError> {
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    if !std::fs::metadata(path).map_err(failed)?.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let mut start = Vec::new();
    File::open(path).map_err(failed)?.take(512).read_to_end(&mut start).map_err(failed)?;
    let file = path.to_owned();
    let ends = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    Ok(match &start[..] {
        s if s.starts_with(&cache::MAGIC) => Source::Cache(file),
        s if s.starts_with(b"PK") => Source::Zip(file),
        s if s.get(257..262) == Some(b"ustar") || ends("tar") => Source::Tar(file),
        s if s.get(16..20) == Some(&0xBEEF_C0DE_u32.to_le_bytes()) => Source::Lmdb(file),
        s if s.starts_with(&[0, 0, 8]) || ends("gz") => {
            Source::Idx { labels: labels_of(path), images: file, transposed: false }
        }
        _ if ends("zip") => Source::Zip(file),
        _ if ends("mdb") => Source::Lmdb(file),
        _ => {
            let what = "no data set that is known: expected a cache, IDX, ZIP, tar or LMDB file, or a folder; \
                        name its kind in a config for others";
            return Err(DataError::Malformed { path: file, what: what.into() });
        }
    })
}

/// The labels' file beside an images' file under MNIST's naming.
fn labels_of(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let name = name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1");
    Some(images.with_file_name(name)).filter(|labels| labels != images && labels.is_file())
}
