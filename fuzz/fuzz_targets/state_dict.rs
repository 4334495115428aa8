//! A state_dict from anywhere, as `tandem import` takes it: read, and checked against the networks of a sound run
//! (`fuzz/corpus/run`, which `fuzz/run.sh` trains). Whatever comes must end in tensors that fit or in an error.
#![no_main]

use std::{cell::RefCell, fs, path::Path};

use libfuzzer_sys::fuzz_target;
use tandem::{
    export::Target,
    session::{read_definition, state_dict},
};
use tandem_plugin_api::Gan;
use tempfile::TempDir;

const DEFINITION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/corpus/run/definition.json");

thread_local! {
    static FOLDER: RefCell<TempDir> = RefCell::new(TempDir::new_in("/dev/shm").expect("a folder in memory"));
    static GAN: RefCell<Gan> = RefCell::new(read_definition(Path::new(DEFINITION)).expect("fuzz/run.sh trains the run"));
}

fuzz_target!(|file: &[u8]| {
    FOLDER.with_borrow(|folder| {
        let path = folder.path().join("weights.safetensors");
        fs::write(&path, file).expect("memory");
        GAN.with_borrow(|gan| {
            for target in [Target::Generator, Target::Discriminator] {
                if let Ok(arrays) = state_dict(&path, target, target.of(gan)) {
                    assert!(arrays.iter().all(|array| array.not_finite() == (0, 0)));
                }
            }
        });
    });
});
