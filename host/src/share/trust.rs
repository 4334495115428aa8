//! Whether a plugin's file may be asked at all, decided by its bytes before any of them runs.

use std::path::Path;

use super::{
    Lock, ShareError,
    signature::{self, Keys, Signed},
};
use crate::{
    config::{Origin, Policy, TrustChoice},
    plugin::PluginFile,
    text::Show as _,
};

/// Refuses a file that a lock pins otherwise for what was asked, be it the user's or one beside or above the config, and one
/// that does not show what the policy asks.
///
/// A policy of the user's is met by the user's own lock and keys; what lies beside the config came with it.
pub fn allow(file: &PluginFile, asked: &str, trust: &TrustChoice, config: Option<&Path>) -> Result<(), ShareError> {
    let beside = config.map(Lock::for_config).transpose()?.unwrap_or_default();
    let own = trust.lock_file.as_deref().map(Lock::existing).transpose()?;
    let mut pinning = Vec::new();
    for lock in &beside {
        if lock.check(asked, file)? {
            pinning.push(lock);
        }
    }
    let pinned_by_user = own.as_ref().map(|lock| lock.check(asked, file)).transpose()?.unwrap_or(false);
    match trust.policy {
        Policy::Any => Ok(()),
        Policy::Locked if pinned_by_user || (trust.by_user.is_none() && !pinning.is_empty()) => Ok(()),
        Policy::Locked => {
            let where_not = match &trust.by_user {
                None => not_pinned(&beside, own.as_ref()),
                Some(origin) => not_pinned_by_user(origin, own.as_ref(), pinning.first().copied()),
            };
            Err(ShareError::NotPinned { name: file.manifest.name.clone(), file: file.path.clone(), where_not })
        }
        Policy::Signed => signed(file, trust),
    }
}

/// Where a file is not pinned, and what to do: for a policy that the config asks for.
fn not_pinned(beside: &[Lock], own: Option<&Lock>) -> String {
    let paths: Vec<String> = beside.iter().chain(own).map(|lock| format!("`{}`", lock.path.shown())).collect();
    let place = match &paths[..] {
        [] => "by a tandem.lock: there is none beside the config or above it".into(),
        some => format!("in {}", some.join(" or ")),
    };
    format!("{place}; nothing of it was run. Pin it with `tandem plugin lock CONFIG`")
}

/// The same for a policy of the user's.
fn not_pinned_by_user(origin: &Origin, own: Option<&Lock>, beside: Option<&Lock>) -> String {
    let place = own.map_or_else(|| "by a lock of yours".to_owned(), |lock| format!("in `{}`", lock.path.shown()));
    let how = match (own, beside) {
        (None, Some(lock)) => {
            let lock = lock.path.shown();
            format!(
                "`{lock}` pins it, but lies with the config that is judged; if you trust it, set TANDEM_TRUST__LOCK_FILE to it"
            )
        }
        (None, None) => "Pin it with `TANDEM_TRUST__LOCK_FILE=FILE tandem plugin lock CONFIG`".into(),
        (Some(_), _) => {
            "Pin it with `tandem plugin lock CONFIG`, which writes that lock while TANDEM_TRUST__LOCK_FILE names it"
                .into()
        }
    };
    format!("{place}, which the policy from {origin} asks for; nothing of it was run. {how}")
}

fn signed(file: &PluginFile, trust: &TrustChoice) -> Result<(), ShareError> {
    let TrustChoice { keys, foreign_keys, .. } = trust;
    if keys.is_empty() {
        let why = foreign_keys.as_ref().map_or_else(String::new, |origin| {
            format!(". Those of {origin} came with the config that is judged: set TANDEM_TRUST__KEYS, or pass --set trust.keys")
        });
        return Err(ShareError::NoKeys(why));
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
