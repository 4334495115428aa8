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
};

use super::{PluginFile, error::LoadProblem};

/// `$XDG_CACHE_HOME/tandem/plugins`, or the same under `~/.cache`.
pub(super) fn directory(variable: impl Fn(&str) -> Option<OsString>) -> Result<PathBuf, LoadProblem> {
    let absolute = |name: &str| variable(name).map(PathBuf::from).filter(|p| p.is_absolute());
    absolute("XDG_CACHE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".cache")))
        .map(|cache| cache.join("tandem/plugins"))
        .ok_or(LoadProblem::NoCache)
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
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_directory_follows_the_environment() {
        let with = |pairs: &'static [(&str, &str)]| {
            directory(|name| pairs.iter().find(|p| p.0 == name).map(|p| p.1.into())).map_err(|e| e.to_string())
        };
        assert_eq!(with(&[("XDG_CACHE_HOME", "/c"), ("HOME", "/h")]), Ok("/c/tandem/plugins".into()));
        assert_eq!(with(&[("HOME", "/h")]), Ok("/h/.cache/tandem/plugins".into()));
        // The XDG rules say to ignore a path that is not absolute.
        assert_eq!(with(&[("XDG_CACHE_HOME", "c"), ("HOME", "/h")]), Ok("/h/.cache/tandem/plugins".into()));
        assert_eq!(
            with(&[]),
            Err("has no place to be loaded from: neither XDG_CACHE_HOME nor HOME is set; set XDG_CACHE_HOME to a \
                 directory that can be written"
                .into())
        );
    }
}
