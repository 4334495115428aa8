//! What can be wrong with a configuration, each time with the key, where it was set and what to do. How the messages
//! reach the user is the command line's matter.

use std::{io, path::PathBuf};

use super::Origin;
use crate::text::Show as _;

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A configuration file could not be read.
    #[error("cannot read the config file {}{}: {source}", path.shown(), named_by(extended_by.as_ref()))]
    Read {
        /// The file.
        path: PathBuf,
        /// Where `extends` names it, if that is how it was reached.
        extended_by: Option<Origin>,
        /// What the system said.
        source: io::Error,
    },
    /// A configuration file is not TOML.
    #[error("{} is not valid TOML: {message}", path.shown())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// The parser's report, with line and column.
        message: String,
    },
    /// Files extend each other in a circle.
    #[error("these config files extend each other in a circle: {}", chain_text(chain))]
    Cycle {
        /// The files in order; the last is the first again.
        chain: Vec<PathBuf>,
    },
    /// A `--set` argument is not `key=value`.
    #[error("`--set {}` is not understood: {message}", argument.shown())]
    Set {
        /// The argument as given.
        argument: String,
        /// What is wrong with it.
        message: String,
    },
    /// There is no such key.
    #[error("key `{}` is unknown ({origin}); {hint}", key.shown())]
    UnknownKey {
        /// The full dotted key.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// The nearest key, or the keys there are.
        hint: String,
    },
    /// A value has the wrong type or is out of range.
    #[error("key `{}` must be {expected}, found {} ({origin}){hint}", key.shown(), found.shown())]
    Value {
        /// The full dotted key.
        key: String,
        /// Where it was set.
        origin: Box<Origin>,
        /// What it may be.
        expected: String,
        /// What it is.
        found: String,
        /// The nearest allowed value, or nothing.
        hint: String,
    },
    /// A key that has no default was set nowhere.
    #[error("key `{key}` is set nowhere; {hint}")]
    Missing {
        /// The full dotted key.
        key: String,
        /// What to do.
        hint: String,
    },
    /// Two keys that do not go together.
    #[error("key `{}` ({origin}) {why}", key.shown())]
    Conflict {
        /// The key that does not fit.
        key: String,
        /// Where it was set.
        origin: Origin,
        /// Why, naming the other key and where that was set.
        why: String,
    },
    /// The checked values did not fit the typed configuration: a mistake in Tandem, not in the file.
    #[error("the merged configuration does not fit its own type: {0}; please report this")]
    Extract(Box<figment::Error>),
    /// The configuration cannot be written as TOML.
    #[error("cannot write the configuration as TOML: {0}")]
    Write(#[from] toml::ser::Error),
}

fn named_by(origin: Option<&Origin>) -> String {
    origin.map_or_else(String::new, |o| format!(", which `extends` names in {o}"))
}

fn chain_text(chain: &[PathBuf]) -> String {
    chain.iter().map(|p| p.shown().to_string()).collect::<Vec<_>>().join(" -> ")
}
