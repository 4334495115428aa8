//! What teams exchange: pins of plugin files, signatures, archives, the user's plugin folder, and a new plugin's crate.
//!
//! Nothing here runs a plugin's code: files are read as [`crate::plugin::inspect`] does. What a definition means, and how
//! weights leave, is elsewhere.

mod archive;
mod entry;
mod error;
mod install;
mod lock;
mod papers;
mod paths;
#[cfg(test)]
mod readers;
mod scaffold;
mod signature;
mod sums;
mod tarball;
mod trust;
mod verify;

pub use archive::{Archive, is_packed, pack};
pub use error::ShareError;
pub use install::{Before, Installed, install, remove};
pub use lock::{ExtractorPin, Lock, Pin};
pub use scaffold::scaffold;
pub use signature::{Signed, WithSignature};
pub use trust::{allow, allow_extractor};
pub use verify::{Verified, verify};

use std::{fs, io::Write as _, os::unix::fs::PermissionsExt as _, path::Path};

use crate::work::{self, Held};

/// Writes a file whole or not at all: beside its place, synced, renamed.
fn place(path: &Path, content: &[u8]) -> Result<(), ShareError> {
    let folder = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let _whole = work::hold(Held::WRITES);
    let write = || {
        fs::create_dir_all(folder)?;
        let mut beside = tempfile::NamedTempFile::new_in(folder)?;
        beside.write_all(content)?;
        beside.as_file().set_permissions(fs::Permissions::from_mode(0o644))?;
        beside.as_file().sync_all()?;
        beside.persist(path)?;
        fs::File::open(folder)?.sync_all()
    };
    write().map_err(|error| ShareError::Write { path: path.to_owned(), error })
}
