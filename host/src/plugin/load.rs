//! Opens an inspected plugin. All of the host's `unsafe` is here: the dynamic loader, and the first look at what it
//! found.
//!
//! abi_stable's own loaders are not used: they return the first plugin of a process for every later path.

#![allow(unsafe_code, reason = "dlopen, dlsym and abi_stable's unchecked view, each behind a check of ours")]

use std::{
    fmt,
    path::{Path, PathBuf},
};

use abi_stable::library::{
    AbiHeader, AbiHeaderRef, LibHeader, LibraryError, ROOT_MODULE_LOADER_NAME_WITH_NUL, RootModuleError,
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use tandem_plugin_api::abi::Plugin_Ref;

use super::{
    Manifest, PluginError, PluginFile, cache,
    error::{LoadProblem, chain, plain},
    layout,
};

/// A plugin in this process; it stays for the life of the process, as there is no safe way to unload code.
pub struct LoadedPlugin {
    /// The file that it came from, as it was named.
    pub path: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The SHA-256 of the file, in hexadecimal.
    pub sha256: String,
    pub(super) root: Plugin_Ref,
}

impl fmt::Debug for LoadedPlugin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, manifest, sha256, .. } = self;
        let mut shown = f.debug_struct("LoadedPlugin");
        shown.field("path", path).field("manifest", manifest).field("sha256", sha256).finish_non_exhaustive()
    }
}

/// Loads the bytes that were inspected, whatever has become of the file since.
///
/// Loading a plugin again gives the same plugin. The plugin's code runs in this process from here on.
pub fn load(file: &PluginFile) -> Result<LoadedPlugin, PluginError> {
    cache::directory(|name| std::env::var_os(name))
        .and_then(|cache| open(file, &cache))
        .map_err(|problem| file.error(problem))
}

/// As [`load`], with the directory in which the copy is kept.
pub(super) fn open(file: &PluginFile, cache: &Path) -> Result<LoadedPlugin, LoadProblem> {
    let root = open_checked(&cache::keep(file, cache)?)?;
    let PluginFile { path, manifest, sha256, .. } = file.clone();
    Ok(LoadedPlugin { path, manifest, sha256, root })
}

/// The plugin in a copy of checked bytes: one that [`cache::keep`] made, or a sealed one in memory.
pub(super) fn open_checked(copy: &Path) -> Result<Plugin_Ref, LoadProblem> {
    let header = find_header(copy)?;
    let header = header.upgrade().map_err(|e| refused(&e))?;
    let plugin = header.layout().ok_or_else(|| LoadProblem::Layout("it does not say its layout".into()))?;
    layout::check(plugin).map_err(LoadProblem::Layout)?;
    call_root(header).map_err(|e| match e {
        RootModuleError::Returned(error) => LoadProblem::Root(plain(&error.to_string())),
        RootModuleError::Unwound => LoadProblem::Root("its entry panicked".into()),
    })
}

/// The header that `export_gan!` exports, not yet trusted.
fn find_header(copy: &Path) -> Result<AbiHeaderRef, LoadProblem> {
    // SAFETY: the file was parsed, so mapping it touches nothing beyond its end; it does not change, as it is sealed in
    // memory, or private to the user, read-only and named by its hash; it carries a tandem manifest, so its constructors are those of a
    // Rust `cdylib`. That its code is benign is what the user vouches for by naming it.
    let library =
        unsafe { Library::open(Some(copy), RTLD_NOW | RTLD_LOCAL) }.map_err(|e| LoadProblem::Open(chain(&e)))?;
    // SAFETY: the symbol is abi_stable's alone, by name, and always a static `LibHeader`, which begins with the
    // `AbiHeader` that is read first; inspection saw that it is large enough for one. `AbiHeaderRef` is a transparent
    // pointer to it, and `*symbol` is the symbol's address, not what lies there.
    let header = unsafe { library.get::<AbiHeaderRef>(ROOT_MODULE_LOADER_NAME_WITH_NUL) }
        .map(|symbol| *symbol)
        .map_err(|e| LoadProblem::Symbol(chain(&e)));
    // Never closed: the header, the layout and every value from the plugin point into it.
    std::mem::forget(library);
    header
}

fn call_root(header: &'static LibHeader) -> Result<Plugin_Ref, RootModuleError> {
    // SAFETY: `layout::check` compared the plugin's root module with `Plugin_Ref`, in one direction or the other; the
    // type has one field, which every version has.
    unsafe { header.unchecked_layout::<Plugin_Ref>() }
}

fn refused(error: &LibraryError) -> LoadProblem {
    let AbiHeader { abi_major, abi_minor, .. } = AbiHeader::VALUE;
    LoadProblem::Header(match error {
        LibraryError::InvalidAbiHeader(found) if found.magic_string == AbiHeader::VALUE.magic_string => {
            format!("abi_stable {}.{}, this tandem with {abi_major}.{abi_minor}", found.abi_major, found.abi_minor)
        }
        LibraryError::InvalidAbiHeader(_) => {
            format!("something that is not abi_stable, this tandem with abi_stable {abi_major}.{abi_minor}")
        }
        _ => "a compiler that passes arguments differently from this tandem's".into(),
    })
}

impl PluginFile {
    pub(super) fn error(&self, problem: LoadProblem) -> PluginError {
        PluginError::Load { name: self.manifest.name.clone(), path: self.path.clone(), problem }
    }
}
