//! `tandem sample`.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{
    arguments::{Sample, Way},
    device, print,
};
use crate::{
    run::{Metadata, RunDir, write_arrays},
    session::{Between, Draw, Sampler, Weights, film, to_array},
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
    let name = |ending: &str| PathBuf::from(format!("samples-step-{}{ending}", sampler.step));
    let out = if arguments.files {
        let folder = arguments.out.clone().unwrap_or_else(|| name(""));
        files(&sampler, &draw, batch, &folder)?;
        folder
    } else if let Some(steps) = arguments.interpolate {
        let out = arguments.out.clone().unwrap_or_else(|| name(".png"));
        path(arguments, &sampler, &draw, steps as usize, &out)?;
        out
    } else {
        anyhow::ensure!(
            draw.count <= MOST_IN_GRID,
            "--num {}: a grid holds at most {MOST_IN_GRID} images; use --files",
            draw.count
        );
        let out = arguments.out.clone().unwrap_or_else(|| name(".png"));
        let (png, samples) = sampler.grid(&draw, batch)?;
        write(&out, &png)?;
        if let Some(path) = &arguments.tensors {
            let labels = samples.labels.as_ref().map(|labels| to_array("labels", labels)).transpose()?;
            let of_all = [to_array("latents", &samples.latents)?, to_array("images", &samples.images)?];
            let arrays: Vec<_> = of_all.into_iter().chain(labels).collect();
            let metadata = Metadata::from([("step".into(), sampler.step.to_string())]);
            write_arrays(path, &arrays, &metadata)?;
        }
        out
    };
    print(&format!("{}\n", out.display()))?;
    Ok(())
}

/// `000000.png` and on in a folder, which must be new or empty: files of two runs are never mixed.
fn files(sampler: &Sampler, draw: &Draw, batch: usize, folder: &Path) -> anyhow::Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("cannot write {}", folder.display()))?;
    let mut entries = fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    anyhow::ensure!(entries.next().is_none(), "{} is not empty; name another folder with --out", folder.display());
    sampler.files(draw, batch, |number, png| {
        let path = folder.join(format!("{number:06}.png"));
        // Not one by one to the disk: an interrupted run is seen by what is missing.
        fs::write(&path, png).with_context(|| format!("cannot write {}", path.display()))
    })
}

fn path(arguments: &Sample, sampler: &Sampler, draw: &Draw, steps: usize, out: &Path) -> anyhow::Result<()> {
    let images = draw.count * steps;
    anyhow::ensure!(
        images <= MOST_IN_GRID,
        "{images} images are too many for one file, at most {MOST_IN_GRID}; lower --num or --interpolate"
    );
    let between = arguments.between.map(|way| match way {
        Way::Slerp => Between::Spherical,
        Way::Lerp => Between::Linear,
    });
    let ending = out.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let images = sampler.path(draw, between, steps, arguments.batch as usize)?;
    write(out, &film(&images, steps, &ending)?)
}

/// Beside its place, synced, renamed.
pub(super) fn write(path: &Path, bytes: &[u8]) -> anyhow::Result<()> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or_else(|| ".".as_ref());
    // Readable as any file that a program writes, not by its owner alone.
    let permissions = fs::Permissions::from_mode(0o666);
    let mut file = tempfile::Builder::new()
        .permissions(permissions)
        .tempfile_in(folder)
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.write_all(bytes)
        .and_then(|()| file.as_file().sync_all())
        .with_context(|| format!("cannot write {}", path.display()))?;
    file.persist(path).with_context(|| format!("cannot write {}", path.display()))?;
    Ok(())
}
