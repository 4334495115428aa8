//! Whether a plugin's file may be asked at all, decided by its bytes before any of them runs.

use std::{fs, io, path::Path};

use super::{Lock, ShareError, signature};
use crate::{
    config::{Policy, Trust},
    plugin::PluginFile,
};

/// Refuses a file that a lock beside or above the config pins otherwise for what the config asked, and one that does not
/// show what the policy asks.
pub fn allow(file: &PluginFile, asked: &str, trust: &Trust, config: Option<&Path>) -> Result<(), ShareError> {
    let locks = config.map(Lock::for_config).transpose()?.unwrap_or_default();
    let mut pinned = false;
    for lock in &locks {
        pinned |= lock.check(asked, file)?;
    }
    match trust.policy {
        Policy::Any => Ok(()),
        Policy::Locked if pinned => Ok(()),
        Policy::Locked => {
            let paths: Vec<String> = locks.iter().map(|lock| format!("`{}`", lock.path.display())).collect();
            Err(ShareError::NotPinned {
                name: file.manifest.name.clone(),
                file: file.path.clone(),
                place: if paths.is_empty() {
                    "by a tandem.lock: there is none beside the config or above it".into()
                } else {
                    format!("in {}", paths.join(" or "))
                },
            })
        }
        Policy::Signed => signed(file, &trust.keys),
    }
}

fn signed(file: &PluginFile, keys: &[String]) -> Result<(), ShareError> {
    if keys.is_empty() {
        return Err(ShareError::NoKeys);
    }
    let path = signature::beside(&file.path);
    let unsigned =
        |what: String| ShareError::Unsigned { name: file.manifest.name.clone(), file: file.path.clone(), what };
    let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => {
            unsigned(format!("is not signed: there is no `{}`; trust.policy = \"signed\" asks for one", path.display()))
        }
        _ => ShareError::Read { path: path.clone(), error },
    })?;
    signature::signer(file.bytes(), &text, keys)?.map(drop).map_err(unsigned)
}
