//! A file from anywhere as a plugin: its ELF structure and its manifest are read, and nothing of it is run.
#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(file) = tandem::plugin::inspect_bytes(bytes.to_vec(), Path::new("fuzzed.so")) {
        assert!(!file.manifest.name.is_empty() && file.manifest.opset > 0);
    }
});
