//! `tandem.lock`: which plugin files the configs of a folder were used with. It lies beside the configs or above them,
//! like the lock files of package managers, and is meant to be committed.
//!
//! A pin is found by what the config asks for and by this host's target, neither of which the plugin's file has a say in:
//! a file that calls itself something else is another file under the same spelling.

use std::{
    fs, io,
    path::{Component, Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{ShareError, place};
use crate::{
    files::{self, MOST_TEXT},
    metrics::ExtractorFile,
    plugin::{self, PluginFile, TARGET},
    text::Show as _,
};

const NAME: &str = "tandem.lock";
const FORMAT: u32 = 1;
const HEAD: &str =
    "# Which plugin and extractor files these configs were used with; made by `tandem plugin lock`. Commit it.\n\n";

/// One plugin's file for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
    /// What configs say to get it: a name, or a file as seen from the lock file's folder. Lock files that were made before
    /// this was kept do not say it; they pin the name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asked: Option<String>,
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// The target triple for which the file is built.
    pub target: String,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

impl Pin {
    fn asked(&self) -> &str {
        self.asked.as_ref().unwrap_or(&self.name)
    }
}

/// One extractor's file. It is no target's: its code is TorchScript.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExtractorPin {
    /// The file that configs name, as seen from the lock file's folder.
    pub asked: String,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default)]
    plugin: Vec<Pin>,
    /// A reader that does not know these refuses the file, as it could not hold what is pinned here.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    extractor: Vec<ExtractorPin>,
}

impl Document {
    /// That every pin is one and pins one file: of two for the same, a reader could take either.
    fn check(&self) -> Result<(), String> {
        for (i, pin) in self.plugin.iter().enumerate() {
            let asked = pin.asked().shown();
            if pin.sha256.len() != 64 || !pin.sha256.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
                return Err(format!("the sha256 of `{asked}` is not 64 digits of small hexadecimal"));
            }
            let same = |other: &Pin| (other.asked(), &other.target) == (pin.asked(), &pin.target);
            if self.plugin[..i].iter().any(same) {
                return Err(format!("it pins `{asked}` for {} twice", pin.target.shown()));
            }
        }
        Ok(())
    }
}

/// A lock file.
#[derive(Debug)]
pub struct Lock {
    /// The file.
    pub path: PathBuf,
    pins: Vec<Pin>,
    extractors: Vec<ExtractorPin>,
}

impl Lock {
    /// The nearest lock file beside a config's file or above it and, where the config is a symbolic link to elsewhere, the
    /// nearest one there.
    pub fn for_config(config: &Path) -> Result<Vec<Self>, ShareError> {
        let read = |error| ShareError::Read { path: config.to_owned(), error };
        let named = std::path::absolute(config).map_err(read)?;
        let real = fs::canonicalize(config).unwrap_or_else(|_| named.clone());
        let nearest = |config: &Path| {
            config.ancestors().skip(1).map(|f| f.join(NAME)).find(|path| path.symlink_metadata().is_ok())
        };
        let mut found: Vec<PathBuf> = [nearest(&named), nearest(&real)].into_iter().flatten().collect();
        found.dedup_by_key(|path| fs::canonicalize(&*path).unwrap_or_else(|_| path.clone()));
        found.iter().map(|path| Self::existing(path)).collect()
    }

    /// The lock that somebody named or put there: one that is not there, as a link may lead nowhere, would pin nothing.
    pub(super) fn existing(path: &Path) -> Result<Self, ShareError> {
        if path.exists() { Self::open(path) } else { Err(ShareError::NoLock(path.to_owned())) }
    }

    /// The lock files to write for a config: the user's own, if one is named, else those that [`Lock::for_config`] finds, or a
    /// new one beside the config's real file.
    pub fn to_write(config: &Path, own: Option<&Path>) -> Result<Vec<Self>, ShareError> {
        if let Some(own) = own {
            return Ok(vec![Self::open(own)?]);
        }
        let found = Self::for_config(config)?;
        if !found.is_empty() {
            return Ok(found);
        }
        let read = |error| ShareError::Read { path: config.to_owned(), error };
        let real = fs::canonicalize(config).map_err(read)?;
        Ok(vec![Self { path: real.with_file_name(NAME), pins: Vec::new(), extractors: Vec::new() }])
    }

