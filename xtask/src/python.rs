//! The Python that fetches libtorch, and the one with PyTorch that the tests compare against.

use std::env;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::shell;

/// Says where packages lie without running any of them: importing torch takes seconds, and it may be broken.
const LOCATE_TORCH: &str = "
import importlib.util
spec = importlib.util.find_spec('torch')
print(spec.submodule_search_locations[0] if spec and spec.submodule_search_locations else '')
";

/// What the tests' scripts import.
const IMPORT_ALL: &str = "
import flax.linen, numpy, onnx, onnxruntime, PIL, safetensors.torch, torch
raise SystemExit(not torch.__version__.startswith('2.11.'))
";

/// What gives the above; torch brings NVIDIA's libraries, without which it does not load even on a CPU.
/// Flax brings JAX, for the CPU alone.
const PACKAGES: [&str; 7] = ["torch==2.11.0", "numpy", "safetensors", "pillow", "onnx", "onnxruntime", "flax"];

/// The Python on the path, by its full name, checked to run.
pub(crate) fn on_path() -> Result<PathBuf> {
    let output = Command::new("python3")
        .args(["-c", "import sys; assert sys.version_info >= (3, 8), sys.version; print(sys.executable)"])
        .output()
        .context("python3 is not on the path; Tandem's set-up and tests need Python 3.8 or newer with pip")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("python3 is of no use, Python 3.8 or newer is needed: {}", said.trim());
    }
    Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()))
}

/// The `torch` folder of a Python, where it has one.
pub(crate) fn torch_of(python: &Path) -> Option<PathBuf> {
    let output = Command::new(python).args(["-c", LOCATE_TORCH]).output().ok()?;
    let place = String::from_utf8(output.stdout).ok()?;
    let place = place.trim();
    (output.status.success() && !place.is_empty()).then(|| PathBuf::from(place))
}

/// A Python with PyTorch for the tests: `TANDEM_PYTHON`, else the one on the path, else one made in the cache and
/// linked into the checkout as `.python`.
pub(crate) fn for_tests() -> Result<PathBuf> {
    if let Some(given) = env::var_os("TANDEM_PYTHON").map(PathBuf::from) {
        if !has_all(&given) {
            bail!(
                "TANDEM_PYTHON is {}, which cannot import torch 2.11, numpy, safetensors, PIL, onnx, onnxruntime and \
                 flax",
                given.display()
            );
        }
        eprintln!("python for the tests: TANDEM_PYTHON={}", given.display());
        return Ok(given);
    }
    let own = on_path()?;
    if !Command::new(&own).args(["-c", "import sys; sys.exit(sys.version_info < (3, 10))"]).status()?.success() {
        bail!("{} is older than 3.10, which torch 2.11 needs; the tests compare with it", own.display());
    }
    if has_all(&own) {
        eprintln!("python for the tests: {}", own.display());
        return Ok(own);
    }
    let linked = shell::root().join(".python");
    let python = linked.join("bin/python");
    if !has_all(&python) {
        let made = make(&own)?;
        if linked.symlink_metadata().is_ok() {
            fs::remove_file(&linked).with_context(|| format!("{} is in the way", linked.display()))?;
        }
        symlink(&made, &linked).with_context(|| format!("{} cannot be linked", linked.display()))?;
    }
    eprintln!("python for the tests: {}", python.display());
    Ok(python)
}

fn has_all(python: &Path) -> bool {
    shell::succeeds(Command::new(python).args(["-c", IMPORT_ALL]))
}

/// A virtual environment in the cache, made anew unless it is there and whole. It is made without pip and filled by
/// the pip outside it, because Debian ships `venv` without the means to put pip in.
fn make(own: &Path) -> Result<PathBuf> {
    let tag = "import sys; print('%d.%d' % sys.version_info[:2])";
    let tag = Command::new(own).args(["-c", tag]).output().context("python3 did not start")?;
    let tag = String::from_utf8_lossy(&tag.stdout).trim().to_owned();
    let cache = shell::cache()?;
    let place = cache.join(format!("python-{tag}-torch-2.11.0"));
    let python = place.join("bin/python");
    if has_all(&python) {
        return Ok(place);
    }
    eprintln!(
        "python for the tests: making {}; PyTorch and the CUDA libraries that it loads are 2.9 GB to fetch and 4.7 GB \
         on disk, once for all checkouts (a Python of yours with torch 2.11, numpy, safetensors, pillow, onnx, \
         onnxruntime and flax will do: name it in TANDEM_PYTHON)",
        place.display()
    );
    // pip's scratch files are as large, and /tmp may be memory: they go beside, which also makes the last move a rename.
    let scratch = place.with_extension("scratch");
    fs::create_dir_all(&scratch).with_context(|| format!("{} cannot be made", scratch.display()))?;
    shell::run(Command::new(own).args(["-m", "venv", "--clear", "--without-pip"]).arg(&place))?;
    let installed = shell::run(
        Command::new(own)
            .args(["-m", "pip", "--disable-pip-version-check", "install", "--quiet"])
            .args(["--no-cache-dir", "--only-binary=:all:", "--target"])
            .arg(place.join(format!("lib/python{tag}/site-packages")))
            .args(PACKAGES)
            .env("TMPDIR", &scratch),
    );
    let _ = fs::remove_dir_all(&scratch);
    installed.context("PyTorch for the tests was not installed; `cargo xtask test` again tries anew")?;
    if !has_all(&python) {
        bail!("{} was made and cannot import torch 2.11", place.display());
    }
    Ok(place)
}
