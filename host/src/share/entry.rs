//! One header of a tar, read so strictly that `tar`, Python and others cannot make anything else of it: what `tandem plugin
//! pack` and plain GNU tar write is taken, and where readers are known to differ the header is refused.

use crate::text::Show as _;

/// The unit of a tar.
pub(super) const BLOCK: usize = 512;

/// What an entry is; a packed plugin has nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Folder,
}

/// What a header says.
#[derive(Debug)]
pub(super) struct Entry {
    /// The path as it is written, a folder's without its final `/`; not yet checked to be a plain one.
    pub(super) path: String,
    pub(super) kind: Kind,
    pub(super) size: u64,
}

/// The fields' places.
const NAME: std::ops::Range<usize> = 0..100;
const SIZE: std::ops::Range<usize> = 124..136;
const SUM: std::ops::Range<usize> = 148..156;
const TYPE: usize = 156;
const LINK: std::ops::Range<usize> = 157..257;
const MAGIC: std::ops::Range<usize> = 257..265;
const PREFIX: std::ops::Range<usize> = 345..500;

/// Numbers that mean nothing here, with their places. A reader that finds one malformed may stop, all the same.
const OTHERS: [(&str, std::ops::Range<usize>); 6] = [
    ("mode", 100..108),
    ("owner", 108..116),
    ("group", 116..124),
    ("time", 136..148),
    ("device", 329..337),
    ("device", 337..345),
];

/// The entry that a header is of, or what is wrong with it as the end of a sentence about the archive.
pub(super) fn read(header: &[u8; BLOCK]) -> Result<Entry, String> {
    if octal(&header[SUM]) != Some(sum(header)) {
        return Err("holds a header of tar whose checksum is wrong or no plain number; get it again".into());
    }
    let prefix = match &header[MAGIC] {
        b"ustar\x0000" => &header[PREFIX],
        b"ustar  \0" if header[PREFIX].iter().all(|&b| b == 0) => &[][..],
        _ => return Err("holds a header that is neither POSIX's nor GNU's plain one; make it with `tar czf`".into()),
    };
    let path = path(&header[NAME], prefix)?;
    let shown = path.shown();
    let kind = match header[TYPE] {
        // The old mark of a file, which `pack` once wrote; of a path that ends with `/` it would make a folder to some.
        b'0' | 0 => Kind::File,
        b'5' => Kind::Folder,
        b'L' | b'K' | b'x' | b'g' => {
            return Err(format!(
                "holds `{shown}`, an extension of tar; `tandem plugin pack` makes archives without any"
            ));
        }
        _ => return Err(format!("holds `{shown}`, which is no regular file; a packed plugin has no links")),
    };
    if header[LINK].iter().chain(&header[PREFIX.end..]).any(|&b| b != 0) {
        return Err(format!("holds `{shown}` with more in its header than a file or folder has"));
    }
    let malformed = |what: &str| format!("holds `{shown}` with a malformed {what} in its header");
    let size = octal(&header[SIZE]).ok_or_else(|| malformed("size"))?;
    if let Some((what, _)) = OTHERS.iter().find(|(_, place)| !is_number(&header[place.clone()])) {
        return Err(malformed(what));
    }
    if kind == Kind::Folder && size > 0 {
        return Err(format!("holds the folder `{shown}` with {size} bytes of its own; a folder has none"));
    }
    // Every writer ends a folder's path so; one that does not is a file to some readers.
    let path = match (kind, path.strip_suffix('/')) {
        (Kind::Folder, Some(path)) => path.to_owned(),
        (Kind::File, None) => path,
        (Kind::Folder, None) => return Err(format!("holds the folder `{shown}`, whose path does not end with `/`")),
        (Kind::File, Some(_)) => return Err(format!("holds the file `{shown}`, whose path is a folder's")),
    };
    Ok(Entry { path, kind, size })
}

/// The two fields of a path joined as POSIX has it.
fn path(name: &[u8], prefix: &[u8]) -> Result<String, String> {
    let name = text(name).filter(|name| !name.is_empty());
    match (name, text(prefix)) {
        (Some(name), Some("")) => Ok(name.to_owned()),
        (Some(name), Some(prefix)) => Ok(format!("{prefix}/{name}")),
        _ => Err("holds an entry whose path is empty, no UTF-8, or has more behind its end".into()),
    }
}

/// A field up to its first NUL, if nothing but NULs follows.
fn text(field: &[u8]) -> Option<&str> {
    let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
    let (text, rest) = field.split_at(end);
    std::str::from_utf8(text).ok().filter(|_| rest.iter().all(|&b| b == 0))
}

/// Octal digits from the field's start and then its end; some readers take signs, blanks before or other bases, too.
fn octal(field: &[u8]) -> Option<u64> {
    let count = field.iter().take_while(|b| (b'0'..=b'7').contains(*b)).count();
    let (digits, rest) = field.split_at(count);
    let ended = !rest.is_empty() && rest.iter().all(|b| matches!(b, 0 | b' '));
    // At most twelve digits of three bits.
    (count > 0 && ended).then(|| digits.iter().fold(0, |n, digit| n << 3 | u64::from(digit - b'0')))
}

