//! Writing so that a crash leaves the old file or the new one, never half of one: beside its place, synced, renamed,
//! the directory synced. Which files there are is not known here.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use super::RunError;
use crate::work::{self, Held};

/// Ends the name of whatever is not finished. Leftovers are removed when the run is next opened for training.
pub(super) const TMP: &str = ".tmp";

/// Where a file or directory is written before it takes its place.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TMP);
    name.into()
}

/// Replaces or creates a file, whole or not at all.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), RunError> {
    replace_with(path, |out| out.write_all(content))
}

/// As [`replace`], for content that is made while it is written.
pub(super) fn replace_with(
    path: &Path,
    content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> Result<(), RunError> {
    let _whole = work::hold(Held::WRITES);
    let temporary = beside(path);
    create(&temporary, content)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_parent(path))
        .inspect_err(|_| {
            // Frees the disk at once where it can; the next opening removes it otherwise.
            let _ = fs::remove_file(&temporary);
        })
        .map_err(RunError::io("write", path))
}

/// Creates a file and syncs its content; the caller syncs the directory.
pub(super) fn create(path: &Path, content: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    content(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// Makes a rename or a new entry in this path's directory last.
pub(super) fn sync_parent(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => sync_directory(parent),
        _ => sync_directory(Path::new(".")),
    }
}

pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes what an earlier process left unfinished in this directory.
pub(super) fn remove_leftovers(directory: &Path) -> Result<(), RunError> {
    for path in entries(directory)? {
        if path.as_os_str().to_string_lossy().ends_with(TMP) {
            let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
            removed.map_err(RunError::io("remove the unfinished", &path))?;
        }
    }
    Ok(())
}

/// What is in a directory, by name; nothing if there is no such directory.
pub(super) fn entries(directory: &Path) -> Result<Vec<PathBuf>, RunError> {
    let list = || -> io::Result<Vec<PathBuf>> {
        let mut paths = fs::read_dir(directory)?.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    };
    match list() {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(RunError::io("read the directory", directory)),
    }
}