    /// The lock of this path; without a pin where there is none yet.
    fn open(path: &Path) -> Result<Self, ShareError> {
        let path = path.to_owned();
        let text = match files::read(&path, MOST_TEXT) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Self { path, pins: Vec::new(), extractors: Vec::new() });
            }
            Err(error) => return Err(ShareError::Read { path, error }),
        };
        let document: Document = match toml::from_slice(&text) {
            Ok(document) => document,
            Err(error) => return Err(ShareError::BadLock { path, what: error.to_string().trim().replace('\n', " ") }),
        };
        if document.format != FORMAT {
            let what = format!("its format is {}, this tandem knows {FORMAT}", document.format);
            return Err(ShareError::BadLock { path, what });
        }
        match document.check() {
            Ok(()) => Ok(Self { path, pins: document.plugin, extractors: document.extractor }),
            Err(what) => Err(ShareError::BadLock { path, what }),
        }
    }

    /// Pins the file that a config got for what it asked, in place of what was pinned for that, which is returned.
    pub fn pin(&mut self, asked: &str, file: &PluginFile) -> Option<Pin> {
        let asked = self.seen_from_here(asked);
        let manifest = &file.manifest;
        let same = |pin: &Pin| {
            pin.target == TARGET && (pin.asked() == asked || (pin.asked.is_none() && pin.name == manifest.name))
        };
        let old = self.pins.iter().position(same).map(|at| self.pins.remove(at));
        self.pins.retain(|pin| !same(pin));
        self.pins.push(Pin {
            asked: Some(asked),
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            target: TARGET.to_owned(),
            sha256: file.sha256.clone(),
        });
        self.pins.sort_by(|a, b| (&a.name, a.asked(), &a.target).cmp(&(&b.name, b.asked(), &b.target)));
        old
    }

    /// Pins an extractor's file, in place of what was pinned for that path, which is returned.
    pub fn pin_extractor(&mut self, file: &Path, sha256: &str) -> Option<ExtractorPin> {
        let asked = self.way_to(file);
        let old = self.extractors.iter().position(|pin| pin.asked == asked).map(|at| self.extractors.remove(at));
        self.extractors.push(ExtractorPin { asked, sha256: sha256.to_owned() });
        self.extractors.sort_by(|a, b| a.asked.cmp(&b.asked));
        old
    }

    /// Whether an extractor's file is pinned; an error where another one is.
    pub(super) fn check_extractor(&self, path: &Path, file: &ExtractorFile) -> Result<bool, ShareError> {
        let Some(pin) = self.extractor(path) else { return Ok(false) };
        if pin.sha256 == file.sha256 {
            return Ok(true);
        }
        Err(ShareError::OtherExtractor {
            file: path.to_owned(),
            lock: self.path.clone(),
            what: format!("pinned is sha256 {}, found {}", pin.sha256.shown(), file.sha256),
        })
    }

    fn extractor(&self, file: &Path) -> Option<&ExtractorPin> {
        let asked = self.way_to(file);
        self.extractors.iter().find(|pin| pin.asked == asked)
    }

    /// Writes it to its path.
    pub fn save(&self) -> Result<(), ShareError> {
        let document = Document { format: FORMAT, plugin: self.pins.clone(), extractor: self.extractors.clone() };
        let text = toml::to_string(&document)
            .map_err(|e| ShareError::BadLock { path: self.path.clone(), what: e.to_string() })?;
        place(&self.path, format!("{HEAD}{text}").as_bytes())
    }

    /// Whether this is the file that is pinned for what the config asked or, where nothing is pinned for that, one of those
    /// that are pinned under the name that it says. `false` where nothing is pinned for either.
    pub fn check(&self, asked: &str, file: &PluginFile) -> Result<bool, ShareError> {
        let asked = self.seen_from_here(asked);
        let here = || self.pins.iter().filter(|pin| pin.target == TARGET);
        let mut pins: Vec<&Pin> = here().filter(|pin| pin.asked() == asked).collect();
        if pins.is_empty() {
            pins = here().filter(|pin| pin.name == file.manifest.name).collect();
        }
        let Some(pin) = pins.first() else { return Ok(false) };
        if pins.iter().any(|pin| pin.sha256 == file.sha256) {
            return Ok(true);
        }
        let found = &file.manifest;
        Err(ShareError::OtherFile {
            file: file.path.clone(),
            lock: self.path.clone(),
            what: format!(
                "pinned for `plugin = \"{}\"` is {} {} for {TARGET} with sha256 {}, found {} {} with {}",
                pin.asked(),
                pin.name,
                pin.version,
                pin.sha256,
                found.name,
                found.version,
                file.sha256
            ),
        })
    }

    /// A name as it is; a file's path from this lock's folder, so that a checkout may lie anywhere, or whole where the two
    /// have no folder in common.
    fn seen_from_here(&self, asked: &str) -> String {
        if !plugin::is_file(asked) {
            return asked.to_owned();
        }
        self.way_to(Path::new(asked))
    }

    /// A file's path from this lock's folder.
    fn way_to(&self, file: &Path) -> String {
        let (file, lock) = (settled(file), settled(&self.path));
        let folder = lock.parent().unwrap_or(Path::new("/"));
        let common = file.components().zip(folder.components()).take_while(|(a, b)| a == b).count();
        if common <= 1 {
            return file.display().to_string();
        }
        let up = folder.components().skip(common).map(|_| Component::ParentDir);
        let way: PathBuf = up.chain(file.components().skip(common)).collect();
        // A `/` says that it is no name.
        if way.components().count() == 1 { format!("./{}", way.display()) } else { way.display().to_string() }
    }
}

