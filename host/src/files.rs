//! Files that somebody else chose: only regular ones are opened, and they are read to a bound, so that a pipe or a device is
//! never waited on and nothing endless fills the memory.

use std::{
    fs::{self, File, Metadata, OpenOptions},
    io::{self, Read as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::Path,
};

use crate::text::Show as _;

/// The most bytes of a file that a person writes: configs, plans, lists of keys.
pub const MOST_TEXT: u64 = 16 << 20;
/// The most bytes of a file of arrays: what memory might hold.
pub const MOST_ARRAYS: u64 = 64 << 30;

/// Opens a regular file, or what a link to one names, to read.
///
/// # Errors
/// There is none, it cannot be read, or it is something else: a folder, a pipe, a socket or a device.
pub fn open(path: &Path) -> io::Result<File> {
    Ok(open_known(path)?.0)
}

/// As [`open`], with what the system says of the file that was opened.
///
/// # Errors
/// As [`open`].
pub fn open_known(path: &Path) -> io::Result<(File, Metadata)> {
    // Asked before opening, which does things to some devices, and again of what was opened: it may be another by then.
    facts(path)?;
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open(path)?;
    let facts = checked(file.metadata()?)?;
    Ok((file, facts))
}

/// What the system says of a regular file, or of what a link to one names; it is not opened.
///
/// # Errors
/// There is none, or it is something else.
pub fn facts(path: &Path) -> io::Result<Metadata> {
    checked(fs::metadata(path).map_err(|error| explained(path, error))?)
}

/// The system says of a link that leads nowhere that it is not there itself.
pub fn explained(path: &Path, error: io::Error) -> io::Error {
    match fs::read_link(path) {
        Ok(target) if error.kind() == io::ErrorKind::NotFound => {
            io::Error::new(error.kind(), format!("it is a link to {}, which is not there", target.shown()))
        }
        _ => error,
    }
}

/// The bytes of a regular file of at most `most`.
///
/// # Errors
/// As [`open`], and where it is longer.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let (file, facts) = open_known(path)?;
    let told = facts.len();
    if told > most {
        return Err(too_long(told, most));
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(told as usize)?;
    // What its length says is not what it gives: it may grow meanwhile, or be one of the system's.
    bounded(file, bytes, most)
}

/// Reads to the end into `bytes`, which is empty, and no further than `most` and one.
fn bounded(file: File, mut bytes: Vec<u8>, most: u64) -> io::Result<Vec<u8>> {
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most { Err(too_long(bytes.len() as u64, most)) } else { Ok(bytes) }
}

/// The text of a regular file of at most `most` bytes.
///
/// # Errors
/// As [`read`], and where it is not UTF-8.
pub fn read_text(path: &Path, most: u64) -> io::Result<String> {
    text(read(path, most)?)
}

/// The text of a file that the user names on the command line, of at most `most` bytes. It may be a pipe that the user
/// fills: `/dev/stdin`, a shell's `<(...)`.
///
/// # Errors
/// As [`read_text`]; a pipe is no error.
pub fn read_given_text(path: &Path, most: u64) -> io::Result<String> {
    if !fs::metadata(path).is_ok_and(|facts| facts.file_type().is_fifo()) {
        return read_text(path, most);
    }
    text(bounded(File::open(path)?, Vec::new(), most)?)
}

fn text(bytes: Vec<u8>) -> io::Result<String> {
    String::from_utf8(bytes).map_err(|e| {
        let at = e.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("not UTF-8 text: byte {at} begins no character"))
    })
}

fn checked(facts: Metadata) -> io::Result<Metadata> {
    let kind = facts.file_type();
    if kind.is_file() {
        return Ok(facts);
    }
    if kind.is_dir() {
        return Err(io::Error::from_raw_os_error(libc::EISDIR));
    }
    let found = if kind.is_fifo() {
        "a pipe"
    } else if kind.is_socket() {
        "a socket"
    } else {
        "a device"
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {found}; expected a file")))
}

fn too_long(found: u64, most: u64) -> io::Error {
    let what = format!("it is longer than the {most} bytes that are read ({found} or more)");
    io::Error::new(io::ErrorKind::FileTooLarge, what)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn what_is_no_file_is_named_and_not_waited_on() {
        let here = tempfile::tempdir().unwrap();
        let pipe = here.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let link = here.path().join("link");
        std::os::unix::fs::symlink(&pipe, &link).unwrap();
        let socket = here.path().join("socket");
        let _listener = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let begun = Instant::now();
        let refused = |path: &Path| read(path, 10).unwrap_err().to_string();
        assert_eq!(refused(&pipe), "it is a pipe; expected a file");
        assert_eq!(refused(&link), "it is a pipe; expected a file");
        assert_eq!(refused(&socket), "it is a socket; expected a file");
        assert_eq!(refused(Path::new("/dev/zero")), "it is a device; expected a file");
        assert!(refused(here.path()).contains("Is a directory"));
        assert!(begun.elapsed() < Duration::from_secs(5));
    }

    #[test]
    fn a_pipe_that_the_user_fills_is_read_to_the_same_bound() {
        let here = tempfile::tempdir().unwrap();
        let pipe = here.path().join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let given = |content: &'static str, most| {
            let writer = std::thread::spawn({
                let pipe = pipe.clone();
                move || fs::write(pipe, content).unwrap()
            });
            let read = read_given_text(&pipe, most).map_err(|e| e.to_string());
            writer.join().unwrap();
            read
        };
        assert_eq!(given("0123456789", 10).unwrap(), "0123456789");
        assert!(given("0123456789", 9).unwrap_err().contains("longer than the 9 bytes"));
        fs::write(here.path().join("file"), "ab").unwrap();
        assert_eq!(read_given_text(&here.path().join("file"), 2).unwrap(), "ab");
        assert_eq!(
            read_given_text(Path::new("/dev/zero"), 9).unwrap_err().to_string(),
            "it is a device; expected a file"
        );
    }

    #[test]
    fn a_file_is_read_to_its_bound_and_no_further() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("a");
        fs::write(&path, "0123456789").unwrap();
        assert_eq!(read_text(&path, 10).unwrap(), "0123456789");
        assert!(read(&path, 9).unwrap_err().to_string().contains("longer than the 9 bytes"));
        // Of no size by its own account.
        assert!(read(Path::new("/proc/self/maps"), 9).unwrap_err().to_string().contains("longer than the 9 bytes"));
        // Far more than there is memory; nothing of it is read.
        File::create(&path).unwrap().set_len(1 << 42).unwrap();
        assert!(read(&path, MOST_ARRAYS).is_err());
        fs::write(&path, b"ab\xff").unwrap();
        assert_eq!(read_text(&path, 10).unwrap_err().to_string(), "not UTF-8 text: byte 2 begins no character");
        assert_eq!(read(&here.path().join("b"), 10).unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}
