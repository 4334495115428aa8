//! `metrics.jsonl` and `evaluations.jsonl`: one JSON object a line, `step` first, appended while the run goes on. What is
//! measured is the trainer's matter.

use std::{
    fs::File,
    io::{self, Write},
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{RunError, write};
use crate::{
    files::{self, MOST_ARRAYS},
    text::Show as _,
};

/// Appends to one of the two files.
#[derive(Debug)]
pub(super) struct Metrics {
    path: PathBuf,
    file: File,
}

#[derive(Serialize)]
struct Line<'a, T> {
    step: u64,
    #[serde(flatten)]
    record: &'a T,
}

#[derive(Deserialize)]
struct StepOnly {
    step: u64,
}

impl Metrics {
    pub(super) fn open(run: &Path, file: &str) -> Result<Self, RunError> {
        let path = run.join(file);
        let file = write::append(&path)?;
        Ok(Self { path, file })
    }

    /// Over a file that is open.
    #[cfg(test)]
    pub(super) const fn over(path: PathBuf, file: File) -> Self {
        Self { path, file }
    }

    /// Adds a line in one write, so that a reader sees whole lines. `record` must serialise as a struct or map.
    pub(super) fn append(&mut self, step: u64, record: &impl Serialize) -> Result<(), RunError> {
        let mut line = serde_json::to_vec(&Line { step, record })
            .map_err(|e| RunError::Unwritable { path: self.path.clone(), what: e.to_string() })?;
        line.push(b'\n');
        let before = self.file.metadata().map_err(RunError::io("read", &self.path))?.len();
        self.file.write_all(&line).map_err(|e| {
            // Half a line, as a full disk leaves it, would spoil the next one.
            let _ = self.file.set_len(before);
            RunError::io("write", &self.path)(e)
        })
    }

    /// Makes all lines so far last.
    pub(super) fn sync(&self) -> Result<(), RunError> {
        self.file.sync_data().map_err(RunError::io("write", &self.path))
    }
}

/// Adds a line to a small file of JSON lines; half a line at its end, as a crash leaves it, is dropped.
pub(super) fn append_to(path: &Path, record: &impl Serialize) -> Result<(), RunError> {
    let unwritable = |e: serde_json::Error| RunError::Unwritable { path: path.to_owned(), what: e.to_string() };
    write::own(path)?;
    let mut text = content(path)?;
    text.truncate(text.iter().rposition(|&b| b == b'\n').map_or(0, |at| at + 1));
    text.extend(serde_json::to_vec(record).map_err(unwritable)?);
    text.push(b'\n');
    write::replace(path, &text)
}

/// Drops the lines after this step, and what a crash left unreadable, so that the resumed run writes no line twice. Whole lines
/// that cannot be read were damaged: they go, too, and it is told; the others stay.
pub(super) fn rewind(run: &Path, file: &str, step: u64) -> Result<(), RunError> {
    let path = run.join(file);
    write::own(&path)?;
    let text = content(&path)?;
    let mut kept = Vec::with_capacity(text.len());
    for (at, line) in text.split_inclusive(|&b| b == b'\n').enumerate().filter(|(_, line)| line.ends_with(b"\n")) {
        match serde_json::from_slice::<StepOnly>(line) {
            Ok(found) if found.step <= step => kept.extend_from_slice(line),
            Ok(_) => {}
            Err(error) => tell(&path, at, &error, "it is dropped"),
        }
    }
    if kept == text { Ok(()) } else { write::replace(&path, &kept) }
}

/// Every whole line of a file of JSON lines; none where there is no file.
pub(super) fn read(path: &Path) -> Result<Vec<serde_json::Value>, RunError> {
    let text = content(path)?;
    let whole = text.split_inclusive(|&b| b == b'\n').enumerate().filter(|(_, line)| line.ends_with(b"\n"));
    let damaged = |at: usize, error: &serde_json::Error| {
        let what = format!("line {}: {error}; without that line the others can be read", at + 1);
        RunError::Damaged { path: path.to_owned(), what }
    };
    whole.map(|(at, line)| serde_json::from_slice(line).map_err(|error| damaged(at, &error))).collect()
}

/// As [`read`], for what must not fail by one line: those that are no `T` are told and left out.
pub(super) fn readable<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Vec<T>, RunError> {
    let text = content(path)?;
    let whole = text.split_inclusive(|&b| b == b'\n').enumerate().filter(|(_, line)| line.ends_with(b"\n"));
    let one = |(at, line): (usize, &[u8])| {
        serde_json::from_slice(line).inspect_err(|error| tell(path, at, error, "it is left out")).ok()
    };
    Ok(whole.filter_map(one).collect())
}

fn tell(path: &Path, at: usize, error: &serde_json::Error, what: &str) {
    tracing::warn!(
        "{} is damaged: line {} cannot be read ({error}); {what}, the other lines count",
        path.shown(),
        at + 1
    );
}

fn content(path: &Path) -> Result<Vec<u8>, RunError> {
    match files::read(path, MOST_ARRAYS) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        other => other.map_err(RunError::io("read", path)),
    }
}
