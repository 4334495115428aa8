//! Tar files as `WebDataset` has them: samples are neighbouring entries of one name, `key.jpg` and `key.cls`.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, BufReader, Read as _},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{Content, Labels, Opened, Samples, is_image};
use crate::{data::DataError, text::Show as _};

/// The file itself, or the tar files of a folder in the order of their names.
pub(super) fn files(path: &Path) -> Result<Vec<PathBuf>, DataError> {
    if !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let mut files = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let file = entry.map_err(failed)?.path();
        if file.extension().is_some_and(|e| e.eq_ignore_ascii_case("tar")) {
            files.push(file);
        }
    }
    files.sort();
    if files.is_empty() {
        let (path, what, expected) = (path.to_owned(), "tar shards", "NAME.tar".to_owned());
        return Err(DataError::Missing { path, what, expected });
    }
    Ok(files)
}

struct Tar {
    shards: Vec<(PathBuf, File)>,
    entries: Vec<Entry>,
}

struct Entry {
    shard: usize,
    start: u64,
    length: usize,
    name: String,
}

pub(super) fn open(path: &Path, files: &[PathBuf]) -> Result<Opened, DataError> {
    let mut tar = Tar { shards: Vec::new(), entries: Vec::new() };
    let mut of = Vec::new();
    for (i, file) in files.iter().enumerate() {
        let (entries, mut classes) = read_shard(file, i)?;
        of.extend(entries.iter().map(|entry| classes.remove(key(&entry.name))));
        tar.entries.extend(entries);
        tar.shards.push((file.clone(), File::open(file).map_err(|e| unread(file, e))?));
    }
    if tar.entries.is_empty() {
        return Err(DataError::NoImages { path: path.to_owned() });
    }
    let labelled = of.iter().flatten().count();
    if labelled > 0
        && let Some(missing) = of.iter().position(Option::is_none)
    {
        let name = tar.name(missing);
        let what = format!("{labelled} of its {} images have a .cls beside them; {} has none", of.len(), name.shown());
        return Err(DataError::Malformed { path: path.to_owned(), what });
    }
    let labels = Labels { of: of.into_iter().flatten().collect(), ..Labels::default() };
    Ok(Opened { samples: Box::new(tar), labels })
}

fn unread(path: &Path, source: io::Error) -> DataError {
    DataError::Read { path: path.to_owned(), source }
}

/// A shard's images, and the classes by key.
fn read_shard(path: &Path, shard: usize) -> Result<(Vec<Entry>, HashMap<String, u16>), DataError> {
    let wrong = |what: String| DataError::Malformed { path: path.to_owned(), what };
    let file = File::open(path).map_err(|e| unread(path, e))?;
    let size = file.metadata().map_err(|e| unread(path, e))?.len();
    let mut archive = ::tar::Archive::new(BufReader::new(file));
    let (mut images, mut classes) = (Vec::new(), HashMap::new());
    let mut end = 0;
    let broken = |at: u64, e: &io::Error| {
        wrong(format!(
            "not a tar file that can be read: at byte {at} of {size}: {e}; fetch the file again, unpacked if it is compressed"
        ))
    };
    for entry in archive.entries_with_seek().map_err(|e| broken(0, &e))? {
        let mut entry = entry.map_err(|e| broken(end, &e))?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let (start, length) = (entry.raw_file_position(), entry.size());
        end = start.saturating_add(length);
        if end > size {
            return Err(wrong(format!(
                "truncated: entry {name} ends at byte {end}, the file at {size}; fetch the file again"
            )));
        }
        if !entry.header().entry_type().is_file() {
            continue;
        }
        if is_image(&name) {
            images.push(Entry { shard, start, length: length as usize, name });
        } else if name.to_lowercase().ends_with(".cls") {
            let mut text = String::new();
            entry.by_ref().take(64).read_to_string(&mut text).map_err(|e| broken(start, &e))?;
            let class = text.trim().parse().map_err(|_| {
                wrong(format!(
                    "byte {start}: entry {} holds {:?}, expected a class number below 65536",
                    name.shown(),
                    text
                ))
            })?;
            classes.insert(key(&name).to_owned(), class);
        }
    }
    Ok((images, classes))
}

/// What the entries of one sample share: the name up to the first dot after its folders.
fn key(name: &str) -> &str {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    name[base..].find('.').map_or(name, |dot| &name[..base + dot])
}

impl Samples for Tar {
    fn len(&self) -> usize {
        self.entries.len()
    }

    fn name(&self, index: usize) -> String {
        let Entry { shard, name, .. } = &self.entries[index];
        format!("{}, entry {}", self.shards[*shard].0.shown(), name.shown())
    }

    fn bytes(&self, index: usize) -> u64 {
        self.entries[index].length as u64
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        let &Entry { shard, start, length, .. } = &self.entries[index];
        buffer.clear();
        buffer.resize(length, 0);
        let read = self.shards[shard].1.read_exact_at(buffer, start);
        read.map_err(|e| format!("cannot be read at byte {start}: {e}"))?;
        Ok(Content::Encoded)
    }
}
