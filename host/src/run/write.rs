//! Writing so that a crash leaves the old file or the new one, never half of one: beside its place, synced, renamed,
//! the directory synced. And so that nothing is written or removed elsewhere: links are never followed. Which files there
//! are is not known here.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::RunError;
use crate::{
    files::{self, MOST_ARRAYS},
    work::{self, Held},
};

/// Ends the name of whatever is not finished. Leftovers are removed when the run is next opened for training.
pub(super) const TMP: &str = ".tmp";

/// Where a file or directory is written before it takes its place.
pub(super) fn beside(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(TMP);
    name.into()
}

/// Replaces or creates a file, whole or not at all. A link in its place is replaced, not followed.
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
    let mut out = BufWriter::with_capacity(1 << 20, begin(path)?);
    content(&mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
}

/// A new file in the place of whatever file or link is there.
pub(super) fn begin(path: &Path) -> io::Result<File> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    OpenOptions::new().write(true).create_new(true).open(path)
}

/// Opens a file to append to, or makes it. What is appended to one of several names of a file (a hard link, as some backups
/// make them) would be in the other, too: it becomes a file of its own first.
pub(super) fn append(path: &Path) -> Result<File, RunError> {
    if let Some(found) = own(path)? {
        if !found.is_file() {
            return Err(RunError::Damaged { path: path.to_owned(), what: "it is no file; move it away".into() });
        }
        if found.nlink() > 1 {
            let content = files::read(path, MOST_ARRAYS).map_err(RunError::io("read", path))?;
            replace(path, &content)?;
        }
    }
    OpenOptions::new()
        .create(true)
        .append(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .open(path)
        .map_err(RunError::io("open", path))
}

/// Makes sure that a folder of ours is there, and no link to another.
pub(super) fn own_folder(path: &Path) -> Result<(), RunError> {
    match own(path)? {
        Some(_) => Ok(()),
        None => fs::create_dir_all(path).map_err(RunError::io("create", path)),
    }
}

/// What is at this path, if anything is.
///
/// # Errors
/// It is a link: what would be written there, or removed below it, is somebody else's.
pub(super) fn own(path: &Path) -> Result<Option<fs::Metadata>, RunError> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => {
            Err(RunError::Link { path: path.to_owned(), target: fs::read_link(path).ok() })
        }
        Ok(found) => Ok(Some(found)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(RunError::io("read", path)(e)),
    }
}

/// Removes a file, a link (not what it names) or a whole folder, if there is one.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Ok(()),
        Err(e) => Err(e),
        // Of what is below, too, links alone go, and not what they name: the standard library sees to that.
        Ok(found) if found.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    }
}

/// Whether anything is at this path, be it a link to nothing.
pub(super) fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
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
            remove(&path).map_err(RunError::io("remove the unfinished", &path))?;
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
