//! What can be wrong with what is shared, each as one sentence: the file, what was found, what to do.

use std::path::PathBuf;

use crate::{
    plugin::{PluginError, TARGET},
    text::Show as _,
};

/// Why a plugin is not taken, packed, installed or trusted.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each variant's message says what it is")]
pub enum ShareError {
    #[error(transparent)]
    Plugin(#[from] PluginError),
    #[error("cannot write `{}`: {error}", path.shown())]
    Write { path: PathBuf, error: std::io::Error },
    #[error("cannot read `{}`: {error}", path.shown())]
    Read { path: PathBuf, error: std::io::Error },
    #[error("`{}` is no lock file: {what}; delete it and make it anew with `tandem plugin lock CONFIG`", path.shown())]
    BadLock { path: PathBuf, what: String },
    #[error("there is no lock file `{}`; make it with `tandem plugin lock CONFIG`, or name another one", .0.shown())]
    NoLock(PathBuf),
    #[error(
        "plugin file `{}` is not the one that `{}` pins: {what}; nothing of it was run. Get the pinned file, or accept this one with `tandem plugin lock CONFIG`",
        file.shown(), lock.shown()
    )]
    OtherFile { file: PathBuf, lock: PathBuf, what: String },
    #[error(
        "trust.policy = \"locked\": plugin `{name}` (`{}`) is not pinned for {TARGET} {where_not}",
        file.shown()
    )]
    NotPinned { name: String, file: PathBuf, where_not: String },
    #[error(
        "trust.policy = \"signed\" needs a key in trust.keys: the line that begins with `RW` in the signer's minisign.pub{0}"
    )]
    NoKeys(String),
    #[error(
        "{place}: \"{key}\" is no minisign public key ({why}); it is the line that begins with `RW` in minisign.pub"
    )]
    BadKey { place: &'static str, key: String, why: String },
    #[error("`{}` {what}; sign it again with `minisign -Sm`, or get its signature again", path.shown())]
    BadSignature { path: PathBuf, what: String },
    #[error(
        "plugin `{name}` (`{}`) {what}; nothing of it was run",
        file.shown()
    )]
    Unsigned { name: String, file: PathBuf, what: String },
    #[error(
        "extractor `{}` is not the one that `{}` pins: {what}; nothing of it was run. Get the pinned file, or accept this one with `tandem plugin lock CONFIG`",
        file.shown(), lock.shown()
    )]
    OtherExtractor { file: PathBuf, lock: PathBuf, what: String },
    #[error(
        "trust.policy = \"locked\": extractor `{}` is not pinned {where_not}, or give its SHA-256 to `tandem eval --sha256`",
        file.shown()
    )]
    ExtractorNotPinned { file: PathBuf, where_not: String },
    #[error("extractor `{}` {what}; nothing of it was run", file.shown())]
    ExtractorUnsigned { file: PathBuf, what: String },
    #[error("archive `{}` {what}", path.shown())]
    Archive { path: PathBuf, what: String },
    #[error("cannot pack: {0}")]
    Pack(String),
    #[error("plugin `{name}` {old} is installed as `{}`, with other bytes than version {new}; replace it with `--replace`", path.shown())]
    Installed { name: String, old: String, new: String, path: PathBuf },
    #[error("`{}` and `{}` are both plugin `{name}`, of which one can be installed; name its file; nothing was installed", first.shown(), second.shown())]
    Twice { name: String, first: PathBuf, second: PathBuf },
    #[error("no plugin `{name}` is installed in `{}`; there is {there}", folder.shown())]
    NotInstalled { name: String, folder: PathBuf, there: String },
    #[error("there is no folder to install into: neither XDG_DATA_HOME nor HOME is set to an absolute path")]
    NoFolder,
    #[error("`{}` holds no plugin: no `.so` file; name a folder that does, a `.so` or an archive", .0.shown())]
    Empty(PathBuf),
    #[error("{0}")]
    Scaffold(String),
}
