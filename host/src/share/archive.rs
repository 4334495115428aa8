//! A plugin as one file for others: `NAME-VERSION.tar.gz`, whose format docs/plugins.md gives.
//!
//! The same input makes the same bytes. Reading believes nothing: sizes are bounded, names are plain, every file is in
//! SHA256SUMS and has its sum.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{Cursor, Read as _},
    path::{Component, Path, PathBuf},
};

use flate2::{Compression, GzBuilder, read::GzDecoder};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::{ShareError, place, signature};
use crate::plugin::{Foreign, MAX_FILE, Manifest};

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";
const SUMS: &str = "SHA256SUMS";
/// The most files in an archive, and the most bytes of all together.
const MOST_FILES: usize = 256;
const MOST_BYTES: u64 = 512 << 20;

/// What an archive's `manifest.json` says.
#[derive(Debug, Serialize, Deserialize)]
struct Index {
    format: u32,
    #[serde(flatten)]
    plugin: Manifest,
    /// The library of each target, by its path in the archive.
    libraries: BTreeMap<String, String>,
}

/// An archive that was read whole and holds what it says.
#[derive(Debug)]
pub struct Archive {
    /// The file.
    pub path: PathBuf,
    /// What its plugin says of itself; `target` and `rustc` are the libraries' own.
    pub manifest: Manifest,
    libraries: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
}

impl Archive {
    /// Reads an archive and checks every sum; runs nothing.
    pub fn read(path: &Path) -> Result<Self, ShareError> {
        let wrong = |what: String| ShareError::Archive { path: path.to_owned(), what };
        let files = unpack(path).map_err(wrong)?;
        check_sums(&files).map_err(wrong)?;
        let index = files.get(MANIFEST).ok_or_else(|| wrong(format!("holds no {MANIFEST}")))?;
        let index: Index =
            serde_json::from_slice(index).map_err(|e| wrong(format!("has a malformed {MANIFEST}: {e}")))?;
        if index.format != FORMAT {
            return Err(wrong(format!("is of format {}, this tandem reads {FORMAT}", index.format)));
        }
        if let Some(lost) = index.libraries.values().find(|library| !files.contains_key(*library)) {
            return Err(wrong(format!("holds no `{lost}`, which its {MANIFEST} names")));
        }
        Ok(Self { path: path.to_owned(), manifest: index.plugin, libraries: index.libraries, files })
    }

    /// The targets that it has a library for.
    pub fn targets(&self) -> impl Iterator<Item = &str> {
        self.libraries.keys().map(String::as_str)
    }

    /// A target's library and, where it is signed, its signature.
    pub fn library(&self, target: &str) -> Option<(&[u8], Option<&[u8]>)> {
        let name = self.libraries.get(target)?;
        let signature = self.files.get(&format!("{name}.minisig")).map(Vec::as_slice);
        Some((self.files.get(name)?, signature))
    }
}

/// Packs libraries of one plugin, one a target, with the README and licence of its crate's folder, into `folder`; the archive's path.
pub fn pack(libraries: &[PathBuf], from: &Path, folder: &Path) -> Result<PathBuf, ShareError> {
    let plugins = libraries.iter().map(|path| Ok((path, Foreign::inspect(path)?)));
    let plugins: Vec<(&PathBuf, Foreign)> = plugins.collect::<Result<_, ShareError>>()?;
    let Some((_, first)) = plugins.first() else {
        return Err(ShareError::Pack("no library was named".into()));
    };
    let mut files = papers(from)?;
    let mut index = BTreeMap::new();
    for (path, found) in &plugins {
        let target = &found.manifest.about.target;
        let shown = path.display();
        if target.is_empty() {
            return Err(ShareError::Pack(format!(
                "`{shown}` does not say its target; build it with tandem-plugin-api 1.1 or newer"
            )));
        }
        if without_build(&found.manifest) != without_build(&first.manifest) {
            let two = libraries[0].display();
            return Err(ShareError::Pack(format!(
                "`{two}` and `{shown}` are not the same plugin: their manifests differ in more than target and rustc"
            )));
        }
        let name = format!("{target}/{}.so", found.manifest.name);
        if index.insert(target.clone(), name.clone()).is_some() {
            return Err(ShareError::Pack(format!("two libraries are for {target}; the second is `{shown}`")));
        }
        let signature = signature::beside(path);
        if signature.exists() {
            files.insert(format!("{name}.minisig"), read(&signature)?);
        }
        files.insert(name, found.bytes.clone());
    }
    let plugin = without_build(&first.manifest);
    let stem = format!("{}-{}", plugin.name, plugin.version);
    let index = Index { format: FORMAT, plugin, libraries: index };
    let text = serde_json::to_string_pretty(&index).map_err(|e| ShareError::Pack(e.to_string()))?;
    files.insert(MANIFEST.into(), (text + "\n").into_bytes());
    let sums = files.iter().fold(String::new(), |text, (name, bytes)| text + &format!("{}  {name}\n", sum(bytes)));
    files.insert(SUMS.into(), sums.into_bytes());
    let path = folder.join(format!("{stem}.tar.gz"));
    let bytes = archived(&stem, &files).map_err(|error| ShareError::Write { path: path.clone(), error })?;
    place(&path, &bytes)?;
    Ok(path)
}

