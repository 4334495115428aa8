//! LSUN's LMDB, read only: a B-tree of pages whose values are image files. Why this is no binding of liblmdb:
//! `docs/decisions/0008-an-lmdb-reader-of-our-own.md`. Layout after `mdb.c` of `OpenLDAP`'s LMDB 0.9 on 64-bit
//! little-endian machines, the only form that LSUN is published in. Named databases and duplicate keys are not read.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
};

use super::{Content, Labels, Opened, Samples};
use crate::{data::DataError, text::Show as _};

const MAGIC: u32 = 0xBEEF_C0DE;
const VERSION: u32 = 1;
/// Of a page, before its nodes or data.
const HEADER: usize = 16;
const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
/// A node's value lies on pages of its own.
const BIG: u16 = 0x01;
/// A tree deeper than this runs in a circle: 2³² entries are 10 deep.
const DEEPEST: usize = 64;

const FILE: &str = "data.mdb";

/// `data.mdb` in a folder, or in the one folder of it that has one, as where several of LSUN's sets are kept; a file is itself.
pub(super) fn file(path: &Path) -> Result<PathBuf, DataError> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    // Whatever it is: one that is no file is told as that when it is opened.
    if path.join(FILE).symlink_metadata().is_ok() {
        return Ok(path.join(FILE));
    }
    let failed = |source| DataError::Read { path: path.to_owned(), source };
    let mut found = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // Of a million pictures none is asked whether there is something in it.
        if !entry.file_type().map_err(failed)?.is_file() && entry.path().join(FILE).is_file() {
            found.push(entry.path());
        }
    }
    found.sort();
    match &found[..] {
        [] => Err(DataError::Missing { path: path.to_owned(), what: "LMDB", expected: FILE.to_owned() }),
        [one] => Ok(one.join(FILE)),
        several => {
            let names: Vec<String> = several.iter().map(|path| path.shown().to_string()).collect();
            let what = format!("it holds several LMDBs: {}; name one of them as data.path", names.join(", "));
            Err(DataError::Malformed { path: path.to_owned(), what })
        }
    }
}

/// Whether a folder is one of an LMDB, or one whose folders are.
pub(super) fn is_here(folder: &Path) -> bool {
    !matches!(file(folder), Err(DataError::Missing { .. } | DataError::Read { .. }))
}

struct Lmdb {
    file: File,
    path: PathBuf,
    values: Vec<Value>,
}

struct Value {
    key: Vec<u8>,
    start: u64,
    length: usize,
}

struct Tree<'a> {
    file: &'a File,
    path: &'a Path,
    length: u64,
    page_size: usize,
    /// How many pages of the tree were read.
    visited: u64,
    values: Vec<Value>,
}

pub(super) fn open(path: &Path) -> Result<Opened, DataError> {
    let unread = |source| DataError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(unread)?;
    let length = file.metadata().map_err(unread)?.len();
    let mut tree = Tree { file: &file, path, length, page_size: 0, visited: 0, values: Vec::new() };
    let root = tree.root()?;
    if let Some(root) = root {
        tree.walk(root, 0)?;
    }
    let values = tree.values;
    if values.is_empty() {
        return Err(DataError::Malformed {
            path: path.to_owned(),
            what: "it holds no images: the LMDB is empty".into(),
        });
    }
    Ok(Opened { samples: Box::new(Lmdb { file, path: path.to_owned(), values }), labels: Labels::default() })
}

fn u16_at(page: &[u8], at: usize) -> usize {
    page.get(at..at + 2).map_or(0, |b| usize::from(u16::from_le_bytes([b[0], b[1]])))
}

fn u32_at(page: &[u8], at: usize) -> u32 {
    (u16_at(page, at) | u16_at(page, at + 2) << 16) as u32
}

fn u64_at(page: &[u8], at: usize) -> u64 {
    u64::from(u32_at(page, at)) | u64::from(u32_at(page, at + 4)) << 32
}

