//! What a usable libtorch looks like on disk, and the folder that links one into the checkout.
//!
//! A wheel's `torch/lib` cannot be given to torch-sys as it is: it links whatever CUDA library it sees there, and the
//! wheel's `libtorch.so` is an empty stub that drags CUDA in. So `.libtorch` shows it three libraries and no more.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// The version that tch is built for, to its second number.
pub(crate) const VERSION: &str = "2.11";

/// The version of the libtorch in `folder`, which holds `include` and `lib`; why it is none otherwise.
pub(crate) fn version(folder: &Path) -> Result<String> {
    let library = folder.join("lib/libtorch_cpu.so");
    if !library.exists() {
        bail!("{} is missing", library.display());
    }
    let header = folder.join("include/torch/headeronly/version.h");
    let text = fs::read_to_string(&header).with_context(|| format!("{} cannot be read", header.display()))?;
    let part = |name: &str| {
        text.lines().find_map(|line| {
            let rest = line.strip_prefix("#define TORCH_VERSION_")?;
            Some(rest.strip_prefix(name)?.trim().to_owned())
        })
    };
    match (part("MAJOR "), part("MINOR "), part("PATCH ")) {
        (Some(major), Some(minor), Some(patch)) => Ok(format!("{major}.{minor}.{patch}")),
        _ => bail!("{} names no version", header.display()),
    }
}

/// Fails unless `folder` holds libtorch of the right version; says what was found.
pub(crate) fn check(folder: &Path) -> Result<String> {
    let found = version(folder)?;
    if !found.starts_with(&format!("{VERSION}.")) {
        bail!("{} is libtorch {found}, expected {VERSION}", folder.display());
    }
    Ok(found)
}

/// Where the libraries of `folder` really lie: what a binary's rpath must name, for they find NVIDIA's beside them.
pub(crate) fn real(folder: &Path) -> Result<PathBuf> {
    let library = folder.join("lib/libtorch_cpu.so");
    let real = library.canonicalize().with_context(|| format!("{} cannot be resolved", library.display()))?;
    Ok(real.parent().unwrap_or(&real).to_owned())
}

/// Makes `place` show the libtorch of `torch` (a `torch` folder with `include` and `lib`) to torch-sys.
pub(crate) fn link(torch: &Path, place: &Path) -> Result<()> {
    let fresh = place.with_extension(format!("new-{}", std::process::id()));
    let made = fill(torch, &fresh);
    let moved = made.and_then(|()| {
        if place.symlink_metadata().is_ok() {
            remove(place)?;
        }
        // Another set-up may have been quicker; its folder serves as well.
        fs::rename(&fresh, place).or_else(|error| check(place).map(drop).map_err(|_| error))
    });
    let _ = fs::remove_dir_all(&fresh);
    moved.with_context(|| format!("{} cannot be linked to {}", place.display(), torch.display()))
}

fn fill(torch: &Path, folder: &Path) -> std::io::Result<()> {
    fs::create_dir_all(folder.join("lib"))?;
    symlink(torch, folder.join("torch"))?;
    symlink("torch/include", folder.join("include"))?;
    for name in ["libtorch_cpu.so", "libc10.so"] {
        symlink(Path::new("../torch/lib").join(name), folder.join("lib").join(name))?;
    }
    symlink("libtorch_cpu.so", folder.join("lib/libtorch.so"))
}

fn remove(place: &Path) -> std::io::Result<()> {
    if place.is_symlink() { fs::remove_file(place) } else { fs::remove_dir_all(place) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder like a wheel's `torch`, of the given version.
    fn torch(name: &str, minor: u32) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("tandem-xtask-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("lib")).unwrap();
        fs::create_dir_all(folder.join("include/torch/headeronly")).unwrap();
        for library in ["libtorch_cpu.so", "libc10.so", "libtorch_cuda.so"] {
            fs::write(folder.join("lib").join(library), "").unwrap();
        }
        let text = format!(
            "#define TORCH_VERSION_MAJOR 2\n\n#define TORCH_VERSION_MINOR {minor}\n#define TORCH_VERSION_PATCH 0\n\
             #define TORCH_VERSION_ABI_TAG 0\n"
        );
        fs::write(folder.join("include/torch/headeronly/version.h"), text).unwrap();
        folder
    }

    #[test]
    fn a_linked_libtorch_is_whole_and_hides_cuda() {
        let torch = torch("link", 11);
        let place = torch.join("checkout/.libtorch");
        link(&torch, &place).unwrap();
        link(&torch, &place).unwrap(); // over an older one
        assert_eq!(check(&place).unwrap(), "2.11.0");
        assert_eq!(real(&place).unwrap(), torch.canonicalize().unwrap().join("lib"));
        let mut names: Vec<_> = fs::read_dir(place.join("lib")).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["libc10.so", "libtorch.so", "libtorch_cpu.so"]);
        assert!(place.join("lib/libtorch.so").exists());
        assert_eq!(fs::read_dir(place.parent().unwrap()).unwrap().count(), 1, "nothing is left beside it");
        fs::remove_dir_all(torch).unwrap();
    }

    #[test]
    fn another_version_and_a_missing_library_are_named() {
        let torch = torch("version", 9);
        let message = format!("{:#}", check(&torch).unwrap_err());
        assert!(message.ends_with("is libtorch 2.9.0, expected 2.11"), "{message}");
        fs::remove_file(torch.join("lib/libtorch_cpu.so")).unwrap();
        let message = format!("{:#}", check(&torch).unwrap_err());
        assert!(message.ends_with("lib/libtorch_cpu.so is missing"), "{message}");
        fs::remove_dir_all(torch).unwrap();
    }
}
