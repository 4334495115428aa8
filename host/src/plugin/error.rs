//! What can be wrong with a plugin, each as one sentence: the file, what was found, what to do.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::inspect::MAX_FILE;
use crate::text::Show as _;
pub use crate::text::sentence as plain;
use tandem_plugin_api::{
    manifest::{API_VERSION, TARGET},
    opset::OPSET,
};

const TANDEM: &str = env!("CARGO_PKG_VERSION");
const ARCH: &str = std::env::consts::ARCH;
/// What a plugin's `Cargo.toml` asks for; a test holds it to [`API_VERSION`].
const API_MAJOR: &str = "1";

/// Why there is no plugin, or no definition from it.
#[derive(Debug, thiserror::Error)]
pub enum PluginError {
    /// Something that the file shows without being run.
    #[error("plugin file `{}` {problem}", path.shown())]
    File {
        /// The file, as it was named.
        path: PathBuf,
        /// What is wrong with it.
        problem: FileProblem,
    },
    /// Something that only loading or asking shows.
    #[error("plugin `{name}` (`{}`) {problem}", path.shown())]
    Load {
        /// The plugin's name in its manifest.
        name: String,
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        problem: LoadProblem,
    },
    /// No plugin has this name.
    #[error("{0}")]
    NotFound(Box<NotFound>),
}

impl PluginError {
    pub(super) fn file(path: &Path, problem: FileProblem) -> Self {
        Self::File { path: path.to_owned(), problem }
    }
}

/// What is wrong with a file.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum FileProblem {
    #[error("does not exist; `tandem plugin list` shows the plugins that there are")]
    Missing,
    #[error("is a directory; name a file in it, or search it with `--plugin-path`")]
    Directory,
    #[error("is not a regular file; a plugin is a `.so` that `cargo build --release` made")]
    NotRegular,
    #[error("cannot be read: {0}; check its permissions")]
    Unreadable(std::io::Error),
    #[error("is empty; build or copy it again")]
    Empty,
    #[error("has {0} bytes, a plugin has at most {MAX_FILE}; build it with `cargo build --release`")]
    TooLarge(u64),
    #[error(
        "is not a shared library: it begins with `{0}`, not with `\\x7fELF`; a plugin is a `.so` that `cargo build --release` made"
    )]
    NotElf(String),
    #[error("is cut short: its headers speak of {needed} bytes, it has {found}; build or copy it again")]
    Truncated { needed: u64, found: u64 },
    #[error("is damaged: {0}; build or copy it again")]
    Damaged(String),
    #[error("is a 32-bit library, this tandem is 64-bit; build the plugin for {ARCH}")]
    Bits32,
    #[error("is a big-endian library, this tandem is little-endian; build the plugin for {ARCH}")]
    BigEndian,
    #[error("is built for {0}, this tandem for {ARCH}; build the plugin for {ARCH}")]
    Architecture(String),
    #[error("is built for {0}, this tandem for {TARGET}; build the plugin for {TARGET}")]
    Target(String),
    #[error(
        "is packed, not a shared library; if `tandem plugin pack` made it, install it with `tandem plugin install`"
    )]
    Packed,
    #[error("is {0}, not a shared library; give its crate `crate-type = [\"cdylib\"]` and name the `.so`")]
    NotLibrary(&'static str),
    #[error("is not a tandem plugin: it has no manifest (`.note.tandem`); the crate of a plugin calls `export_gan!`")]
    NoManifest,
    #[error("has a malformed manifest: {0}; build the plugin again with `export_gan!`")]
    BadManifest(String),
    #[error(
        "is built for plugin API {0}, this tandem ({TANDEM}) has {API_VERSION}; build it with `tandem-plugin-api = \"{API_MAJOR}\"`, or take a tandem that has its API"
    )]
    ApiVersion(String),
    #[error(
        "is written in opset {0}, this tandem ({TANDEM}) knows opset {OPSET}; take a tandem that knows opset {0}, or build the plugin with an older tandem-plugin-api"
    )]
    Opset(u32),
    #[error(
        "has a manifest but no entry symbol `{}`; build it again with `export_gan!`",
        abi_stable::library::ROOT_MODULE_LOADER_NAME
    )]
    NoSymbol,
}

