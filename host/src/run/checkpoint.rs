//! Checkpoints: one directory for each saved step, whole or not there, and the text file `latest` that names the one
//! to go on from. What the arrays mean is the trainer's matter.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::{Path, PathBuf},
    time::Duration,
};

use super::{
    NamedArray, RunError,
    arrays::{self, Metadata, read_arrays},
    write,
};

/// The files of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// G's weights and buffers.
    Generator,
    /// Their moving average; absent when the run keeps none.
    GeneratorEma,
    /// D's weights and buffers.
    Discriminator,
    /// What else resuming needs: optimizer moments, random states, position in the data, loss state.
    Trainer,
}

impl Part {
    /// All parts.
    pub const ALL: [Self; 4] = [Self::Generator, Self::GeneratorEma, Self::Discriminator, Self::Trainer];

    /// The file's name.
    pub const fn file_name(self) -> &'static str {
        match self {
            Self::Generator => "generator.safetensors",
            Self::GeneratorEma => "generator_ema.safetensors",
            Self::Discriminator => "discriminator.safetensors",
            Self::Trainer => "trainer.safetensors",
        }
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.file_name())
    }
}

/// Everything that a run needs to go on from a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// Steps completed.
    pub step: u64,
    /// The arrays of each part, each part once.
    pub parts: Vec<(Part, Vec<NamedArray>)>,
    /// Written into each file; [`Checkpoint::new`] begins it.
    pub metadata: Metadata,
    /// How long the run has trained, without evaluations. In a file of its own, so that equal weights are equal files.
    pub trained: Duration,
}

impl Checkpoint {
    /// A checkpoint with the metadata that every weights file carries: `format`, `method`, `step`, `config_hash` and
    /// `definition_hash`. More may be added.
    pub fn new(
        step: u64,
        parts: Vec<(Part, Vec<NamedArray>)>,
        method: &str,
        config_hash: &str,
        definition_hash: &str,
    ) -> Self {
        let metadata = [
            ("format", "pt"),
            ("tandem_format", "1"),
            ("method", method),
            ("step", &step.to_string()),
            ("config_hash", config_hash),
            ("definition_hash", definition_hash),
        ];
        let metadata = metadata.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
        Self { step, parts, metadata, trained: Duration::ZERO }
    }

    /// The arrays of a part, if the checkpoint has it.
    pub fn part(&self, part: Part) -> Option<&[NamedArray]> {
        self.parts.iter().find(|(p, _)| *p == part).map(|(_, arrays)| arrays.as_slice())
    }
}

/// The directory's name, and how messages call the checkpoint.
pub(super) fn name(step: u64) -> String {
    format!("step-{step}")
}

fn directory(run: &Path, step: u64) -> PathBuf {
    run.join(super::CHECKPOINTS).join(name(step))
}

/// Writes a checkpoint, then points `latest` to it, then prunes: the `keep` newest up to this step stay, all for 0.
pub(super) fn save(run: &Path, checkpoint: &Checkpoint, keep: usize) -> Result<(), RunError> {
    let place = directory(run, checkpoint.step);
    let temporary = write::beside(&place);
    write_parts(&temporary, checkpoint)
        .and_then(|()| take_place(&temporary, &place).map_err(RunError::io("write", &place)))
        .inspect_err(|_| {
            // Frees the disk at once where it can; the next opening removes it otherwise.
            let _ = fs::remove_dir_all(&temporary);
        })?;
    write::replace(&run.join(super::LATEST), format!("{}\n", name(checkpoint.step)).as_bytes())?;
    prune(run, checkpoint.step, keep)
}

fn write_parts(temporary: &Path, checkpoint: &Checkpoint) -> Result<(), RunError> {
    if temporary.exists() {
        fs::remove_dir_all(temporary).map_err(RunError::io("remove the unfinished", temporary))?;
    }
    fs::create_dir_all(temporary).map_err(RunError::io("create", temporary))?;
    for (part, arrays) in &checkpoint.parts {
        let path = temporary.join(part.file_name());
        let file = arrays::prepare(&path, arrays, &checkpoint.metadata)?;
        write::create(&path, |out| file.write(out)).map_err(RunError::io("write", &path))?;
    }
    let (path, seconds) = (temporary.join(SECONDS), format!("{:.3}\n", checkpoint.trained.as_secs_f64()));
    write::create(&path, |out| out.write_all(seconds.as_bytes())).map_err(RunError::io("write", &path))?;
    write::sync_directory(temporary).map_err(RunError::io("write", temporary))
}

/// The file that says how long the run had trained.
const SECONDS: &str = "seconds";

/// Zero where an older version of Tandem wrote the checkpoint, or the file holds no such number.
fn trained(place: &Path) -> Duration {
    let text = fs::read_to_string(place.join(SECONDS)).unwrap_or_default();
    text.trim().parse().ok().and_then(|s| Duration::try_from_secs_f64(s).ok()).unwrap_or_default()
}

