//! Rules of the repository that the compiler and clippy do not know, as tests over the tracked files.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::shell;

/// A Rust file longer than this wants to be two.
const LINES: usize = 600;

/// The files that git tracks or would track, by path and text; what is not text is left out.
fn files() -> Vec<(String, String)> {
    let output = Command::new("git")
        .args(["ls-files", "-z", "--cached", "--others", "--exclude-standard"])
        .current_dir(shell::root())
        .output()
        .expect("git lists the files");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let names = String::from_utf8(output.stdout).expect("file names are UTF-8");
    let files: Vec<_> = names
        .split_terminator('\0')
        .filter_map(|name| Some((name.to_owned(), fs::read_to_string(shell::root().join(name)).ok()?)))
        .collect();
    assert!(files.len() > 10, "a checkout has more files than {}", files.len());
    files
}

fn rust_files() -> Vec<(String, String)> {
    let is_rust = |name: &str| Path::new(name).extension().is_some_and(|extension| extension == "rs");
    files().into_iter().filter(|(name, _)| is_rust(name)).collect()
}

/// Fails with all that is wrong, not the first thing only.
fn expect_none(rule: &str, found: &[String]) {
    assert!(found.is_empty(), "{rule}:\n  {}", found.join("\n  "));
}

/// `file:line: needle` for each line of the files that holds a needle.
fn hits(files: &[(String, String)], needles: &[&str]) -> Vec<String> {
    let mut found = Vec::new();
    for (name, text) in files {
        for (number, line) in text.lines().enumerate() {
            let hit = needles.iter().filter(|needle| line.contains(**needle));
            found.extend(hit.map(|needle| format!("{name}:{}: {needle}", number + 1)));
        }
    }
    found
}

#[test]
fn every_rust_file_says_what_it_is_for() {
    let silent = rust_files().into_iter().filter(|(_, text)| !text.starts_with("//! "));
    let silent: Vec<_> = silent.map(|(name, _)| name).collect();
    expect_none("files that do not open with `//! ` and what they are for", &silent);
}

#[test]
fn no_rust_file_is_long() {
    let long = rust_files().into_iter().map(|(name, text)| (text.lines().count(), name));
    let long: Vec<_> = long.filter(|(lines, _)| *lines > LINES).map(|(n, name)| format!("{name}: {n}")).collect();
    expect_none("files of more than 600 lines", &long);
}

/// Files of the host that make a path into text that is no message: what a lock file and a new crate's manifest say of files.
const PATHS_AS_TEXT: [&str; 2] = ["host/src/share/lock.rs", "host/src/share/scaffold.rs"];

#[test]
fn no_message_shows_a_path_as_it_is() {
    let shipped = |(name, text): (String, String)| {
        let text = text.split("#[cfg(test)]\nmod ").next().unwrap_or_default().to_owned();
        let ours =
            name.starts_with("host/src/") && !name.contains("/tests/") && !PATHS_AS_TEXT.contains(&name.as_str());
        ours.then_some((name, text))
    };
    let shipped: Vec<_> = rust_files().into_iter().filter_map(shipped).collect();
    // Put together so that this file does not hold it.
    let needle = format!(".{}()", "display");
    expect_none("paths that are not shown by `Show::shown`", &hits(&shipped, &[&needle]));
}

#[test]
fn nothing_is_left_for_later() {
    // Put together so that this file does not hold them.
    let needles = ["todo", "unimplemented"].map(|name| format!("{name}!("));
    let ignored = format!("#[{}", "ignore");
    let needles = [&needles[0], &needles[1], &ignored].map(String::as_str);
    expect_none("unfinished code and tests that do not run", &hits(&rust_files(), &needles));
}

#[test]
fn no_file_names_a_registry_or_a_machine() {
    let hosts = ["pypi.", "files.pythonhosted.", "download.pytorch."].map(|host| format!("{host}org"));
    let path = format!("/{}/", "work");
    let files: Vec<_> = files().into_iter().filter(|(name, _)| name != "Cargo.lock").collect();
    let mut found = hits(&files, &hosts.each_ref().map(String::as_str));
    for (name, text) in &files {
        // `network/work/x` is a path inside something; `/work` at the start of a word is a machine's.
        let absolute = text.match_indices(&path).any(|(at, _)| {
            let before = text[..at].chars().next_back();
            !before.is_some_and(|c| c.is_alphanumeric() || "._-".contains(c))
        });
        if absolute {
            found.push(format!("{name}: {path}"));
        }
    }
    expect_none("hosts and paths that belong to someone's machine", &found);
}

#[test]
fn versions_are_in_one_place() {
    let mut found = Vec::new();
    for (name, text) in files() {
        // What is a workspace of its own, as the fuzz targets are, has no other place for its versions.
        if !name.ends_with("/Cargo.toml") || text.lines().any(|line| line == "[workspace]") {
            continue;
        }
        if !text.contains("[lints]\nworkspace = true") {
            found.push(format!("{name}: does not take the workspace's lints"));
        }
        let mut dependencies = false;
        for line in text.lines() {
            if line.starts_with('[') {
                dependencies = line.ends_with("dependencies]");
            } else if dependencies && line.contains(" = ") && !line.contains("workspace = true") {
                found.push(format!("{name}: {line}"));
            }
        }
    }
    expect_none("dependencies that are not the workspace's", &found);
}

#[test]
fn no_plugin_links_libtorch() {
    let plugins = fs::read_dir(shell::root().join("plugins")).unwrap();
    let manifests: Vec<_> = plugins.map(|entry| entry.unwrap().path().join("Cargo.toml")).collect();
    let manifests: Vec<_> = manifests.into_iter().filter(|path| path.is_file()).collect();
    assert!(!manifests.is_empty(), "there are plugins");
    let mut found = Vec::new();
    for manifest in manifests {
        let tree = shell::cargo()
            .args(["tree", "--offline", "--locked", "--edges", "normal,build", "--prefix", "none"])
            .args(["--format", "{p}", "--manifest-path"])
            .arg(&manifest)
            .output()
            .unwrap();
        assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
        for line in String::from_utf8_lossy(&tree.stdout).lines() {
            let name = line.split(' ').next().unwrap_or_default();
            if ["tch", "torch-sys", "tandem-torch-ext", "tandem"].contains(&name) {
                found.push(format!("{}: {name}", manifest.display()));
            }
        }
    }
    expect_none("plugins that need libtorch or the host", &found);
}
