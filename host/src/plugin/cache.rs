//! The copy that is loaded: the bytes that were checked, in a private directory, under their hash.
//!
//! A library is mapped, so a file that changes in place after loading (`cp new.so plugins/`) changes or kills the
//! running host. Nobody rewrites a file that is named by what it holds.

use std::{
    ffi::OsString,
    fs::{DirBuilder, Permissions},
    io::{self, Write},
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{PluginFile, error::LoadProblem};
use crate::folders;

/// Copies older than this go when a new one comes; one that is still wanted is written again.
const KEPT: Duration = Duration::from_hours(30 * 24);

/// `plugins` in [`folders::cache`].
pub(super) fn directory(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, LoadProblem> {
    folders::cache(variable).map(|cache| cache.join("plugins")).ok_or(LoadProblem::NoCache)
}

/// The path of a file that holds just the plugin's checked bytes.
pub(super) fn keep(file: &PluginFile, directory: &Path) -> Result<PathBuf, LoadProblem> {
    let copy = directory.join(format!("{}.so", file.sha256));
    match write_unless_there(&copy, directory, &file.bytes) {
        Ok(()) => Ok(copy),
        Err(error) => Err(LoadProblem::Copy { directory: directory.to_owned(), error }),
    }
}

fn write_unless_there(copy: &Path, directory: &Path, bytes: &[u8]) -> io::Result<()> {
    if std::fs::read(copy).is_ok_and(|there| there == bytes) {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let mut beside = tempfile::NamedTempFile::new_in(directory)?;
    beside.write_all(bytes)?;
    // Not synced: after a crash a torn copy differs from the bytes above and is written anew.
    beside.as_file().set_permissions(Permissions::from_mode(0o400))?;
    beside.persist(copy)?;
    remove_old(directory);
    Ok(())
}

/// Removes old copies, and what a crash left beside them; a process that has one loaded keeps it mapped.
fn remove_old(directory: &Path) {
    for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|m| m.modified()).ok().and_then(|t| t.elapsed().ok());
        if age.is_some_and(|age| age > KEPT) {
            // Another process may have removed it first; the cache is no worse for a file that stays.
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn old_copies_go_and_young_ones_stay() {
        let directory = tempfile::tempdir().unwrap();
        for (name, days) in [("old", 31), ("young", 29)] {
            let file = std::fs::File::create(directory.path().join(name)).unwrap();
            file.set_modified(std::time::SystemTime::now() - Duration::from_hours(24 * days)).unwrap();
        }
        remove_old(directory.path());
        let left: Vec<_> = std::fs::read_dir(directory.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left, ["young"]);
    }

    #[test]
    fn no_place_to_load_from_is_an_error() {
        assert_eq!(
            directory(|name| (name == "HOME").then(|| "/h".into())).unwrap(),
            Path::new("/h/.cache/tandem/plugins")
        );
        assert_eq!(
            directory(|_| None).unwrap_err().to_string(),
            "has no place to be loaded from: neither XDG_CACHE_HOME nor HOME is set; set XDG_CACHE_HOME to a directory \
             that can be written"
        );
    }
}