impl Tree<'_> {
    fn wrong(&self, what: String) -> DataError {
        DataError::Malformed { path: self.path.to_owned(), what }
    }

    fn read(&self, start: u64, length: usize) -> Result<Vec<u8>, DataError> {
        let mut bytes = vec![0; length];
        match self.file.read_exact_at(&mut bytes, start) {
            Ok(()) => Ok(bytes),
            Err(e) if e.kind() == io::ErrorKind::UnexpectedEof => Err(self.wrong(format!(
                "truncated: what begins at byte {start} ends at {}, the file at {}; fetch the file again",
                start.saturating_add(length as u64),
                self.length
            ))),
            Err(source) => Err(DataError::Read { path: self.path.to_owned(), source }),
        }
    }

    /// The root page of the newer of the two heads; `None` of an empty database.
    fn root(&mut self) -> Result<Option<u64>, DataError> {
        let first = self.read(0, 152)?;
        let (magic, version) = (u32_at(&first, 16), u32_at(&first, 20));
        if magic != MAGIC {
            return Err(self.wrong(format!(
                "not an LMDB of a 64-bit little-endian machine: byte 16 has {magic:#010x}, expected {MAGIC:#010x}"
            )));
        }
        if version != VERSION {
            return Err(self.wrong(format!(
                "an LMDB of another version: byte 20 has {version}, expected {VERSION} (LMDB 0.9); copy it with that version's mdb_dump and mdb_load"
            )));
        }
        self.page_size = u32_at(&first, 40) as usize;
        if !self.page_size.is_power_of_two() || !(512..=65_536).contains(&self.page_size) {
            return Err(self.wrong(format!("byte 40: a page size of {} is absurd", self.page_size)));
        }
        let second = self.read(self.page_size as u64, 152)?;
        let second_is_newer = u32_at(&second, 16) == MAGIC && u64_at(&second, 144) > u64_at(&first, 144);
        let head = if second_is_newer { second } else { first };
        let root = u64_at(&head, 128);
        Ok((root != u64::MAX).then_some(root))
    }

    fn walk(&mut self, number: u64, depth: usize) -> Result<(), DataError> {
        let size = self.page_size;
        let start = number.saturating_mul(size as u64);
        // Each page belongs to one place of a tree. Where branches share pages, each level would double the work.
        self.visited += 1;
        if self.visited > self.length / size as u64 {
            let most = self.length / size as u64;
            return Err(self.wrong(format!(
                "damaged: its tree leads to byte {start} after {most} pages, as many as the file has; some page stands in it twice"
            )));
        }
        let page = self.read(start, size)?;
        let (flags, lower) = (u16_at(&page, 10) as u16, u16_at(&page, 12));
        let found = u64_at(&page, 0);
        if found != number
            || depth > DEEPEST
            || lower < HEADER
            || lower > size
            || self.values.len() as u64 > self.length
        {
            return Err(self.wrong(format!("damaged: byte {start} does not begin page {number} of its tree")));
        }
        for slot in (HEADER..lower - 1).step_by(2) {
            let node = u16_at(&page, slot);
            let at = start + node as u64;
            let key_end = node + 8 + u16_at(&page, node + 6);
            if node < lower || key_end > size {
                return Err(self.wrong(format!("damaged: the node at byte {at} leaves its page")));
            }
            let low = u64::from(u32_at(&page, node));
            let node_flags = u16_at(&page, node + 4) as u16;
            match flags & (BRANCH | LEAF) {
                BRANCH => self.walk(low | u64::from(node_flags) << 32, depth + 1)?,
                LEAF if node_flags & !BIG == 0 => {
                    let key = page[node + 8..key_end].to_vec();
                    self.push(key, &page, key_end, low as usize, node_flags & BIG != 0, start)?;
                }
                LEAF => {
                    let what = format!(
                        "byte {at}: named databases and duplicate keys are not read (node flags {node_flags:#x})"
                    );
                    return Err(self.wrong(what));
                }
                _ => return Err(self.wrong(format!("damaged: byte {start}: page flags {flags:#x} are no tree's"))),
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        key: Vec<u8>,
        page: &[u8],
        at: usize,
        length: usize,
        big: bool,
        page_start: u64,
    ) -> Result<(), DataError> {
        let mut start = page_start + at as u64;
        if big {
            let number = u64_at(page, at);
            start = number.saturating_mul(self.page_size as u64);
            let head = self.read(start, HEADER)?;
            if u16_at(&head, 10) as u16 & OVERFLOW == 0 {
                return Err(self.wrong(format!("damaged: byte {start} does not begin a value's own pages")));
            }
            start = start.saturating_add(HEADER as u64);
        }
        let end = start.saturating_add(length as u64);
        if end > self.length {
            let (key, whole) = (String::from_utf8_lossy(&key).into_owned(), self.length);
            return Err(self.wrong(format!(
                "truncated: the value of key {key} ends at byte {end}, the file at {whole}; fetch the file again"
            )));
        }
        self.values.push(Value { key, start, length });
        Ok(())
    }
}

impl Samples for Lmdb {
    fn len(&self) -> usize {
        self.values.len()
    }

    fn name(&self, index: usize) -> String {
        format!("{}, key {}", self.path.shown(), String::from_utf8_lossy(&self.values[index].key))
    }

    fn bytes(&self, index: usize) -> u64 {
        self.values[index].length as u64
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        let Value { start, length, .. } = self.values[index];
        buffer.clear();
        buffer.resize(length, 0);
        let read = self.file.read_exact_at(buffer, start);
        read.map_err(|e| format!("cannot be read at byte {start}: {e}"))?;
        Ok(Content::Encoded)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_whose_branches_share_pages_ends_at_once() {
        const SIZE: usize = 4096;
        // The heads, then 40 branch pages with two nodes each, both of which lead to the next page: 2^40 ways.
        let mut bytes = vec![0; 42 * SIZE];
        let mut put = |at: usize, value: &[u8]| bytes[at..at + value.len()].copy_from_slice(value);
        for head in [0, SIZE] {
            put(head + 16, &MAGIC.to_le_bytes());
            put(head + 20, &VERSION.to_le_bytes());
            put(head + 40, &(SIZE as u32).to_le_bytes());
            put(head + 128, &2_u64.to_le_bytes());
        }
        for page in 2..42_u64 {
            let start = page as usize * SIZE;
            put(start, &page.to_le_bytes());
            put(start + 10, &BRANCH.to_le_bytes());
            put(start + 12, &20_u16.to_le_bytes());
            for (slot, node) in [(16, 100_u16), (18, 200)] {
                put(start + slot, &node.to_le_bytes());
                let next = if page == 41 { 41 } else { page + 1 };
                put(start + usize::from(node), &(next as u32).to_le_bytes());
            }
        }
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("data.mdb");
        std::fs::write(&path, bytes).unwrap();
        let message = open(&path).err().unwrap().to_string();
        assert!(message.contains("after 42 pages, as many as the file has"), "{message}");
    }
}
