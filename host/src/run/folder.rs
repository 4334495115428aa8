//! A folder outside of any run directory, written in the same way as what is in one: beside its place, synced, renamed.

use std::{
    fs,
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
};

use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use tempfile::TempDir;

use super::{RunError, write};
use crate::work::{self, Held};

/// Writes a folder of these files, whole or not at all. One that is there changes places with it at once and is removed.
pub fn write_folder(path: &Path, files: &[(&str, &[u8])]) -> Result<(), RunError> {
    // Without a slash at the end, which would put the unfinished one inside.
    let path: &Path = &path.components().collect::<PathBuf>();
    let _whole = work::hold(Held::WRITES);
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(RunError::io("create", parent))?;
    // A name that nothing has; from here on, whatever fails, it is removed and nothing else.
    let temporary = beside(path, parent).map_err(RunError::io("create a folder in", parent))?;
    fill(temporary.path(), files)?;
    take_place(temporary, path, parent).map_err(RunError::io("write", path))
}

/// A new folder in a folder, named after what it is for.
fn beside(path: &Path, parent: &Path) -> io::Result<TempDir> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    // Readable as any folder that a program makes, not by its owner alone.
    let permissions = fs::Permissions::from_mode(0o777);
    tempfile::Builder::new().prefix(&format!("{name}.")).suffix(write::TMP).permissions(permissions).tempdir_in(parent)
}

fn fill(temporary: &Path, files: &[(&str, &[u8])]) -> Result<(), RunError> {
    for (name, content) in files {
        let file = temporary.join(name);
        write::create(&file, |out| out.write_all(content)).map_err(RunError::io("write", &file))?;
    }
    write::sync_directory(temporary).map_err(RunError::io("write", temporary))
}

/// Renames the finished folder into its place; what was there is removed.
fn take_place(temporary: TempDir, path: &Path, parent: &Path) -> io::Result<()> {
    if path.symlink_metadata().is_err() {
        fs::rename(temporary.path(), path)?;
        // Nothing is left under its old name.
        drop(temporary.keep());
        return write::sync_directory(parent);
    }
    match renameat2(AT_FDCWD, temporary.path(), AT_FDCWD, path, RenameFlags::RENAME_EXCHANGE) {
        // What was there is the temporary one now.
        Ok(()) => write::sync_directory(parent).and_then(|()| temporary.close()),
        // Not all file systems can.
        Err(_) => take_turns(temporary, path, parent),
    }
}

/// As [`take_place`] over what is there, in two renames; it comes back if the second fails.
fn take_turns(temporary: TempDir, path: &Path, parent: &Path) -> io::Result<()> {
    let aside = beside(path, parent)?;
    let old = aside.path().join("replaced");
    fs::rename(path, &old)?;
    if let Err(error) = fs::rename(temporary.path(), path) {
        if fs::rename(&old, path).is_err() {
            // Better a folder too many than one too few.
            drop(aside.keep());
        }
        return Err(error);
    }
    drop(temporary.keep());
    write::sync_directory(parent)?;
    aside.close()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_others_left_beside_it_stays_and_is_not_in_the_way() {
        let here = tempfile::tempdir().unwrap();
        let [old, pid] = ["v1.old.tmp", &format!("v1.5.{}.tmp", std::process::id())].map(|n| here.path().join(n));
        for folder in [&old, &pid] {
            fs::create_dir(folder).unwrap();
            fs::write(folder.join("theirs"), "1").unwrap();
        }
        for version in ["v1.5", "v1.6/"] {
            let path = here.path().join(version);
            write_folder(&path, &[("a", b"1")]).unwrap();
            write_folder(&path, &[("b", b"2")]).unwrap();
            assert_eq!(names(&path), ["b"]);
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o700, 0o700);
        }
        assert!(old.join("theirs").exists() && pid.join("theirs").exists());
        assert_eq!(names(here.path()).len(), 4, "{:?}", names(here.path()));
    }

    #[test]
    fn without_an_exchange_two_renames_do_and_the_old_one_comes_back() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("x");
        write_folder(&path, &[("a", b"1")]).unwrap();
        let new = beside(&path, here.path()).unwrap();
        fill(new.path(), &[("b", b"2")]).unwrap();
        take_turns(new, &path, here.path()).unwrap();
        assert_eq!((names(&path), names(here.path())), (vec!["b".to_owned()], vec!["x".to_owned()]));
        let gone = beside(&path, here.path()).unwrap();
        fs::remove_dir(gone.path()).unwrap();
        assert!(take_turns(gone, &path, here.path()).is_err());
        assert_eq!((names(&path), names(here.path())), (vec!["b".to_owned()], vec!["x".to_owned()]));
    }

    #[test]
    fn a_write_that_fails_leaves_nothing() {
        let here = tempfile::tempdir().unwrap();
        let path = here.path().join("x");
        assert!(write_folder(&path, &[("no/such/folder", b"1")]).is_err());
        assert_eq!(names(here.path()), Vec::<String>::new());
    }
}
