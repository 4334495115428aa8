//! Compressed files and archives that are not read, told by their first bytes: what they are, and what makes them readable.

/// A way to compress that is not undone here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Compression {
    name: &'static str,
    /// The command that undoes it.
    tool: &'static str,
}

/// How a file that begins so is compressed.
pub(super) fn compression(head: &[u8]) -> Option<Compression> {
    let (name, tool) = match head {
        [0x1f, 0x8b, ..] => ("gzip", "gunzip"),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => ("Zstandard", "unzstd"),
        [b'B', b'Z', b'h', b'1'..=b'9', ..] => ("bzip2", "bunzip2"),
        [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => ("xz", "unxz"),
        [0x04, 0x22, 0x4d, 0x18, ..] => ("LZ4", "unlz4"),
        [0x1f, 0x9d, ..] => ("compress", "uncompress"),
        [b'7', b'z', 0xbc, 0xaf, 0x27, 0x1c, ..] => ("7-Zip", "7z x"),
        [b'R', b'a', b'r', b'!', ..] => ("RAR", "unrar x"),
        _ => return None,
    };
    Some(Compression { name, tool })
}

impl Compression {
    /// Why `what` is not read in this form.
    pub(super) fn refusal(self, what: &str) -> String {
        let Self { name, tool } = self;
        format!(
            "{what} compressed by {name} is not read, as images are read in any order; unpack it (`{tool}`) and name what comes out"
        )
    }
}
