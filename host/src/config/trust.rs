//! Whose word the settings of `[trust]` are. A config file, with all that it extends, is the word of whoever wrote it;
//! environment variables and `--set` are the word of whoever runs Tandem. What a config brings with it never meets a policy of
//! the latter, or a download would vouch for itself.

use std::path::PathBuf;

use serde::Deserialize;

use super::{ConfigError, Origin, Policy, Trust, resolve::Merged};

/// The key that no config file may set.
pub(super) const LOCK: &str = "trust.lock_file";

/// What must be shown of a plugin's file, who asks for it, and what counts as showing it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustChoice {
    /// What must be shown.
    pub policy: Policy,
    /// Where whoever runs Tandem asked for that; none where it is a config's word, or nobody's.
    pub by_user: Option<Origin>,
    /// The keys that count.
    pub keys: Vec<String>,
    /// Where keys were set that do not count, since the policy is the user's and they are a config's.
    pub foreign_keys: Option<Origin>,
    /// The user's own lock file.
    pub lock_file: Option<PathBuf>,
}

impl TrustChoice {
    pub(super) fn of(merged: &Merged) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        struct Table {
            #[serde(default)]
            trust: Trust,
        }

        let Table { trust: Trust { policy, keys, lock_file } } = merged.extract()?;
        let origin = |key: &str| merged.get(key).map(|setting| setting.origin.clone());
        let by_user = origin("trust.policy").filter(Origin::is_users);
        let keys_of = origin("trust.keys");
        let foreign_keys = keys_of.filter(|keys| by_user.is_some() && !keys.is_users());
        let keys = if foreign_keys.is_some() { Vec::new() } else { keys };
        Ok(Self { policy, by_user, keys, foreign_keys, lock_file })
    }
}

impl Origin {
    /// Whether this is the word of whoever runs Tandem.
    pub const fn is_users(&self) -> bool {
        match self {
            Self::Env(_) | Self::Set(_) => true,
            Self::BuiltIn | Self::Plugin(_) | Self::File { .. } => false,
        }
    }
}

/// Refuses a lock that a config file names: it is what the config is judged by.
pub(super) fn check_lock(key: &str, origin: &Origin) -> Result<(), ConfigError> {
    if key != LOCK || origin.is_users() {
        return Ok(());
    }
    Err(ConfigError::Conflict {
        key: key.to_owned(),
        origin: origin.clone(),
        why: "is for whoever runs tandem to set, by TANDEM_TRUST__LOCK_FILE or --set; a config's own lock is the `tandem.lock` \
              beside it or above it"
            .into(),
    })
}
