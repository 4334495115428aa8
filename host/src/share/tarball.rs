//! The form of a packed plugin: regular files in one folder, in a tar that gzip compressed.
//!
//! What `tar` and others could read otherwise is refused (docs/decisions/0012-one-meaning.md). Extensions of tar for long names
//! and more are contents of any length that a reader would hold in memory before anyone can ask; what is packed here has none.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, BufRead as _, BufReader, Read},
    path::Path,
};

use flate2::{Compression, GzBuilder, bufread::GzDecoder};

use super::{
    entry::{self, BLOCK, Entry, Kind},
    paths::Paths,
};
use crate::{plugin::MAX_FILE, text::Show as _};

/// The most entries in an archive, and the most bytes of all together.
const MOST_ENTRIES: usize = 256;
const MOST_BYTES: u64 = 256 << 20;
/// The most bytes of a text that says what the others are.
pub(super) const MOST_TEXT: usize = 256 << 10;

/// These files in a folder of this name; the same files are the same bytes: no time, no user. Or why they cannot be packed.
pub(super) fn made(folder: &str, files: &BTreeMap<String, Vec<u8>>) -> Result<Vec<u8>, String> {
    let total: u64 = files.values().map(|bytes| bytes.len() as u64).sum();
    if files.len() > MOST_ENTRIES || total > MOST_BYTES {
        return Err(too_large(total, files.len()));
    }
    let mut paths = Paths::default();
    let mut tar = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::best()));
    for (name, bytes) in files {
        paths.take(&format!("{folder}/{name}"), Kind::File).map_err(|what| format!("the archive {what}; rename it"))?;
        // Ustar has room for 255 bytes of a path, so that no entry needs an extension.
        let mut header = tar::Header::new_ustar();
        header.set_path(format!("{folder}/{name}")).map_err(|e| {
            format!("`{folder}/{name}` is too long for an archive ({e}); shorten the file's name or the plugin's")
        })?;
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        tar.append(&header, &bytes[..]).map_err(|e| e.to_string())?;
    }
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(|e| e.to_string())
}

/// The files of an archive by their names in its one folder, or what is wrong with it, as the end of a sentence.
///
/// Nothing is passed over: a byte that another reader could take for something is one that this one has looked at.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut packed = open(path)?;
    // Headers and the padding of entries come on top of what is in them.
    let mut tar = Bounded { from: GzDecoder::new(&mut packed), left: MOST_BYTES + (1 << 20) };
    let files = entries(&mut tar)?;
    // What follows gzip's end is another member to some readers, and nothing to others.
    match packed.fill_buf().map_err(unreadable)? {
        [] => Ok(files),
        _ => Err("goes on after the end of its gzip data, where readers differ; make it with `tar czf`".into()),
    }
}

/// A regular file of one plain gzip member, as far as its start shows.
fn open(path: &Path) -> Result<BufReader<File>, String> {
    let file = crate::files::open(path).map_err(unreadable)?;
    if file.metadata().map_err(unreadable)?.len() > MOST_BYTES + (1 << 20) {
        return Err(format!("is larger than the {} MiB that a packed plugin may hold", MOST_BYTES >> 20));
    }
    let mut packed = BufReader::new(file);
    // Method 8 and no flags. With them come names and comments, and a sum that some check and others do not.
    match packed.fill_buf().map_err(unreadable)? {
        [0x1f, 0x8b, 8, 0, ..] => Ok(packed),
        [0x1f, 0x8b, ..] => Err("begins with a gzip header that has more than it needs; make it with `tar czf`".into()),
        _ => Err("is no gzip file; get it again".into()),
    }
}

/// The files of a tar, which is read to its end.
fn entries(tar: &mut impl Read) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let (mut files, mut paths, mut total) = (BTreeMap::new(), Paths::default(), 0_u64);
    for count in 1.. {
        let header = block(tar)?;
        if header == [0; BLOCK] {
            break;
        }
        let Entry { path, kind, size } = entry::read(&header)?;
        total = total.saturating_add(size);
        if size > MAX_FILE || total > MOST_BYTES || count > MOST_ENTRIES {
            return Err(format!("holds {}", too_large(total, count)));
        }
        let name = paths.take(&path, kind)?;
        let mut bytes = vec![0; size as usize];
        tar.read_exact(&mut bytes).map_err(unreadable)?;
        let mut padding = [0; BLOCK];
        let padding = &mut padding[..bytes.len().next_multiple_of(BLOCK) - bytes.len()];
        tar.read_exact(padding).map_err(unreadable)?;
        if padding.iter().any(|&b| b != 0) {
            return Err(format!("holds something behind the end of `{}`", path.shown()));
        }
        if kind == Kind::File {
            files.insert(name, bytes);
        }
    }
    end(tar)?;
    Ok(files)
}

