//! Whether an extractor's file may be run at all, decided by its bytes before anything looks into them: TorchScript is a
//! program, so the policy and the lock that hold for plugins hold for it.

use std::path::Path;

use super::{
    Lock, ShareError,
    signature::{self, Keys, Signed},
};
use crate::{
    config::{Policy, Trust},
    metrics::ExtractorFile,
    text::Show as _,
};

/// Refuses a file that a lock beside or above the config pins otherwise, and one that does not show what the policy asks.
/// What ships with Tandem, or is known to it by its sum, shows enough. `given` says that the user gave the file's SHA-256 himself,
/// which is a pin.
pub fn allow_extractor(
    file: &ExtractorFile,
    given: bool,
    trust: &Trust,
    config: Option<&Path>,
) -> Result<(), ShareError> {
    let Some(path) = &file.path else { return Ok(()) };
    let locks = config.map(Lock::for_config).transpose()?.unwrap_or_default();
    let mut pinned = given;
    for lock in &locks {
        let Some(pin) = lock.extractor(path) else { continue };
        if pin.sha256 != file.sha256 {
            return Err(ShareError::OtherExtractor {
                file: path.clone(),
                lock: lock.path.clone(),
                what: format!("pinned is sha256 {}, found {}", pin.sha256.shown(), file.sha256),
            });
        }
        pinned = true;
    }
    if file.known().is_some() {
        return Ok(());
    }
    match trust.policy {
        Policy::Any => Ok(()),
        Policy::Locked if pinned => Ok(()),
        Policy::Locked => {
            let paths: Vec<String> = locks.iter().map(|lock| format!("`{}`", lock.path.shown())).collect();
            let place = if paths.is_empty() {
                "by a tandem.lock: there is none beside the config or above it".into()
            } else {
                format!("in {}", paths.join(" or "))
            };
            Err(ShareError::ExtractorNotPinned { file: path.clone(), place })
        }
        Policy::Signed => signed(file, path, &trust.keys),
    }
}

fn signed(file: &ExtractorFile, path: &Path, keys: &[String]) -> Result<(), ShareError> {
    if keys.is_empty() {
        return Err(ShareError::NoKeys);
    }
    let keys = Keys::read(keys, "trust.keys")?;
    let signature = signature::read_beside(path)?;
    let what = match signature::signed(file.bytes(), signature.as_deref(), &keys) {
        Signed::By(_) => return Ok(()),
        Signed::Wrong(what) => what,
        Signed::Not | Signed::Unchecked => format!(
            "is not signed: there is no `{}`; trust.policy = \"signed\" asks for one",
            signature::beside(path).shown()
        ),
    };
    Err(ShareError::ExtractorUnsigned { file: path.to_owned(), what })
}
