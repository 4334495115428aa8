//! `tandem sample`.

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

use anyhow::Context as _;
use tempfile::NamedTempFile;

use super::{
    arguments::{Sample, Way},
    device, print,
};
use crate::{
    run::{Metadata, RunDir, begin_file, write_arrays},
    session::{Between, Draw, Film, Sampler, SessionError, Weights, to_array},
    text::Show as _,
    work::{self, Held},
};

/// More images than anybody looks at in one picture.
const MOST_IN_GRID: usize = 65_536;

pub(super) fn run(arguments: &Sample) -> anyhow::Result<()> {
    let run = RunDir::open(&arguments.run)?;
    let device = device(&arguments.device)?;
    let weights = match (arguments.ema, arguments.raw) {
        (true, _) => Weights::Ema,
        (_, true) => Weights::Raw,
        _ => Weights::Best,
    };
    let sampler = Sampler::open(&run, arguments.step, weights, device)?;
    let draw = Draw {
        count: arguments.num as usize,
        seed: arguments.seed,
        classes: arguments.classes.clone(),
        truncation: arguments.truncation,
    };
    let batch = arguments.batch as usize;
    let step = sampler.step;
    let named = |default: String| arguments.out.clone().unwrap_or_else(|| default.into());
    let out = if arguments.files {
        let folder = named(format!("samples-step-{step}"));
        files(&sampler, &draw, batch, &folder)?;
        folder
    } else if let Some(steps) = arguments.interpolate {
        let out = named(format!("path-step-{step}.png"));
        path(arguments, &sampler, &draw, steps as usize, &out)?;
        out
    } else {
        let out = named(format!("samples-step-{step}.png"));
        grid(arguments, &sampler, &draw, &out)?;
        out
    };
    print(&format!("{}\n", out.shown()))?;
    Ok(())
}

/// Wrong usage, told before anything is drawn.
fn wrong(why: String) -> anyhow::Error {
    SessionError::Sample(why).into()
}

/// Refuses a file that could not be written in the end, after all images were made.
fn check_file(flag: &str, path: &Path) -> anyhow::Result<()> {
    if path.is_dir() {
        return Err(wrong(format!("{} is a folder; name a file in it with {flag}", path.shown())));
    }
    let folder = folder_of(path);
    if !folder.is_dir() {
        let (path, folder) = (path.shown(), folder.shown());
        return Err(wrong(format!(
            "there is no folder {folder} for {path}; make it, or name another file with {flag}"
        )));
    }
    tempfile::tempfile_in(folder).with_context(|| format!("cannot write {}", path.shown()))?;
    Ok(())
}

fn ending(path: &Path) -> String {
    path.extension().unwrap_or_default().to_string_lossy().to_lowercase()
}

fn grid(arguments: &Sample, sampler: &Sampler, draw: &Draw, out: &Path) -> anyhow::Result<()> {
    if draw.count > MOST_IN_GRID {
        return Err(wrong(format!("--num {}: a grid holds at most {MOST_IN_GRID} images; use --files", draw.count)));
    }
    if ending(out) != "png" {
        return Err(wrong(format!("a grid is written as .png, not as {}; name another file with --out", out.shown())));
    }
    check_file("--out", out)?;
    let batch = arguments.batch as usize;
    let Some(tensors) = &arguments.tensors else {
        return write(out, &sampler.grid(draw, batch)?);
    };
    check_file("--tensors", tensors)?;
    let samples = sampler.samples(draw, batch)?;
    let _whole = work::hold(Held::WRITES);
    // The picture takes its place when the tensors are there: both or neither.
    let picture = unfinished(out, &samples.grid()?)?;
    let labels = samples.labels.as_ref().map(|labels| to_array("labels", labels)).transpose()?;
    let of_all = [to_array("latents", &samples.latents)?, to_array("images", &samples.images)?];
    let arrays: Vec<_> = of_all.into_iter().chain(labels).collect();
    let metadata = Metadata::from([("step".into(), sampler.step.to_string())]);
    write_arrays(tensors, &arrays, &metadata)?;
    persist(picture, out)
}

/// `000000.png` and on in a folder, which must be new or empty: files of two runs are never mixed.
fn files(sampler: &Sampler, draw: &Draw, batch: usize, folder: &Path) -> anyhow::Result<()> {
    if folder.exists() && !folder.is_dir() {
        return Err(wrong(format!("{} is a file; name a folder with --out", folder.shown())));
    }
    fs::create_dir_all(folder).with_context(|| format!("cannot write {}", folder.shown()))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.shown()))?;
    if entries.next().is_some() {
        return Err(wrong(format!("{} is not empty; name another folder with --out", folder.shown())));
    }
    sampler.files(draw, batch, |number, png| {
        let path = folder.join(format!("{number:06}.png"));
        let _whole = work::hold(Held::WRITES);
        // Not one by one to the disk: an interrupted run is seen by what is missing.
        begin_file(&path)
            .and_then(|mut file| file.write_all(png))
            .with_context(|| format!("cannot write {}", path.shown()))
    })
}

fn path(arguments: &Sample, sampler: &Sampler, draw: &Draw, steps: usize, out: &Path) -> anyhow::Result<()> {
    let images = draw.count * steps;
    if images > MOST_IN_GRID {
        return Err(wrong(format!(
            "{images} images are too many for one file, at most {MOST_IN_GRID}; lower --num or --interpolate"
        )));
    }
    let film = Film::of(&ending(out))?;
    check_file("--out", out)?;
    let between = arguments.between.map(|way| match way {
        Way::Slerp => Between::Spherical,
        Way::Lerp => Between::Linear,
    });
    write(out, &sampler.film(draw, (between, steps), arguments.batch as usize, film)?)
}

/// Beside its place, synced, renamed.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let _whole = work::hold(Held::WRITES);
    persist(unfinished(path, bytes)?, path)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| ".".as_ref())
}

/// The bytes in a file beside their place, synced.
fn unfinished(path: &Path, bytes: &[u8]) -> anyhow::Result<NamedTempFile> {
    let write = || -> std::io::Result<NamedTempFile> {
        // Readable as any file that a program writes, not by its owner alone.
        let permissions = fs::Permissions::from_mode(0o666);
        let mut file = tempfile::Builder::new().permissions(permissions).tempfile_in(folder_of(path))?;
        file.write_all(bytes)?;
        file.as_file().sync_all()?;
        Ok(file)
    };
    write().with_context(|| format!("cannot write {}", path.shown()))
}

fn persist(file: NamedTempFile, path: &Path) -> anyhow::Result<()> {
    file.persist(path).with_context(|| format!("cannot write {}", path.shown()))?;
    Ok(())
}
