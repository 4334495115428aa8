//! How a run of a plan ended: the file beside its directory that says so. Without one it has not ended.

use std::fs;

use serde::{Deserialize, Serialize};

use super::{CompareError, Job};

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Outcome {
    /// It trained to its end.
    Done {
        /// What it was told, to see whether the plan still means the same.
        sets: Vec<String>,
    },
    /// It failed.
    Failed {
        /// Why, in its own words.
        why: String,
    },
}

/// Ends the name of the file.
const EXTENSION: &str = ".json";

impl Outcome {
    /// Of a run; `None` for one that has not ended, or whose settings were others.
    pub fn of(job: &Job) -> Result<Option<Self>, CompareError> {
        let path = job.beside(EXTENSION);
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(CompareError::io("read", path)(e)),
        };
        let outcome = serde_json::from_str(&text).map_err(|e| CompareError::Plan {
            path,
            what: format!("{e}; remove the file and the run goes on from its last checkpoint"),
        })?;
        Ok(match outcome {
            Self::Done { sets } if sets != job.sets => None,
            other => Some(other),
        })
    }

    /// Writes it down.
    pub(super) fn record(&self, job: &Job) -> Result<(), CompareError> {
        // Two variants of texts: they are JSON.
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        Ok(crate::run::replace(&job.beside(EXTENSION), text.as_bytes())?)
    }

    /// Forgets it.
    pub(super) fn clear(job: &Job) -> Result<(), CompareError> {
        let path = job.beside(EXTENSION);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(CompareError::io("remove", path)(e)),
            _ => Ok(()),
        }
    }
}
