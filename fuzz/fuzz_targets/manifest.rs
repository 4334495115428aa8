//! A text from anywhere as a plugin's manifest.
#![no_main]

use libfuzzer_sys::fuzz_target;
use tandem::plugin::read_manifest;

fuzz_target!(|text: &[u8]| {
    if let Ok(manifest) = read_manifest(text) {
        assert!(!manifest.name.is_empty() && manifest.opset > 0);
        // What is shown of it on a terminal.
        assert!(!manifest.name.chars().chain(manifest.summary.chars()).any(char::is_control));
        assert!(manifest.about.said().all(|(_, text)| !text.chars().any(char::is_control)));
    }
});
