//! The manifest: what a plugin says of itself in an ELF note, readable without running a byte of it.
//!
//! The note's owner is `TANDEM`, its type 1, its text JSON: `{"name", "summary", "version", "api", "opset"}`, and since API
//! 1.1 also `target`, `rustc`, `description`, `licence`, `authors` and `home_page`, where the crate says them. `readelf -n`
//! shows it; it survives stripping and link-time optimisation.

/// The section that holds the note.
pub const SECTION: &str = ".note.tandem";

/// The note's owner, with its final NUL, padded to the note's alignment of four.
pub const OWNER: [u8; 8] = *b"TANDEM\0\0";

/// The note's type.
pub const NOTE_TYPE: u32 = 1;

/// This crate's version: the version of the ABI and of what authors write against.
pub const API_VERSION: &str = env!("CARGO_PKG_VERSION");

/// The opset as the text that goes into the manifest; a test holds it to [`crate::opset::OPSET`].
pub const OPSET_TEXT: &str = "1";

/// The target triple for which this crate, and so the plugin, is built.
pub const TARGET: &str = env!("TANDEM_PLUGIN_TARGET");

/// The compiler's version.
pub const RUSTC: &str = env!("TANDEM_PLUGIN_RUSTC");

/// The most bytes of a manifest.
pub const MOST: usize = 4096;

/// An ELF note of `N` bytes of text.
#[derive(Debug)]
#[repr(C, align(4))]
pub struct Note<const N: usize> {
    name_size: u32,
    text_size: u32,
    kind: u32,
    owner: [u8; 8],
    text: [u8; N],
}

impl<const N: usize> Note<N> {
    /// Joins `parts` and pads them with spaces, which JSON does not mind. Every second part is a text between JSON's quotes
    /// and is escaped.
    pub const fn new(parts: &[&str]) -> Self {
        let mut text = [b' '; N];
        let (mut part, mut at) = (0, 0);
        while part < parts.len() {
            let bytes = parts[part].as_bytes();
            let mut i = 0;
            while i < bytes.len() {
                if is_escaped(part, bytes[i]) {
                    text[at] = b'\\';
                    at += 1;
                }
                // Control characters have no place in a line about a crate; a space is one byte, too.
                text[at] = if bytes[i] < b' ' { b' ' } else { bytes[i] };
                at += 1;
                i += 1;
            }
            part += 1;
        }
        // "TANDEM" and one NUL count; the eighth byte is padding.
        Self { name_size: 7, text_size: N as u32, kind: NOTE_TYPE, owner: OWNER, text }
    }
}

const fn is_escaped(part: usize, byte: u8) -> bool {
    part % 2 == 1 && (byte == b'"' || byte == b'\\')
}

/// The joint length of `parts`, escaped, rounded up to the note's alignment.
pub const fn padded_len(parts: &[&str]) -> usize {
    let (mut part, mut length) = (0, 0_usize);
    while part < parts.len() {
        let bytes = parts[part].as_bytes();
        let mut i = 0;
        while i < bytes.len() {
            length += if is_escaped(part, bytes[i]) { 2 } else { 1 };
            i += 1;
        }
        part += 1;
    }
    let padded = length.div_ceil(4) * 4;
    assert!(padded <= MOST, "the manifest has more than 4096 bytes: shorten the crate's description or authors");
    padded
}

/// The first text that is not empty.
pub const fn first_of<'a>(one: &'a str, other: &'a str) -> &'a str {
    if one.is_empty() { other } else { one }
}

/// Whether a text is fit for a name or a summary; the export macro refuses others at compile time.
pub const fn is_plain(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if bytes[i] < b' ' || bytes[i] == b'"' || bytes[i] == b'\\' {
            return false;
        }
        i += 1;
    }
    true
}

/// The most characters of a plugin's name.
pub const MOST_NAME: usize = 64;

/// Whether a plugin can be asked for by this name in a configuration and on the command line: letters, digits, `_`, `-` and
/// `.`, but nothing that would be an option (`-x`), a hidden file (`.x`), a folder (`..`) or a file (`x.so`, `x.gz`, `x.tgz`). The
/// export macro refuses others at compile time, hosts refuse a plugin that has one.
pub const fn is_name(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut i = 0;
    while i < bytes.len() {
        if !(bytes[i].is_ascii_alphanumeric() || matches!(bytes[i], b'_' | b'-' | b'.')) {
            return false;
        }
        i += 1;
    }
    if bytes.is_empty() || bytes.len() > MOST_NAME || matches!(bytes[0], b'-' | b'.') || bytes[bytes.len() - 1] == b'.'
    {
        return false;
    }
    !(ends_with(bytes, b".so") || ends_with(bytes, b".gz") || ends_with(bytes, b".tgz"))
}

/// In letters of either size, as some file systems see them.
const fn ends_with(bytes: &[u8], end: &[u8]) -> bool {
    if bytes.len() < end.len() {
        return false;
    }
    let (start, mut i) = (bytes.len() - end.len(), 0);
    while i < end.len() {
        if !bytes[start + i].eq_ignore_ascii_case(&end[i]) {
            return false;
        }
        i += 1;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_opset_in_the_manifest_is_the_opset() {
        assert_eq!(OPSET_TEXT, crate::opset::OPSET.to_string());
    }

    #[test]
    fn a_note_is_its_parts_padded_to_four() {
        const PARTS: &[&str] = &["{\"name\":\"", "x", "\"}"];
        const QUOTED: &[&str] = &["{\"authors\":\"", "A \"B\" \\C\n", "\"}"];
        let note = Note::<{ padded_len(PARTS) }>::new(PARTS);
        assert_eq!(&note.text, b"{\"name\":\"x\"}");
        let note = Note::<{ padded_len(QUOTED) }>::new(QUOTED);
        assert_eq!(note.text.trim_ascii_end(), br#"{"authors":"A \"B\" \\C "}"#);
        assert_eq!(std::mem::size_of_val(&note) % 4, 0);
        assert!(is_plain("a plugin") && !is_plain("a \"plugin\"") && !is_plain("a\\b") && !is_plain("a\nb"));
    }

    #[test]
    fn a_name_is_no_option_no_path_and_no_file() {
        for name in ["a", "3d", "_x", "wgan-gp_2.1", "x.so.2", "so", "gz", "a..b", "x-", &"x".repeat(64)] {
            assert!(is_name(name), "{name}");
        }
        for name in
            ["", "-help", "-", ".", "..", "...", ".x", "x.", "x.so", "X.SO", "x.tar.gz", "x.tgz", "a/b", "a b", "ä"]
        {
            assert!(!is_name(name), "{name}");
        }
        assert!(!is_name(&"x".repeat(65)) && !is_name("x\n") && !is_name("x\\y"));
    }
}
