//! What a data set names is opened only where it is a file: a named pipe would be waited on for ever, and a device may do anything.

use std::{
    fs::{self, File, FileType, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::text::Show as _;

/// An image file, or a list of labels, beyond this is none.
pub(super) const MOST_BYTES: u64 = 1 << 30;

/// Opens a regular file, or what a link leads to; otherwise what it is instead.
pub(in crate::data) fn open(path: &Path) -> io::Result<(File, Metadata)> {
    facts(path)?;
    // It may have been replaced since: with this flag, opening a pipe does not wait for a writer.
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let facts = checked(file.metadata()?)?;
    Ok((file, facts))
}

/// What the system says of a regular file, which is not opened.
pub(super) fn facts(path: &Path) -> io::Result<Metadata> {
    checked(fs::metadata(path).map_err(|error| explained(path, error))?)
}

/// Puts a whole file into `buffer`, whatever that held.
pub(super) fn read(path: &Path, buffer: &mut Vec<u8>) -> io::Result<()> {
    let (file, facts) = open(path)?;
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

fn checked(facts: Metadata) -> io::Result<Metadata> {
    if facts.is_file() {
        return Ok(facts);
    }
    Err(io::Error::other(format!("it is {}, not a regular file", called(facts.file_type()))))
}

fn called(kind: FileType) -> &'static str {
    match () {
        () if kind.is_dir() => "a folder",
        () if kind.is_fifo() => "a named pipe",
        () if kind.is_socket() => "a socket",
        () => "a device",
    }
}

/// The system says of a link that leads nowhere that it is not there itself.
pub(super) fn explained(path: &Path, error: io::Error) -> io::Error {
    match fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("it is a link to {}, which is not there", target.shown()))
        }
        _ => error,
    }
}
