//! A run directory held for training: the only hand that writes in it. Reading one needs no more than [`RunDir`].

use std::{
    fs::{self, File},
    ops::Deref,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    Board, Checkpoint, PluginRecord, RunDir, RunError, checkpoint,
    lock::Lock,
    metrics::{self, Metrics},
    write,
};
use crate::config::Config;

/// A run directory that this process alone writes to. What can be read of any run, it has too.
#[derive(Debug)]
pub struct TrainingRun {
    run: RunDir,
    metrics: Metrics,
    evaluations: Metrics,
    _lock: Lock,
}

impl Deref for TrainingRun {
    type Target = RunDir;

    fn deref(&self) -> &RunDir {
        &self.run
    }
}

/// The folders of every run.
const FOLDERS: [&str; 2] = [super::CHECKPOINTS, super::SAMPLES];

/// What is written into while a run goes on; everything else is written beside its place and renamed.
const OPEN: [&str; 7] = [
    super::CHECKPOINTS,
    super::SAMPLES,
    super::TENSORBOARD,
    super::METRICS,
    super::EVALUATIONS,
    super::SESSIONS,
    super::LOG,
];

/// What creating a run leaves behind when it is cut short; all of it is written anew.
const BEGUN: [&str; 4] = [super::LOCK, super::DEFINITION, super::PLUGIN, super::LOG];

/// A run that this process alone may go on with, and of which nothing is lost yet: whether it may is asked before
/// [`Self::begin`]. What can be read of any run, it has too.
#[derive(Debug)]
pub struct Resuming {
    run: RunDir,
    lock: Lock,
    config: Config,
    latest: u64,
}

impl Deref for Resuming {
    type Target = RunDir;

    fn deref(&self) -> &RunDir {
        &self.run
    }
}

impl Resuming {
    pub(super) fn open(path: &Path, config: &Config) -> Result<Self, RunError> {
        let run = RunDir::open(path)?;
        let lock = Lock::take(path)?;
        let differences = run.config()?.diff_for_resume(config)?;
        if !differences.is_empty() {
            return Err(RunError::Changed { path: path.to_owned(), differences });
        }
        // Before anything is written, or removed below them.
        refuse_links(path)?;
        checkpoint::recover(path)?;
        write::remove_leftovers(path)?;
        for folder in FOLDERS {
            write::own_folder(&path.join(folder))?;
            write::remove_leftovers(&path.join(folder))?;
        }
        checkpoint::tell_lost(path)?;
        let latest = run.latest()?.unwrap_or(0);
        if latest > config.steps {
            return Err(RunError::Beyond { path: path.to_owned(), latest, steps: config.steps });
        }
        Ok(Self { run, lock, config: config.clone(), latest })
    }

    /// Takes `metrics.jsonl` and `evaluations.jsonl` back to the latest checkpoint (to nothing when there is none), and records
    /// the config where it differs in what may.
    ///
    /// # Errors
    /// A file cannot be written.
    pub fn begin(self) -> Result<TrainingRun, RunError> {
        let Self { run, lock, config, latest } = self;
        for file in [super::METRICS, super::EVALUATIONS] {
            metrics::rewind(run.path(), file, latest)?;
        }
        let then = run.config()?;
        // A run that is to stop earlier this time is still the longer one: whoever goes on without a word finds it so.
        let now = Config { steps: config.steps.max(then.steps), ..config };
        if then != now {
            write::replace(&run.path().join(super::CONFIG), now.to_toml()?.as_bytes())?;
        }
        TrainingRun::hold(run, lock)
    }
}

impl TrainingRun {
    pub(super) fn create(
        path: &Path,
        config: &Config,
        definition: &str,
        plugin: &PluginRecord,
    ) -> Result<Self, RunError> {
        refuse_foreign(path)?;
        fs::create_dir_all(path).map_err(RunError::io("create", path))?;
        let lock = Lock::take(path)?;
        // Again, now that nobody else can begin a run here.
        refuse_foreign(path)?;
        refuse_links(path)?;
        write::remove_leftovers(path)?;
        for folder in FOLDERS {
            write::own_folder(&path.join(folder))?;
        }
        write::replace(&path.join(super::DEFINITION), definition.as_bytes())?;
        write::replace(&path.join(super::PLUGIN), plugin.to_json().as_bytes())?;
        // Last: a directory with a config is a run.
        write::replace(&path.join(super::CONFIG), config.to_toml()?.as_bytes())?;
        Self::hold(RunDir::open(path)?, lock)
    }

    fn hold(run: RunDir, lock: Lock) -> Result<Self, RunError> {
        let open = |file| Metrics::open(run.path(), file);
        let (metrics, evaluations) = (open(super::METRICS)?, open(super::EVALUATIONS)?);
        Ok(Self { run, metrics, evaluations, _lock: lock })
    }