/// A number that every reader can read: octal, not there at all, or as GNU tar writes an owner above two millions.
fn is_number(field: &[u8]) -> bool {
    let large = |rest: &[u8]| rest.len() == 7 && rest[..3] == [0; 3];
    octal(field).is_some() || field.iter().all(|&b| b == 0) || field.strip_prefix(b"\x80").is_some_and(large)
}

/// The sum over a header, with spaces where it stands itself.
fn sum(header: &[u8; BLOCK]) -> u64 {
    let own: u64 = header[SUM].iter().map(|&b| u64::from(b)).sum();
    header.iter().map(|&b| u64::from(b)).sum::<u64>() - own + 8 * u64::from(b' ')
}

#[cfg(test)]
mod tests {
    use tar::{EntryType, Header};

    use super::*;

    fn header(path: &str) -> Header {
        let mut header = Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(3);
        header
    }

    /// What is said of a header after a change of its bytes; its sum is made anew.
    fn said(change: impl Fn(&mut [u8; BLOCK])) -> Result<String, String> {
        let mut header = header("x/a");
        change(header.as_mut_bytes());
        header.set_cksum();
        read(header.as_bytes()).map(|entry| format!("{} {:?} {}", entry.path, entry.kind, entry.size))
    }

    fn put(at: usize, bytes: &'static [u8]) -> impl Fn(&mut [u8; BLOCK]) {
        move |header| header[at..at + bytes.len()].copy_from_slice(bytes)
    }

    #[test]
    fn what_pack_and_gnu_tar_write_is_taken() {
        assert_eq!(said(|_| {}), Ok("x/a File 3".into()));
        let gnu = |header: &mut [u8; BLOCK]| {
            put(257, b"ustar  \0user")(header);
            put(100, b"0000644\x000001750\x00\x80\0\0\0\x00\x2d\xc6\xc0")(header);
        };
        assert_eq!(said(gnu), Ok("x/a File 3".into()));
        let folder = |header: &mut [u8; BLOCK]| {
            put(0, b"x/a/")(header);
            put(124, b"00000000000\0")(header);
            put(156, b"5")(header);
        };
        assert_eq!(said(folder), Ok("x/a Folder 0".into()));
        assert_eq!(said(put(156, b"0")), Ok("x/a File 3".into()));
        assert_eq!(said(put(345, b"deep/down")), Ok("deep/down/x/a File 3".into()));
    }

    #[test]
    fn where_readers_differ_a_header_is_refused() {
        let cases: [(&str, usize, &'static [u8]); 22] = [
            ("old magic", 257, b"\0\0\0\0\0\0\0\0"),
            ("half a magic", 257, b"ustar\x0010"),
            ("GNU's magic with a prefix", 257, b"ustar  \0"),
            ("an old file called as a folder", 0, b"x/a/"),
            ("a contiguous file", 156, b"7"),
            ("a sparse file", 156, b"S"),
            ("a link", 156, b"2"),
            ("a file with a link's target", 157, b"x"),
            ("more after the prefix", 505, b"x"),
            ("a size in base 256", 124, b"\x80\0\0\0\0\0\0\0\0\0\0\x03"),
            ("a negative size", 124, b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"),
            ("a size with a sign", 124, b"-0000000003\0"),
            ("a size after blanks", 124, b"  000000003\0"),
            ("a size in two parts", 124, b"0003\x000003\0\0\0"),
            ("a size without an end", 124, b"000000000003"),
            ("a size of no digits", 124, b"\0\0\0\0\0\0\0\0\0\0\0\0"),
            ("a decimal size", 124, b"00000000009\0"),
            ("a malformed time", 136, b"x"),
            ("a malformed mode", 100, b"rw"),
            ("a name with a tail", 0, b"x/a\0b"),
            ("a name that is no text", 0, b"x/\xff"),
            ("a file called as a folder", 0, b"x/a/"),
        ];
        for (what, at, bytes) in cases {
            let change = |header: &mut [u8; BLOCK]| {
                put(345, if what.contains("prefix") { b"p" } else { b"\0" })(header);
                put(at, bytes)(header);
            };
            let said = said(change);
            assert!(said.as_ref().is_err_and(|said| said.starts_with("holds ")), "{what}: {said:?}");
        }
        let folder = |path: &'static [u8]| {
            move |header: &mut [u8; BLOCK]| {
                put(0, path)(header);
                put(156, b"5")(header);
            }
        };
        assert!(said(folder(b"x/a/")).unwrap_err().contains("with 3 bytes of its own"));
        assert!(said(folder(b"x/a")).is_err());
    }

    #[test]
    fn a_wrong_sum_and_an_extension_are_named() {
        let mut wrong = header("x/a");
        wrong.set_cksum();
        wrong.as_mut_bytes()[110] ^= 1;
        assert!(read(wrong.as_bytes()).unwrap_err().contains("checksum is wrong"));
        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader] {
            let found = said(|header| header[TYPE] = kind.as_byte()).unwrap_err();
            assert!(found.starts_with("holds `x/a`, an extension of tar"), "{found}");
        }
    }
}
