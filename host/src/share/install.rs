//! The user's plugin folder: what `tandem plugin install` puts there and `remove` takes away.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Archive, ShareError, place, signature};
use crate::plugin::{self, Manifest, PluginFile, TARGET};

/// What came of installing one plugin.
#[derive(Debug)]
pub struct Installed {
    /// The plugin, where it lies now.
    pub plugin: PluginFile,
    /// The version that was there before, if one was.
    pub replaced: Option<String>,
}

/// Installs a plugin's file, an archive, or every plugin of a folder into the user's plugin folder. Runs nothing of them.
pub fn install(from: &Path, folder: &Path, replace: bool) -> Result<Vec<Installed>, ShareError> {
    if from.is_dir() {
        let entries = fs::read_dir(from).map_err(|error| ShareError::Read { path: from.to_owned(), error })?;
        let mut files: Vec<PathBuf> =
            entries.flatten().map(|e| e.path()).filter(|p| p.extension() == Some("so".as_ref())).collect();
        files.sort();
        if files.is_empty() {
            return Err(ShareError::Empty(from.to_owned()));
        }
        return files.iter().map(|file| install_file(file, folder, replace)).collect();
    }
    let one = if from.extension() == Some("gz".as_ref()) {
        install_archive(&Archive::read(from)?, folder, replace)
    } else {
        install_file(from, folder, replace)
    };
    Ok(vec![one?])
}

fn install_file(file: &Path, folder: &Path, replace: bool) -> Result<Installed, ShareError> {
    let found = plugin::inspect(file)?;
    let signature = signature::beside(file);
    let signature =
        signature.exists().then(|| fs::read(&signature).map_err(|error| ShareError::Read { path: signature, error }));
    put(&found, signature.transpose()?.as_deref(), folder, replace)
}

fn install_archive(archive: &Archive, folder: &Path, replace: bool) -> Result<Installed, ShareError> {
    let Some((library, signature)) = archive.library(TARGET) else {
        let there: Vec<&str> = archive.targets().collect();
        let what = format!("has no library for {TARGET}; it has {}", there.join(", "));
        return Err(ShareError::Archive { path: archive.path.clone(), what });
    };
    let found = plugin::inspect_bytes(library.to_vec(), &archive.path)?;
    if found.manifest.name != archive.manifest.name || found.manifest.version != archive.manifest.version {
        let what = format!(
            "says {} {}, its library {} {}",
            archive.manifest.name, archive.manifest.version, found.manifest.name, found.manifest.version
        );
        return Err(ShareError::Archive { path: archive.path.clone(), what });
    }
    put(&found, signature, folder, replace)
}

fn put(found: &PluginFile, signed: Option<&[u8]>, folder: &Path, replace: bool) -> Result<Installed, ShareError> {
    let path = folder.join(format!("{}.so", found.manifest.name));
    let there = path.exists().then(|| plugin::inspect(&path));
    let replaced = match &there {
        Some(Ok(old)) if old.sha256 == found.sha256 => Some(old.manifest.version.clone()),
        Some(old) => {
            let old = old.as_ref().map_or_else(|_| "(broken)".to_owned(), |old| old.manifest.version.clone());
            if !replace {
                let Manifest { name, version: new, .. } = found.manifest.clone();
                return Err(ShareError::Installed { name, old, new, path });
            }
            Some(old)
        }
        None => None,
    };
    // The signature first: a library under the policy `signed` is never there without its own.
    let signature = signature::beside(&path);
    match signed {
        Some(bytes) => place(&signature, bytes)?,
        None if signature.exists() => {
            fs::remove_file(&signature).map_err(|error| ShareError::Write { path: signature, error })?;
        }
        None => {}
    }
    place(&path, found.bytes())?;
    Ok(Installed { plugin: plugin::inspect(&path)?, replaced })
}

/// Removes a plugin from the user's plugin folder; what was removed.
pub fn remove(name: &str, folder: &Path) -> Result<PathBuf, ShareError> {
    let path = folder.join(format!("{name}.so"));
    let plain = !name.contains('/') && !name.is_empty();
    if !(plain && path.is_file()) {
        let mut there: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".so")?.to_owned()))
            .collect();
        there.sort();
        let there = if there.is_empty() { "none".into() } else { there.join(", ") };
        return Err(ShareError::NotInstalled { name: name.to_owned(), folder: folder.to_owned(), there });
    }
    for file in [signature::beside(&path), path.clone()] {
        if file.exists() {
            fs::remove_file(&file).map_err(|error| ShareError::Write { path: file, error })?;
        }
    }
    Ok(path)
}
