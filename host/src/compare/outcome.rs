//! How a run of a plan ended: the file beside its directory that says so. Without one it has not ended.

use std::fs;

use serde::{Deserialize, Serialize};

use super::{CompareError, Job};
use crate::files::{self, MOST_TEXT};

/// The end of a run.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "lowercase")]
pub enum Outcome {
    /// It trained to its end.
    Done(Told),
    /// It failed.
    Failed {
        /// Why, in its own words.
        why: String,
        /// What it was told.
        #[serde(flatten)]
        told: Told,
    },
}

/// What a run was told, to see whether the plan still means the same. What is `None` was not written down, by an older version.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Told {
    /// The plan's settings.
    #[serde(skip_serializing_if = "Option::is_none")]
    sets: Option<Vec<String>>,
    /// The hash over all settings that shape the weights, those of config files among them.
    #[serde(skip_serializing_if = "Option::is_none")]
    config: Option<String>,
    /// The steps to train for, which may stand in a config file too.
    #[serde(skip_serializing_if = "Option::is_none")]
    steps: Option<u64>,
}

/// Ends the name of the file.
const EXTENSION: &str = ".json";

impl Told {
    /// What this run is told now.
    pub(super) fn now(job: &Job) -> Self {
        Self { sets: Some(job.sets.clone()), config: Some(job.hash.clone()), steps: Some(job.steps) }
    }

    /// Whether it is what the run is told now, as far as it is known.
    fn is_of(&self, job: &Job) -> bool {
        self.sets.as_ref().is_none_or(|sets| *sets == job.sets)
            && self.trains_as(job)
            && self.steps.is_none_or(|steps| steps == job.steps)
    }

    /// Whether it leads to the same weights, as far as it is known.
    fn trains_as(&self, job: &Job) -> bool {
        self.config.as_ref().is_none_or(|hash| *hash == job.hash)
    }
}

impl Outcome {
    /// Of a run; `None` for one that has not ended, or whose settings were others.
    pub fn of(job: &Job) -> Result<Option<Self>, CompareError> {
        Ok(Self::written(job)?.filter(|outcome| outcome.told().is_of(job)))
    }

    /// What stands beside its directory, whatever the run was told.
    fn written(job: &Job) -> Result<Option<Self>, CompareError> {
        let path = job.beside(EXTENSION);
        let text = match files::read_text(&path, MOST_TEXT) {
            Ok(text) => text,
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(CompareError::io("read", path)(e)),
        };
        serde_json::from_str(&text).map(Some).map_err(|e| CompareError::Plan {
            path,
            what: format!("{e}; remove the file and the run goes on from its last checkpoint"),
        })
    }

    const fn told(&self) -> &Told {
        match self {
            Self::Done(told) | Self::Failed { told, .. } => told,
        }
    }

    /// Whether the run failed under settings that lead to other weights: what it left is of no use to the plan as it is now.
    pub(super) fn failed_otherwise(job: &Job) -> Result<bool, CompareError> {
        Ok(matches!(Self::written(job)?, Some(Self::Failed { told, .. }) if !told.trains_as(job)))
    }

    /// Writes it down.
    pub(super) fn record(&self, job: &Job) -> Result<(), CompareError> {
        // Texts and numbers: they are JSON.
        let text = serde_json::to_string_pretty(self).unwrap_or_default() + "\n";
        Ok(crate::run::replace(&job.beside(EXTENSION), text.as_bytes())?)
    }

    /// Forgets what is written down, and says what it was.
    pub(super) fn clear(job: &Job) -> Result<Option<Self>, CompareError> {
        let before = Self::written(job)?;
        let path = job.beside(EXTENSION);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(CompareError::io("remove", path)(e)),
            _ => Ok(before),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::Mode;

    fn job(directory: &std::path::Path) -> Job {
        Job {
            method: 0,
            data: 0,
            mode: Mode::One,
            seed: 0,
            config: "config.toml".into(),
            sets: vec!["seed=0".into()],
            directory: directory.join("one-0"),
            steps: 6,
            threads_set: false,
            hash: "abc".into(),
        }
    }

    #[test]
    fn what_a_run_was_told_is_kept_and_compared() {
        let here = tempfile::tempdir().unwrap();
        let job = job(here.path());
        let failed = Outcome::Failed { why: "it ran away".into(), told: Told::now(&job) };
        for outcome in [Outcome::Done(Told::now(&job)), failed] {
            outcome.record(&job).unwrap();
            assert_eq!(Outcome::of(&job).unwrap(), Some(outcome));
            let steps = Job { steps: 7, ..job.clone() };
            assert_eq!(Outcome::of(&steps).unwrap(), None);
            assert!(!Outcome::failed_otherwise(&steps).unwrap());
            let sets = Job { sets: Vec::new(), ..job.clone() };
            assert_eq!(Outcome::of(&sets).unwrap(), None);
            let file = Job { hash: "def".into(), ..job.clone() };
            assert_eq!(Outcome::of(&file).unwrap(), None);
        }
        assert!(Outcome::failed_otherwise(&Job { hash: "def".into(), ..job.clone() }).unwrap());
    }

    #[test]
    fn records_of_older_versions_are_read() {
        let here = tempfile::tempdir().unwrap();
        let job = job(here.path());
        let write = |text: &str| fs::write(job.beside(EXTENSION), text).unwrap();
        write(r#"{"state":"done","sets":["seed=0"]}"#);
        assert!(matches!(Outcome::of(&job).unwrap(), Some(Outcome::Done(_))));
        write(r#"{"state":"done","sets":["seed=1"]}"#);
        assert_eq!(Outcome::of(&job).unwrap(), None);
        write(r#"{"state":"failed","why":"it ran away"}"#);
        assert!(matches!(Outcome::of(&job).unwrap(), Some(Outcome::Failed { .. })));
        assert!(!Outcome::failed_otherwise(&job).unwrap());
    }
}
