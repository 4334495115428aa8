//! `tandem plugin verify`: what can be said of a file's origin without running it.

use std::{fs, path::Path};

use super::{Archive, ShareError, signature};
use crate::plugin::Foreign;

/// What is known of one library.
#[derive(Debug)]
pub struct Verified {
    /// The plugin.
    pub plugin: Foreign,
    /// The trusted key that signed it, or what there is in place of that.
    pub signature: Result<String, String>,
}

/// Checks a plugin's file, or every library of an archive, whatever machine it is for, against its sums and these keys.
pub fn verify(path: &Path, keys: &[String]) -> Result<Vec<Verified>, ShareError> {
    if path.extension() != Some("gz".as_ref()) {
        let plugin = Foreign::inspect(path)?;
        let beside = signature::beside(path);
        let text = beside.exists().then(|| fs::read(&beside).map_err(|error| ShareError::Read { path: beside, error }));
        return Ok(vec![of(plugin, text.transpose()?.as_deref(), keys)?]);
    }
    let archive = Archive::read(path)?;
    let libraries = archive.targets().filter_map(|target| archive.library(target));
    libraries.map(|(bytes, signed)| of(Foreign::from_bytes(bytes.to_vec(), path)?, signed, keys)).collect()
}

fn of(plugin: Foreign, signed: Option<&[u8]>, keys: &[String]) -> Result<Verified, ShareError> {
    let signature = match signed {
        None => Err("is not signed".to_owned()),
        Some(text) => signature::signer(&plugin.bytes, &String::from_utf8_lossy(text), keys)?.map(str::to_owned),
    };
    Ok(Verified { plugin, signature })
}
