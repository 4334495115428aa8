//! Where tests put things: a folder of its own, with its own plugin folder and cache.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use crate::{binary, root, tandem};

/// Signs the kept plugin; its secret key is gone.
pub const KEY: &str = "RWQsZDnFOuJsKPV9w6M9S7Ko5TKomOrx90tVaBJlK6rTR5hgxr0XVG3C";
/// Another one, which signed nothing here.
pub const OTHER_KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";
/// What the tests of libraries for other machines start from.
pub const TARGET: &str = "x86_64-unknown-linux-gnu";

/// A folder of its own, with its own cache and plugin folder.
pub struct Place {
    folder: tempfile::TempDir,
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Place {
    /// An empty one.
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    /// A path in it.
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The same as text.
    pub fn text(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }

    /// Writes a file in it, with the folders above.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, content).unwrap();
        path
    }

    /// `tandem`, started in it.
    pub fn tandem(&self, arguments: &[&str]) -> assert_cmd::Command {
        let mut command = tandem(arguments);
        command.current_dir(self.folder.path());
        command.env("XDG_DATA_HOME", self.path("home")).env("XDG_CACHE_HOME", self.path("cache"));
        command
    }

    /// What `tandem data inspect` says of a data set in it when it looks at everything.
    pub fn inspect(&self, path: &str) -> serde_json::Value {
        let output = self.tandem(&["data", "inspect", path, "--json", "--all"]).assert().success();
        serde_json::from_slice(&output.get_output().stdout).unwrap()
    }

    /// A config that names this file, and the arguments that only resolve it.
    pub fn config(&self, plugin: &str, more: &str) -> [String; 4] {
        let config =
            self.write("run.toml", format!("plugin = {plugin:?}\nbatch_size = 4\n{more}\n[options]\nwidth = 4\n"));
        ["train".into(), config.to_str().unwrap().into(), "--out".into(), self.text("run")]
    }

    /// What becomes of that config.
    pub fn dry_run(&self, plugin: &str, more: &str) -> assert_cmd::assert::Assert {
        let arguments = self.config(plugin, more);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).chain(["--dry-run"]).collect();
        self.tandem(&arguments).assert()
    }

    /// The plugin that was built against plugin API 1.0.0, with its signature.
    pub fn kept(&self) -> String {
        let kept = root().join("tests/fixtures/api-1.0.0");
        let mut library = Vec::new();
        let packed = fs::File::open(kept.join("lsgan.so.gz")).unwrap();
        flate2::read::GzDecoder::new(packed).read_to_end(&mut library).unwrap();
        self.write("lsgan.so.minisig", fs::read(kept.join("lsgan.so.minisig")).unwrap());
        self.write("lsgan.so", library).to_str().unwrap().to_owned()
    }
}

/// A plugin of this build, or of its tests.
pub fn built(name: &str) -> PathBuf {
    let path = binary().with_file_name(name);
    assert!(path.exists(), "{} is not built; run `cargo xtask test`", path.display());
    path
}

/// The bytes with a text in place of one of the same length that occurs once.
pub fn replaced(bytes: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len());
    let mut bytes = bytes.to_vec();
    let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).unwrap();
    bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    bytes
}

/// Changes one bit of a file.
pub fn flipped(path: &Path, at: usize) {
    let mut bytes = fs::read(path).unwrap();
    bytes[at] ^= 1;
    fs::write(path, bytes).unwrap();
}
