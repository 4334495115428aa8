//! Writing a cache: beside its place, synced, made read-only, renamed. One process at a time.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, BufWriter, Seek as _, SeekFrom, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use super::{Description, HEAD, MAGIC, START, VERSION, sum};
use crate::{
    data::DataError,
    work::{self, Held, Hold},
};

/// A cache in the making. Dropped without [`Writer::finish`], it leaves nothing behind.
pub(in crate::data) struct Writer {
    path: PathBuf,
    unfinished: PathBuf,
    to: BufWriter<File>,
    sums: Vec<u32>,
    done: bool,
    /// The unfinished file is removed by whoever stops.
    _whole: Hold,
}

impl Writer {
    /// Begins the cache that will lie at `path`.
    pub(in crate::data) fn begin(path: &Path) -> Result<Self, DataError> {
        let unfinished = path.with_extension("cache.tmp");
        let failed = |source| DataError::Write { path: unfinished.clone(), source };
        fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).map_err(failed)?;
        // What a killed process left is taken over; what a living one writes is locked.
        // Not through a link, which may be anybody's.
        let open = || {
            OpenOptions::new().write(true).create(true).truncate(false).custom_flags(libc::O_NOFOLLOW).open(&unfinished)
        };
        let file = lock(&unfinished, open).map_err(failed)?;
        let file = file.ok_or_else(|| DataError::Busy { path: path.to_owned() })?;
        let begin = || -> io::Result<BufWriter<File>> {
            file.set_len(0)?;
            let mut to = BufWriter::with_capacity(1 << 20, file);
            to.write_all(&[0; START])?;
            Ok(to)
        };
        let to = begin().map_err(failed)?;
        Ok(Self {
            path: path.to_owned(),
            unfinished,
            to,
            sums: Vec::new(),
            done: false,
            _whole: work::hold(Held::WRITES),
        })
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

/// The file at this path, locked; `None` where another process has it. Between opening and locking, another writer may have
/// finished and renamed what was opened: that is a cache now, perhaps mapped, and must not be written to.
fn lock(path: &Path, mut open: impl FnMut() -> io::Result<File>) -> io::Result<Option<File>> {
    loop {
        let file = open()?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let locked = file.metadata()?;
        match fs::metadata(path) {
            Ok(there) if (there.dev(), there.ino()) == (locked.dev(), locked.ino()) => return Ok(Some(file)),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_writer_renamed_meanwhile_is_not_locked_to_be_written() {
        let folder = tempfile::tempdir().unwrap();
        let (unfinished, finished) = (folder.path().join("a.cache.tmp"), folder.path().join("a.cache"));
        let open = || OpenOptions::new().write(true).create(true).truncate(false).open(&unfinished);
        let mut first = true;
        let opened = || {
            let file = open()?;
            if std::mem::take(&mut first) {
                fs::write(&unfinished, "whole")?;
                fs::rename(&unfinished, &finished)?;
            }
            Ok(file)
        };
        let file = lock(&unfinished, opened).unwrap().unwrap();
        file.set_len(0).unwrap();
        assert_eq!(fs::read_to_string(&finished).unwrap(), "whole");
        assert!(lock(&unfinished, open).unwrap().is_none(), "it is locked");
    }
}