    /// Saves a checkpoint whole, makes it the one to go on from, and removes old ones but for the best and the `keep` newest
    /// (0 keeps all). Metrics so far are made to last with it. On failure the error says which checkpoint is still good.
    pub fn save_checkpoint(&mut self, checkpoint: &Checkpoint, keep: usize) -> Result<(), RunError> {
        let saved = self.metrics.sync().and_then(|()| self.evaluations.sync());
        let saved = saved.and_then(|()| checkpoint::save(self.path(), checkpoint, keep));
        saved.map_err(|e| self.with_safe(e))
    }

    /// Appends a line to `metrics.jsonl`: `step`, then the record's fields. Numbers that are not finite become `null`.
    pub fn append_metrics(&mut self, step: u64, record: &impl Serialize) -> Result<(), RunError> {
        let appended = self.metrics.append(step, record);
        appended.map_err(|e| self.with_safe(e))
    }

    /// Appends a line to `evaluations.jsonl`, and makes it last: it took longer than the writing does, and may come after the
    /// checkpoint of its step.
    pub fn append_evaluation(&mut self, step: u64, record: &impl Serialize) -> Result<(), RunError> {
        let appended = self.evaluations.append(step, record).and_then(|()| self.evaluations.sync());
        appended.map_err(|e| self.with_safe(e))
    }

    /// The lines of `metrics.jsonl` so far that can be read; it is told which cannot.
    pub fn readable_metrics(&self) -> Result<Vec<serde_json::Value>, RunError> {
        metrics::readable(&self.path().join(super::METRICS))
    }

    /// The lines of `evaluations.jsonl` so far that can be read as a `T`; it is told which cannot.
    pub fn readable_evaluations<T: serde::de::DeserializeOwned>(&self) -> Result<Vec<T>, RunError> {
        metrics::readable(&self.path().join(super::EVALUATIONS))
    }

    /// Names the checkpoint that is best, or that none is.
    pub fn mark_best(&self, step: Option<u64>) -> Result<(), RunError> {
        checkpoint::mark_best(self.path(), step).map_err(|e| self.with_safe(e))
    }

    /// Writes a sample grid as `samples/step-00000250.png` and says where it is.
    pub fn write_sample(&self, step: u64, png: &[u8]) -> Result<PathBuf, RunError> {
        // It may have been removed to make room.
        write::own_folder(&self.path().join(super::SAMPLES)).map_err(|e| self.with_safe(e))?;
        self.write_image(&Path::new(super::SAMPLES).join(format!("step-{step:08}.png")), png)
    }

    /// Appends a line to `sessions.jsonl`, which says what this process is and where it began.
    pub fn append_session(&self, record: &impl Serialize) -> Result<(), RunError> {
        let path = self.path().join(super::SESSIONS);
        metrics::append_to(&path, record).map_err(|e| self.with_safe(e))
    }

    /// Begins a new event file for TensorBoard, which takes the place of what others say of step `from` and later ones.
    pub fn board(&self, from: u64) -> Result<Board, RunError> {
        Board::begin(self.path(), from).map_err(|e| self.with_safe(e))
    }

    /// Writes the plot of the loss curves as `losses.png` and says where it is.
    pub fn write_plot(&self, png: &[u8]) -> Result<PathBuf, RunError> {
        self.write_image(Path::new(super::LOSSES), png)
    }

    fn write_image(&self, name: &Path, png: &[u8]) -> Result<PathBuf, RunError> {
        let path = self.path().join(name);
        write::replace(&path, png).map_err(|e| self.with_safe(e))?;
        Ok(path)
    }

    /// The file `log`, to append to.
    pub fn log_file(&self) -> Result<File, RunError> {
        write::append(&self.path().join(super::LOG))
    }

    fn with_safe(&self, error: RunError) -> RunError {
        // If even the list of checkpoints cannot be read, none is called safe.
        error.with_safe(self.latest().unwrap_or(None))
    }
}

/// Refuses a run that would write or remove elsewhere.
fn refuse_links(path: &Path) -> Result<(), RunError> {
    OPEN.iter().try_for_each(|name| write::own(&path.join(name)).map(drop))
}

/// Refuses a directory that a new run must not write to: another run, or something else's files.
pub(super) fn refuse_foreign(path: &Path) -> Result<(), RunError> {
    if path.join(super::CONFIG).exists() {
        return Err(RunError::Exists { path: path.to_owned(), latest: checkpoint::latest(path).unwrap_or(None) });
    }
    let name = |p: &PathBuf| p.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
    let ours = |p: &PathBuf| {
        let name = name(p);
        let empty = || write::entries(p).is_ok_and(|e| e.is_empty());
        BEGUN.contains(&name.as_str())
            || BEGUN.iter().chain(&[super::CONFIG]).any(|begun| name.strip_suffix(write::TMP) == Some(begun))
            || ([super::CHECKPOINTS, super::SAMPLES].contains(&name.as_str()) && empty())
    };
    match write::entries(path)?.iter().find(|p| !ours(p)) {
        Some(found) => Err(RunError::NotEmpty { path: path.to_owned(), found: name(found) }),
        None => Ok(()),
    }
}