/// Reads what follows the first block of zeros that ends a tar: another one, and zeros to the last byte.
fn end(tar: &mut impl Read) -> Result<(), String> {
    if block(tar)? != [0; BLOCK] {
        return Err("has one block of zeros where a tar ends with two; get it again".into());
    }
    let (mut rest, mut length) = ([0; 16 * BLOCK], 0);
    loop {
        match tar.read(&mut rest).map_err(unreadable)? {
            // To the end, where gzip's own sum is.
            0 if length % BLOCK == 0 => return Ok(()),
            0 => return Err("does not end with a whole block of tar; get it again".into()),
            read if rest[..read].iter().any(|&b| b != 0) => {
                return Err("goes on after the end of its tar, where readers differ; make it with `tar czf`".into());
            }
            read => length += read,
        }
    }
}

fn block(tar: &mut impl Read) -> Result<[u8; BLOCK], String> {
    let mut block = [0; BLOCK];
    match tar.read_exact(&mut block) {
        Ok(()) => Ok(block),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err("is cut short: its tar has no end; get it again".into())
        }
        Err(error) => Err(unreadable(error)),
    }
}

fn too_large(total: u64, entries: usize) -> String {
    format!(
        "more than a packed plugin may hold: {total} bytes in {entries} files, at most {} MiB in {MOST_ENTRIES} are allowed, {} MiB in one",
        MOST_BYTES >> 20,
        MAX_FILE >> 20
    )
}

#[expect(clippy::needless_pass_by_value, reason = "it stands as `map_err(unreadable)`")]
fn unreadable(error: io::Error) -> String {
    match error.kind() {
        io::ErrorKind::FileTooLarge => {
            format!("unpacks to more than the {} MiB that a packed plugin may hold", MOST_BYTES >> 20)
        }
        _ => format!("cannot be read: {error}; get it again"),
    }
}

/// A reader that fails where more comes than it was told.
struct Bounded<R> {
    from: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.from.read(into)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tar::{EntryType, Header};

    use super::*;

    /// What is said of an archive of these entries: type, path, content.
    fn said(entries: &[(EntryType, &str, &[u8])]) -> Result<Vec<String>, String> {
        let mut tar = tar::Builder::new(Vec::new());
        for (kind, path, content) in entries {
            let mut header = Header::new_ustar();
            header.set_entry_type(*kind);
            // Straight in: `set_path` has rules of its own.
            header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
            header.set_size(content.len() as u64);
            header.set_cksum();
            tar.append(&header, *content).unwrap();
        }
        of(&tar.into_inner().unwrap())
    }

