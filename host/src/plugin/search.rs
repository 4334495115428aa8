//! Where plugins are looked for, and what is there.

use std::{
    collections::HashMap,
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
};

use super::{
    FileProblem, NotFound, PluginError, PluginFile, inspect,
    inspect::{Examined, examine},
};
use crate::folders;

/// The directories in which plugins are looked for, in order; the first plugin of a name wins.
///
/// 1. those given (`--plugin-path`), 2. those of `TANDEM_PLUGIN_PATH`, separated by colons, 3. `plugins/` beside the
///    executable, then the executable's own directory (where `cargo build` puts both), 4. `$XDG_DATA_HOME/tandem/plugins`,
///    or the same under `~/.local/share`.
#[derive(Debug, Clone)]
pub struct SearchPath {
    directories: Vec<Directory>,
}

#[derive(Debug, Clone)]
struct Directory {
    path: PathBuf,
    /// The executable's own directory holds libraries that were never meant as plugins; those are passed over.
    shared: bool,
}

/// A file on the search path.
#[derive(Debug)]
pub struct Listed {
    /// The file.
    pub path: PathBuf,
    /// What it holds, or what is wrong with it.
    pub plugin: Result<PluginFile, PluginError>,
    /// The file of the same plugin name that wins over it.
    pub shadowed_by: Option<PathBuf>,
}

impl SearchPath {
    /// The search path of this process, `given` directories first.
    pub fn new(given: &[PathBuf]) -> Self {
        let executable = std::env::current_exe().ok();
        Self::from_environment(given, executable.as_deref(), |name| std::env::var_os(name))
    }

    pub(super) fn from_environment(
        given: &[PathBuf],
        executable: Option<&Path>,
        variable: impl Fn(&str) -> Option<OsString>,
    ) -> Self {
        let directory = |path: PathBuf| Directory { path, shared: false };
        let listed = variable("TANDEM_PLUGIN_PATH").unwrap_or_default();
        let listed = std::env::split_paths(&listed).filter(|p| !p.as_os_str().is_empty());
        let mut directories: Vec<_> = given.iter().cloned().chain(listed).map(directory).collect();
        if let Some(beside) = executable.and_then(Path::parent) {
            directories.push(directory(beside.join("plugins")));
            directories.push(Directory { path: beside.to_owned(), shared: true });
        }
        directories.extend(in_home(variable).map(directory));
        // A directory that is named twice is searched once, at its first place and without passing anything over.
        let mut seen = Vec::new();
        directories.retain(|d| {
            let place = std::fs::canonicalize(&d.path).unwrap_or_else(|_| d.path.clone());
            let new = !seen.contains(&place);
            seen.push(place);
            new
        });
        Self { directories }
    }

    /// The directories, in order.
    pub fn directories(&self) -> impl Iterator<Item = &Path> {
        self.directories.iter().map(|d| d.path.as_path())
    }

    /// A plugin by its file, if `name` [is one](is_file), or else by the name in its manifest.
    pub fn find(&self, name: &str) -> Result<PluginFile, PluginError> {
        if is_file(name) {
            return inspect(Path::new(name));
        }
        let (mut available, mut broken) = (Vec::<String>::new(), Vec::new());
        for (path, examined) in self.files() {
            match examined {
                Ok(found) if found.manifest.name == name => return Ok(found.hashed(&path)),
                Ok(other) if !available.contains(&other.manifest.name) => available.push(other.manifest.name),
                Ok(_) => {}
                Err(problem) => broken.push(PluginError::file(&path, problem)),
            }
        }
        Err(PluginError::NotFound(Box::new(NotFound {
            name: name.to_owned(),
            nearest: nearest(name, &available),
            available,
            searched: self.directories().map(|d| (d.to_owned(), d.is_dir())).collect(),
            broken,
        })))
    }

    /// Every plugin and every broken file, in the order of the search.
    pub fn list(&self) -> Vec<Listed> {
        let mut winners: HashMap<String, PathBuf> = HashMap::new();
        let list = self.files().map(|(path, examined)| {
            let plugin = examined.map(|e| e.hashed(&path)).map_err(|problem| PluginError::file(&path, problem));
            let mut shadowed_by = None;
            if let Ok(file) = &plugin {
                match winners.get(&file.manifest.name) {
                    Some(winner) => shadowed_by = Some(winner.clone()),
                    None => drop(winners.insert(file.manifest.name.clone(), path.clone())),
                }
            }
            Listed { path, plugin, shadowed_by }
        });
        list.collect()
    }

    fn files(&self) -> impl Iterator<Item = (PathBuf, Result<Examined, FileProblem>)> {
        self.directories.iter().flat_map(|directory| {
            let examined = libraries(&directory.path).into_iter().map(|path| {
                let examined = examine(&path);
                (path, examined)
            });
            examined.filter(|(_, examined)| {
                let foreign = matches!(examined, Err(FileProblem::NoManifest | FileProblem::TooLarge(_)));
                !(directory.shared && foreign)
            })
        })
    }
}

/// Whether this names a file, existing or not, and no plugin on the search path: it holds a `/`, or ends as a plugin's
/// library or archive does.
pub fn is_file(name: &str) -> bool {
    let end = Path::new(name).extension().and_then(OsStr::to_str);
    name.contains('/') || matches!(end, Some("so" | "gz" | "tgz"))
}

/// The user's own plugin folder, the last of the search path; `None` where the environment names no home.
pub fn user_folder() -> Option<PathBuf> {
    in_home(|name| std::env::var_os(name))
}

fn in_home(variable: impl Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    folders::data(variable).map(|data| data.join("plugins"))
}

/// The `.so` files of a directory by name; none if it does not exist or cannot be read.
fn libraries(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> = entries.filter(|p| p.extension() == Some(OsStr::new("so"))).collect();
    paths.sort();
    paths
}

fn nearest(name: &str, available: &[String]) -> Option<String> {
    let likeness = |other: &String| strsim::jaro_winkler(name, other);
    let near = available.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)))?;
    (likeness(near) > 0.7).then(|| near.clone())
}
