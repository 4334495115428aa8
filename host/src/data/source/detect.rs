//! What kind of data set lies at a path, told by what is in it, never by guessing: what shows one kind and is not whole is an
//! error, and not another kind.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use flate2::read::MultiGzDecoder;

use super::{Listed, Source, celeba, cifar, compressed::compression, folder, idx, lmdb, names, tar};
use crate::{
    data::{DataError, cache},
    files,
    text::Show as _,
};

/// Bytes that tell what a file is: a tar file's name stands at byte 257.
const HEAD: u64 = 512;
/// Images for each numbered tar file among which these are strays.
const MANY: usize = 10;

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
    let tars = match tar::files(path) {
        Ok(found) => found.files,
        Err(DataError::Malformed { .. }) => Vec::new(),
        Err(error) => return Err(error),
    };
    match folder::files(path) {
        Ok(Listed { files: images, .. }) if tars.is_empty() || are_strays(&tars, &images) => Ok(Source::Folder(folder)),
        Ok(Listed { files: images, .. }) if images.len() < tars.len() => Ok(Source::Tar(folder)),
        Ok(Listed { files: images, .. }) => Err(undecided(path, &tars, &images)),
        Err(DataError::NoImages { .. } | DataError::NoneTaken { .. }) if !tars.is_empty() => Ok(Source::Tar(folder)),
        Err(none @ (DataError::NoImages { .. } | DataError::NoneTaken { .. })) => Err(deeper(path).unwrap_or(none)),
        Err(error) => Err(error),
    }
}

/// Whether the tar files are strays among the images: a backup is one, shards with a preview beside them are none.
fn are_strays(tars: &[PathBuf], images: &[PathBuf]) -> bool {
    let pattern = |path: &PathBuf| -> String {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.chars().filter(|c| !c.is_ascii_digit()).collect()
    };
    let is_series = tars.len() > 1 && tars.windows(2).all(|pair| pattern(&pair[0]) == pattern(&pair[1]));
    images.len() > if is_series { MANY * tars.len() } else { tars.len() }
}

fn undecided(path: &Path, tars: &[PathBuf], images: &[PathBuf]) -> DataError {
    let first = |files: &[PathBuf]| files.first().map_or_else(String::new, |f| f.shown().to_string());
    let what = format!(
        "it holds {} tar files, the first of them {}, and {} images, the first of them {}; which are the data set? Move the \
         others away, or say data.kind = \"tar\" or \"folder\" in a config and name that",
        tars.len(),
        first(tars),
        images.len(),
        first(images)
    );
    DataError::Malformed { path: path.to_owned(), what }
}

/// Data sets one folder deeper, of which one is to be named.
fn deeper(path: &Path) -> Option<DataError> {
    let mut found: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(path).ok()?.filter_map(Result::ok) {
        let inner = entry.path();
        let hidden = names::is_hidden(entry.file_name().as_encoded_bytes());
        if !hidden && inner.is_dir() && (inner.join("data.mdb").is_file() || tar::files(&inner).is_ok()) {
            found.push(inner);
        }
    }
    found.sort();
    let (first, count) = (found.first()?.shown().to_string(), found.len());
    let what =
        format!("it holds no images, but {count} of its folders hold data sets (LMDB or tar); name one, as {first}");
    Some(DataError::Malformed { path: path.to_owned(), what })
}

fn by_content(path: &Path) -> Result<Source, DataError> {
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let mut start = Vec::new();
    files::open(path).map_err(failed)?.take(HEAD).read_to_end(&mut start).map_err(failed)?;
    let file = path.to_owned();
    let ends = |ending: &str| path.extension().is_some_and(|e| e.eq_ignore_ascii_case(ending));
    let idx = || Source::Idx { labels: labels_of(path), images: path.to_owned(), transposed: false };
    Ok(match &start[..] {
        s if s.starts_with(&cache::MAGIC) => Source::Cache(file),
        s if s.starts_with(b"PK") => Source::Zip(file),
        s if is_tar(s) => Source::Tar(file),
        s if s.get(16..20) == Some(&0xBEEF_C0DE_u32.to_le_bytes()) => Source::Lmdb(file),
        [0, 0, 8, ..] => idx(),
        s if compression(s).is_some() => {
            if of_compressed(path, s)? {
                return Ok(idx());
            }
            let what = compression(s).map_or_else(String::new, |found| found.refusal("what it holds"));
            return Err(DataError::Malformed { path: file, what });
        }
        _ if ends("tar") => Source::Tar(file),
        _ if ends("gz") => idx(),
        _ if ends("zip") => Source::Zip(file),
        _ if ends("mdb") => Source::Lmdb(file),
        _ => {
            let what = "no data set that is known: expected a cache, IDX, ZIP, tar or LMDB file, or a folder; \
                        name its kind in a config for others";
            return Err(DataError::Malformed { path: file, what: what.into() });
        }
    })
}

