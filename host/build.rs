//! Tells the binary where libtorch is: an rpath to the directory of the real `libtorch_cpu.so`.

use std::{
    env,
    path::{Path, PathBuf},
};

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let library = env::var_os("LIBTORCH").map(|root| PathBuf::from(root).join("lib/libtorch_cpu.so"));
    // Without libtorch torch-sys has failed already, with its own message.
    let real = library.and_then(|l| l.canonicalize().ok());
    if let Some(directory) = real.as_deref().and_then(Path::parent) {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{}", directory.display());
    }
}
