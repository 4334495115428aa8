//! A ZIP archive of image files, as `StyleGAN`'s tools write it (labels in `dataset.json`) or with folders as classes.

use std::{
    collections::HashSet,
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use ::zip::{CompressionMethod, ZipArchive};

use super::{
    Content, Labels, Opened, Samples,
    compressed::compression,
    names,
    passed::{HEAD, Passed, PassedOver, Why},
    regular,
    tree::{Member, Members, Tree},
};
use crate::{data::DataError, files, text::Show as _};

/// As long as a path may be.
const MOST_OF_A_LINK: u64 = 4096;
/// The part of a Unix mode that says what a file is, and the values for no file, a file and a link.
const KIND: u32 = 0o170_000;
const KINDS_OF_FILES: [u32; 3] = [0, 0o100_000, 0o120_000];

/// An image's name and its entry, or why it has none.
type Image = (Box<[u8]>, Result<u32, Box<str>>);

struct Zip {
    archive: ZipArchive<Reader>,
    path: PathBuf,
    /// The images in the order of their names.
    entries: Vec<Image>,
}

/// A reader of its own over a file that threads share.
#[derive(Clone)]
struct Reader {
    file: Arc<File>,
    length: u64,
    at: u64,
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(buffer, self.at)?;
        self.at += read as u64;
        Ok(read)
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let at = match to {
            SeekFrom::Start(at) => Some(at),
            SeekFrom::End(by) => self.length.checked_add_signed(by),
            SeekFrom::Current(by) => self.at.checked_add_signed(by),
        };
        self.at = at.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        Ok(self.at)
    }
}

pub(super) fn open(path: &Path) -> Result<(Opened, PassedOver), DataError> {
    let wrong = |what: String| DataError::Malformed { path: path.to_owned(), what };
    let (file, facts) = files::open_known(path).map_err(|source| DataError::Read { path: path.to_owned(), source })?;
    let reader = Reader { file: Arc::new(file), length: facts.len(), at: 0 };
    let mut archive = ZipArchive::new(io::BufReader::new(reader.clone())).map_err(|e| wrong(unread(&e, &reader)))?;
    if archive.has_duplicate_names() {
        let name = twice(io::BufReader::new(reader.clone()), archive.central_directory_start()).unwrap_or_default();
        let what = format!("entry {} stands in it twice; which is meant? Pack it anew", names::text(&name).shown());
        return Err(wrong(what));
    }
    let members = members(&mut archive).map_err(wrong)?;
    let mut passed = Passed::new();
    let sorted = Tree::new(&members).sort(&mut passed, |index| index).map_err(wrong)?;
    sorted.classes.iter().for_each(|(name, _)| passed.count(Why::Class, name));
    let over = passed.finish(|&index| bytes_of(&mut archive, index, HEAD as u64).unwrap_or_default());
    let mut images = sorted.images;
    if images.is_empty() {
        return Err(DataError::no_images(path, &over));
    }
    images.sort_by(|(one, _), (other, _)| names::order(one, other));
    let entries: Vec<Image> =
        images.into_iter().map(|(name, index)| (name.into(), index.map_err(Into::into))).collect();
    refuse_unreadable(&archive, &entries).map_err(wrong)?;
    let image_names: Vec<&[u8]> = entries.iter().map(|(name, _)| &**name).collect();
    let (lists, places): (Vec<_>, Vec<_>) =
        sorted.lists.into_iter().map(|(name, place)| (name.to_vec(), place)).unzip();
    let labels = Labels::of_tree(path, &image_names, &lists, |list| {
        let bytes = places[list].clone().and_then(|index| bytes_of(&mut archive, index, regular::MOST_BYTES));
        bytes.map_err(|why| wrong(format!("entry {}: {why}", names::text(&lists[list]).shown())))
    })?;
    // Each read clones it: no more than a counted reference and a place.
    let archive = ZipArchive::new(reader).map_err(|e| wrong(e.to_string().shown().to_string()))?;
    Ok((Opened { samples: Box::new(Zip { archive, path: path.to_owned(), entries }), labels }, over))
}

/// What to do about a file that is no ZIP archive, or a part of one.
fn unread(error: &::zip::result::ZipError, reader: &Reader) -> String {
    let mut head = [0; 6];
    if reader.file.read_exact_at(&mut head, 0).is_ok()
        && let Some(found) = compression(&head)
    {
        return found.refusal("an archive");
    }
    let error = error.to_string();
    if error.to_lowercase().contains("multi-disk") || head.starts_with(b"PK\x07\x08") {
        return "it is a part of a split archive; join the parts (`zip -s 0 PART.zip --out WHOLE.zip`) and name the whole".into();
    }
    format!(
        "not a ZIP archive that can be read: {}; its list of entries should end at byte {}, the file's last; fetch the file again",
        error.shown(),
        reader.length
    )
}

