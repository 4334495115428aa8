//! The form of a packed plugin: regular files in one folder, in a tar that gzip compressed.
//!
//! Entries are read raw: the extensions of tar for long names and more are contents of any length that a reader would hold
//! in memory before anyone can ask, so they are refused as entries. What is packed here has none.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::{Component, Path},
};

use flate2::{Compression, GzBuilder, read::GzDecoder};

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
    let mut tar = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::best()));
    for (name, bytes) in files {
        // Ustar has room for 255 bytes of a path, so that no entry needs an extension.
        let mut header = tar::Header::new_ustar();
        header.set_path(format!("{folder}/{name}")).map_err(|e| {
            format!("`{folder}/{name}` is too long for an archive ({e}); shorten the file's name or the plugin's")
        })?;
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_cksum();
        tar.append(&header, &bytes[..]).map_err(|e| e.to_string())?;
    }
    tar.into_inner().and_then(flate2::write::GzEncoder::finish).map_err(|e| e.to_string())
}

/// The files of an archive by their names in its one folder, or what is wrong with it, as the end of a sentence.
pub(super) fn read(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let file = File::open(path).map_err(unreadable)?;
    // Headers and the padding of entries come on top of what is in them.
    let unpacked = Bounded { from: GzDecoder::new(file), left: MOST_BYTES + (1 << 20) };
    let mut tar = tar::Archive::new(unpacked);
    let (mut files, mut root, mut total) = (BTreeMap::new(), None, 0_u64);
    for (i, entry) in tar.entries().map_err(unreadable)?.raw(true).enumerate() {
        let entry = entry.map_err(unreadable)?;
        let (size, kind) = (entry.size(), entry.header().entry_type());
        total = total.saturating_add(size);
        if size > MAX_FILE || total > MOST_BYTES || i >= MOST_ENTRIES {
            return Err(format!("holds {}", too_large(total, i + 1)));
        }
        let name = entry.path().map_err(unreadable)?.into_owned();
        let shown = name.shown();
        if kind.is_gnu_longname()
            || kind.is_gnu_longlink()
            || kind.is_pax_local_extensions()
            || kind.is_pax_global_extensions()
        {
            return Err(format!(
                "holds `{shown}`, an extension of tar; `tandem plugin pack` makes archives without any"
            ));
        }
        if !(kind.is_file() || kind.is_dir()) {
            return Err(format!("holds `{shown}`, which is no regular file; a packed plugin has no links"));
        }
        let (folder, name) = within(&name).ok_or_else(|| format!("holds `{shown}`, a path that leads out of it"))?;
        match &root {
            Some(root) if *root != folder => {
                return Err(format!("holds `{shown}` beside the folder `{root}`; a packed plugin lies in one folder"));
            }
            Some(_) => {}
            None => root = Some(folder),
        }
        if kind.is_dir() {
            continue;
        }
        if name.is_empty() {
            return Err(format!("holds `{shown}` in no folder; a packed plugin lies in one"));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        entry.take(MAX_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
        if files.insert(name, bytes).is_some() {
            return Err(format!("holds `{shown}` twice"));
        }
    }
    // To the end, where gzip's own sum is.
    io::copy(&mut tar.into_inner(), &mut io::sink()).map_err(unreadable)?;
    Ok(files)
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

/// An archive's folder and a name within it, which is empty for the folder itself, if both are of plain components.
fn within(path: &Path) -> Option<(String, String)> {
    let parts = path.components().map(|c| match c {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let parts: Vec<&str> = parts.collect::<Option<_>>()?;
    let (folder, rest) = parts.split_first()?;
    Some(((*folder).to_owned(), rest.join("/")))
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
        assert_eq!(said(&[(folder, "x/", b""), (folder, "x/a", b""), (file, "x/a/b", b"b")]), Ok(vec!["a/b".into()]));
        for (entries, what) in [
            (&[(file, "x/a", &b""[..]), (file, "y/b", b"")][..], "holds `y/b` beside the folder `x`"),
            (&[(file, "x/a", b""), (folder, "y", b"")], "holds `y` beside the folder `x`"),
            (&[(file, "a", b"")], "holds `a` in no folder"),
            (&[(file, "x/a", b""), (file, "x/./a", b"")], "holds `x/./a` twice"),
            (&[(file, "../a", b"")], "holds `../a`, a path that leads out"),
            (&[(file, "/x/a", b"")], "holds `/x/a`, a path that leads out"),
            (&[(file, "x/../../a", b"")], "holds `x/../../a`, a path that leads out"),
            (&[(EntryType::Symlink, "x/a", b"")], "holds `x/a`, which is no regular file"),
            (&[(EntryType::Fifo, "x/a", b"")], "holds `x/a`, which is no regular file"),
        ] {
            let found = said(entries).unwrap_err();
            assert!(found.starts_with(what), "{found}");
        }
    }

    #[test]
    fn extensions_of_tar_are_refused_before_they_are_read() {
        for kind in [EntryType::GNULongName, EntryType::GNULongLink, EntryType::XHeader, EntryType::XGlobalHeader] {
            let found = said(&[(kind, "x/long", &[b'n'; 2000]), (EntryType::Regular, "x/a", b"")]).unwrap_err();
            assert!(found.starts_with("holds `x/long`, an extension of tar"), "{found}");
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
    }

    #[test]
    fn sizes_and_numbers_are_bounded() {
        let many = vec![(EntryType::Directory, "x/", &b""[..]); MOST_ENTRIES + 1];
        assert!(said(&many).unwrap_err().contains("in 257 files"));
        let mut header = Header::new_ustar();
        header.set_path("x/a").unwrap();
        for size in [MAX_FILE + 1, u64::MAX >> 1] {
            header.set_size(size);
            header.set_cksum();
            assert!(of(header.as_bytes()).unwrap_err().starts_with("holds more than a packed plugin may hold: "));
        }
        // After the end of the archive proper, too.
        let ended = vec![0; MOST_BYTES as usize + (1 << 20) + 1];
        assert!(of(&ended).unwrap_err().starts_with("unpacks to more than the 256 MiB"));
    }
}
