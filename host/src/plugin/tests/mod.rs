//! The plugin module against real plugins: those of `tests/plugins`, whole and spoilt.

mod files;
mod loading;
mod search;

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    process::Command,
    sync::LazyLock,
};

use tempfile::TempDir;

use super::{LoadedPlugin, PluginError, inspect};

/// The test plugins' bytes by name, built once a process; cargo has nothing to do when they are fresh.
static PLUGINS: LazyLock<HashMap<String, Vec<u8>>> = LazyLock::new(|| {
    let here = std::env::current_exe().unwrap();
    let target = here.ancestors().nth(3).unwrap();
    let built = Command::new(env!("CARGO"))
        .args(["build", "--package", "tandem-test-plugins", "--examples", "--message-format", "json"])
        .args(["--profile", if cfg!(debug_assertions) { "dev" } else { "release" }, "--target-dir"])
        .arg(target)
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    let artifacts = built.stdout.split(|&b| b == b'\n').filter_map(|line| {
        let message: serde_json::Value = serde_json::from_slice(line).ok()?;
        let file = message["filenames"][0].as_str().filter(|f| Path::new(f).extension().is_some_and(|e| e == "so"))?;
        Some((message["target"]["name"].as_str()?.to_owned(), std::fs::read(file).ok()?))
    });
    artifacts.collect()
});

fn plugin(name: &str) -> Vec<u8> {
    PLUGINS.get(name).unwrap_or_else(|| panic!("no test plugin `{name}`")).clone()
}

/// The bytes with `old`, which must occur, replaced by `new` of the same length wherever it stands.
fn patched(mut bytes: Vec<u8>, old: &[u8], new: &[u8]) -> Vec<u8> {
    assert_eq!(old.len(), new.len());
    let places: Vec<usize> = (0..=bytes.len() - old.len()).filter(|&i| bytes[i..].starts_with(old)).collect();
    assert!(!places.is_empty(), "{old:?} is not in the file");
    for i in places {
        bytes[i..i + new.len()].copy_from_slice(new);
    }
    bytes
}

/// A directory with a plugin's file in it.
fn file(bytes: &[u8]) -> (TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("libgan.so");
    std::fs::write(&path, bytes).unwrap();
    (directory, path)
}

/// What an error says, without the file's path, which differs from run to run.
fn said<T>(result: Result<T, PluginError>) -> String {
    match result {
        Ok(_) => panic!("expected an error"),
        Err(error) => {
            let message = error.to_string();
            let (PluginError::File { path, .. } | PluginError::Load { path, .. }) = error else { return message };
            let shown = path.display().to_string();
            assert!(message.contains(&shown), "{message} does not name {shown}");
            message.replace(&shown, "FILE")
        }
    }
}

/// Inspects and loads a file with these bytes, its copy in a directory of its own, which is left to the process.
fn load_bytes(bytes: &[u8]) -> Result<LoadedPlugin, PluginError> {
    let (directory, path) = file(bytes);
    let inspected = inspect(&path)?;
    let cache = directory.path().join("cache");
    super::load::open(&inspected, &cache).map_err(|problem| PluginError::Load {
        name: inspected.manifest.name.clone(),
        path,
        problem,
    })
}
