//! A ZIP archive of image files, as `StyleGAN`'s tools write it (labels in `dataset.json`) or with folders as classes.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use ::zip::ZipArchive;

use super::{Content, Labels, Opened, Samples, is_image};
use crate::{data::DataError, text::Show as _};

/// An image file beyond this is none.
const MOST_BYTES: u64 = 1 << 30;

struct Zip {
    archive: ZipArchive<Reader>,
    path: PathBuf,
    /// The images' entries in the order of their names.
    entries: Vec<(String, usize)>,
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

pub(super) fn open(path: &Path) -> Result<Opened, DataError> {
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let facts = file.metadata().map_err(failed)?;
    if !facts.is_file() {
        return Err(failed(io::Error::other("it is not a regular file")));
    }
    let length = facts.len();
    let reader = Reader { file: Arc::new(file), length, at: 0 };
    let mut archive = ZipArchive::new(io::BufReader::new(reader.clone())).map_err(|e| DataError::Malformed {
        path: path.to_owned(),
        what: format!(
            "not a ZIP archive that can be read: {e}; its list of entries should end at byte {length}, the file's last; \
             fetch the file again"
        ),
    })?;
    let mut entries: Vec<(String, usize)> = Vec::new();
    for index in 0..archive.len() {
        let malformed = |e| DataError::Malformed {
            path: path.to_owned(),
            what: format!("the name of entry {index} cannot be read: {e}"),
        };
        let name = archive.name_for_index(index).transpose().map_err(malformed)?.unwrap_or_default();
        if is_image(&name) {
            entries.push((name.into_owned(), index));
        }
    }
    if entries.is_empty() {
        return Err(DataError::NoImages { path: path.to_owned() });
    }
    entries.sort();
    refuse_encrypted(path, &archive, &entries)?;
    let labels = labels(path, &mut archive, &entries)?;
    // Each read clones it: no more than a counted reference and a place.
    let archive =
        ZipArchive::new(reader).map_err(|e| DataError::Malformed { path: path.to_owned(), what: e.to_string() })?;
    Ok(Opened { samples: Box::new(Zip { archive, path: path.to_owned(), entries }), labels })
}

/// There is no password to ask for.
fn refuse_encrypted<R: Read + Seek>(
    path: &Path,
    archive: &ZipArchive<R>,
    entries: &[(String, usize)],
) -> Result<(), DataError> {
    let mut encrypted = entries.iter().filter(|(_, index)| archive.by_index_data(*index).is_ok_and(|e| e.encrypted()));
    let Some((first, _)) = encrypted.next() else { return Ok(()) };
    let (found, all) = (1 + encrypted.count(), entries.len());
    let what = format!(
        "{found} of its {all} images are encrypted, the first of them entry {first}; unpack it with its password and name \
         the folder, or pack it without one"
    );
    Err(DataError::Malformed { path: path.to_owned(), what })
}

fn labels<R: Read + Seek>(
    path: &Path,
    archive: &mut ZipArchive<R>,
    entries: &[(String, usize)],
) -> Result<Labels, DataError> {
    let names = || entries.iter().map(|(name, _)| name.as_str());
    let Some(json) = archive.index_for_name("dataset.json") else {
        let common = common_folder(&names());
        return Labels::by_folder(path, names().map(|name| &name[common..]));
    };
    let inside = path.join("dataset.json");
    let mut text = Vec::new();
    archive
        .by_index(json)
        .map_err(io::Error::other)
        .and_then(|mut entry| entry.read_to_end(&mut text))
        .map_err(|source| DataError::Read { path: inside.clone(), source })?;
    Ok(Labels::from_json(&inside, &text, names())?.unwrap_or_default())
}

/// The length of the folders that all names begin with, where folders remain without them.
fn common_folder<'a>(names: &(impl Iterator<Item = &'a str> + Clone)) -> usize {
    let mut common = 0;
    while let Some(folder) = names.clone().next().and_then(|n| n[common..].split_once('/')).map(|(f, _)| f.len() + 1) {
        let prefix = names.clone().next().map_or("", |n| &n[..common + folder]);
        if !names.clone().all(|n| n.strip_prefix(prefix).is_some_and(|rest| rest.contains('/'))) {
            break;
        }
        common += folder;
    }
    common
}

impl Samples for Zip {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, index: usize) -> String {
        format!("{}, entry {}", self.path.shown(), self.entries[index].0)
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        buffer.clear();
        let mut archive = self.archive.clone();
        let entry = archive.by_index(self.entries[index].1).map_err(|e| format!("cannot be read: {e}"))?;
        if entry.size() > MOST_BYTES {
            return Err(format!("its size, {} bytes, is absurd", entry.size()));
        }
        entry.take(MOST_BYTES).read_to_end(buffer).map_err(|e| format!("cannot be read: {e}"))?;
        Ok(Content::Encoded)
    }
}
