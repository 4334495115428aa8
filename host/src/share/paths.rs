//! The paths of a packed plugin: each means one file or folder wherever it is unpacked, on file systems that hold `A` and
//! `a` for the same, too.

use std::collections::{BTreeMap, BTreeSet};

use super::entry::Kind;
use crate::text::Show as _;

/// What has been said so far of an archive's paths.
#[derive(Debug, Default)]
pub(super) struct Paths {
    /// The one folder in which all lies.
    root: Option<String>,
    /// Every path and every folder above one in small letters, with its own spelling.
    known: BTreeMap<String, (String, Kind)>,
    /// Folders with an entry of their own.
    folders: BTreeSet<String>,
}

impl Paths {
    /// Takes an entry's path; its name in the one folder, which is empty for the folder itself. Or what is wrong with it,
    /// as the end of a sentence about the archive.
    pub(super) fn take(&mut self, path: &str, kind: Kind) -> Result<String, String> {
        let shown = path.shown();
        is_plain(path).map_err(|what| format!("holds `{shown}`, {what}"))?;
        let (root, name) = path.split_once('/').unwrap_or((path, ""));
        if name.is_empty() && kind == Kind::File {
            return Err(format!("holds `{shown}` in no folder; a packed plugin lies in one"));
        }
        match &self.root {
            Some(first) if first != root => {
                let first = first.shown();
                return Err(format!("holds `{shown}` beside the folder `{first}`; a packed plugin lies in one folder"));
            }
            Some(_) => {}
            None => self.root = Some(root.to_owned()),
        }
        for (end, _) in path.match_indices('/') {
            self.know(&path[..end], Kind::Folder)?;
        }
        let new = match kind {
            Kind::Folder => self.folders.insert(path.to_owned()),
            Kind::File => !self.known.contains_key(&path.to_ascii_lowercase()),
        };
        self.know(path, kind)?;
        if new { Ok(name.to_owned()) } else { Err(format!("holds `{shown}` twice")) }
    }

    fn know(&mut self, path: &str, kind: Kind) -> Result<(), String> {
        let entry = self.known.entry(path.to_ascii_lowercase()).or_insert_with(|| (path.to_owned(), kind));
        let (shown, before) = (path.shown(), entry.0.shown());
        if entry.0 != path {
            return Err(format!("holds `{shown}` and `{before}`, which are the same on some file systems"));
        }
        if entry.1 != kind {
            return Err(format!("holds `{shown}` both as a file and as a folder"));
        }
        Ok(())
    }
}

/// Whether every system and every program takes this path for the same.
pub(super) fn is_plain(path: &str) -> Result<(), &'static str> {
    if path.starts_with('/') || path.split('/').any(|part| part == "..") {
        return Err("a path that leads out of it");
    }
    if !path.chars().all(|c| c == ' ' || c.is_ascii_graphic()) || path.contains('\\') {
        return Err("a path with other characters than ASCII's, or with a backslash");
    }
    // Some systems cut a final dot or blank away.
    if path.split('/').any(|part| part.is_empty() || part.ends_with(['.', ' '])) {
        return Err("a path of which a part is empty, `.`, or ends with a dot or a blank");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is said of the last of these paths; a final `/` makes a folder.
    fn said(paths: &[&str]) -> Result<String, String> {
        let mut known = Paths::default();
        let mut taken = paths.iter().map(|path| match path.strip_suffix('/') {
            Some(folder) => known.take(folder, Kind::Folder),
            None => known.take(path, Kind::File),
        });
        let last = taken.by_ref().take(paths.len() - 1).find(Result::is_err);
        last.unwrap_or_else(|| taken.next().unwrap())
    }

    #[test]
    fn a_path_means_one_thing_everywhere() {
        assert_eq!(said(&["x/"]), Ok(String::new()));
        assert_eq!(said(&["x/", "x/a/", "x/a/b.so", "x/LICENSE MIT"]), Ok("LICENSE MIT".into()));
        for (paths, what) in [
            (&["x/a", "y/b"][..], "holds `y/b` beside the folder `x`"),
            (&["x/a", "y/"], "holds `y` beside the folder `x`"),
            (&["x/a", "X/b"], "holds `X/b` beside the folder `x`"),
            (&["a"], "holds `a` in no folder"),
            (&["x/a", "x/a"], "holds `x/a` twice"),
            (&["x/a/", "x/a/"], "holds `x/a` twice"),
            (&["x/a", "x/A"], "holds `x/A` and `x/a`, which are the same"),
            (&["x/a/b", "x/A/c"], "holds `x/A` and `x/a`, which are the same"),
            (&["x/a", "x/a/"], "holds `x/a` both as a file and as a folder"),
            (&["x/a/", "x/a"], "holds `x/a` both as a file and as a folder"),
            (&["x/a", "x/a/b"], "holds `x/a` both as a file and as a folder"),
            (&["x/a/b", "x/a"], "holds `x/a` both as a file and as a folder"),
            (&["x/./a"], "holds `x/./a`, a path of which a part is empty"),
            (&["./x/a"], "holds `./x/a`, a path of which a part is empty"),
            (&["x//a"], "holds `x//a`, a path of which a part is empty"),
            (&["x/a."], "holds `x/a.`, a path of which a part"),
            (&["x/a\\b"], "holds `x/a\\b`, a path with other characters"),
            (&["x/ä"], "holds `x/ä`, a path with other characters"),
            (&["x/\u{1b}[2J"], "holds `x/\\u{1b}[2J`, a path with other characters"),
            (&["../a"], "holds `../a`, a path that leads out"),
            (&["/x/a"], "holds `/x/a`, a path that leads out"),
            (&["x/../../a"], "holds `x/../../a`, a path that leads out"),
        ] {
            let found = said(paths).unwrap_err();
            assert!(found.starts_with(what), "{paths:?}: {found}");
        }
    }
}
