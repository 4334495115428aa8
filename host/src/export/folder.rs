//! The folder that an export is: refused where something is in its place, written whole or not at all.

use std::path::Path;

use super::{ExportError, Target};
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

/// Names without a network's that an export's files have.
const SHARED: [&str; 4] = ["README.md", "config.toml", "samples.png", "check.safetensors"];

/// Refuses a folder that is there, unless `force` is set and nothing is in it but what an export writes.
pub fn check_target(path: &Path, force: bool) -> Result<(), ExportError> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    if !force {
        return Err(ExportError::Exists { path: path.to_owned() });
    }
    let foreign = |found: String| ExportError::Foreign { path: path.to_owned(), found };
    let entries = path.read_dir().map_err(|_| foreign("a file".into()))?;
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let stem = name.split('.').next().unwrap_or_default();
        let is_ours = SHARED.contains(&name.as_str())
            || [Target::Generator, Target::Discriminator].iter().any(|t| t.name() == stem)
            || name == "__pycache__";
        if !is_ours {
            return Err(foreign(name));
        }
    }
    Ok(())
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
}
