//! The run directory: the only module that knows where a run keeps what. `docs/run-directory.md` describes it for
//! users. What is trained, sampled or measured is decided elsewhere; this writes it so that a crash, a full disk or a
//! second process harms nothing that was there.

mod arrays;
mod board;
mod checkpoint;
mod error;
mod folder;
mod lock;
mod metrics;
mod origin;
mod stored;
mod sums;
mod training;
mod write;

#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

pub use arrays::{ArrayType, Metadata, NamedArray, encode_arrays, read_arrays, write_arrays};
pub use board::Board;
pub use checkpoint::{Checkpoint, Part};
pub use error::{RunError, Safe};
pub use folder::write_folder;
pub use training::{Resuming, TrainingRun};

use crate::{
    config::Config,
    files::{self, MOST_ARRAYS, MOST_TEXT},
};

/// Replaces or creates a file outside a run directory in the same way as those in it: whole or not at all.
pub fn replace(path: &Path, content: &[u8]) -> Result<(), RunError> {
    write::replace(path, content)
}

/// A new file in the place of whatever file or link is there: what a link names is not written to.
///
/// # Errors
/// What the system says.
pub fn begin_file(path: &Path) -> io::Result<File> {
    write::begin(path)
}

/// Makes sure that a folder that others may have described is there, and no link to another.
pub fn own_folder(path: &Path) -> Result<(), RunError> {
    write::own_folder(path)
}

/// A folder of runs that this process alone works on, until this is dropped.
#[derive(Debug)]
pub struct Hold {
    _lock: lock::Lock,
}

impl Hold {
    /// Of a folder that is there; the error says which process has it.
    pub fn take(folder: &Path) -> Result<Self, RunError> {
        Ok(Self { _lock: lock::Lock::take(folder)? })
    }
}

const CONFIG: &str = "config.toml";
const DEFINITION: &str = "definition.json";
const PLUGIN: &str = "plugin.json";
const METRICS: &str = "metrics.jsonl";
const EVALUATIONS: &str = "evaluations.jsonl";
const SAMPLES: &str = "samples";
const CHECKPOINTS: &str = "checkpoints";
const LATEST: &str = "latest";
const BEST: &str = "best";
const LOG: &str = "log";
const LOCK: &str = "lock";
const LOSSES: &str = "losses.png";
const SESSIONS: &str = "sessions.jsonl";
const TENSORBOARD: &str = "tensorboard";

/// Which plugin declared the run's GAN: the content of `plugin.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginRecord {
    /// The plugin's name.
    pub name: String,
    /// The plugin's own version.
    pub version: String,
    /// SHA-256 of its file, in hex.
    pub sha256: String,
}

impl PluginRecord {
    fn to_json(&self) -> String {
        let Self { name, version, sha256 } = self;
        format!("{:#}\n", serde_json::json!({ "name": name, "version": version, "sha256": sha256 }))
    }
}

/// A run directory to read from, also while the run goes on.
#[derive(Debug, Clone)]
pub struct RunDir {
    path: PathBuf,
}

impl RunDir {
    /// Whether a run may begin in this directory, for asking before what takes long; changes nothing.
    ///
    /// # Errors
    /// There is a run, or something that is none.
    pub fn check_free(path: &Path) -> Result<(), RunError> {
        training::refuse_foreign(path)
    }

    /// Begins a run in a new or empty directory. `definition` is the definition as JSON.
    pub fn create(
        path: &Path,
        config: &Config,
        definition: &str,
        plugin: &PluginRecord,
    ) -> Result<TrainingRun, RunError> {
        TrainingRun::create(path, config, definition, plugin)
    }

    /// Opens a run to go on with it as `config` says: refuses a config that would train something else, and removes what a
    /// crash left unfinished. Nothing else is changed before [`Resuming::begin`].
    pub fn open_for_resume(path: &Path, config: &Config) -> Result<Resuming, RunError> {
        Resuming::open(path, config)
    }