/// Marks, before [`write::TMP`], a checkpoint that one of the same step replaces.
const REPLACED: &str = "old";

/// Renames the finished directory into place. A checkpoint of the same step, from before the run was taken back to an
/// earlier one, makes way first.
fn take_place(temporary: &Path, place: &Path) -> io::Result<()> {
    let old = write::beside(&place.with_extension(REPLACED));
    if place.exists() {
        fs::rename(place, &old)?;
    }
    fs::rename(temporary, place)?;
    write::sync_parent(place)?;
    if old.exists() {
        fs::remove_dir_all(&old)?;
    }
    Ok(())
}

/// Puts back a checkpoint that had made way when the process ended before its successor was in place.
pub(super) fn recover(run: &Path) -> Result<(), RunError> {
    let suffix = format!(".{REPLACED}{}", write::TMP);
    for old in write::entries(&run.join(super::CHECKPOINTS))? {
        let Some(place) = old.to_str().and_then(|p| p.strip_suffix(&suffix)).map(PathBuf::from) else { continue };
        if !place.exists() {
            fs::rename(&old, &place).map_err(RunError::io("put back", &place))?;
        }
    }
    Ok(())
}

fn prune(run: &Path, step: u64, keep: usize) -> Result<(), RunError> {
    let mut steps = list(run)?;
    steps.retain(|&s| s <= step);
    let surplus = if keep == 0 { 0 } else { steps.len().saturating_sub(keep) };
    let best = best(run)?;
    for &old in steps.iter().take(surplus).filter(|&&old| Some(old) != best) {
        let place = directory(run, old);
        // Out of the list in one move, so that no reader takes a half-removed one for whole.
        let temporary = write::beside(&place);
        fs::rename(&place, &temporary)
            .and_then(|()| fs::remove_dir_all(&temporary))
            .map_err(RunError::io("remove the old checkpoint", &place))?;
    }
    Ok(())
}

/// The steps of all checkpoints, lowest first.
pub(super) fn list(run: &Path) -> Result<Vec<u64>, RunError> {
    let mut steps: Vec<u64> = write::entries(&run.join(super::CHECKPOINTS))?
        .iter()
        .filter_map(|path| path.file_name()?.to_str()?.strip_prefix("step-")?.parse().ok())
        .collect();
    steps.sort_unstable();
    Ok(steps)
}

/// The step that `latest` names, or the highest there is if that one is gone.
pub(super) fn latest(run: &Path) -> Result<Option<u64>, RunError> {
    let steps = list(run)?;
    Ok(named(&run.join(super::LATEST), &steps)?.or_else(|| steps.last().copied()))
}

/// The step that `best` names, if that checkpoint is there.
pub(super) fn best(run: &Path) -> Result<Option<u64>, RunError> {
    named(&run.join(super::BEST), &list(run)?)
}

pub(super) fn mark_best(run: &Path, step: Option<u64>) -> Result<(), RunError> {
    let path = run.join(super::BEST);
    match step {
        Some(step) => write::replace(&path, format!("{}\n", name(step)).as_bytes()),
        None => match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(RunError::io("remove", &path)(e)),
            _ => Ok(()),
        },
    }
}

/// The one of `steps` that the file names.
fn named(path: &Path, steps: &[u64]) -> Result<Option<u64>, RunError> {
    let text = match fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => String::new(),
        Err(e) => return Err(RunError::io("read", path)(e)),
    };
    let step = text.trim().strip_prefix("step-").and_then(|n| n.parse().ok());
    Ok(step.filter(|step| steps.contains(step)))
}

/// One part of a checkpoint with its metadata; `None` if the checkpoint has no such part.
pub(super) fn load_part(run: &Path, step: u64, part: Part) -> Result<Option<(Vec<NamedArray>, Metadata)>, RunError> {
    let place = directory(run, step);
    if !place.is_dir() {
        return Err(RunError::NoCheckpoint { path: run.to_owned(), step, found: list(run)? });
    }
    let path = place.join(part.file_name());
    match read_arrays(&path) {
        Err(RunError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// A whole checkpoint. Only the moving average may be absent.
pub(super) fn load(run: &Path, step: u64) -> Result<Checkpoint, RunError> {
    let (mut parts, mut metadata) = (Vec::new(), Metadata::new());
    for part in Part::ALL {
        match load_part(run, step, part)? {
            Some((arrays, found)) => {
                parts.push((part, arrays));
                metadata = found;
            }
            None if part == Part::GeneratorEma => {}
            None => {
                let what = format!("it has no {part}");
                return Err(RunError::Damaged { path: directory(run, step), what });
            }
        }
    }
    if metadata.get("step") != Some(&step.to_string()) {
        let found = metadata.get("step").map_or("no step", String::as_str);
        let what = format!("its files are of step {found}, expected {step}");
        return Err(RunError::Damaged { path: directory(run, step), what });
    }
    Ok(Checkpoint { step, parts, metadata, trained: trained(&directory(run, step)) })
}
