//! Compiles `cpp/` against libtorch's headers and links what `torch-sys` links.
//!
//! `LIBTORCH` says where libtorch is (`.cargo/config.toml` sets it to the checkout's `.libtorch`). Nothing is
//! fetched here.

use std::path::{Path, PathBuf};
use std::{env, fs};

fn main() -> Result<(), String> {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-changed=cuda");
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

    cuda_add_on(&libtorch, &lib)?;

    println!("cargo:rustc-link-search=native={}", libtorch.join("lib").display());
    println!("cargo:rustc-link-lib=torch_cpu");
    println!("cargo:rustc-link-lib=c10");
    println!("cargo:rustc-link-lib=gomp");
    // For this crate's own tests; other binaries set theirs.
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    Ok(())
}

/// Compiles `cuda/` into a shared object that the crate carries in itself; an empty file where CUDA's headers are not to
/// be had. It leaves symbols of libtorch's CUDA half open, which is loaded before it.
fn cuda_add_on(libtorch: &Path, lib: &Path) -> Result<(), String> {
    let out = PathBuf::from(env::var_os("OUT_DIR").ok_or("cargo sets OUT_DIR")?).join("cuda_add_on.so");
    // Where NVIDIA's wheels put them, beside PyTorch's, and where the toolkit does.
    let beside = lib.ancestors().nth(2).map(|packages| packages.join("nvidia/cu13/include"));
    let toolkit = env::var_os("CUDA_HOME").map(|home| PathBuf::from(home).join("include"));
    println!("cargo:rerun-if-env-changed=CUDA_HOME");
    let places = [beside, toolkit, Some(PathBuf::from("/usr/local/cuda/include"))];
    let complete =
        |place: &PathBuf| place.join("cuda_runtime_api.h").exists() && place.join("crt/host_defines.h").exists();
    // A libtorch for the CPU alone has no such file.
    let for_cuda = libtorch.join("include/ATen/cuda/CUDAGraph.h").exists();
    let Some(headers) = places.into_iter().flatten().find(complete).filter(|_| for_cuda) else {
        return fs::write(&out, []).map_err(|error| format!("cannot write {}: {error}", out.display()));
    };
    println!("cargo:rerun-if-changed={}", headers.join("crt").display());
    let mut build = cc::Build::new();
    build.cpp(true).std("c++17").pic(true).define("NDEBUG", None).define("_GLIBCXX_USE_CXX11_ABI", "1");
    for folder in [libtorch.join("include"), libtorch.join("include/torch/csrc/api/include"), headers] {
        build.flag("-isystem").flag(folder);
    }
    let mut command = build.get_compiler().to_command();
    command.args(["-shared", "-fvisibility=hidden", "cuda/add_on.cpp", "-o"]).arg(&out);
    let status = command.status().map_err(|error| format!("cannot start the C++ compiler: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("cannot compile cuda/add_on.cpp: {status}")) }
}

/// Where `libtorch_cpu.so` really is: the directory that its own `$ORIGIN` means at run time.
fn real_lib_dir(lib: &Path) -> Result<PathBuf, String> {
    let file = lib.join("libtorch_cpu.so");
    let real = file.canonicalize().map_err(|error| {
        format!("cannot find {}: {error}; run `cargo xtask setup`, or set LIBTORCH", file.display())
    })?;
    Ok(real.parent().unwrap_or(lib).to_owned())
}
