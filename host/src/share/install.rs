//! The user's plugin folder: what `tandem plugin install` puts there and `remove` takes away.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::{
    Archive, ShareError, archive, place,
    signature::{self, WithSignature},
};
use crate::{
    plugin::{self, PluginFile, TARGET},
    text::Show as _,
};

/// What came of installing one plugin.
#[derive(Debug)]
pub struct Installed {
    /// The plugin, where it lies now.
    pub plugin: PluginFile,
    /// What was there before.
    pub before: Before,
}

/// What lay where a plugin was to be installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Before {
    /// Nothing.
    Nothing,
    /// The same file. It was left there, and so was its signature where no other came with the file.
    Same,
    /// Another file of this version.
    Other(String),
}

/// A plugin's file that was inspected, its signature, and what lies in its place.
struct Planned {
    found: PluginFile,
    signature: Option<Vec<u8>>,
    path: PathBuf,
    before: Before,
}

/// Installs a plugin's file, an archive, or every plugin of a folder into the user's plugin folder: none of them where one
/// is refused. Runs nothing of them.
pub fn install(from: &Path, folder: &Path, replace: bool) -> Result<Vec<Installed>, ShareError> {
    let read = if from.is_dir() {
        libraries(from)?.iter().map(|file| read_file(file)).collect::<Result<_, _>>()?
    } else if archive::is_packed(from) {
        vec![read_archive(&Archive::read(from)?)?]
    } else {
        vec![read_file(from)?]
    };
    let mut names = BTreeMap::new();
    for (found, _) in &read {
        let name = &found.manifest.name;
        if let Some(first) = names.insert(name.clone(), found.path.clone()) {
            return Err(ShareError::Twice { name: name.clone(), first, second: found.path.clone() });
        }
    }
    let planned = read.into_iter().map(|(found, signature)| plan(found, signature, folder, replace));
    let planned: Vec<Planned> = planned.collect::<Result<_, _>>()?;
    planned.into_iter().map(put).collect()
}

/// The `.so` files of a folder by name.
fn libraries(folder: &Path) -> Result<Vec<PathBuf>, ShareError> {
    let entries = fs::read_dir(folder).map_err(|error| ShareError::Read { path: folder.to_owned(), error })?;
    let mut files: Vec<PathBuf> =
        entries.flatten().map(|e| e.path()).filter(|p| p.extension() == Some("so".as_ref())).collect();
    files.sort();
    if files.is_empty() { Err(ShareError::Empty(folder.to_owned())) } else { Ok(files) }
}

fn read_file(file: &Path) -> Result<WithSignature<PluginFile>, ShareError> {
    let signature = signature::read_beside(file)?;
    Ok((plugin::inspect(file)?, signature))
}

fn read_archive(archive: &Archive) -> Result<WithSignature<PluginFile>, ShareError> {
    let Some((library, signature)) = archive.library(TARGET) else {
        let there: Vec<&str> = archive.targets().collect();
        let what = format!("has no library for {TARGET}; it has {}", there.join(", "));
        return Err(ShareError::Archive { path: archive.path.clone(), what });
    };
    let found = plugin::inspect_bytes(library.to_vec(), &archive.path)?;
    archive.agree(TARGET, &found.manifest)?;
    Ok((found, signature.map(<[u8]>::to_vec)))
}

/// Everything that can be refused, before anything is changed.
fn plan(found: PluginFile, signature: Option<Vec<u8>>, folder: &Path, replace: bool) -> Result<Planned, ShareError> {
    if let Some(signature) = &signature {
        signature::check(&found.path, signature)?;
    }
    let path = folder.join(format!("{}.so", found.manifest.name));
    let before = match is_there(&path).then(|| plugin::inspect(&path)) {
        None => Before::Nothing,
        Some(Ok(old)) if old.sha256 == found.sha256 => Before::Same,
        Some(old) => Before::Other(old.map_or_else(|_| "(broken)".to_owned(), |old| old.manifest.version)),
    };
    match before {
        Before::Other(old) if !replace => {
            let plugin::Manifest { name, version: new, .. } = found.manifest;
            Err(ShareError::Installed { name, old, new, path })
        }
        before => Ok(Planned { found, signature, path, before }),
    }
}

/// Whether anything is there, be it a link that leads nowhere: links in the folder are replaced and removed, never followed.
fn is_there(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn put(planned: Planned) -> Result<Installed, ShareError> {
    let Planned { found, signature, path, before } = planned;
    // The signature first: a library under the policy `signed` is never there without its own.
    let beside = signature::beside(&path);
    match signature {
        Some(bytes) => place(&beside, &bytes)?,
        // It is another file's.
        None if before != Before::Same && is_there(&beside) => {
            fs::remove_file(&beside).map_err(|error| ShareError::Write { path: beside, error })?;
        }
        None => {}
    }
    if before != Before::Same {
        place(&path, found.bytes())?;
    }
    Ok(Installed { plugin: plugin::inspect(&path)?, before })
}

/// Removes a plugin from the user's plugin folder; what was removed.
pub fn remove(name: &str, folder: &Path) -> Result<PathBuf, ShareError> {
    let path = folder.join(format!("{name}.so"));
    let plain = !name.contains('/') && !name.is_empty();
    let removable = path.symlink_metadata().is_ok_and(|m| !m.is_dir());
    if !(plain && removable) {
        let mut there: Vec<String> = fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|e| Some(e.file_name().to_str()?.strip_suffix(".so")?.shown().to_string()))
            .collect();
        there.sort();
        let there = if there.is_empty() { "none".into() } else { there.join(", ") };
        return Err(ShareError::NotInstalled { name: name.to_owned(), folder: folder.to_owned(), there });
    }
    for file in [signature::beside(&path), path.clone()] {
        if is_there(&file) {
            fs::remove_file(&file).map_err(|error| ShareError::Write { path: file, error })?;
        }
    }
    Ok(path)
}
