//! `cargo xtask setup`: libtorch for this checkout, found or fetched. Changes nothing outside `.libtorch` and the
//! user's cache folder.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::{libtorch, python, shell};

/// The cache's folder of the wheels below, unpacked.
const FOLDER: &str = "libtorch-2.11.0";

/// libtorch as PyTorch's wheel carries it, the two wheels of NVIDIA's that `libtorch_cpu.so` needs to load, and the one
/// that completes their headers for the CUDA add-on; fixed wheels whatever Python is there, so that they can be pinned.
/// Project, version, file, bytes, SHA-256.
const WHEELS: [&str; 4] = [
    "torch,2.11.0,torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl,530712279,\
     0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756",
    "nvidia-cuda-runtime,13.0.96,\
     nvidia_cuda_runtime-13.0.96-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl,2243632,\
     7f82250d7782aa23b6cfe765ecc7db554bd3c2870c43f3d1821f1d18aebf0548",
    "nvidia-cuda-cupti,13.0.85,nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl,10715597,\
     4eb01c08e859bf924d222250d2e8f8b8ff6d3db4721288cf35d14252a4d933c8",
    "nvidia-cuda-crt,13.0.88,\
     nvidia_cuda_crt-13.0.88-py3-none-manylinux2014_x86_64.manylinux_2_17_x86_64.whl,134086,\
     2c8043c7c9e02492716426e9919fc78d2c5b3b2a7a768a88e952676b08aa55a4",
];

/// What the wheels and their contents take while both are there.
const NEED: u64 = 1_850_000_000;

/// Sets up, says in a line what was found or done, and returns the folder for `LIBTORCH`.
pub(crate) fn run() -> Result<PathBuf> {
    let linked = shell::root().join(".libtorch");
    if let Some(given) = given(&linked) {
        let version = libtorch::check(&given)
            .context("LIBTORCH is set and is no libtorch that can be used; unset it, or point it to libtorch 2.11")?;
        if !given.join("lib/libtorch_cuda.so").exists() {
            eprintln!("libtorch {version}: LIBTORCH={}", given.display());
            return Ok(given);
        }
        // torch-sys would link the CUDA half into every program; the host opens it when it is asked for.
        libtorch::link(&given, &linked)?;
        eprintln!("libtorch {version}: LIBTORCH={}, linked in .libtorch without its CUDA half", given.display());
        return Ok(linked);
    }
    let how = if libtorch::check(&linked).is_ok() {
        "linked in .libtorch to"
    } else {
        libtorch::link(&find_or_fetch()?, &linked)?;
        "now linked in .libtorch to"
    };
    let version = libtorch::check(&linked)?;
    eprintln!("libtorch {version}: {how} {}", libtorch::real(&linked)?.display());
    Ok(linked)
}

/// `LIBTORCH` where it is the user's own, not the one that `.cargo/config.toml` gives every program that cargo runs.
fn given(linked: &Path) -> Option<PathBuf> {
    let given = PathBuf::from(env::var_os("LIBTORCH").filter(|value| !value.is_empty())?);
    (given != linked).then_some(given)
}

/// A `torch` folder: of the Python on the path, of the cache, or fetched into it.
fn find_or_fetch() -> Result<PathBuf> {
    let python = python::on_path()?;
    if let Some(torch) = python::torch_of(&python).filter(|torch| libtorch::check(torch).is_ok()) {
        return Ok(torch);
    }
    let cache = shell::cache()?;
    let torch = cache.join(FOLDER).join("torch");
    if libtorch::check(&torch).is_err() {
        fetch(&python, &cache)?;
        libtorch::check(&torch).with_context(|| {
            let folder = cache.join(FOLDER);
            format!("{} is damaged; delete it and run `cargo xtask setup` again", folder.display())
        })?;
    }
    Ok(torch)
}

fn fetch(python: &Path, cache: &Path) -> Result<()> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        bail!("libtorch is fetched for Linux on x86-64 only; elsewhere set LIBTORCH to a libtorch 2.11");
    }
    eprintln!("libtorch {}: not found; fetching it into {}", libtorch::VERSION, cache.display());
    let script = shell::root().join("xtask/fetch.py");
    let mut command = Command::new(python);
    command.arg(script).arg(cache).arg(FOLDER).arg(NEED.to_string()).args(WHEELS);
    let status = command.status().with_context(|| format!("{} did not start", python.display()))?;
    if !status.success() {
        bail!("libtorch was not fetched");
    }
    Ok(())
}
