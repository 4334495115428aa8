//! Gives every program of this package an rpath to libtorch, and says what to do where there is none.
//!
//! torch-sys finds and links libtorch by itself; but an rpath from its build script reaches no other package. Cargo runs
//! this script first of the two, so that "run `cargo xtask setup`" is read before the C++ compiler's complaints.

use std::env;
use std::path::PathBuf;

fn main() {
    println!("cargo::rerun-if-env-changed=LIBTORCH");
    let folder = PathBuf::from(env::var_os("LIBTORCH").unwrap_or_default());
    let lib = folder.join("lib");
    println!("cargo::rerun-if-changed={}", lib.display());
    // `.libtorch/lib` holds links: the real folder is the one beside which NVIDIA's libraries are found.
    let library = lib.join("libtorch_cpu.so");
    match library.canonicalize() {
        Ok(real) => {
            let real = real.parent().unwrap_or(&lib);
            println!("cargo::rustc-link-arg=-Wl,-rpath,{}", real.display());
        }
        Err(error) => println!(
            "cargo::error=no libtorch at {} ({error}): run `cargo xtask setup`, which finds or fetches it",
            library.display()
        ),
    }
}
