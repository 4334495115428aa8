//! A folder of image files; folders in it are classes, or a `dataset.json` says what is.

use std::{
    collections::{BTreeSet, HashMap, hash_map::Entry},
    fs::{self, FileType},
    io::Read as _,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use super::{
    Content, Labels, Listed, Opened, Samples, is_image,
    labels::LIST,
    names,
    passed::{HEAD, Passed, PassedOver, Why},
    regular,
};
use crate::{data::DataError, files, text::Show as _};

/// Every image below `path` in the order of their names, then the lists of labels.
pub(super) fn files(path: &Path) -> Result<Listed, DataError> {
    let mut walk = Walk::new(path);
    walk.all()?;
    let passed = walk.passed.finish(|file| head(file));
    if walk.files.is_empty() {
        return Err(DataError::no_images(path, &passed));
    }
    walk.files.sort();
    walk.lists.sort();
    walk.files.append(&mut walk.lists);
    Ok(Listed { files: walk.files, passed })
}

/// The first bytes of a file; none of what cannot be read.
fn head(file: &Path) -> Vec<u8> {
    let mut head = Vec::new();
    if let Ok((file, _)) = files::open_known(file) {
        // A file that cannot be read is no picture that anybody could miss.
        let _ = file.take(HEAD as u64).read_to_end(&mut head);
    }
    head
}

/// What the system calls a folder whatever its name: its device and its number there.
type Id = (u64, u64);

/// A walk through folders, one of them open at a time. Links are followed after all else, so that a folder that is reached
/// in two ways is taken by its own name; each is taken once, so that links in a circle end.
struct Walk<'a> {
    root: &'a Path,
    files: Vec<PathBuf>,
    lists: Vec<PathBuf>,
    /// Links to folders, not yet followed.
    links: BTreeSet<PathBuf>,
    seen: HashMap<Id, PathBuf>,
    passed: Passed<PathBuf>,
}

impl<'a> Walk<'a> {
    fn new(root: &'a Path) -> Self {
        Self {
            root,
            files: Vec::new(),
            lists: Vec::new(),
            links: BTreeSet::new(),
            seen: HashMap::new(),
            passed: Passed::new(),
        }
    }

    fn all(&mut self) -> Result<(), DataError> {
        self.below(self.root.to_owned())?;
        while let Some(link) = self.links.pop_first() {
            self.below(link)?;
        }
        Ok(())
    }

    /// What lies below a folder that no link in it leads to.
    fn below(&mut self, folder: PathBuf) -> Result<(), DataError> {
        let mut folders = vec![folder];
        while let Some(folder) = folders.pop() {
            let failed = |source| DataError::Read { path: folder.clone(), source };
            let facts = fs::metadata(&folder).map_err(failed)?;
            match self.seen.entry((facts.dev(), facts.ino())) {
                Entry::Vacant(place) => drop(place.insert(folder.clone())),
                Entry::Occupied(_) => {
                    self.passed.count(Why::Again, relative(self.root, &folder));
                    continue;
                }
            }
            for entry in fs::read_dir(&folder).map_err(failed)? {
                let entry = entry.map_err(failed)?;
                let path = entry.path();
                if names::is_hidden(entry.file_name().as_bytes()) {
                    self.passed.count(Why::Hidden, relative(self.root, &path));
                    continue;
                }
                let kind = entry.file_type().map_err(failed)?;
                // A link's own type says nothing of what it leads to.
                let leads_to =
                    if kind.is_symlink() { fs::metadata(&path).ok().map(|f| f.file_type()) } else { Some(kind) };
                match leads_to {
                    Some(to) if to.is_dir() && kind.is_symlink() => drop(self.links.insert(path)),
                    Some(to) if to.is_dir() => folders.push(path),
                    _ => self.file(path, leads_to),
                }
            }
        }
        Ok(())
    }

    /// What has an image's name is one, whatever it is: what cannot be read of it is told as damaged ones are.
    fn file(&mut self, path: PathBuf, kind: Option<FileType>) {
        let name = relative(self.root, &path).to_vec();
        match kind {
            _ if is_image(&names::text(&name)) => self.files.push(path),
            _ if names::base(&name) == LIST.as_bytes() => self.lists.push(path),
            _ if names::ending(&name) == "cls" => self.passed.count(Why::Class, &name),
            None => self.passed.count(Why::Dangling, &name),
            Some(kind) if !kind.is_file() => self.passed.count(Why::Special, &name),
            Some(_) => self.passed.file(&name, || path),
        }
    }
}

/// The name below `root`, as bytes.
pub(super) fn relative<'a>(root: &Path, file: &'a Path) -> &'a [u8] {
    file.strip_prefix(root).unwrap_or(file).as_os_str().as_bytes()
}

/// Image files by path.
pub(super) struct Files(pub(super) Vec<PathBuf>);

