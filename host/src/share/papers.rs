//! The README and licence files that go into an archive: of the crate's own folder and of nowhere else. Who packs a
//! checkout that came from somebody else must not give away a private key under the name of a licence.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use super::ShareError;
use crate::{files, plugin::MAX_FILE, text::Show as _};

/// README.md and the licence files of a crate's folder; `licence` is what the plugin's manifest says.
pub(super) fn papers(from: &Path, licence: &str) -> Result<BTreeMap<String, Vec<u8>>, ShareError> {
    let unreadable = |error| ShareError::Read { path: from.to_owned(), error };
    let folder = fs::canonicalize(from).map_err(unreadable)?;
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(from).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let grants = ["LICENSE", "LICENCE", "COPYING"].iter().any(|start| name.to_uppercase().starts_with(start));
        // Some keep their licences in a folder `LICENSES` besides.
        if !(grants || name == "README.md") || entry.file_type().map_err(unreadable)?.is_dir() {
            continue;
        }
        let path = entry.path();
        let real = within(&path, &folder)?;
        let bytes = files::read(&real, MAX_FILE).map_err(|error| ShareError::Read { path, error })?;
        files.insert(name, bytes);
    }
    require(&files, from, licence)?;
    Ok(files)
}

/// Where a file really is, if that is within the folder.
fn within(path: &Path, folder: &Path) -> Result<PathBuf, ShareError> {
    let real = fs::canonicalize(path).map_err(|error| ShareError::Read { path: path.to_owned(), error })?;
    if real.starts_with(folder) {
        return Ok(real);
    }
    Err(ShareError::Pack(format!(
        "`{}` is a link to `{}`, out of `{}`; put a copy in its place if that is to be published",
        path.shown(),
        real.shown(),
        folder.shown()
    )))
}

fn require(files: &BTreeMap<String, Vec<u8>>, from: &Path, licence: &str) -> Result<(), ShareError> {
    let folder = from.shown();
    if !files.contains_key("README.md") {
        return Err(ShareError::Pack(format!(
            "`{folder}` has no README.md; write one, or name the crate's folder with --from"
        )));
    }
    if files.len() == 1 {
        let file = from.join("LICENSE");
        let what = if licence.is_empty() {
            format!(
                "choose one, save its text as `{}`, put its name into Cargo.toml as in `license = \"MIT\"`, and build again, so that the plugin says it",
                file.shown()
            )
        } else {
            format!("save the text of {licence}, which the plugin says, as `{}`", file.shown())
        };
        return Err(ShareError::Pack(format!(
            "`{folder}` has no licence file, and without a licence nobody may use the plugin: {what}"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn papers_are_files_of_their_folder() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("crate/LICENSES")).unwrap();
        fs::create_dir(at("crate/docs")).unwrap();
        fs::write(at("secret"), "key").unwrap();
        fs::write(at("crate/README.md"), "read").unwrap();
        fs::write(at("crate/docs/MIT"), "mit").unwrap();
        let packed = || papers(&at("crate"), "MIT").map_err(|e| e.to_string());
        // A link that stays is a file of the folder, also where the folder was named by a link.
        symlink("docs/MIT", at("crate/LICENSE")).unwrap();
        symlink("crate", at("named")).unwrap();
        for from in ["crate", "named"] {
            let files = papers(&at(from), "MIT").unwrap();
            assert_eq!(files.keys().collect::<Vec<_>>(), ["LICENSE", "README.md"]);
            assert_eq!(files["LICENSE"], b"mit");
        }
        for (name, target) in [("COPYING", "../secret"), ("README.md", "../secret"), ("LICENSE-2", "/etc/hostname")] {
            let _ = fs::rename(at("crate").join(name), at("kept"));
            symlink(target, at("crate").join(name)).unwrap();
            let said = packed().unwrap_err();
            assert!(said.contains(&format!("{name}` is a link to `")) && said.contains("out of `"), "{said}");
            fs::remove_file(at("crate").join(name)).unwrap();
            let _ = fs::rename(at("kept"), at("crate").join(name));
        }
        symlink("nowhere", at("crate/LICENSE-3")).unwrap();
        assert!(packed().unwrap_err().contains("LICENSE-3"));
        fs::remove_file(at("crate/LICENSE-3")).unwrap();
        // Nobody writes into this pipe: who opened it would wait for ever.
        nix::unistd::mkfifo(&at("crate/LICENCE"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(packed().unwrap_err().contains("expected a file"));
        fs::remove_file(at("crate/LICENCE")).unwrap();
        fs::File::create(at("crate/LICENCE")).unwrap().set_len(MAX_FILE + 1).unwrap();
        assert!(packed().unwrap_err().contains("it is longer than"));
    }
}