/// What all libraries of a plugin have in common.
fn without_build(manifest: &Manifest) -> Manifest {
    let mut manifest = manifest.clone();
    manifest.about.target.clear();
    manifest.about.rustc.clear();
    manifest
}

/// README.md and the licence files of a crate's folder.
fn papers(from: &Path) -> Result<BTreeMap<String, Vec<u8>>, ShareError> {
    let unreadable = |error| ShareError::Read { path: from.to_owned(), error };
    let mut files = BTreeMap::new();
    for entry in fs::read_dir(from).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        let licence = ["LICENSE", "LICENCE", "COPYING"].iter().any(|start| name.to_uppercase().starts_with(start));
        if (licence || name == "README.md") && entry.path().is_file() {
            files.insert(name, read(&entry.path())?);
        }
    }
    let folder = from.display();
    if !files.contains_key("README.md") {
        return Err(ShareError::Pack(format!(
            "`{folder}` has no README.md; write one, or name the crate's folder with --from"
        )));
    }
    if files.len() == 1 {
        return Err(ShareError::Pack(format!(
            "`{folder}` has no licence file (LICENSE…); without one nobody may use the plugin"
        )));
    }
    Ok(files)
}

fn read(path: &Path) -> Result<Vec<u8>, ShareError> {
    fs::read(path).map_err(|error| ShareError::Read { path: path.to_owned(), error })
}

fn sum(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

fn archived(stem: &str, files: &BTreeMap<String, Vec<u8>>) -> std::io::Result<Vec<u8>> {
    // No time and no user: the same files are the same bytes.
    let mut tar = tar::Builder::new(GzBuilder::new().mtime(0).write(Vec::new(), Compression::best()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, format!("{stem}/{name}"), Cursor::new(bytes))?;
    }
    tar.into_inner()?.finish()
}

fn unpack(path: &Path) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let unreadable = |e: std::io::Error| format!("cannot be read: {e}; get it again");
    let mut tar = tar::Archive::new(GzDecoder::new(File::open(path).map_err(unreadable)?));
    let (mut files, mut total) = (BTreeMap::new(), 0);
    for entry in tar.entries().map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let name = entry.path().map_err(unreadable)?.into_owned();
        if entry.header().entry_type().is_dir() {
            continue;
        }
        let shown = name.display();
        if !entry.header().entry_type().is_file() {
            return Err(format!("holds `{shown}`, which is no regular file; a packed plugin has no links"));
        }
        let name = plain(&name).ok_or_else(|| format!("holds `{shown}`, a path that leads out of it"))?;
        let size = entry.size();
        total += size;
        if size > MAX_FILE || total > MOST_BYTES || files.len() == MOST_FILES {
            return Err(format!(
                "is larger than a packed plugin may be: at `{name}`, {total} bytes in {} files",
                files.len() + 1
            ));
        }
        let mut bytes = Vec::new();
        entry.take(MAX_FILE).read_to_end(&mut bytes).map_err(unreadable)?;
        if files.insert(name.clone(), bytes).is_some() {
            return Err(format!("holds `{name}` twice"));
        }
    }
    // To the end, where gzip's own sum is.
    std::io::copy(&mut tar.into_inner().take(MOST_BYTES), &mut std::io::sink()).map_err(unreadable)?;
    Ok(files)
}