pub(super) fn open(root: &Path, listed: &Listed) -> Result<(Opened, PassedOver), DataError> {
    let images = listed.files.partition_point(|file| !file.ends_with(LIST));
    let (images, lists) = listed.files.split_at(images);
    let list_names: Vec<Vec<u8>> = lists.iter().map(|list| relative(root, list).to_vec()).collect();
    let image_names: Vec<&[u8]> = images.iter().map(|image| relative(root, image)).collect();
    let labels = Labels::of_tree(root, &image_names, &list_names, |index| {
        let mut text = Vec::new();
        let path = &lists[index];
        regular::read(path, &mut text).map_err(|source| DataError::Read { path: path.clone(), source })?;
        Ok(text)
    })?;
    Ok((Opened { samples: Box::new(Files(images.to_vec())), labels }, listed.passed.clone()))
}

impl Samples for Files {
    fn len(&self) -> usize {
        self.0.len()
    }

    fn name(&self, index: usize) -> String {
        self.0[index].shown().to_string()
    }

    fn bytes(&self, index: usize) -> u64 {
        fs::metadata(&self.0[index]).map_or(0, |facts| facts.len())
    }

    fn read(&self, index: usize, buffer: &mut Vec<u8>) -> Result<Content, String> {
        regular::read(&self.0[index], buffer).map_err(|e| format!("cannot be read: {e}"))?;
        Ok(Content::Encoded)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    struct Place(tempfile::TempDir);

    impl Place {
        fn new() -> Self {
            Self(tempfile::tempdir().unwrap())
        }

        fn path(&self, name: &str) -> PathBuf {
            self.0.path().join(name)
        }

        fn write(&self, names: &[&str]) {
            for name in names {
                fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
                fs::write(self.path(name), "").unwrap();
            }
        }

        fn link(&self, target: &str, name: &str) {
            symlink(target, self.path(name)).unwrap();
        }

        fn list(&self, root: &str) -> (Vec<String>, PassedOver) {
            let root = self.path(root);
            let listed = files(&root).unwrap();
            let name = |file: &PathBuf| names::text(relative(&root, file)).into_owned();
            (listed.files.iter().map(name).collect(), listed.passed)
        }
    }

    #[test]
    fn links_to_folders_and_images_are_taken_and_each_folder_once() {
        let place = Place::new();
        place.write(&["pool/1.png", "pool/2.png", "set/dogs/3.png"]);
        place.link("../pool", "set/cats");
        place.link("../../pool/1.png", "set/dogs/4.png");
        // The same folder by other names, its own folder, and one that leads back.
        place.link("dogs", "set/a-dogs");
        place.link("../pool", "set/z");
        place.link(".", "set/dogs/self");
        place.link("../set", "pool/back");
        let (found, passed) = place.list("set");
        assert_eq!(found, ["cats/1.png", "cats/2.png", "dogs/3.png", "dogs/4.png"]);
        let expected = "4 links to folders that are taken already or that they lie in, the first of them a-dogs";
        assert_eq!(passed.lines, [expected]);
    }

    #[test]
    fn what_is_hidden_is_not_entered_and_what_is_no_file_is_named() {
        let place = Place::new();
        place.write(&["set/cats/1.png", "set/.ipynb_checkpoints/1.png", "set/@eaDir/1.png/2.png", "set/cats/._1.png"]);
        place.link("/nowhere/cats", "set/gone");
        place.link("/nowhere/2.png", "set/cats/2.png");
        nix::unistd::mkfifo(&place.path("set/pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        nix::unistd::mkfifo(&place.path("set/cats/3.png"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        let (found, passed) = place.list("set");
        assert_eq!(found, ["cats/1.png", "cats/2.png", "cats/3.png"]);
        assert!(
            passed
                .hidden
                .unwrap()
                .contains("3 hidden or system files and folders, the first of them .ipynb_checkpoints")
        );
        assert_eq!(
            passed.lines,
            ["1 link that leads nowhere: gone; restore what it led to, or remove it", "1 pipe, socket or device: pipe"]
        );
        // Images that cannot be read are told as damaged ones are.
        let (opened, _) = open(&place.path("set"), &files(&place.path("set")).unwrap()).unwrap();
        let why = |index| opened.samples.read(index, &mut Vec::new()).err().unwrap();
        assert_eq!(why(1), "cannot be read: it is a link to /nowhere/2.png, which is not there");
        assert_eq!(why(2), "cannot be read: it is a pipe; expected a file");
    }

    #[test]
    fn lists_of_labels_come_after_the_images() {
        let place = Place::new();
        place.write(&["set/dataset.json", "set/z/dataset.json", "set/z/1.png", "set/a.png"]);
        let (found, passed) = place.list("set");
        assert_eq!(found, ["a.png", "z/1.png", "dataset.json", "z/dataset.json"]);
        assert_eq!(passed, PassedOver::default());
    }
}
