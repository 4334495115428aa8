//! How much of an image file, or of a list of labels, is read at all.

use std::{
    io::{self, Read as _},
    path::Path,
};

use crate::files;

/// An image file, or a list of labels, beyond this is none.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// Puts a whole file into `buffer`, whatever that held.
pub(super) fn read(path: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
    let (file, facts) = files::open_known(path)?;
    buffer.clear();
    // One more than is allowed shows a file that is longer than it said.
    file.take(MOST_BYTES + 1).read_to_end(buffer)?;
    check_length(facts.len().max(buffer.len() as u64)).map_err(io::Error::other)
}

/// Refuses what would fill the memory.
pub(super) fn check_length(bytes: u64) -> Result<(), String> {
    if bytes > MOST_BYTES {
        return Err(format!("its size, {bytes} bytes, is absurd: at most {MOST_BYTES} are read"));
    }
    Ok(())
}