fn is_tar(start: &[u8]) -> bool {
    start.get(257..262) == Some(b"ustar")
}

/// Whether a compressed file may be IDX, which is read so; a tar file that is compressed is an error that says so.
fn of_compressed(path: &Path, start: &[u8]) -> Result<bool, DataError> {
    let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
    let mut inside = Vec::new();
    // What breaks off here was cut at the head's end.
    let _ = MultiGzDecoder::new(start).take(HEAD).read_to_end(&mut inside);
    let named_tar =
        name.contains(".tar") || [".tgz", ".tbz2", ".txz", ".tzst"].iter().any(|ending| name.ends_with(ending));
    let shown = named_tar || is_tar(&inside);
    if let Some(found) = compression(start).filter(|_| shown) {
        return Err(DataError::Malformed { path: path.to_owned(), what: found.refusal("a tar file") });
    }
    let gzip = start.starts_with(&[0x1f, 0x8b]);
    Ok(gzip && (inside.starts_with(&[0, 0]) || inside.is_empty() || name.contains("idx")))
}

/// The labels' file beside an images' file under MNIST's naming.
fn labels_of(images: &Path) -> Option<PathBuf> {
    let name = images.file_name()?.to_str()?;
    let name = name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1");
    Some(images.with_file_name(name)).filter(|labels| labels != images && labels.is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is detected in a folder of files by these names, all of them empty.
    fn found(names: &[String]) -> Result<&'static str, String> {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        match detect(folder.path()).map_err(|e| e.to_string())? {
            Source::Folder(_) => Ok("folder"),
            Source::Tar(_) => Ok("tar"),
            Source::Mnist { split, .. } => Ok(split.name()),
            other => Err(other.describe()),
        }
    }

    fn numbered(count: usize, form: &str) -> impl Iterator<Item = String> {
        (0..count).map(move |number| form.replace('#', &number.to_string()))
    }

    fn mixed(images: usize, tars: usize, form: &str) -> Result<&'static str, String> {
        let names: Vec<String> = numbered(images, "#.png").chain(numbered(tars, form)).collect();
        found(&names)
    }

    #[test]
    fn the_few_among_the_many_are_strays_and_what_is_not_clear_is_asked() {
        assert_eq!(mixed(2, 1, "backup#.tar"), Ok("folder"));
        assert_eq!(mixed(31, 3, "s-#.tar"), Ok("folder"));
        assert_eq!(mixed(1, 2, "s-#.tar"), Ok("tar"));
        assert_eq!(mixed(0, 1, "s-#.tar"), Ok("tar"));
        for (images, tars) in [(1, 1), (3, 3), (30, 3)] {
            let message = mixed(images, tars, "s-#.tar").unwrap_err();
            assert!(message.contains("which are the data set?"), "{message}");
        }
        let apart: Vec<String> = ["1.png", "2.png", "3.png", "old.tar", "new.tar"].map(str::to_owned).to_vec();
        assert_eq!(found(&apart), Ok("folder"));
    }

    #[test]
    fn what_shows_a_kind_is_that_kind_or_an_error() {
        let of = |names: &[&str]| found(&names.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert_eq!(of(&["t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte.gz"]), Ok("test"));
        for (names, missing) in [
            (
                &["train-images-idx3-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"][..],
                "train-labels-idx1-ubyte",
            ),
            (&["data_batch_1.bin", "test_batch.bin"], "CIFAR-10 without `data_batch_2.bin`"),
            (&["test_batch.bin", "1.png"], "CIFAR-10 without `data_batch_1.bin`"),
            (&["test.bin", "fine_label_names.txt"], "CIFAR-100 without `train.bin`"),
            (&["notes.txt"], "holds no images"),
            (&["shards/1.tar"], "name one, as "),
            (&["1.tar.gz"], "1 archive or compressed file: 1.tar.gz"),
        ] {
            let message = of(names).unwrap_err();
            assert!(message.contains(missing), "{names:?}: {message}");
        }
        // Names that only look alike.
        assert_eq!(of(&["data_batch_1.png", "test.bin", "train/1.png"]), Ok("folder"));
    }
}
