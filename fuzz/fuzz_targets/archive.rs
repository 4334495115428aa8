//! A tar file from anywhere, compressed as a packed plugin is: it is read whole and checked, and nothing of it is run.
#![no_main]

use std::{cell::RefCell, fs, io::Write as _};

use flate2::{Compression, write::GzEncoder};
use libfuzzer_sys::fuzz_target;
use tandem::share::Archive;
use tempfile::TempDir;

thread_local! {
    static FOLDER: RefCell<TempDir> = RefCell::new(TempDir::new_in("/dev/shm").expect("a folder in memory"));
}

fuzz_target!(|tar: &[u8]| {
    FOLDER.with_borrow(|folder| {
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(tar).expect("memory");
        let path = folder.path().join("fuzzed.tar.gz");
        fs::write(&path, gzip.finish().expect("memory")).expect("memory");
        if let Ok(archive) = Archive::read(&path) {
            assert!(archive.targets().all(|target| archive.library(target).is_some()));
        }
    });
});