/// What is wrong with a plugin that was, or should have been, loaded.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum LoadProblem {
    #[error(
        "has no place to be loaded from: neither XDG_CACHE_HOME nor HOME is set; set XDG_CACHE_HOME to a directory that can be written"
    )]
    NoCache,
    #[error(
        "cannot be copied to `{}`, from where it would be loaded: {error}; set XDG_CACHE_HOME to a directory that can be written",
        directory.shown()
    )]
    Copy { directory: PathBuf, error: std::io::Error },
    #[error("cannot be opened by the dynamic loader: {0}; build it on this machine, or install what it needs")]
    Open(String),
    #[error("has an entry symbol that the dynamic loader does not find: {0}; build it again with `export_gan!`")]
    Symbol(String),
    #[error("is built with {0}; build it with `tandem-plugin-api = \"{API_MAJOR}\"`")]
    Header(String),
    #[error(
        "does not fit plugin API {API_VERSION}, though it says so: {0}; build it with an unchanged `tandem-plugin-api = \"{API_MAJOR}\"`"
    )]
    Layout(String),
    #[error("failed before it could be asked: {0}; this is a mistake in the plugin, tell its author")]
    Root(String),
    #[error("gave no definition: {0}")]
    Declaration(String),
    #[error("{0}")]
    Said(String),
    #[error("gave no definition: its process ended {how}{said}; this is a mistake in the plugin, tell its author")]
    Died { how: String, said: String },
    #[error("gave no definition within {0} seconds; this is a mistake in the plugin, tell its author")]
    TooSlow(u64),
    #[error("could not be asked, since no process could be had for it: {0}")]
    Child(String),
    #[error("gave a definition of more than {} MiB; this is a mistake in the plugin, tell its author", .0 >> 20)]
    TooLarge(usize),
    #[error("gave a malformed definition: {0}; this is a mistake in the plugin, tell its author")]
    Malformed(String),
    #[error("gave a definition for other images: {0}; this is a mistake in the plugin, tell its author")]
    OtherImages(String),
}

/// A name that no plugin has, and everything that helps to see why.
#[derive(Debug)]
pub struct NotFound {
    /// The name that was asked for.
    pub name: String,
    /// The plugin with the nearest name, if one is near.
    pub nearest: Option<String>,
    /// The plugins that there are, in the search path's order.
    pub available: Vec<String>,
    /// The directories that were searched, and whether each exists.
    pub searched: Vec<(PathBuf, bool)>,
    /// The files that look like plugins and are broken; the plugin may be one of them.
    pub broken: Vec<PluginError>,
}

impl fmt::Display for NotFound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no plugin is named `{}`", self.name.shown())?;
        if let Some(near) = &self.nearest {
            write!(f, "; did you mean `{near}`?")?;
        }
        let searched = self.searched.iter().map(|(directory, exists)| {
            format!("`{}`{}", directory.shown(), if *exists { "" } else { " (does not exist)" })
        });
        let list = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join(", ") };
        write!(f, "\n  available: {}", list(self.available.clone()))?;
        write!(f, "\n  searched: {}", list(searched.collect()))?;
        for broken in &self.broken {
            write!(f, "\n  broken: {broken}")?;
        }
        f.write_str("\n  name its file, or add its directory with `--plugin-path` or TANDEM_PLUGIN_PATH")
    }
}

/// The part of a version that must agree.
pub(super) fn major(version: &str) -> &str {
    version.split('.').next().unwrap_or(version)
}

/// An error with its causes; some libraries say only "failed" in the first of them.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |e| e.source());
    plain(&causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_in_the_advice_is_the_api_versions() {
        assert_eq!(API_MAJOR, major(API_VERSION));
    }

    #[test]
    fn a_chain_shows_the_causes() {
        let cause = std::io::Error::other("libq.so is missing");
        let error = PluginErrorLike(cause);
        assert_eq!(chain(&error), "dlopen failed: libq.so is missing");
    }

    #[derive(Debug, thiserror::Error)]
    #[error("dlopen failed")]
    struct PluginErrorLike(#[source] std::io::Error);
}
