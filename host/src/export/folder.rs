//! The folder that an export is: refused where something is in its place, written whole or not at all.

use std::{fs::DirEntry, io, path::Path};

use super::ExportError;
use crate::run::write_folder;

/// A file of an export.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its name in the folder.
    pub name: String,
    /// Its bytes.
    pub content: Vec<u8>,
}

impl File {
    /// A file with this content.
    pub fn new(name: impl Into<String>, content: impl Into<Vec<u8>>) -> Self {
        Self { name: name.into(), content: content.into() }
    }
}

/// Every file that an export of any kind writes.
const FILES: [&str; 10] = [
    "README.md",
    "config.toml",
    "samples.png",
    "check.safetensors",
    "generator.py",
    "generator.onnx",
    "generator.safetensors",
    "discriminator.py",
    "discriminator.onnx",
    "discriminator.safetensors",
];

/// Refuses a folder that is there, unless `force` is set and nothing is in it but what an export writes.
pub fn check_target(path: &Path, force: bool) -> Result<(), ExportError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    if !force {
        return Err(ExportError::Exists { path: path.to_owned() });
    }
    let foreign = |found: String| ExportError::Foreign { path: path.to_owned(), found };
    if !path.is_dir() {
        return Err(foreign("a file".into()));
    }
    match stranger(path) {
        Ok(None) => Ok(()),
        Ok(Some(name)) => Err(foreign(name)),
        Err(source) => Err(ExportError::Unlisted { path: path.to_owned(), source }),
    }
}

/// The first thing in a folder that no export put there. What Python leaves beside a program that was imported is let go.
fn stranger(folder: &Path) -> io::Result<Option<String>> {
    for entry in folder.read_dir()? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let kind = entry.file_type()?;
        let is_ours = match name.as_str() {
            "__pycache__" if kind.is_dir() => is_cache(&entry)?,
            name => kind.is_file() && FILES.contains(&name),
        };
        if !is_ours {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

/// Whether a folder holds compiled Python alone.
fn is_cache(folder: &DirEntry) -> io::Result<bool> {
    for entry in folder.path().read_dir()? {
        let entry = entry?;
        if !entry.file_type()?.is_file() || entry.path().extension().is_none_or(|e| e != "pyc") {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Writes the folder beside its place, synced, and renames it when it is whole.
pub fn write(path: &Path, files: &[File], force: bool) -> Result<(), ExportError> {
    check_target(path, force)?;
    let files: Vec<(&str, &[u8])> = files.iter().map(|f| (f.name.as_str(), f.content.as_slice())).collect();
    Ok(write_folder(path, &files)?)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn what_is_there_is_replaced_only_when_told_and_only_if_it_is_an_export() {
        let place = tempfile::tempdir().unwrap();
        let target = place.path().join("export");
        let files = [File::new("generator.py", "1"), File::new("README.md", "2")];
        write(&target, &files, false).unwrap();
        let message = write(&target, &files, false).unwrap_err().to_string();
        assert!(message.ends_with("or replace it with `--force`"), "{message}");
        write(&target, &files[..1], true).unwrap();
        assert!(!target.join("README.md").exists());
        fs::write(target.join("thesis.tex"), "").unwrap();
        let message = write(&target, &files, true).unwrap_err().to_string();
        assert!(message.contains("holds `thesis.tex`, which no export wrote"), "{message}");
        // Nothing is left beside it.
        assert_eq!(place.path().read_dir().unwrap().count(), 1);
    }

    /// What `--force` says of a folder with this in it; a name that ends in `/` is a folder.
    fn refused(names: &[&str]) -> Option<String> {
        let place = tempfile::tempdir().unwrap();
        for name in names {
            let path = place.path().join(name);
            fs::create_dir_all(if name.ends_with('/') { &path } else { path.parent().unwrap() }).unwrap();
            if !name.ends_with('/') {
                fs::write(path, "mine").unwrap();
            }
        }
        match check_target(place.path(), true) {
            Err(ExportError::Foreign { found, .. }) => Some(found),
            other => {
                other.unwrap();
                None
            }
        }
    }

    #[test]
    fn only_what_an_export_writes_is_replaced() {
        assert_eq!(refused(&FILES), None);
        assert_eq!(refused(&[]), None);
        assert_eq!(refused(&["generator.py", "__pycache__/generator.cpython-311.pyc"]), None);
        for mine in [
            "generator.ipynb",
            "generator/",
            "generator.py/",
            "generator.tar.gz",
            "README.md/",
            "notes.txt",
            "__pycache__",
        ] {
            let name = mine.trim_end_matches('/').to_owned();
            assert_eq!(refused(&[mine]), Some(name), "{mine}");
        }
        assert_eq!(refused(&["generator/thesis.tex", "generator.py"]), Some("generator".into()));
        assert_eq!(refused(&["__pycache__/thesis.tex"]), Some("__pycache__".into()));
        assert_eq!(refused(&["__pycache__/deep/"]), Some("__pycache__".into()));
    }

    #[test]
    fn a_link_in_a_files_place_is_not_the_exports() {
        let place = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc/hostname", place.path().join("README.md")).unwrap();
        assert!(matches!(check_target(place.path(), true), Err(ExportError::Foreign { .. })));
    }
}