/// A name within the archive's one folder, if it is of plain components.
fn plain(path: &Path) -> Option<String> {
    let parts = path.components().map(|c| match c {
        Component::Normal(part) => part.to_str(),
        _ => None,
    });
    let parts: Vec<&str> = parts.collect::<Option<_>>()?;
    (parts.len() > 1).then(|| parts[1..].join("/"))
}

fn check_sums(files: &BTreeMap<String, Vec<u8>>) -> Result<(), String> {
    let sums =
        files.get(SUMS).ok_or_else(|| format!("holds no {SUMS}; a packed plugin is made by `tandem plugin pack`"))?;
    let sums = std::str::from_utf8(sums).map_err(|_| format!("has a malformed {SUMS}"))?;
    let listed: BTreeMap<&str, &str> =
        sums.lines().filter_map(|line| line.split_once("  ")).map(|(s, n)| (n, s)).collect();
    for (name, bytes) in files.iter().filter(|(name, _)| *name != SUMS) {
        match listed.get(name.as_str()) {
            None => return Err(format!("holds `{name}`, which its {SUMS} does not list")),
            Some(listed) if *listed != sum(bytes) => {
                return Err(format!(
                    "holds `{name}` with sha256 {}, its {SUMS} says {listed}; get it again",
                    sum(bytes)
                ));
            }
            Some(_) => {}
        }
    }
    match listed.keys().find(|name| !files.contains_key(**name)) {
        Some(lost) => Err(format!("lacks `{lost}`, which its {SUMS} lists; get it again")),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Entries<'a> = &'a [(&'a str, &'a [u8])];

    fn written(entries: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let files: BTreeMap<String, Vec<u8>> = entries.iter().map(|(n, b)| ((*n).into(), b.to_vec())).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        fs::write(&path, archived("x-1", &files).unwrap()).unwrap();
        (folder, path)
    }

    fn refusal(entries: &[(&str, &[u8])]) -> String {
        let (_folder, path) = written(entries);
        Archive::read(&path).unwrap_err().to_string().replace(path.to_str().unwrap(), "X")
    }

    #[test]
    fn what_does_not_hold_what_it_says_is_refused() {
        let of_a = format!("{}  a\n", sum(b"a"));
        let cases: [(Entries<'_>, &str); 5] = [
            (&[("a", b"a")], "archive `X` holds no SHA256SUMS; a packed plugin is made by `tandem plugin pack`"),
            (
                &[("a", b"a"), ("b", b"b"), (SUMS, of_a.as_bytes())],
                "archive `X` holds `b`, which its SHA256SUMS does not list",
            ),
            (&[(SUMS, of_a.as_bytes())], "archive `X` lacks `a`, which its SHA256SUMS lists; get it again"),
            (&[("a", b"a"), (SUMS, of_a.as_bytes())], "archive `X` holds no manifest.json"),
            (&[("a", b"b"), (SUMS, of_a.as_bytes())], "archive `X` holds `a` with sha256"),
        ];
        for (entries, said) in cases {
            let found = refusal(entries);
            assert!(found.starts_with(said), "{found}");
        }
    }

    #[test]
    fn paths_that_lead_out_and_damage_are_refused() {
        assert_eq!(plain(Path::new("x-1/a/b.so")).as_deref(), Some("a/b.so"));
        for path in ["../a", "/x/a", "x-1/../../a", "a"] {
            assert_eq!(plain(Path::new(path)), None, "{path}");
        }
        let (_folder, path) = written(&[("a", &[7; 5000])]);
        let bytes = fs::read(&path).unwrap();
        for cut in [0, 5, bytes.len() / 2, bytes.len() - 9] {
            fs::write(&path, &bytes[..cut]).unwrap();
            let said = Archive::read(&path).unwrap_err().to_string();
            assert!(said.contains("cannot be read") || said.contains("holds no"), "{cut}: {said}");
        }
    }
}
