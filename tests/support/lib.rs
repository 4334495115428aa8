//! What every black-box test needs: the built binary, a small run, and a Python with torch.
#![expect(clippy::unwrap_used, clippy::missing_panics_doc, reason = "a helper of tests: a panic is its report")]

mod pictures;
pub mod place;
mod running;

use std::{
    fs,
    path::{Path, PathBuf},
};

use assert_cmd::Command;

pub use pictures::{encoded, photograph};
pub use running::Running;

/// Every plugin of this repository.
pub const SHIPPED: [&str; 12] = [
    "bgan",
    "cgan",
    "dcgan",
    "dragan",
    "fishergan",
    "geogan",
    "lsgan",
    "r3gan-loss",
    "relgan",
    "sngan",
    "wgan",
    "wgan-gp",
];

/// The repository's root.
pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// The binary beside which this test was built.
pub fn binary() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let binary = test.ancestors().nth(2).unwrap().join("tandem");
    assert!(binary.exists(), "{} is not built; run `cargo build --release` (cargo xtask test does)", binary.display());
    binary
}

/// `tandem` with these arguments, on one thread, with a cache of its own.
pub fn tandem(arguments: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(arguments).env("OMP_NUM_THREADS", "1").env_remove("TANDEM_LOG").env_remove("TANDEM_PLUGIN_PATH");
    command
}

/// A folder with a config that trains a tiny network in a moment.
pub struct Playground {
    folder: tempfile::TempDir,
}

impl Default for Playground {
    fn default() -> Self {
        Self::new("")
    }
}

impl Playground {
    /// `more` is added to the config, before its tables.
    pub fn new(more: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tables = "[options]\nwidth = 4\nlatent_size = 8\n";
        let steps =
            "steps = 6\nbatch_size = 4\nlog_every = 2\nsample_every = 3\nsample_count = 4\ncheckpoint_every = 3\n";
        let plugin = if more.contains("plugin =") { "" } else { "plugin = \"dcgan\"\n" };
        fs::write(folder.path().join("config.toml"), format!("{plugin}{steps}{more}\n{tables}")).unwrap();
        Self { folder }
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> String {
        self.folder.path().join(name).to_str().unwrap().to_owned()
    }

    /// `tandem train` of the config into `out`, with more arguments.
    pub fn train(&self, out: &str, more: &[&str]) -> Command {
        let (config, out) = (self.path("config.toml"), self.path(out));
        let mut command = tandem(&["train", &config, "--out", &out]);
        command.args(more);
        command
    }

    /// The bytes of a file in the folder.
    pub fn read(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }
}

/// The Python that `cargo xtask test` found or made; without one, whichever `python3` is there, if it has torch.
pub fn python() -> Option<Command> {
    python_with("torch, safetensors")
}

/// The same, if it has these modules. They are looked for and not imported: frameworks take seconds.
pub fn python_with(modules: &str) -> Option<Command> {
    let python = std::env::var("TANDEM_PYTHON").unwrap_or_else(|_| "python3".into());
    let look =
        "import sys\nfrom importlib.util import find_spec\nsys.exit(not all(map(find_spec, sys.argv[1].split(', '))))";
    let found =
        std::process::Command::new(&python).args(["-c", look, modules]).output().is_ok_and(|o| o.status.success());
    assert!(found || std::env::var_os("TANDEM_PYTHON").is_none(), "TANDEM_PYTHON = {python} has not all of {modules}");
    found.then(|| Command::new(python))
}

/// Whether tests that go on for as long as one lets them are to take minutes: `LONG_TESTS=1` says so (docs/setup.md).
pub fn long() -> bool {
    std::env::var_os("LONG_TESTS").is_some()
}
