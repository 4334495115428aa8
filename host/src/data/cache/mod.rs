//! The cache: images decoded once and for all, in a file that is mapped into memory. `docs/data.md` describes the format.

mod map;
mod write;

use std::{
    io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

pub(super) use write::Writer;

use super::{Bad, DataError, Transform};
use crate::{text::Show as _, work::Work};
use map::Map;

/// The first bytes of a cache.
pub(super) const MAGIC: [u8; 8] = *b"TANDEMIM";
const VERSION: u32 = 2;
/// Magic, version, length of the description, images, channels, size, labelled, sum.
const HEAD: usize = 8 + 4 + 4 + 8 + 4 + 4 + 4 + 32;
/// Where the images begin: a page of memory.
const START: usize = 4096;

/// What a cache says of itself, beyond its images.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Description {
    /// The source, in words.
    pub source: String,
    /// SHA-256 of the source's identity and the transform.
    pub key: String,
    /// What was done to the pictures.
    pub transform: Transform,
    /// The classes' names, where they have any.
    pub class_names: Vec<String>,
    /// The images that were left out.
    pub left_out: Vec<Bad>,
}

/// A cache in use.
#[derive(Debug)]
pub(super) struct Cache {
    path: PathBuf,
    map: Map,
    pub(super) about: Description,
    pub(super) labels: Vec<u16>,
    /// CRC-32 of each image.
    pub(super) sums: Vec<u32>,
}

/// What to do about a damaged cache; training must not replace one that other processes may be reading.
const AGAIN: &str = "make it again with `tandem data prepare CONFIG --force`";

/// The key of a source's identity under a transform.
pub(super) fn key(identity: &str, transform: &Transform, labelled: bool) -> String {
    format!("{:x}", Sha256::digest(format!("tandem cache {VERSION}\n{identity}\n{transform}\n{labelled}\n")))
}

/// Where the cache of this key lies in a folder of caches.
pub(super) fn file(folder: &Path, key: &str) -> PathBuf {
    folder.join(format!("{}.cache", &key[..32]))
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).map_or(0, |b| u32::from_le_bytes([b[0], b[1], b[2], b[3]]))
}

/// The sum over everything but the images, which have sums of their own.
fn sum(head: &[u8], tail: &[u8]) -> [u8; 32] {
    Sha256::new().chain_update(&head[..HEAD - 32]).chain_update(tail).finalize().into()
}

impl Cache {
    /// Maps a cache and checks all of it but the images; these are checked as they are read.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let wrong = |what: String| DataError::Cache { path: path.to_owned(), what: format!("{what}; {AGAIN}") };
        let failed = |e: io::Error| match e.kind() {
            io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => wrong(e.to_string()),
            _ => DataError::Read { path: path.to_owned(), source: e },
        };
        let map = Map::open(path).map_err(failed)?;
        if map.len() < START {
            return Err(wrong(format!("truncated: its head is {START} bytes, found {}", map.len())));
        }
        let mut head = [0; HEAD];
        map.copy(0, &mut head).map_err(failed)?;
        if head[..8] != MAGIC {
            let what = "not a cache: it does not begin with TANDEMIM".into();
            return Err(DataError::Cache { path: path.to_owned(), what });
        }
        if word(&head, 8) != VERSION {
            return Err(wrong(format!("written in version {} of the format, expected {VERSION}", word(&head, 8))));
        }
        let text_length = word(&head, 12) as usize;
        let count = word(&head, 16) as usize | (word(&head, 20) as usize) << 32;
        let [channels, size, labelled] = [24, 28, 32].map(|at| word(&head, at) as usize);
        let index = if labelled == 1 { 6 } else { 4 };
        let images = channels.saturating_mul(size).saturating_mul(size).saturating_mul(count);
        let end = images.saturating_add(START).saturating_add(text_length).saturating_add(count.saturating_mul(index));
        if count == 0 || end != map.len() {
            let found = map.len();
            return Err(wrong(format!(
                "truncated or damaged: {count} images of {channels}x{size}x{size} make it {end} bytes, found {found}"
            )));
        }
        let mut tail = vec![0; end - START - images];
        map.copy(START + images, &mut tail).map_err(failed)?;
        if sum(&head, &tail)[..] != head[HEAD - 32..] {
            return Err(wrong("damaged: its head, labels and sums are not what was written".into()));
        }
        let (text, rest) = tail.split_at(text_length);
        let about: Description =
            serde_json::from_slice(text).map_err(|e| wrong(format!("its description cannot be read: {e}")))?;
        if (about.transform.channels, about.transform.image_size) != (channels, size) {
            return Err(wrong("damaged: its head and its description disagree".into()));
        }
        let (labels, sums) = rest.split_at(if labelled == 1 { 2 * count } else { 0 });
        let labels = labels.chunks_exact(2).map(|b| u16::from_le_bytes([b[0], b[1]])).collect();
        let sums = sums.chunks_exact(4).map(|b| word(b, 0)).collect();
        Ok(Self { path: path.to_owned(), map, about, labels, sums })
    }

    /// Copies the planes of image `index`, checked against their sum.
    pub(super) fn read(&self, index: usize, to: &mut [u8]) -> Result<(), DataError> {
        let from = &self.about.source;
        let wrong = |what: String| DataError::Cache {
            path: self.path.clone(),
            what: format!("{what}; {AGAIN} (it is of {from})"),
        };
        let start = START + index * to.len();
        self.map.copy(start, to).map_err(|e| wrong(e.to_string()))?;
        if crc32fast::hash(to) != self.sums[index] {
            return Err(wrong(format!("damaged: image {index}, byte {start}, is not what was written")));
        }
        Ok(())
    }

    /// Reads every image; those that are not what was written.
    pub(super) fn damaged(&self) -> Result<Vec<(usize, DataError)>, DataError> {
        let work = Work::of(format!("checking cache {}", self.path.shown()), self.sums.len() as u64, "images");
        let mut image = vec![0; self.about.transform.sample_len()];
        let mut damaged = Vec::new();
        for index in 0..self.sums.len() {
            damaged.extend(self.read(index, &mut image).err().map(|error| (index, error)));
            work.more(1)?;
        }
        Ok(damaged)
    }

    /// The file.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
