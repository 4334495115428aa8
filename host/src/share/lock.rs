//! `tandem.lock`: which plugin files the configs of a folder were used with. It lies beside the configs or above them,
//! like the lock files of package managers, and is meant to be committed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{ShareError, place};
use crate::plugin::PluginFile;

const NAME: &str = "tandem.lock";
const FORMAT: u32 = 1;
const HEAD: &str = "# Which plugin files these configs were used with; made by `tandem plugin lock`. Commit it.\n\n";

/// One plugin's file for one target.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pin {
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
    fn of(file: &PluginFile) -> Self {
        let manifest = &file.manifest;
        Self {
            name: manifest.name.clone(),
            version: manifest.version.clone(),
            target: file.target().to_owned(),
            sha256: file.sha256.clone(),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    format: u32,
    #[serde(default)]
    plugin: Vec<Pin>,
}

/// A lock file.
#[derive(Debug)]
pub struct Lock {
    /// The file.
    pub path: PathBuf,
    pins: Vec<Pin>,
}

impl Lock {
    /// The nearest lock file beside a config file or above it.
    pub fn for_config(config: &Path) -> Result<Option<Self>, ShareError> {
        let read = |error| ShareError::Read { path: config.to_owned(), error };
        let config = std::path::absolute(config).map_err(read)?;
        let found = config.ancestors().skip(1).map(|folder| folder.join(NAME)).find(|path| path.exists());
        found.map(Self::open).transpose()
    }

    /// The lock file that [`Lock::for_config`] finds, or a new one beside the config.
    pub fn for_config_or_new(config: &Path) -> Result<Self, ShareError> {
        let new = || Self { path: config.with_file_name(NAME), pins: Vec::new() };
        Ok(Self::for_config(config)?.unwrap_or_else(new))
    }

    /// A lock file; one that does not exist is empty.
    pub fn open(path: PathBuf) -> Result<Self, ShareError> {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self { path, pins: Vec::new() }),
            Err(error) => return Err(ShareError::Read { path, error }),
        };
        let document: Document = match toml::from_str(&text) {
            Ok(document) => document,
            Err(error) => return Err(ShareError::BadLock { path, what: error.to_string().trim().replace('\n', " ") }),
        };
        if document.format != FORMAT {
            let what = format!("its format is {}, this tandem knows {FORMAT}", document.format);
            return Err(ShareError::BadLock { path, what });
        }
        Ok(Self { path, pins: document.plugin })
    }

    /// What is pinned for a plugin of this name and target.
    pub fn find(&self, name: &str, target: &str) -> Option<&Pin> {
        self.pins.iter().find(|pin| pin.name == name && pin.target == target)
    }

    /// Pins a file in place of what was pinned for its name and target, which is returned.
    pub fn pin(&mut self, file: &PluginFile) -> Option<Pin> {
        let new = Pin::of(file);
        let old = self.pins.iter().position(|pin| pin.name == new.name && pin.target == new.target);
        let old = old.map(|at| self.pins.remove(at));
        self.pins.push(new);
        self.pins.sort_by(|a, b| (&a.name, &a.target).cmp(&(&b.name, &b.target)));
        old
    }

    /// Writes it to its path.
    pub fn save(&self) -> Result<(), ShareError> {
        let document = Document { format: FORMAT, plugin: self.pins.clone() };
        let text = toml::to_string(&document)
            .map_err(|e| ShareError::BadLock { path: self.path.clone(), what: e.to_string() })?;
        place(&self.path, format!("{HEAD}{text}").as_bytes())
    }

    /// Whether this is the file that is pinned, if one of its name and target is.
    pub fn check(&self, file: &PluginFile) -> Result<bool, ShareError> {
        let found = Pin::of(file);
        match self.find(&found.name, &found.target) {
            None => Ok(false),
            Some(pin) if pin.sha256 == found.sha256 => Ok(true),
            Some(pin) => Err(ShareError::OtherFile {
                file: file.path.clone(),
                lock: self.path.clone(),
                what: format!(
                    "pinned is {} {} for {} with sha256 {}, found {} with {}",
                    pin.name, pin.version, pin.target, pin.sha256, found.version, found.sha256
                ),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_found_above_a_config_and_comes_back_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("a/b/x.toml");
        fs::create_dir_all(config.parent().unwrap()).unwrap();
        assert!(Lock::for_config(&config).unwrap().is_none());
        let pin = |name: &str| Pin {
            name: name.into(),
            version: "0.1.0".into(),
            target: "x86_64-unknown-linux-gnu".into(),
            sha256: "0".repeat(64),
        };
        let lock = Lock { path: folder.path().join("a").join(NAME), pins: vec![pin("a"), pin("b")] };
        lock.save().unwrap();
        let found = Lock::for_config(&config).unwrap().unwrap();
        assert_eq!((&found.path, &found.pins), (&lock.path, &lock.pins));
        assert_eq!(found.find("b", "x86_64-unknown-linux-gnu"), Some(&pin("b")));
        assert_eq!(found.find("b", "aarch64-unknown-linux-gnu"), None);
    }

    #[test]
    fn what_is_no_lock_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        for (text, what) in
            [("format = 2", "its format is 2"), ("plugin = 3", "no lock file"), ("\u{1}", "no lock file")]
        {
            fs::write(&path, text).unwrap();
            let said = Lock::open(path.clone()).unwrap_err().to_string();
            assert!(said.contains(what) && said.contains(NAME), "{said}");
        }
    }
}
