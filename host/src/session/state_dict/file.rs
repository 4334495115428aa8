//! What a file is that should be safetensors: others are told what they are before they are read.

use std::{io::Read as _, path::Path};

use crate::{export::ExportError, files, run::RunError};

/// The most bytes of a header that safetensors allows.
const LONGEST_HEADER: u64 = 100_000_000;

/// Refuses what is no file, and what other formats begin with.
pub(super) fn check(path: &Path) -> Result<(), ExportError> {
    let foreign = |what: &str| ExportError::NoStateDict { path: path.to_owned(), what: what.to_owned() };
    // Asked before it is opened: a pipe would wait for who writes into it, and a device has no end.
    let metadata = std::fs::metadata(path).map_err(RunError::io("read", path))?;
    if metadata.is_dir() {
        return Err(foreign("a folder"));
    }
    if !metadata.is_file() {
        return Err(foreign("a pipe or a device"));
    }
    if metadata.len() == 0 {
        return Err(foreign("empty"));
    }
    let mut first = Vec::new();
    let read = files::open(path).and_then(|file| file.take(9).read_to_end(&mut first));
    read.map_err(RunError::io("read", path))?;
    if is_safetensors(&first) {
        return Ok(());
    }
    match first[..] {
        // A zip archive; before PyTorch 1.6, and of `pickle`, a pickle.
        [b'P', b'K', 3, 4, ..] if is_archive_of_torch(path) => Err(ExportError::Pickled { path: path.to_owned() }),
        [0x80, 2..=5, ..] => Err(ExportError::Pickled { path: path.to_owned() }),
        [b'P', b'K', 3, 4, ..] => Err(foreign("a zip archive")),
        [0x89, b'H', b'D', b'F', ..] => Err(foreign("an HDF5 file")),
        // What is left is told by the reader, with the byte.
        _ => Ok(()),
    }
}

/// The length of a header, which no file holds that does not begin with it, and the header's first byte.
fn is_safetensors(first: &[u8]) -> bool {
    match first.split_first_chunk() {
        Some((length, [b'{'])) => u64::from_le_bytes(*length) <= LONGEST_HEADER,
        _ => false,
    }
}

/// Whether a zip archive is one of `torch.save`, which has a pickle in a folder; one that is broken may be.
fn is_archive_of_torch(path: &Path) -> bool {
    let Ok(archive) = files::open(path).map_err(|_| ()).and_then(|file| zip::ZipArchive::new(file).map_err(|_| ()))
    else {
        return true;
    };
    archive.file_names().flatten().any(|name| name == "data.pkl" || name.ends_with("/data.pkl"))
}