/// Every entry that is no folder, by the name that it would have in one: Windows' tools write `\` for `/`. What the name's
/// bytes mean is nowhere said with certainty, so they are kept.
fn members<R: Read + Seek>(archive: &mut ZipArchive<R>) -> Result<Members<u32>, String> {
    let mut members = Vec::with_capacity(archive.len());
    for index in 0..archive.len() as u32 {
        let entry = archive.by_index_data(index as usize);
        let entry = entry.map_err(|e| format!("entry {index} cannot be read: {}", e.to_string().shown()))?;
        let name: Vec<u8> = entry.name_raw().iter().map(|&byte| if byte == b'\\' { b'/' } else { byte }).collect();
        if name.ends_with(b"/") {
            continue;
        }
        let (is_link, mode) = (entry.is_symlink(), entry.unix_mode().unwrap_or_default());
        let member = if is_link {
            match bytes_of(archive, index, MOST_OF_A_LINK) {
                Ok(target) => Member::Symbolic(target),
                Err(why) => Member::Unread(why),
            }
        } else if KINDS_OF_FILES.contains(&(mode & KIND)) {
            Member::Data(index)
        } else {
            Member::Unread("cannot be read: it is a pipe, a socket or a device".into())
        };
        members.push((names::tidy(&name), member));
    }
    Ok(members)
}

/// The first name that stands in the list of entries again: of those the archive gives only one.
fn twice(mut list: impl Read + Seek, start: u64) -> Option<Vec<u8>> {
    let (mut seen, mut head) = (HashSet::new(), [0; 46]);
    list.seek(SeekFrom::Start(start)).ok()?;
    loop {
        list.read_exact(&mut head).ok().filter(|()| head.starts_with(b"PK\x01\x02"))?;
        let length = |at: usize| usize::from(u16::from_le_bytes([head[at], head[at + 1]]));
        let mut rest = vec![0; length(28) + length(30) + length(32)];
        list.read_exact(&mut rest).ok()?;
        rest.truncate(length(28));
        if let Some(again) = seen.replace(rest.clone()) {
            return Some(again);
        }
    }
}

/// There is no password to ask for, and other ways to compress are rare.
fn refuse_unreadable<R: Read + Seek>(archive: &ZipArchive<R>, entries: &[Image]) -> Result<(), String> {
    let facts = |place: &Result<u32, Box<str>>| archive.by_index_data(*place.as_ref().ok()? as usize).ok();
    let is_known = |method| matches!(method, CompressionMethod::Stored | CompressionMethod::Deflated);
    let refuse = |found: usize, first: &[u8], how: &str, advice: &str| {
        let (all, first) = (entries.len(), names::text(first));
        Err(format!("{found} of its {all} images are {how}, the first of them entry {}; {advice}", first.shown()))
    };
    let mut encrypted = entries.iter().filter(|(_, place)| facts(place).is_some_and(|e| e.encrypted()));
    if let Some((first, _)) = encrypted.next() {
        let advice = "unpack it with its password and name the folder, or pack it without one";
        return refuse(1 + encrypted.count(), first, "encrypted", advice);
    }
    let mut unknown = entries.iter().filter(|(_, place)| facts(place).is_some_and(|e| !is_known(e.compression())));
    if let Some((first, place)) = unknown.next() {
        let method = facts(place).map(|entry| entry.compression());
        let how = format!("compressed by {}, which is not read", method.map_or("no known method".into(), called));
        let advice = "pack it anew, stored or deflated (`zip -0`)";
        return refuse(1 + unknown.count(), first, &how, advice);
    }
    Ok(())
}

/// What a way to compress that is not read is called.
fn called(method: CompressionMethod) -> String {
    match method {
        CompressionMethod::DEFLATE64 => "Deflate64".into(),
        CompressionMethod::BZIP2 => "bzip2".into(),
        CompressionMethod::LZMA => "LZMA".into(),
        CompressionMethod::ZSTD => "Zstandard".into(),
        CompressionMethod::XZ => "xz".into(),
        other => other.to_string(),
    }
}

/// The first bytes of an entry, `most` of them at most.
fn bytes_of<R: Read + Seek>(archive: &mut ZipArchive<R>, index: u32, most: u64) -> Result<Vec<u8>, String> {
    let mut bytes = Vec::new();
    let entry = archive.by_index(index as usize).map_err(cannot)?;
    entry.take(most).read_to_end(&mut bytes).map_err(cannot)?;
    Ok(bytes)
}

fn cannot(error: impl std::fmt::Display) -> String {
    format!("cannot be read: {}", error.to_string().shown())
}

impl Samples for Zip {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, index: usize) -> String {
        format!("{}, entry {}", self.path.shown(), names::text(&self.entries[index].0).shown())
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        let place = *self.entries[index].1.as_ref().map_err(ToString::to_string)?;
        buffer.clear();
        let mut archive = self.archive.clone();
        let entry = archive.by_index(place as usize).map_err(cannot)?;
        let said = entry.size();
        regular::check_length(said)?;
        // What unpacks to more than it says is not read on.
        entry.take(said + 1).read_to_end(buffer).map_err(cannot)?;
        if buffer.len() as u64 > said {
            return Err(format!("cannot be read: it unpacks to more than the {said} bytes that it promises"));
        }
        Ok(Content::Encoded)
    }
}
