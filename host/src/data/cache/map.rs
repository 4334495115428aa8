//! A file mapped into memory, to copy from. The one place in this module tree with `unsafe`.

use std::{fs::File, io, path::Path};

use memmap2::Mmap;

use crate::files;

/// A mapped file that is only ever copied from.
#[derive(Debug)]
pub(super) struct Map {
    file: File,
    bytes: Mmap,
}

impl Map {
    #[expect(unsafe_code, reason = "memmap2 cannot know who else writes to the file")]
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let file = files::open(path)?;
        // SAFETY: the two dangers of a map are a file that changes and one that shrinks under it. `prepare` writes a cache
        // under another name, makes it read-only and only then renames it; from then on it is replaced, never written to,
        // and a replaced file lives on under its map. Against others: no reference into the map leaves this type, bytes are
        // copied out and the copy is checked against its sum, so a change is found and not acted on; and the length is asked
        // before each copy, so a file that was cut is an error and not a fault (see `copy`).
        let bytes = unsafe { Mmap::map(&file) }?;
        Ok(Self { file, bytes })
    }

    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Copies the bytes from `start` on. The file's length is asked first: reading pages beyond the end of a file that
    /// somebody cut would end the process. What is left is a cut between this question and the end of the copy,
    /// a microsecond later.
    pub(super) fn copy(&self, start: usize, to: &mut [u8]) -> io::Result<()> {
        let end = start.saturating_add(to.len());
        let now = self.file.metadata()?.len();
        let Some(bytes) = self.bytes.get(start..end).filter(|_| now >= end as u64) else {
            let what = format!("truncated: bytes {start} to {end} are needed, it has {now} now and had {}", self.len());
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, what));
        };
        to.copy_from_slice(bytes);
        Ok(())
    }
}
