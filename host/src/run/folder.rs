//! A folder outside of any run directory, written in the same way as what is in one: beside its place, synced, renamed.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use super::{RunError, checkpoint::take_place, write};

/// Writes a folder of these files, whole or not at all. One that is there is replaced, in two renames.
pub fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> Result<(), RunError> {
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        fs::create_dir_all(parent).map_err(RunError::io("create", parent))?;
    }
    // Without a slash at the end, which would put the unfinished one inside; of this process alone.
    let path: &Path = &path.components().collect::<PathBuf>();
    let temporary = write::beside(&path.with_added_extension(std::process::id().to_string()));
    fill(&temporary, files)
        .and_then(|()| take_place(&temporary, path).map_err(RunError::io("write", path)))
        .inspect_err(|_| {
            // Frees the disk at once where it can.
            let _ = fs::remove_dir_all(&temporary);
        })
}

fn fill(temporary: &Path, files: &[(&str, &[u8])]) -> Result<(), RunError> {
    fs::create_dir(temporary).map_err(RunError::io("create", temporary))?;
    for (name, content) in files {
        let file = temporary.join(name);
        write::create(&file, |out| out.write_all(content)).map_err(RunError::io("write", &file))?;
    }
    write::sync_directory(temporary).map_err(RunError::io("write", temporary))
}