    fn of(tar: &[u8]) -> Result<Vec<String>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        let mut gzip = GzBuilder::new().write(File::create(&path).unwrap(), Compression::fast());
        gzip.write_all(tar).unwrap();
        gzip.finish().unwrap();
        read(&path).map(|files| files.into_keys().collect())
    }

    #[test]
    fn files_of_one_folder_are_read() {
        let (file, folder) = (EntryType::Regular, EntryType::Directory);
        assert_eq!(said(&[(folder, "x/", b""), (folder, "x/a/", b""), (file, "x/a/b", b"b")]), Ok(vec!["a/b".into()]));
        for (entries, what) in [
            (&[(file, "x/a", &b""[..]), (file, "y/b", b"")][..], "holds `y/b` beside the folder `x`"),
            (&[(file, "x/a", b""), (file, "x/a", b"")], "holds `x/a` twice"),
            (&[(folder, "x/", b"content")], "holds the folder `x/` with 7 bytes"),
            (&[(EntryType::Symlink, "x/a", b"")], "holds `x/a`, which is no regular file"),
            (&[(EntryType::Fifo, "x/a", b"")], "holds `x/a`, which is no regular file"),
            (&[(EntryType::GNULongName, "x/long", &[b'n'; 2000])], "holds `x/long`, an extension of tar"),
        ] {
            let found = said(entries).unwrap_err();
            assert!(found.starts_with(what), "{found}");
        }
    }

    /// A tar of one file, with its end.
    fn small() -> Vec<u8> {
        let mut tar = tar::Builder::new(Vec::new());
        let mut header = Header::new_ustar();
        header.set_path("x/a").unwrap();
        header.set_size(1);
        header.set_cksum();
        tar.append(&header, &b"a"[..]).unwrap();
        tar.into_inner().unwrap()
    }

    #[test]
    fn nothing_follows_the_end_and_the_end_is_there() {
        let whole = small();
        assert_eq!((whole.len(), of(&whole)), (2048, Ok(vec!["a".into()])));
        let padded = [&whole[..], &[0; 8192]].concat();
        assert_eq!(of(&padded), Ok(vec!["a".into()]));
        let mut hidden = whole.clone();
        hidden[513] = b'b';
        for (tar, what) in [
            (&whole[..1024], "is cut short: its tar has no end"),
            (&whole[..1536], "is cut short: its tar has no end"),
            (&whole[..700], "cannot be read: "),
            (
                &[&whole[..1536], &whole[..1024], &whole[..]].concat(),
                "has one block of zeros where a tar ends with two",
            ),
            (&[&whole[..], b"x"].concat(), "goes on after the end of its tar"),
            (&[&whole[..], &whole[..]].concat(), "goes on after the end of its tar"),
            (&[&whole[..], b"\0"].concat(), "does not end with a whole block"),
            (&hidden, "holds something behind the end of `x/a`"),
            (&[], "is cut short: its tar has no end"),
        ] {
            let found = of(tar).unwrap_err();
            assert!(found.starts_with(what), "{found}, not {what}");
        }
    }

    #[test]
    fn gzip_is_one_plain_member() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        let packed = |with: GzBuilder| {
            let mut gzip = with.write(Vec::new(), Compression::fast());
            gzip.write_all(&small()).unwrap();
            gzip.finish().unwrap()
        };
        let said = |bytes: &[u8]| {
            std::fs::write(&path, bytes).unwrap();
            read(&path).map(|files| files.len())
        };
        let plain = packed(GzBuilder::new());
        assert_eq!(said(&plain), Ok(1));
        let after = "goes on after the end of its gzip data";
        let more = "begins with a gzip header that has more than it needs";
        let mut reserved = plain.clone();
        reserved[3] = 0x80;
        for (bytes, what) in [
            ([&plain[..], &plain[..]].concat(), after),
            ([&plain[..], &packed(GzBuilder::new())[..20]].concat(), after),
            ([&plain[..], b"\0"].concat(), after),
            (packed(GzBuilder::new().filename("x.tar")), more),
            (packed(GzBuilder::new().comment("x")), more),
            (packed(GzBuilder::new().extra(b"xyz1".to_vec())), more),
            (reserved, more),
            (plain[..plain.len() - 1].to_vec(), "cannot be read: "),
            (b"\x1f\x8b".to_vec(), "begins with a gzip header"),
            (Vec::new(), "is no gzip file"),
        ] {
            let found = said(&bytes).unwrap_err();
            assert!(found.starts_with(what), "{found}");
        }
    }

    #[test]
    fn what_is_packed_needs_no_extension_or_is_refused() {
        let file = |name: String| BTreeMap::from([(name, b"b".to_vec())]);
        let (stem, long) = ("s".repeat(140), format!("{}/{}", "t".repeat(10), "n".repeat(80)));
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        std::fs::write(&path, made(&stem, &file(long.clone())).unwrap()).unwrap();
        assert_eq!(read(&path).unwrap(), file(long));
        assert!(made(&stem, &file("n".repeat(101))).unwrap_err().contains("is too long for an archive"));
        for odd in ["LICENSE\n", "LICENSE-é", "COPYING\\x", "LICENSE."] {
            assert!(made(&stem, &file(odd.into())).unwrap_err().contains("; rename it"), "{odd:?}");
        }
        let twins = BTreeMap::from([("LICENSE".to_owned(), Vec::new()), ("License".to_owned(), Vec::new())]);
        assert!(made(&stem, &twins).unwrap_err().contains("which are the same on some file systems"));
    }

    #[test]
    fn sizes_and_numbers_are_bounded() {
        let names: Vec<String> = (0..=MOST_ENTRIES).map(|i| format!("x/{i}")).collect();
        let many: Vec<_> = names.iter().map(|name| (EntryType::Regular, name.as_str(), &b""[..])).collect();
        assert!(said(&many).unwrap_err().contains("in 257 files"));
        let mut header = Header::new_ustar();
        header.set_path("x/a").unwrap();
        for size in [MAX_FILE + 1, 0o777_7777_7777] {
            header.set_size(size);
            header.set_cksum();
            assert!(of(header.as_bytes()).unwrap_err().starts_with("holds more than a packed plugin may hold: "));
        }
        // After the end of the archive proper, too.
        let ended = vec![0; MOST_BYTES as usize + (1 << 20) + 1];
        assert!(of(&ended).unwrap_err().starts_with("unpacks to more than the 256 MiB"));
    }
}
