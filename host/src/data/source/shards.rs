//! Tar files that images are read from, however many there are: few of them are open at a time.

use std::{
    collections::VecDeque,
    fs::{File, Metadata},
    io,
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use crate::files;

/// Files that stay open: threads that read in order share one or two, and a system may allow a process 256.
const MOST_OPEN: usize = 32;

/// What tells a file from one that was put in its place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    number: u64,
    length: u64,
    changed: (i64, i64),
}

impl Stamp {
    pub(super) fn of(facts: &Metadata) -> Self {
        Self {
            device: facts.dev(),
            number: facts.ino(),
            length: facts.len(),
            changed: (facts.mtime(), facts.mtime_nsec()),
        }
    }
}

/// The files, by number.
#[derive(Debug, Default)]
pub(super) struct Shards {
    files: Vec<(PathBuf, Stamp)>,
    /// Those that were read last, the latest at the end.
    open: Mutex<VecDeque<(usize, Arc<File>)>>,
}

impl Shards {
    /// One more, as it was when its entries were listed.
    pub(super) fn push(&mut self, path: PathBuf, stamp: Stamp) {
        self.files.push((path, stamp));
    }

    pub(super) fn path(&self, shard: usize) -> &Path {
        &self.files[shard].0
    }

    /// Fills `buffer` with what begins at byte `start`; refuses a file that is no longer the one that was listed.
    pub(super) fn read(&self, shard: usize, start: u64, buffer: &mut [u8]) -> io::Result<()> {
        let file = self.file(shard)?;
        file.read_exact_at(buffer, start)?;
        // Asked after reading: what was changed before is not taken for what was listed.
        if Stamp::of(&file.metadata()?) != self.files[shard].1 {
            return Err(io::Error::other("the file was changed since it was opened; begin again"));
        }
        Ok(())
    }

    fn file(&self, shard: usize) -> io::Result<Arc<File>> {
        // Nothing that can panic is done under the lock.
        let lock = || self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, file)) = lock().iter().rfind(|(number, _)| *number == shard) {
            return Ok(Arc::clone(file));
        }
        let (path, _) = &self.files[shard];
        let file = Arc::new(files::open(path)?);
        let mut open = lock();
        open.push_back((shard, Arc::clone(&file)));
        if open.len() > MOST_OPEN {
            open.pop_front();
        }
        Ok(file)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn shards(folder: &Path, count: usize) -> Shards {
        let mut shards = Shards::default();
        for number in 0..count {
            let path = folder.join(number.to_string());
            fs::write(&path, format!("{number:08}")).unwrap();
            let stamp = Stamp::of(&fs::metadata(&path).unwrap());
            shards.push(path, stamp);
        }
        shards
    }

    fn read(shards: &Shards, shard: usize) -> io::Result<String> {
        let mut buffer = [0; 8];
        shards.read(shard, 0, &mut buffer)?;
        Ok(String::from_utf8_lossy(&buffer).into_owned())
    }

    #[test]
    fn many_files_are_read_and_few_stay_open() {
        let folder = tempfile::tempdir().unwrap();
        let shards = shards(folder.path(), 3 * MOST_OPEN);
        for shard in (0..3 * MOST_OPEN).chain([0, 0, 5]) {
            assert_eq!(read(&shards, shard).unwrap(), format!("{shard:08}"));
            assert!(shards.open.lock().unwrap().len() <= MOST_OPEN);
        }
    }

    #[test]
    fn a_file_that_was_changed_or_put_in_its_place_is_not_taken_for_it() {
        let folder = tempfile::tempdir().unwrap();
        let shards = shards(folder.path(), 3);
        assert!(read(&shards, 0).is_ok());
        // Written over while it is open; replaced before it is.
        fs::write(shards.path(0), "another").unwrap();
        fs::write(folder.path().join("new"), "00000001").unwrap();
        fs::rename(folder.path().join("new"), shards.path(1)).unwrap();
        assert!(read(&shards, 0).is_err());
        assert!(read(&shards, 1).unwrap_err().to_string().contains("was changed since it was opened"));
        assert!(read(&shards, 2).is_ok());
    }
}