/// A path without `.`, `..` and linked folders. Its last component stays, as a link there may lead to another file tomorrow.
fn settled(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match (path.parent().map(fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(asked: Option<&str>, name: &str) -> Pin {
        Pin {
            asked: asked.map(str::to_owned),
            name: name.into(),
            version: "0.1.0".into(),
            target: TARGET.into(),
            sha256: "0".repeat(64),
        }
    }

    #[test]
    fn a_lock_is_found_above_a_config_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("a/b/x.toml");
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        assert!(Lock::for_config(&config).unwrap().is_empty());
        let pins = vec![pin(Some("a"), "a"), pin(Some("../x.so"), "b"), pin(None, "c")];
        let extractors = vec![ExtractorPin { asked: "x.pt".into(), sha256: "1".repeat(64) }];
        let lock = Lock { path: folder.path().join("a").join(NAME), pins, extractors };
        lock.save().unwrap();
        let [found] = &Lock::for_config(&config).unwrap()[..] else { panic!("one lock") };
        assert_eq!((&found.path, &found.pins), (&lock.path, &lock.pins));
        assert_eq!(found.extractors, lock.extractors);
    }

    #[test]
    fn a_linked_config_is_under_the_locks_of_both_places() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("real")).unwrap();
        fs::create_dir_all(at("links")).unwrap();
        fs::write(at("real/x.toml"), "").unwrap();
        std::os::unix::fs::symlink(at("real/x.toml"), at("links/x.toml")).unwrap();
        let found = || Lock::for_config(&at("links/x.toml")).unwrap().into_iter().map(|lock| lock.path);
        let new = Lock::to_write(&at("links/x.toml"), None).unwrap();
        assert_eq!(new[0].path, fs::canonicalize(at("real")).unwrap().join(NAME));
        new[0].save().unwrap();
        assert_eq!(found().count(), 1);
        Lock { path: at("links").join(NAME), pins: Vec::new(), extractors: Vec::new() }.save().unwrap();
        assert_eq!(found().count(), 2);
        Lock { path: folder.path().join(NAME), pins: Vec::new(), extractors: Vec::new() }.save().unwrap();
        fs::remove_file(at("links").join(NAME)).unwrap();
        fs::remove_file(at("real").join(NAME)).unwrap();
        assert_eq!(found().count(), 1, "the same one for both");
    }

    #[test]
    fn a_file_is_kept_as_it_is_seen_from_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        fs::create_dir_all(at("configs/deep")).unwrap();
        fs::create_dir_all(at("target")).unwrap();
        let lock = Lock { path: at("configs/tandem.lock").into(), pins: Vec::new(), extractors: Vec::new() };
        for (asked, kept) in [
            ("my-gan", "my-gan"),
            (&*at("configs/gan.so"), "./gan.so"),
            (&*at("configs/deep/../gan.so"), "./gan.so"),
            (&*at("configs/deep/gan.so"), "deep/gan.so"),
            (&*at("target/gan.so"), "../target/gan.so"),
            ("/usr/lib/gan.so", "/usr/lib/gan.so"),
        ] {
            assert_eq!(lock.seen_from_here(asked), kept);
        }
    }

    #[test]
    fn what_is_no_lock_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        let pin = |asked: &str, sum: &str| {
            let asked = if asked.is_empty() { String::new() } else { format!("asked = \"{asked}\"\n") };
            format!("[[plugin]]\n{asked}name = \"x\"\nversion = \"1.0.0\"\ntarget = \"t\"\nsha256 = \"{sum}\"\n")
        };
        let (zeros, ones) = ("0".repeat(64), "1".repeat(64));
        let two = |a: &str, b: &str| format!("format = 1\n{}{}", pin(a, &zeros), pin(b, &ones));
        for (text, what) in [
            ("format = 2".to_owned(), "its format is 2"),
            ("plugin = 3".into(), "no lock file"),
            ("\u{1}".into(), "no lock file"),
            (two("y", "y"), "it pins `y` for t twice"),
            (two("x", ""), "it pins `x` for t twice"),
            (format!("format = 1\n{}", pin("y", &"A".repeat(64))), "the sha256 of `y` is not 64 digits"),
            (format!("format = 1\n{}name = \"z\"\n", pin("y", &zeros)), "no lock file"),
        ] {
            fs::write(&path, text).unwrap();
            let said = Lock::open(&path).unwrap_err().to_string();
            assert!(said.contains(what) && said.contains(NAME), "{said}");
        }
        fs::write(&path, two("y", "z")).unwrap();
        assert_eq!(Lock::open(&path).unwrap().pins.len(), 2);
        fs::File::create(&path).unwrap().set_len(MOST_TEXT + 1).unwrap();
        assert!(Lock::open(&path).unwrap_err().to_string().contains("it is longer than"));
    }
}
