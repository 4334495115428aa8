//! Checkpoints: one directory for each saved step, whole or not there, and the text file `latest` that names the one
//! to go on from. What the arrays mean is the trainer's matter; how they are read again is in `stored`.

use std::{
    fmt,
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use super::{
    NamedArray, RunError,
    arrays::{self, Metadata},
    stored,
    sums::{SUMS, Summing, Sums},
    write,
};
use crate::{
    files::{self, MOST_TEXT},
    text::Show as _,
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
    /// The configuration that led here, as `config.toml` has it; earlier versions kept none.
    pub config: Option<String>,
    /// What the images were, as JSON; earlier versions kept nothing.
    pub data: Option<String>,
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
        Self { step, parts, metadata, trained: Duration::ZERO, config: None, data: None }
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

/// Where the checkpoint of a step lies.
pub(super) fn directory(run: &Path, step: u64) -> PathBuf {
    run.join(super::CHECKPOINTS).join(name(step))
}

/// Writes a checkpoint, then points `latest` to it, then prunes: the `keep` newest up to this step stay, all for 0.
pub(super) fn save(run: &Path, checkpoint: &Checkpoint, keep: usize) -> Result<(), RunError> {
    write::own_folder(&run.join(super::CHECKPOINTS))?;
    let place = directory(run, checkpoint.step);
    let temporary = write::beside(&place);
    write_parts(&temporary, checkpoint)
        .and_then(|()| take_place(&temporary, &place).map_err(RunError::io("write", &place)))
        .inspect_err(|_| {
            // Frees the disk at once where it can; the next opening removes it otherwise.
            let _ = write::remove(&temporary);
        })?;
    write::replace(&run.join(super::LATEST), format!("{}\n", name(checkpoint.step)).as_bytes())?;
    prune(run, checkpoint.step, keep)
}

fn write_parts(temporary: &Path, checkpoint: &Checkpoint) -> Result<(), RunError> {
    write::remove(temporary).map_err(RunError::io("remove the unfinished", temporary))?;
    fs::create_dir(temporary).map_err(RunError::io("create", temporary))?;
    let mut sums = Sums::default();
    for ((part, _), sum) in checkpoint.parts.iter().zip(write_arrays(temporary, checkpoint)) {
        sums.add(part.file_name(), sum?);
    }
    let seconds = format!("{:.3}\n", checkpoint.trained.as_secs_f64());
    let texts = [(SECONDS, Some(&seconds)), (CONFIG, checkpoint.config.as_ref()), (DATA, checkpoint.data.as_ref())];
    for (name, text) in texts {
        if let Some(text) = text {
            sums.add(name, put(&temporary.join(name), |out| out.write_all(text.as_bytes()))?);
        }
    }
    // Last: a folder with sums has all that they are of.
    let path = temporary.join(SUMS);
    write::create(&path, |out| out.write_all(sums.text().as_bytes())).map_err(RunError::io("write", &path))?;
    write::sync_directory(temporary).map_err(RunError::io("write", temporary))
}

/// Writes the parts at once, each in a thread, so that one's sum is made while another waits for the disk; gives their sums.
fn write_arrays(temporary: &Path, checkpoint: &Checkpoint) -> Vec<Result<String, RunError>> {
    let write = |part: Part, arrays: &[NamedArray]| {
        let path = temporary.join(part.file_name());
        let file = arrays::prepare(&path, arrays, &checkpoint.metadata)?;
        put(&path, |out| file.write(out))
    };
    let write = &write;
    thread::scope(|scope| {
        let parts = checkpoint.parts.iter().map(|(part, arrays)| {
            let work = move || write(*part, arrays);
            // Where no thread is to be had, here and now.
            thread::Builder::new().spawn_scoped(scope, work).map_err(|_| work())
        });
        let begun: Vec<_> = parts.collect();
        let end = |work: Result<thread::ScopedJoinHandle<'_, _>, _>| match work {
            Ok(thread) => thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
            Err(done) => done,
        };
        begun.into_iter().map(end).collect()
    })
}

/// Writes a file, and says what its sum is.
fn put(
    path: &Path,
    content: impl FnOnce(&mut Summing<&mut BufWriter<File>>) -> io::Result<()>,
) -> Result<String, RunError> {
    let mut sum = String::new();
    let summed = |out: &mut BufWriter<File>| {
        let mut out = Summing::new(out);
        content(&mut out)?;
        sum = out.sum();
        Ok(())
    };
    write::create(path, summed).map_err(RunError::io("write", path))?;
    Ok(sum)
}

/// The file that says how long the run had trained.
pub(super) const SECONDS: &str = "seconds";
/// The file with the configuration as it was.
pub(super) const CONFIG: &str = "config.toml";
/// The file that says what the images were.
pub(super) const DATA: &str = "data.json";

/// Marks, before [`write::TMP`], a checkpoint that one of the same step replaces.
const REPLACED: &str = "old";

/// Renames the finished directory into place. A checkpoint of the same step, from before the run was taken back to an
/// earlier one, makes way first.
fn take_place(temporary: &Path, place: &Path) -> io::Result<()> {
    let old = write::beside(&place.with_extension(REPLACED));
    if write::is_there(place) {
        write::remove(&old)?;
        fs::rename(place, &old)?;
    }
    fs::rename(temporary, place)?;
    write::sync_parent(place)?;
    write::remove(&old)
}

/// Puts back a checkpoint that had made way when the process ended before its successor was in place.
pub(super) fn recover(run: &Path) -> Result<(), RunError> {
    let suffix = format!(".{REPLACED}{}", write::TMP);
    for old in write::entries(&run.join(super::CHECKPOINTS))? {
        let Some(place) = old.to_str().and_then(|p| p.strip_suffix(&suffix)).map(PathBuf::from) else { continue };
        if !write::is_there(&place) {
            fs::rename(&old, &place).map_err(RunError::io("put back", &place))?;
        }
    }
    Ok(())
}

fn prune(run: &Path, step: u64, keep: usize) -> Result<(), RunError> {
    let mut steps = list(run)?;
    steps.retain(|&s| s <= step);
    let surplus = if keep == 0 { 0 } else { steps.len().saturating_sub(keep) };
    let best = match best(run) {
        Ok(best) => best,
        Err(error) => {
            tracing::warn!("old checkpoints stay, as the best one might be among them: {error}");
            return Ok(());
        }
    };
    for &old in steps.iter().take(surplus).filter(|&&old| Some(old) != best) {
        let place = directory(run, old);
        // Out of the list in one move, so that no reader takes a half-removed one for whole.
        let temporary = write::beside(&place);
        fs::rename(&place, &temporary)
            .and_then(|()| write::remove(&temporary))
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
    Ok(named(run, super::LATEST)?.filter(|step| steps.contains(step)).or_else(|| steps.last().copied()))
}

/// Tells of a checkpoint that `latest` names and that is not there.
pub(super) fn tell_lost(run: &Path) -> Result<(), RunError> {
    let steps = list(run)?;
    if let Some(step) = named(run, super::LATEST)?.filter(|step| !steps.contains(step)) {
        let instead =
            steps.last().map_or_else(|| "the run begins again".into(), |&step| format!("{} is taken", name(step)));
        tracing::warn!("{} names {}, which is not there; {instead}", run.join(super::LATEST).shown(), name(step));
    }
    Ok(())
}

/// The step that `best` names, if that checkpoint is there.
pub(super) fn best(run: &Path) -> Result<Option<u64>, RunError> {
    let steps = list(run)?;
    Ok(named(run, super::BEST)?.filter(|step| steps.contains(step)))
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

/// The step that the file `latest` or `best` names; `None` where there is no such file.
fn named(run: &Path, file: &str) -> Result<Option<u64>, RunError> {
    let path = run.join(file);
    let found = match files::read(&path, MOST_TEXT) {
        Ok(text) => String::from_utf8_lossy(&text).into_owned(),
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(RunError::io("read", &path)(e)),
    };
    if let Some(step) = found.trim().strip_prefix("step-").and_then(|n| n.parse().ok()) {
        return Ok(Some(step));
    }
    let newest = stored::newest_whole(run, None)
        .map_or_else(|| "there is no whole checkpoint".into(), |s| format!("the newest whole one is {}", name(s)));
    let what = format!(
        "it holds `{}`, expected the name of a checkpoint, such as step-500, which you can write into it; {newest}",
        found.trim().shown()
    );
    Err(RunError::Damaged { path, what })
}
