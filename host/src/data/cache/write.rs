//! Writing a cache: beside its place, synced, made read-only, renamed. One process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use super::{Description, HEAD, MAGIC, START, VERSION, sum};
use crate::data::DataError;

/// A cache in the making. Dropped without [`Writer::finish`], it leaves nothing behind.
pub(in crate::data) struct Writer {
    path: PathBuf,
    unfinished: PathBuf,
    to: BufWriter<File>,
    sums: Vec<u32>,
    done: bool,
}

impl Writer {
    /// Begins the cache that will lie at `path`.
    pub(in crate::data) fn begin(path: &Path) -> Result<Self, DataError> {
        let unfinished = path.with_extension("cache.tmp");
        let failed = |source| DataError::Write { path: unfinished.clone(), source };
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        // What a killed process left is taken over; what a living one writes is locked.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&unfinished).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DataError::Busy { path: path.to_owned() }),
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        let begin = || -> io::Result<BufWriter<File>> {
            file.set_len(0)?;
            let mut to = BufWriter::with_capacity(1 << 20, file);
            to.write_all(&[0; START])?;
            Ok(to)
        };
        let to = begin().map_err(failed)?;
        Ok(Self { path: path.to_owned(), unfinished, to, sums: Vec::new(), done: false })
    }

    /// Adds an image's planes.
    pub(in crate::data) fn push(&mut self, planes: &[u8]) -> Result<(), DataError> {
        self.sums.push(crc32fast::hash(planes));
        self.to.write_all(planes).map_err(|source| self.failed(source))
    }

    /// Writes what is known only now, and puts the cache in its place.
    pub(in crate::data) fn finish(mut self, about: &Description, labels: &[u16]) -> Result<(), DataError> {
        self.put(about, labels).map_err(|source| self.failed(source))?;
        self.done = true;
        Ok(())
    }

    fn put(&mut self, about: &Description, labels: &[u16]) -> io::Result<()> {
        let text = serde_json::to_vec(about)?;
        let mut tail = text.clone();
        tail.extend(labels.iter().flat_map(|label| label.to_le_bytes()));
        tail.extend(self.sums.iter().flat_map(|sum| sum.to_le_bytes()));
        let mut head = Vec::from(MAGIC);
        head.extend(VERSION.to_le_bytes());
        head.extend((text.len() as u32).to_le_bytes());
        head.extend((self.sums.len() as u64).to_le_bytes());
        let labelled = usize::from(!labels.is_empty());
        for word in [about.transform.channels, about.transform.image_size, labelled] {
            head.extend((word as u32).to_le_bytes());
        }
        head.extend([0; 32]);
        let sum = sum(&head, &tail);
        head[HEAD - 32..].copy_from_slice(&sum);
        self.to.write_all(&tail)?;
        self.to.seek(SeekFrom::Start(0))?;
        self.to.write_all(&head)?;
        self.to.flush()?;
        let file = self.to.get_ref();
        let mut access = file.metadata()?.permissions();
        access.set_readonly(true);
        file.set_permissions(access)?;
        file.sync_all()?;
        fs::rename(&self.unfinished, &self.path)?;
        File::open(self.path.parent().unwrap_or(Path::new(".")))?.sync_all()
    }

    fn failed(&self, source: io::Error) -> DataError {
        DataError::Write { path: self.path.clone(), source }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        if !self.done {
            // Nothing is lost if it stays: the next one takes it over.
            let _ = fs::remove_file(&self.unfinished);
        }
    }
}
