//! One process trains in a run directory at a time. The lock is the system's (`flock`), so it ends with the process,
//! however that ends; the file stays and says nothing by being there.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io::{Read, Write},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
};

use super::{RunError, write};

/// Held while a process trains; dropping it lets go.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing would do, but for a child process between fork and exec, which still has the file open.
        let _ = self.file.unlock();
    }
}

impl Lock {
    /// Takes the lock of a run directory, or says who has it.
    pub(super) fn take(directory: &Path) -> Result<Self, RunError> {
        let path = directory.join(super::LOCK);
        write::own(&path)?;
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(&path)
            .map_err(RunError::io("open the lock file", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RunError::Locked { path: directory.to_owned(), holder: holder(&mut file) });
            }
            Err(TryLockError::Error(e)) => return Err(RunError::io("lock", &path)(e)),
        }
        let found = file.metadata().map_err(RunError::io("read", &path))?;
        if !found.is_file() {
            return Err(RunError::Damaged { path, what: "it is no file; move it away".into() });
        }
        // Under another name it may be anybody's: held, but not written to.
        if found.nlink() == 1 {
            file.set_len(0)
                .and_then(|()| writeln!(file, "{}", std::process::id()))
                .map_err(RunError::io("write", &path))?;
        }
        Ok(Self { file })
    }
}

/// The process that wrote its id into the lock file. It may not have got there yet.
fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}
