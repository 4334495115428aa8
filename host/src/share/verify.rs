//! `tandem plugin verify`: what can be said of a file's origin without running it.

use std::path::Path;

use super::{
    Archive, ShareError, archive,
    signature::{self, Keys, Signed},
};
use crate::plugin::Foreign;

/// What is known of one library.
#[derive(Debug)]
pub struct Verified {
    /// The plugin.
    pub plugin: Foreign,
    /// Who signed it.
    pub signed: Signed,
}

/// Checks a plugin's file, or every library of an archive, whatever machine it is for, against its sums and these keys.
pub fn verify(path: &Path, keys: &[String]) -> Result<Vec<Verified>, ShareError> {
    let keys = Keys::read(keys, "--key")?;
    if archive::is_packed(path) {
        return verify_archive(Archive::read(path)?, &keys);
    }
    let plugin = Foreign::inspect(path)?;
    let signature = signature::read_beside(path)?;
    let signed = signature::signed(&plugin.bytes, signature.as_deref(), &keys);
    Ok(vec![Verified { plugin, signed }])
}

fn verify_archive(archive: Archive, keys: &Keys<'_>) -> Result<Vec<Verified>, ShareError> {
    let libraries = archive.into_plugins()?.into_iter();
    let verified = libraries.map(|(plugin, signature)| {
        let signed = signature::signed(&plugin.bytes, signature.as_deref(), keys);
        Verified { plugin, signed }
    });
    Ok(verified.collect())
}
