//! Settings of the process: CUDA opened at run time, deterministic algorithms, and memory.
//!
//! Whether CUDA then works is `tch::Cuda::is_available`; threads are `tch::set_num_threads`.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use crate::TorchError;
use crate::ffi::{self, Buffer};

/// The CUDA half of libtorch, in the order in which it is opened.
const LIBRARIES: [&str; 2] = ["libc10_cuda.so", "libtorch_cuda.so"];

/// Opens libtorch's CUDA libraries, so that a program linked against the CPU half alone can use CUDA.
///
/// `torch_lib_dir` is the `lib` directory of the libtorch that this process runs, and no other. Call it before
/// any other use of libtorch, which decides once whether there is CUDA. Without a driver this succeeds and
/// `tch::Cuda::is_available()` stays false.
pub fn open_cuda(torch_lib_dir: &Path) -> Result<(), TorchError> {
    let libraries = LIBRARIES.map(|name| torch_lib_dir.join(name));
    if let Some(missing) = libraries.iter().find(|library| !library.exists()) {
        return Err(TorchError::NoCudaLibrary(missing.clone()));
    }
    let (asked, loaded) = (real_dir_of(&libraries[1])?, loaded_dir()?);
    if asked != loaded {
        return Err(TorchError::OtherLibtorch { asked, loaded });
    }
    for library in &libraries {
        ffi::tandem_ext_open_library(library.as_os_str().as_bytes().into()).check("open_cuda")?;
    }
    let mut registered = false;
    ffi::tandem_ext_has_cuda_hooks(&mut registered).check("open_cuda")?;
    if registered { crate::cuda_graph::open_add_on() } else { Err(TorchError::CudaTooLate) }
}

/// Makes libtorch choose deterministic algorithms, and refuse an operation that has none.
pub fn use_deterministic(on: bool) -> Result<(), TorchError> {
    ffi::tandem_ext_use_deterministic(on).check("use_deterministic")
}

/// Makes the C library keep what is freed for the next allocation, for a process that allocates the same again each step.
///
/// Memory then goes back to the system when the process ends, or by [`return_freed_memory`]. Without glibc nothing changes.
pub fn keep_freed_memory() -> Result<(), TorchError> {
    ffi::tandem_ext_keep_freed_memory().check("keep_freed_memory")
}

/// Gives what is free back to the system, once: after work whose blocks are unlike a step's. Kept and cut up they would fit less
/// each time, and the process grow. Without glibc nothing happens.
pub fn return_freed_memory() {
    ffi::tandem_ext_return_freed_memory();
}

/// Has C++'s own end for want of memory, an exception that nobody can catch, told in these words on standard error with exit
/// code 1.
pub fn tell_bad_alloc(text: &str) {
    // Where it cannot be set, such an end is an abort as before.
    let _ = ffi::tandem_ext_tell_bad_alloc(text.as_bytes().into()).check("tell_bad_alloc");
}

/// The real directory of the libtorch that this process runs.
fn loaded_dir() -> Result<PathBuf, TorchError> {
    let mut path = Buffer::empty();
    ffi::tandem_ext_library_path(&mut path).check("open_cuda")?;
    real_dir_of(Path::new(&OsString::from_vec(path.to_bytes())))
}

/// The directory of `file` once links are followed.
fn real_dir_of(file: &Path) -> Result<PathBuf, TorchError> {
    let real = file.canonicalize().map_err(|error| TorchError::Op {
        op: "open_cuda",
        message: format!("cannot resolve {}: {error}", file.display()),
    })?;
    Ok(real.parent().unwrap_or(&real).to_owned())
}
