//! Checkpoints read again: every file against its sum, every number against what can be one, and where something is wrong,
//! which checkpoint is whole.

use std::{io, path::Path, time::Duration};

use super::{
    Checkpoint, Metadata, NamedArray, Part, RunError,
    arrays::decode_arrays,
    checkpoint::{CONFIG, DATA, SECONDS, directory, list, name},
    sums::{SUMS, Sums},
};
use crate::{
    files::{self, MOST_ARRAYS, MOST_TEXT},
    text::Show as _,
};

/// One part of a checkpoint with its metadata; `None` if the checkpoint has no such part.
pub(super) fn load_part(run: &Path, step: u64, part: Part) -> Result<Option<(Vec<NamedArray>, Metadata)>, RunError> {
    let read = || Folder::open(run, step)?.part(part);
    read().map_err(|error| with_newest(error, run, step))
}

/// A whole checkpoint. Only the moving average may be absent.
pub(super) fn load(run: &Path, step: u64) -> Result<Checkpoint, RunError> {
    read_whole(run, step).map_err(|error| with_newest(error, run, step))
}

/// The configuration that led to a checkpoint; `None` for those of earlier versions.
pub(super) fn config(run: &Path, step: u64) -> Result<Option<String>, RunError> {
    let read = || Folder::open(run, step)?.text(CONFIG);
    read().map_err(|error| with_newest(error, run, step))
}

/// The highest step but `but` whose checkpoint can be read whole.
pub(super) fn newest_whole(run: &Path, but: Option<u64>) -> Option<u64> {
    let steps = list(run).unwrap_or_default();
    steps.into_iter().rev().filter(|&step| Some(step) != but).find(|&step| read_whole(run, step).is_ok())
}

/// That something is wrong with a part of a checkpoint, and which one is whole.
pub(super) fn damaged(run: &Path, step: u64, part: Part, what: String) -> RunError {
    with_newest(RunError::Damaged { path: directory(run, step).join(part.file_name()), what }, run, step)
}

/// Adds to what is damaged which checkpoint is not.
fn with_newest(error: RunError, run: &Path, step: u64) -> RunError {
    let RunError::Damaged { path, what } = error else { return error };
    let instead = match newest_whole(run, Some(step)) {
        Some(whole) => {
            let (whole, latest) = (name(whole), run.join(super::LATEST));
            format!("the newest whole checkpoint is {whole}: to go on from it, write `{whole}` into {}", latest.shown())
        }
        None => "no other checkpoint here is whole: restore it from a backup".into(),
    };
    RunError::Damaged { path, what: format!("{what}; {instead}") }
}

/// A checkpoint's folder, and the sums of its files where it has them.
struct Folder<'a> {
    run: &'a Path,
    step: u64,
    sums: Option<Sums>,
}

impl<'a> Folder<'a> {
    fn open(run: &'a Path, step: u64) -> Result<Self, RunError> {
        let place = directory(run, step);
        if !place.is_dir() {
            return Err(RunError::NoCheckpoint { path: run.to_owned(), step, found: list(run)? });
        }
        let sums = Sums::read(&place)?;
        // What came with the sums, so that a checkpoint from before them can be told from one that lost them.
        if sums.is_none() && [CONFIG, DATA].iter().any(|file| place.join(file).exists()) {
            return Err(RunError::Damaged { path: place, what: format!("its {SUMS} is missing") });
        }
        Ok(Self { run, step, sums })
    }

    /// A file's bytes, if they are what was written; `None` if there is no such file and need not be.
    fn file(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, RunError> {
        let path = directory(self.run, self.step).join(name);
        let damaged = |what: String| RunError::Damaged { path: path.clone(), what };
        match (files::read(&path, most), &self.sums) {
            (Ok(bytes), Some(sums)) => sums.check(name, &bytes).map(|()| Some(bytes)).map_err(damaged),
            (Ok(bytes), None) => Ok(Some(bytes)),
            // While the run goes on, it may be pruned between two reads.
            (Err(_), _) if !directory(self.run, self.step).is_dir() => {
                Err(RunError::NoCheckpoint { path: self.run.to_owned(), step: self.step, found: list(self.run)? })
            }
            (Err(e), Some(sums)) if e.kind() == io::ErrorKind::NotFound && sums.has(name) => {
                Err(damaged(format!("it is missing, and {SUMS} beside it has its sum")))
            }
            (Err(e), _) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            (Err(e), _) => Err(damaged(format!("it cannot be read: {e}"))),
        }
    }

    fn part(&self, part: Part) -> Result<Option<(Vec<NamedArray>, Metadata)>, RunError> {
        let Some(bytes) = self.file(part.file_name(), MOST_ARRAYS)? else { return Ok(None) };
        let path = directory(self.run, self.step).join(part.file_name());
        let (arrays, metadata) = decode_arrays(&path, &bytes)?;
        let damaged = |what: String| RunError::Damaged { path: path.clone(), what };
        if metadata.get("step") != Some(&self.step.to_string()) {
            let found = metadata.get("step").map_or("no step", String::as_str);
            return Err(damaged(format!("it is of step {}, expected {}", found.shown(), self.step)));
        }
        // Not of what else training needs: there, infinity may be a value.
        let weights = if part == Part::Trainer { &[][..] } else { &arrays[..] };
        for array in weights {
            let (nan, infinite) = array.not_finite();
            if nan + infinite > 0 {
                let of: usize = array.shape.iter().product();
                return Err(damaged(format!(
                    "`{}` holds {} of {of} numbers that are NaN or infinite; Tandem saves no such weights, so the file was changed \
                     or made elsewhere",
                    array.name.shown(),
                    nan + infinite
                )));
            }
        }
        Ok(Some((arrays, metadata)))
    }

    fn text(&self, name: &str) -> Result<Option<String>, RunError> {
        let not_text = |e: std::string::FromUtf8Error| RunError::Damaged {
            path: directory(self.run, self.step).join(name),
            what: e.to_string(),
        };
        self.file(name, MOST_TEXT)?.map(|bytes| String::from_utf8(bytes).map_err(not_text)).transpose()
    }
}

fn read_whole(run: &Path, step: u64) -> Result<Checkpoint, RunError> {
    let folder = Folder::open(run, step)?;
    let damaged = |what: String| RunError::Damaged { path: directory(run, step), what };
    let (mut parts, mut metadata) = (Vec::new(), Metadata::new());
    for part in Part::ALL {
        match folder.part(part)? {
            Some((arrays, found)) => {
                if !parts.is_empty() && metadata != found {
                    return Err(damaged(format!(
                        "its files are of two runs: what {part} says of itself is unlike the others"
                    )));
                }
                parts.push((part, arrays));
                metadata = found;
            }
            None if part == Part::GeneratorEma => {}
            None => return Err(damaged(format!("it has no {part}"))),
        }
    }
    // Zero where an older version of Tandem wrote the checkpoint, or the file holds no such number.
    let seconds = folder.text(SECONDS)?.unwrap_or_default();
    let trained = seconds.trim().parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default();
    let (config, data) = (folder.text(CONFIG)?, folder.text(DATA)?);
    Ok(Checkpoint { step, parts, metadata, trained, config, data })
}