    /// Opens a run to read from it.
    pub fn open(path: &Path) -> Result<Self, RunError> {
        let no_run = |what: String| RunError::NoRun { path: path.to_owned(), what };
        if !path.exists() {
            return Err(no_run("there is no such directory".into()));
        }
        if !path.join(CONFIG).is_file() {
            return Err(no_run(format!("it has no {CONFIG}")));
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The directory.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The configuration as it ran.
    pub fn config(&self) -> Result<Config, RunError> {
        Ok(Config::read(&self.path.join(CONFIG))?)
    }

    /// The definition as JSON.
    pub fn definition(&self) -> Result<String, RunError> {
        let path = self.path.join(DEFINITION);
        files::read_text(&path, MOST_TEXT).map_err(RunError::io("read", &path))
    }

    /// Which plugin declared the definition.
    pub fn plugin(&self) -> Result<PluginRecord, RunError> {
        let path = self.path.join(PLUGIN);
        let text = files::read_text(&path, MOST_TEXT).map_err(RunError::io("read", &path))?;
        serde_json::from_str(&text).map_err(|e| RunError::Damaged { path, what: e.to_string() })
    }

    /// The steps of all checkpoints, lowest first.
    pub fn checkpoints(&self) -> Result<Vec<u64>, RunError> {
        checkpoint::list(&self.path)
    }

    /// The step to go on from; `None` before the first checkpoint.
    pub fn latest(&self) -> Result<Option<u64>, RunError> {
        checkpoint::latest(&self.path)
    }

    /// The step of the best checkpoint, where the run keeps one.
    pub fn best(&self) -> Result<Option<u64>, RunError> {
        checkpoint::best(&self.path)
    }

    /// A whole checkpoint.
    pub fn load_checkpoint(&self, step: u64) -> Result<Checkpoint, RunError> {
        stored::load(&self.path, step)
    }

    /// One part of a checkpoint with its metadata; `None` if the checkpoint has no such part.
    pub fn load_part(&self, step: u64, part: Part) -> Result<Option<(Vec<NamedArray>, Metadata)>, RunError> {
        stored::load_part(&self.path, step, part)
    }

    /// Refuses a `definition.json` that is not the one that these weights of a checkpoint were trained with.
    pub fn check_definition(&self, step: u64, metadata: &Metadata) -> Result<(), RunError> {
        origin::check_definition(self, step, metadata)
    }

    /// Refuses a `config.toml` that differs from the one that led to a checkpoint in what shapes its weights.
    pub fn check_config(&self, step: u64, metadata: &Metadata) -> Result<(), RunError> {
        origin::check_config(self, step, metadata)
    }

    /// The error for a part of a checkpoint that is not what it should be: `what` says why.
    pub fn damaged(&self, step: u64, part: Part, what: String) -> RunError {
        stored::damaged(&self.path, step, part, what)
    }

    /// The lines of `metrics.jsonl` so far, whole ones only; nothing before the first.
    pub fn metrics(&self) -> Result<Vec<serde_json::Value>, RunError> {
        metrics::read(&self.path.join(METRICS))
    }

    /// The lines of `evaluations.jsonl` so far, whole ones only; nothing before the first.
    pub fn evaluations(&self) -> Result<Vec<serde_json::Value>, RunError> {
        metrics::read(&self.path.join(EVALUATIONS))
    }

    /// The lines of `sessions.jsonl`: one for each process that trained here.
    pub fn sessions(&self) -> Result<Vec<serde_json::Value>, RunError> {
        metrics::read(&self.path.join(SESSIONS))
    }

    /// The sample grids by step, lowest first.
    pub fn samples(&self) -> Result<Vec<(u64, PathBuf)>, RunError> {
        let step = |path: &Path| path.file_name()?.to_str()?.strip_prefix("step-")?.strip_suffix(".png")?.parse().ok();
        let mut found: Vec<(u64, PathBuf)> = write::entries(&self.path.join(SAMPLES))?
            .into_iter()
            .filter_map(|path| Some((step(&path)?, path)))
            .collect();
        found.sort();
        Ok(found)
    }

    /// The bytes of one of [`Self::samples`].
    pub fn read_sample(&self, path: &Path) -> Result<Vec<u8>, RunError> {
        files::read(path, MOST_ARRAYS).map_err(RunError::io("read", path))
    }

    /// Which process trains here now, if any: its id where that can be told.
    pub fn in_use(&self) -> Result<Option<Option<u32>>, RunError> {
        match lock::Lock::take(&self.path) {
            Ok(_) => Ok(None),
            Err(RunError::Locked { holder, .. }) => Ok(Some(holder)),
            Err(other) => Err(other),
        }
    }
}
