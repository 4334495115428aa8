//! What can go wrong with a run directory, each time with the file, the operation, what the system said and what is
//! still safe.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::{
    config::{ConfigError, Difference},
    text::Show as _,
};

/// A run directory that cannot be used, or a file in it that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The system refused an operation on a file or directory.
    #[error("cannot {operation} {}: {source}{}", path.shown(), safe_text(safe.as_ref()))]
    Io {
        /// What was tried, for example `write`.
        operation: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
        /// What a failed write left safe.
        safe: Option<Safe>,
    },
    /// The directory for a new run already holds one.
    #[error("{} already holds a run ({}); go on with it with `--resume`, or choose another directory with `--out`", path.shown(), checkpoint_text(*latest))]
    Exists {
        /// The directory.
        path: PathBuf,
        /// The step of its last checkpoint.
        latest: Option<u64>,
    },
    /// The directory for a new run holds something that is no run.
    #[error("{} is not empty and holds no run (found `{}`); choose another directory with `--out`", path.shown(), found.shown())]
    NotEmpty {
        /// The directory.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// There is no run there.
    #[error("{} holds no run: {what}; a run directory is what `tandem train` writes to `--out`", path.shown())]
    NoRun {
        /// The directory.
        path: PathBuf,
        /// What is missing.
        what: String,
    },
    /// Another process trains in this directory.
    #[error("{} is in use by {}; wait for it, stop it, or choose another directory with `--out`", path.shown(), holder_text(*holder))]
    Locked {
        /// The directory.
        path: PathBuf,
        /// The process, if it could be told.
        holder: Option<u32>,
    },
    /// The run was started with another configuration.
    #[error("{} was started with another config and cannot be resumed with this one:{}\nresume with the config as it was ({}), or start a new run with another `--out`", path.shown(), differences_text(differences), path.join(super::CONFIG).shown())]
    Changed {
        /// The directory.
        path: PathBuf,
        /// The keys that differ and may not.
        differences: Vec<Difference>,
    },
    /// The run has gone further than it is asked to go.
    #[error("{} is at step {latest}, beyond `steps = {steps}`; resume with `steps` of at least {latest}", path.shown())]
    Beyond {
        /// The directory.
        path: PathBuf,
        /// The step of its last checkpoint.
        latest: u64,
        /// The steps asked for.
        steps: u64,
    },
    /// There is no such checkpoint.
    #[error("{} has no checkpoint {}; it has {}", path.shown(), super::checkpoint::name(*step), steps_text(found))]
    NoCheckpoint {
        /// The run directory.
        path: PathBuf,
        /// The step asked for.
        step: u64,
        /// The steps there are.
        found: Vec<u64>,
    },
    /// A file holds something else than it should.
    #[error("{} is damaged: {what}", path.shown())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        what: String,
    },
    /// A file is not the one that a checkpoint was trained with.
    #[error("{} is not what {} was trained with: {what}", path.shown(), super::checkpoint::name(*step))]
    Edited {
        /// The file.
        path: PathBuf,
        /// The checkpoint's step.
        step: u64,
        /// What differs, and what to do.
        what: String,
    },
    /// A link where a file or folder of the run's own belongs.
    #[error("{} is a link{}; nothing of a run is written or removed through links: put what it names in its place, or remove it (the whole run directory may be a link)", path.shown(), target_text(target.as_ref()))]
    Link {
        /// The link.
        path: PathBuf,
        /// What it names, if that could be read.
        target: Option<PathBuf>,
    },
    /// Arrays that cannot be written.
    #[error("cannot write {}: {what}", path.shown())]
    Unwritable {
        /// The file that was to be written.
        path: PathBuf,
        /// Which array and why.
        what: String,
    },
    /// The configuration could not be read or written.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

/// What is still good after a write failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Safe {
    /// The step of the last good checkpoint; `None` when there is none yet.
    pub latest: Option<u64>,
}

impl RunError {
    /// For `map_err`: this operation on this path failed.
    pub(crate) fn io(operation: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source, safe: None }
    }

    /// The same error, saying what is still safe.
    pub(super) fn with_safe(mut self, latest: Option<u64>) -> Self {
        if let Self::Io { safe, .. } = &mut self {
            *safe = Some(Safe { latest });
        }
        self
    }
}

fn safe_text(safe: Option<&Safe>) -> String {
    safe.map_or_else(String::new, |s| format!("; {}", checkpoint_text(s.latest)))
}

fn checkpoint_text(latest: Option<u64>) -> String {
    latest.map_or_else(
        || "no checkpoint yet".into(),
        |step| format!("last good checkpoint: {}", super::checkpoint::name(step)),
    )
}

fn target_text(target: Option<&PathBuf>) -> String {
    target.map_or_else(String::new, |target| format!(" to {}", target.shown()))
}

fn holder_text(holder: Option<u32>) -> String {
    holder.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

pub(super) fn differences_text(differences: &[Difference]) -> String {
    differences.iter().fold(String::new(), |text, d| text + "\n  " + &d.to_string())
}

fn steps_text(steps: &[u64]) -> String {
    match steps {
        [] => "none".into(),
        _ => steps.iter().map(|&s| super::checkpoint::name(s)).collect::<Vec<_>>().join(", "),
    }
}
