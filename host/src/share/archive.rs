//! A plugin as one file for others: `NAME-VERSION.tar.gz`, whose format docs/plugins.md gives.
//!
//! The same input makes the same bytes. Reading believes nothing: sizes are bounded, names are plain, every file is in
//! SHA256SUMS and has its sum, and every library is what `manifest.json` says.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    ShareError,
    papers::papers,
    place,
    signature::{self, WithSignature},
    sums::{self, SUMS},
    tarball::{self, MOST_TEXT},
};
use crate::{
    json,
    plugin::{Foreign, GZIP, Manifest, is_target, plain},
    text::Show as _,
};

const FORMAT: u32 = 1;
const MANIFEST: &str = "manifest.json";

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
    /// What its plugin says of itself, but `target` and `rustc`, which are the libraries' own.
    pub manifest: Manifest,
    libraries: BTreeMap<String, String>,
    files: BTreeMap<String, Vec<u8>>,
}

/// Whether gzip made this file, as it does a packed plugin; what it is called does not matter.
pub fn is_packed(path: &Path) -> bool {
    let mut start = [0; GZIP.len()];
    // Opening anything but a file may wait for ever.
    let regular = fs::metadata(path).is_ok_and(|m| m.is_file());
    regular && File::open(path).and_then(|mut file| file.read_exact(&mut start)).is_ok() && start == GZIP
}

