//! Compiles `cpp/` against libtorch's headers and links what `torch-sys` links.
//!
//! `LIBTORCH` says where libtorch is (`.cargo/config.toml` sets it to the checkout's `.libtorch`). Nothing is
//! fetched here.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), String> {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=cpp");
    let Some(libtorch) = env::var_os("LIBTORCH").map(PathBuf::from) else {
        return Err("LIBTORCH is not set; run `cargo xtask setup` and build inside the checkout".to_owned());
    };
    let lib = real_lib_dir(&libtorch.join("lib"))?;

    let mut sources: Vec<PathBuf> = fs::read_dir("cpp")
        .map_err(|error| format!("cannot list cpp/: {error}"))?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"))
        .collect();
    sources.sort();

    cc::Build::new()
        .cpp(true)
        .std("c++17")
        .pic(true)
        // As system headers, so that only our own files warn.
        .flag("-isystem")
        .flag(libtorch.join("include"))
        .flag("-isystem")
        .flag(libtorch.join("include/torch/csrc/api/include"))
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .define("AT_PER_OPERATOR_HEADERS", None)
        // As libtorch was built: some of its classes have more members without it.
        .define("NDEBUG", None)
        // libtorch's threads are OpenMP's.
        .flag("-fopenmp")
        .files(sources)
        .try_compile("tandem_torch_ext")
        .map_err(|error| format!("cannot compile cpp/: {error}"))?;

    println!("cargo:rustc-link-search=native={}", libtorch.join("lib").display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    println!("cargo:rustc-link-lib=gomp");
    // For this crate's own tests; other binaries set theirs.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    Ok(())
}

/// Where `libtorch_cpu.so` really is: the directory that its own `$ORIGIN` means at run time.
fn real_lib_dir(lib: &Path) -> Result<PathBuf, String> {
    let file = lib.join("libtorch_cpu.so");
    let real = file.canonicalize().map_err(|error| {
        format!("cannot find {}: {error}; run `cargo xtask setup`, or set LIBTORCH", file.display())
    })?;
    Ok(real.parent().unwrap_or(lib).to_owned())
}
