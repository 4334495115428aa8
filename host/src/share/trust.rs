//! Whether a file that is code (a plugin's library, an extractor's TorchScript) may be asked at all, decided by its bytes before
//! anything looks into them.
//!
//! A policy of the user's is met by the user's own lock and keys; what lies beside the config came with it.

use std::path::Path;

use super::{
    Lock, ShareError,
    signature::{self, Keys, Signed},
};
use crate::{
    config::{Origin, Policy, TrustChoice},
    metrics::ExtractorFile,
    plugin::PluginFile,
    text::Show as _,
};

/// Why a file is not allowed, as the end of a sentence about it; or what kept that from being found out.
enum Refusal {
    NotPinned(String),
    Unsigned(String),
    Other(ShareError),
}

impl From<ShareError> for Refusal {
    fn from(error: ShareError) -> Self {
        Self::Other(error)
    }
}

/// Refuses a plugin's file that a lock pins otherwise for what was asked, be it the user's or one beside or above the config, and
/// one that does not show what the policy asks.
pub fn allow(file: &PluginFile, asked: &str, trust: &TrustChoice, config: Option<&Path>) -> Result<(), ShareError> {
    let locks = Locks::find(trust, config)?;
    let pinned = Pinned::by(&locks, |lock| lock.check(asked, file))?;
    let name = || file.manifest.name.clone();
    judge(trust, &locks, &pinned, &file.path, file.bytes()).map_err(|refusal| match refusal {
        Refusal::NotPinned(where_not) => ShareError::NotPinned { name: name(), file: file.path.clone(), where_not },
        Refusal::Unsigned(what) => ShareError::Unsigned { name: name(), file: file.path.clone(), what },
        Refusal::Other(error) => error,
    })
}

/// The same for an extractor's file. What ships with Tandem, or is known to it by its sum, shows enough. `given` says that the
/// user gave the file's SHA-256 himself, which is a pin of the user's.
pub fn allow_extractor(
    file: &ExtractorFile,
    given: bool,
    trust: &TrustChoice,
    config: Option<&Path>,
) -> Result<(), ShareError> {
    let Some(path) = &file.path else { return Ok(()) };
    let locks = Locks::find(trust, config)?;
    let mut pinned = Pinned::by(&locks, |lock| lock.check_extractor(path, file))?;
    pinned.by_user |= given;
    if file.known().is_some() {
        return Ok(());
    }
    judge(trust, &locks, &pinned, path, file.bytes()).map_err(|refusal| match refusal {
        Refusal::NotPinned(where_not) => ShareError::ExtractorNotPinned { file: path.clone(), where_not },
        Refusal::Unsigned(what) => ShareError::ExtractorUnsigned { file: path.clone(), what },
        Refusal::Other(error) => error,
    })
}

/// The locks that have a say.
struct Locks {
    beside: Vec<Lock>,
    own: Option<Lock>,
}

impl Locks {
    fn find(trust: &TrustChoice, config: Option<&Path>) -> Result<Self, ShareError> {
        let beside = config.map(Lock::for_config).transpose()?.unwrap_or_default();
        Ok(Self { beside, own: trust.lock_file.as_deref().map(Lock::existing).transpose()? })
    }
}

/// Which of them pin the file as it is.
struct Pinned<'a> {
    by_user: bool,
    beside: Option<&'a Lock>,
}

impl<'a> Pinned<'a> {
    /// By `check`, which fails where a lock pins another file; so every lock is asked.
    fn by(locks: &'a Locks, check: impl Fn(&Lock) -> Result<bool, ShareError>) -> Result<Self, ShareError> {
        let mut beside = None;
        for lock in &locks.beside {
            if check(lock)? {
                beside = beside.or(Some(lock));
            }
        }
        Ok(Self { by_user: locks.own.as_ref().map(check).transpose()?.unwrap_or(false), beside })
    }
}

fn judge(trust: &TrustChoice, locks: &Locks, pinned: &Pinned<'_>, path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    match trust.policy {
        Policy::Any => Ok(()),
        Policy::Locked if pinned.by_user || (trust.by_user.is_none() && pinned.beside.is_some()) => Ok(()),
        Policy::Locked => Err(Refusal::NotPinned(match &trust.by_user {
            None => not_pinned(locks),
            Some(origin) => not_pinned_by_user(origin, locks.own.as_ref(), pinned.beside),
        })),
        Policy::Signed => signed(trust, path, bytes),
    }
}

/// Where a file is not pinned, and what to do: for a policy that the config asks for.
fn not_pinned(locks: &Locks) -> String {
    let all = locks.beside.iter().chain(&locks.own);
    let paths: Vec<String> = all.map(|lock| format!("`{}`", lock.path.shown())).collect();
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

fn signed(trust: &TrustChoice, path: &Path, bytes: &[u8]) -> Result<(), Refusal> {
    let TrustChoice { keys, foreign_keys, .. } = trust;
    if keys.is_empty() {
        let why = foreign_keys.as_ref().map_or_else(String::new, |origin| {
            format!(". Those of {origin} came with the config that is judged: set TANDEM_TRUST__KEYS, or pass --set trust.keys")
        });
        return Err(ShareError::NoKeys(why).into());
    }
    let keys = Keys::read(keys, "trust.keys")?;
    let signature = signature::read_beside(path)?;
    let what = match signature::signed(bytes, signature.as_deref(), &keys) {
        Signed::By(_) => return Ok(()),
        Signed::Wrong(what) => what,
        Signed::Not | Signed::Unchecked => format!(
            "is not signed: there is no `{}`; trust.policy = \"signed\" asks for one",
            signature::beside(path).shown()
        ),
    };
    Err(Refusal::Unsigned(what))
}