impl Archive {
    /// Reads an archive and checks every sum; runs nothing.
    pub fn read(path: &Path) -> Result<Self, ShareError> {
        // Names in an archive are its author's; a message shows none of their control characters.
        let wrong = |what: String| ShareError::Archive { path: path.to_owned(), what: plain(&what) };
        let files = tarball::read(path).map_err(wrong)?;
        for name in [SUMS, MANIFEST] {
            if files.get(name).is_some_and(|text| text.len() > MOST_TEXT) {
                return Err(wrong(format!("has a {name} of more than {} KiB, which none needs", MOST_TEXT >> 10)));
            }
        }
        sums::check(&files).map_err(wrong)?;
        let index = files.get(MANIFEST).ok_or_else(|| wrong(format!("holds no {MANIFEST}")))?;
        let index: Index = json::read(index).map_err(|e| wrong(format!("has a malformed {MANIFEST}: {e}")))?;
        if index.format != FORMAT {
            return Err(wrong(format!("is of format {}, this tandem reads {FORMAT}", index.format)));
        }
        index.plugin.check().map_err(|problem| wrong(problem.to_string()))?;
        if index.libraries.is_empty() {
            return Err(wrong(format!("holds no library that its {MANIFEST} names; get it again")));
        }
        let mut named = BTreeSet::new();
        for (target, library) in &index.libraries {
            if !is_target(target) {
                return Err(wrong(format!("has a malformed {MANIFEST}: {target:?} is no target triple")));
            }
            if !files.contains_key(library) {
                return Err(wrong(format!("holds no `{library}`, which its {MANIFEST} names")));
            }
            if !named.insert(library) {
                return Err(wrong(format!("names `{library}` for two targets; a library is for one")));
            }
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

    /// Every library, whatever machine it is for, with its signature.
    pub fn into_plugins(mut self) -> Result<Vec<WithSignature<Foreign>>, ShareError> {
        let mut files = std::mem::take(&mut self.files);
        let examined = self.libraries.iter().map(|(target, name)| {
            let plugin = Foreign::from_bytes(files.remove(name).unwrap_or_default(), &self.path)?;
            self.agree(target, &plugin.manifest)?;
            Ok((plugin, files.remove(&format!("{name}.minisig"))))
        });
        examined.collect()
    }

    /// Refuses a target's library that says of itself what the archive's manifest does not.
    pub(super) fn agree(&self, target: &str, found: &Manifest) -> Result<(), ShareError> {
        let wrong = |what: String| Err(ShareError::Archive { path: self.path.clone(), what });
        let Manifest { name, version, .. } = &self.manifest;
        if (&found.name, &found.version) != (name, version) {
            return wrong(format!("says {name} {version}, its library {} {}", found.name, found.version));
        }
        if found.about.target != target {
            return wrong(format!("names a library for {target} that says it is for `{}`", found.about.target));
        }
        if without_build(found) != self.manifest {
            return wrong(format!("has a {MANIFEST} that differs from what its library for {target} says of itself"));
        }
        Ok(())
    }
}

/// Packs libraries of one plugin, one a target, with the README and licence of its crate's folder, into `folder`; the archive's path.
pub fn pack(libraries: &[PathBuf], from: &Path, folder: &Path) -> Result<PathBuf, ShareError> {
    let plugins = libraries.iter().map(|path| Ok((path, Foreign::inspect(path)?)));
    let plugins: Vec<(&PathBuf, Foreign)> = plugins.collect::<Result<_, ShareError>>()?;
    let Some((_, first)) = plugins.first() else {
        return Err(ShareError::Pack("no library was named".into()));
    };
    let mut files = papers(from, &first.manifest.about.licence)?;
    let mut index = BTreeMap::new();
    for (path, found) in &plugins {
        let target = &found.manifest.about.target;
        let shown = path.shown();
        if target.is_empty() {
            return Err(ShareError::Pack(format!(
                "`{shown}` does not say its target; build it with tandem-plugin-api 1.1 or newer"
            )));
        }
        if without_build(&found.manifest) != without_build(&first.manifest) {
            let two = libraries[0].shown();
            return Err(ShareError::Pack(format!(
                "`{two}` and `{shown}` are not the same plugin: their manifests differ in more than target and rustc"
            )));
        }
        let name = format!("{target}/{}.so", found.manifest.name);
        if index.insert(target.clone(), name.clone()).is_some() {
            return Err(ShareError::Pack(format!("two libraries are for {target}; the second is `{shown}`")));
        }
        if let Some(signature) = signature::read_beside(path)? {
            signature::check(path, &signature)?;
            files.insert(format!("{name}.minisig"), signature);
        }
        files.insert(name, found.bytes.clone());
    }
    let plugin = without_build(&first.manifest);
    let stem = format!("{}-{}", plugin.name, plugin.version);
    let index = Index { format: FORMAT, plugin, libraries: index };
    let text = serde_json::to_string_pretty(&index).map_err(|e| ShareError::Pack(e.to_string()))?;
    files.insert(MANIFEST.into(), (text + "\n").into_bytes());
    let sums = sums::made(&files);
    files.insert(SUMS.into(), sums.into_bytes());
    let path = folder.join(format!("{stem}.tar.gz"));
    let bytes = tarball::made(&stem, &files).map_err(ShareError::Pack)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    type Entries<'a> = &'a [(&'a str, &'a [u8])];

    fn written(entries: &[(&str, &[u8])]) -> (tempfile::TempDir, PathBuf) {
        let files: BTreeMap<String, Vec<u8>> = entries.iter().map(|(n, b)| ((*n).into(), b.to_vec())).collect();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.tar.gz");
        fs::write(&path, tarball::made("x-1", &files).unwrap()).unwrap();
        (folder, path)
    }

    fn sum(bytes: &[u8]) -> String {
        use sha2::Digest as _;
        format!("{:x}", sha2::Sha256::digest(bytes))
    }

    /// What is said of an archive with this manifest and a file `a/x.so`, all sums right.
    fn refusal_of(manifest: &str) -> String {
        let sums = format!("{}  a/x.so\n{}  {MANIFEST}\n", sum(b"x"), sum(manifest.as_bytes()));
        refusal(&[("a/x.so", b"x"), (MANIFEST, manifest.as_bytes()), (SUMS, sums.as_bytes())])
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
    fn a_manifest_is_held_to_a_plugins_own_rules_and_shown_plainly() {
        let with = |name: &str, libraries: &str| {
            refusal_of(&format!(
                r#"{{"format":1,"name":"{name}","summary":"s","version":"0.1.0","api":"1.1.0","opset":1,"libraries":{{{libraries}}}}}"#
            ))
        };
        let library = r#""x86_64-unknown-linux-gnu":"a/x.so""#;
        let cases = [
            (with(r"\u001b[31mred", library), "`name` must be 1 to 64 letters"),
            (with("red", r#""\u001b[31mred":"a/x.so""#), "is no target triple"),
            (with("red", r#""../red":"a/x.so""#), "is no target triple"),
            (with("red", r#""red":"\u001b[31m\n""#), r"holds no `\u{1b}[31m `"),
            (with("red", ""), "holds no library"),
            (with("red", r#""t":"a/x.so","\u0074":"a/x.so""#), "has the key `t` twice"),
            (with(r#"red","name":"blue"#, library), "has the key `name` twice"),
        ];
        for (said, what) in cases {
            assert!(said.contains(what) && !said.contains(char::is_control), "{said}");
        }
    }

    #[test]
    fn what_is_packed_is_known_by_its_start() {
        let (folder, path) = written(&[]);
        let other = folder.path().join("other.tar.gz");
        fs::write(&other, b"\x7fELF").unwrap();
        assert!(is_packed(&path) && !is_packed(&other) && !is_packed(folder.path()));
    }
}
