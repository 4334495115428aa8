//! Whether a plugin's file may be asked at all, decided by its bytes before any of them runs.

use std::path::Path;

use super::{
    Lock, ShareError,
    signature::{self, Keys, Signed},
};
use crate::{
    config::{Policy, Trust},
    plugin::PluginFile,
    text::Show as _,
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
            let paths: Vec<String> = locks.iter().map(|lock| format!("`{}`", lock.path.shown())).collect();
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
    let keys = Keys::read(keys, "trust.keys")?;
    let signature = signature::read_beside(&file.path)?;
    let what = match signature::signed(file.bytes(), signature.as_deref(), &keys) {
        Signed::By(_) => return Ok(()),
        Signed::Wrong(what) => what,
        Signed::Not | Signed::Unchecked => format!(
            "is not signed: there is no `{}`; trust.policy = \"signed\" asks for one",
            signature::beside(&file.path).shown()
        ),
    };
    Err(ShareError::Unsigned { name: file.manifest.name.clone(), file: file.path.clone(), what })
}
