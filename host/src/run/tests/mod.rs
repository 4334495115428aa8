//! Tests of the run directory: that what was good stays good whatever fails, and that refusals say what to do.

mod arrays;
mod checkpoints;
mod damage;
mod failures;
mod links;
mod opening;

use std::{fs, path::PathBuf};

use super::*;
use crate::config::{PluginDefaults, Sources};

/// A place for a run that lives as long as the test.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The run directory; not there yet.
    fn run(&self) -> PathBuf {
        self.0.path().join("run")
    }

    fn create(&self) -> TrainingRun {
        create(&self.run())
    }

    fn resume(&self, sets: &[&str]) -> Result<TrainingRun, RunError> {
        RunDir::open_for_resume(&self.run(), &config(sets))?.begin()
    }

    /// Where a file of a checkpoint lies.
    fn file(&self, step: u64, name: &str) -> PathBuf {
        self.run().join(format!("checkpoints/step-{step}/{name}"))
    }

    /// What an error says, with the random name taken out.
    fn tidy(&self, error: &RunError) -> String {
        error.to_string().replace(self.0.path().to_str().unwrap(), "DIR")
    }
}

fn create(path: &Path) -> TrainingRun {
    RunDir::create(path, &config(&[]), "{\"opset\": 1}", &plugin()).unwrap()
}

fn config(sets: &[&str]) -> Config {
    let sets: Vec<String> = ["plugin=dcgan"].iter().chain(sets).map(|&s| s.to_owned()).collect();
    Sources::load(None, [], &sets).unwrap().resolve(&PluginDefaults::default()).unwrap().config
}

fn plugin() -> PluginRecord {
    PluginRecord { name: "dcgan".into(), version: "0.1.0".into(), sha256: "ab".repeat(32) }
}

fn array(name: &str, numbers: &[f32]) -> NamedArray {
    NamedArray {
        name: name.into(),
        dtype: ArrayType::F32,
        shape: vec![numbers.len()],
        data: numbers.iter().flat_map(|x| x.to_le_bytes()).collect(),
    }
}

/// A checkpoint whose arrays tell its step.
fn checkpoint(step: u64) -> Checkpoint {
    let parts = Part::ALL.map(|part| (part, vec![array("w", &[step as f32, 1.0]), array("b", &[0.5])]));
    let mut checkpoint = Checkpoint::new(step, parts.into(), "dcgan", "c0", "d0");
    for (_, arrays) in &mut checkpoint.parts {
        arrays.sort_by(|a, b| a.name.cmp(&b.name));
    }
    checkpoint
}

/// A checkpoint of a good quarter of a megabyte.
fn large_checkpoint(step: u64) -> Checkpoint {
    let mut checkpoint = checkpoint(step);
    checkpoint.parts[0].1 = vec![array("w", &vec![1.0; 70_000])];
    checkpoint
}

/// Every file below a directory, by relative path, with its bytes; `lock` left out.
fn content(root: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for path in write::entries(&directory).unwrap() {
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with(LOCK) {
                let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
                files.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}
