//! A run's event files for TensorBoard: where they lie, and one for each process that trained.

use std::{
    path::{Path, PathBuf},
    time::{SystemTime, UNIX_EPOCH},
};

use super::{RunError, write};
use crate::tensorboard::EventFile;

/// The event file of this process.
#[derive(Debug)]
pub struct Board {
    path: PathBuf,
    file: EventFile,
}

/// Readers look for this in a name, and take the files of a folder in alphabetical order.
const PREFIX: &str = "events.out.tfevents.";

impl Board {
    pub(super) fn begin(run: &Path, from: u64) -> Result<Self, RunError> {
        let folder = run.join(super::TENSORBOARD);
        write::own_folder(&folder)?;
        let path = folder.join(format!("{PREFIX}{:010}.tandem.{}", next(&folder)?, std::process::id()));
        let file = EventFile::create(&path, from).map_err(RunError::io("write", &path))?;
        Ok(Self { path, file })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds events; `what` says which.
    pub fn add(&mut self, what: impl FnOnce(&mut EventFile) -> std::io::Result<()>) -> Result<(), RunError> {
        what(&mut self.file).map_err(RunError::io("write", &self.path))
    }
}

/// The time in seconds, or later where a file of the folder is not older: the new name must come last.
fn next(folder: &Path) -> Result<u64, RunError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let names = write::entries(folder)?;
    let time = |path: &PathBuf| path.file_name()?.to_str()?.strip_prefix(PREFIX)?.split('.').next()?.parse().ok();
    let last: Option<u64> = names.iter().filter_map(time).max();
    Ok(last.map_or(now, |last| now.max(last + 1)))
}
