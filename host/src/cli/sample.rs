//! `tandem sample`.

use std::{
    fs,
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use anyhow::Context as _;

use super::{arguments::Sample, device, print};
use crate::{
    run::{Metadata, RunDir, write_arrays},
    session::{Sampler, Weights, to_array},
};

pub(super) fn run(arguments: &Sample) -> anyhow::Result<()> {
    let run = RunDir::open(&arguments.run)?;
    let device = device(&arguments.device)?;
    let weights = match (arguments.ema, arguments.raw) {
        (true, _) => Weights::Ema,
        (_, true) => Weights::Raw,
        _ => Weights::Best,
    };
    let sampler = Sampler::open(&run, arguments.step, weights, device)?;
    let (png, samples) = sampler.grid(arguments.num as usize, arguments.seed)?;
    let out = arguments.out.clone().unwrap_or_else(|| PathBuf::from(format!("samples-step-{}.png", sampler.step)));
    write(&out, &png)?;
    if let Some(path) = &arguments.tensors {
        let labels = samples.labels.as_ref().map(|labels| to_array("labels", labels)).transpose()?;
        let of_all = [to_array("latents", &samples.latents)?, to_array("images", &samples.images)?];
        let arrays: Vec<_> = of_all.into_iter().chain(labels).collect();
        let metadata = Metadata::from([("step".into(), sampler.step.to_string())]);
        write_arrays(path, &arrays, &metadata)?;
    }
    print(&format!("{}\n", out.display()))?;
    Ok(())
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
