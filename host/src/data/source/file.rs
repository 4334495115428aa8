//! Whole files of a data set: batches, and lists as people's editors leave them.

use std::{io::Read as _, path::Path};

use crate::{data::DataError, files};

/// More than any of them has: the longest, CIFAR-100's, has 186 MB.
const MOST_BYTES: u64 = 1 << 30;

/// A file's bytes. What is no regular file (a pipe, a device) is not waited for.
pub(super) fn bytes(path: &Path) -> Result<Vec<u8>, DataError> {
    files::read(path, MOST_BYTES).map_err(|source| DataError::Read { path: path.to_owned(), source })
}

/// A file's first bytes, if it has as many.
pub(super) fn start<const N: usize>(path: &Path) -> Option<[u8; N]> {
    let mut start = [0; N];
    files::open(path).ok()?.read_exact(&mut start).ok()?;
    Some(start)
}

/// A list's text.
pub(super) fn text(path: &Path) -> Result<String, DataError> {
    let wrong = |what| DataError::Malformed { path: path.to_owned(), what };
    text_of(&bytes(path)?).map_err(wrong)
}

/// Text without the byte order mark that some editors write before it, which is no part of its first word. Those of Windows
/// may also write two bytes for each character, which the mark tells.
pub(super) fn text_of(bytes: &[u8]) -> Result<String, String> {
    let wide = |rest: &[u8], unit: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = rest.chunks_exact(2).map(|b| unit([b[0], b[1]])).collect();
        String::from_utf16(&units).map_err(|_| "it is no text in UTF-16, as its first bytes say".to_owned())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => wide(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => wide(rest, u16::from_be_bytes),
        [0xef, 0xbb, 0xbf, rest @ ..] | rest => {
            let text = std::str::from_utf8(rest);
            text.map(str::to_owned).map_err(|e| format!("it is no text in UTF-8: byte {} is none", e.valid_up_to()))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_before_a_text_is_no_part_of_it() {
        let plain = "3\r\nMale Größe\n";
        let wide = |unit: fn(u16) -> [u8; 2]| plain.encode_utf16().flat_map(unit).collect::<Vec<u8>>();
        assert_eq!(text_of(plain.as_bytes()).as_deref(), Ok(plain));
        assert_eq!(text_of(&[b"\xef\xbb\xbf", plain.as_bytes()].concat()).as_deref(), Ok(plain));
        assert_eq!(text_of(&[&b"\xff\xfe"[..], &wide(u16::to_le_bytes)].concat()).as_deref(), Ok(plain));
        assert_eq!(text_of(&[&b"\xfe\xff"[..], &wide(u16::to_be_bytes)].concat()).as_deref(), Ok(plain));
        assert_eq!(text_of(b"ab\xff"), Err("it is no text in UTF-8: byte 2 is none".into()));
        assert_eq!(text_of(b"\xef\xbb\xbf"), Ok(String::new()));
    }

    #[test]
    fn what_is_no_file_is_refused_and_not_waited_for() {
        let folder = tempfile::tempdir().unwrap();
        let pipe = folder.path().join("list.txt");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        let message = text(&pipe).unwrap_err().to_string();
        assert!(message.ends_with("it is a pipe; expected a file"), "{message}");
        assert!(text(folder.path()).is_err());
    }
}
