//! The search path: order, names, files that are no plugins.

use std::ffi::OsString;

use super::*;
use crate::plugin::{Listed, SearchPath};

/// `a`, `b`, `exe`, `exe/plugins` and `home/.local/share/tandem/plugins` in a temporary directory.
struct Place(TempDir);

impl Place {
    fn new() -> Self {
        let place = tempfile::tempdir().unwrap();
        for directory in ["a", "b", "exe/plugins", "home/.local/share/tandem/plugins"] {
            std::fs::create_dir_all(place.path().join(directory)).unwrap();
        }
        Self(place)
    }

    fn path(&self, file: &str) -> PathBuf {
        self.0.path().join(file)
    }

    fn put(&self, file: &str, bytes: &[u8]) -> PathBuf {
        let path = self.path(file);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// `a` given, `b` by environment.
    fn search(&self) -> SearchPath {
        let listed = format!(":{}:", self.path("b").display());
        let variable = |name: &str| match name {
            "TANDEM_PLUGIN_PATH" => Some(OsString::from(&listed)),
            "HOME" => Some(self.path("home").into()),
            _ => None,
        };
        SearchPath::from_environment(&[self.path("a")], Some(&self.path("exe/tandem")), variable)
    }

    fn list(&self) -> Vec<(String, String, Option<String>)> {
        let root = format!("{}/", self.0.path().display());
        let short = |path: &Path| path.display().to_string().replace(&root, "");
        let show = |l: Listed| {
            let plugin = l.plugin.map_or_else(|e| e.to_string().replace(&root, ""), |p| p.manifest.name);
            (short(&l.path), plugin, l.shadowed_by.as_deref().map(short))
        };
        self.search().list().into_iter().map(show).collect()
    }
}

#[test]
fn the_directories_come_in_order_and_once() {
    let place = Place::new();
    let expected = ["a", "b", "exe/plugins", "exe", "home/.local/share/tandem/plugins"].map(|d| place.path(d));
    assert_eq!(place.search().directories().collect::<Vec<_>>(), expected.each_ref());
    let again = SearchPath::from_environment(&[place.path("a"), place.path("b/../a")], None, |_| None);
    assert_eq!(again.directories().collect::<Vec<_>>(), [place.path("a")]);
    let data = |name: &str| (name == "XDG_DATA_HOME").then(|| place.path("b").into());
    let data = SearchPath::from_environment(&[], None, data);
    assert_eq!(data.directories().collect::<Vec<_>>(), [place.path("b/tandem/plugins")]);
}

#[test]
fn the_first_match_by_manifest_name_wins_and_the_others_are_shown_as_shadowed() {
    let place = Place::new();
    // The file's name says nothing.
    let first = place.put("b/libanother.so", &plugin("well_behaved"));
    place.put("exe/libx.so", &plugin("well_behaved"));
    let other = place.put("exe/plugins/y.so", &plugin("another"));
    place.put("a/readme.txt", b"no plugin");
    assert_eq!(place.search().find("well-behaved").unwrap().path, first);
    assert_eq!(place.search().find("another").unwrap().path, other);
    assert_eq!(
        place.list(),
        [
            ("b/libanother.so".into(), "well-behaved".into(), None),
            ("exe/plugins/y.so".into(), "another".into(), None),
            ("exe/libx.so".into(), "well-behaved".into(), Some("b/libanother.so".into())),
        ]
    );
}

#[test]
fn a_file_is_found_by_its_path_and_nothing_is_searched_for_it() {
    let place = Place::new();
    let file = place.put("a/libx.so", &plugin("another"));
    assert_eq!(place.search().find(file.to_str().unwrap()).unwrap().manifest.name, "another");
    assert_eq!(
        said(place.search().find("libx.so")),
        "plugin file `FILE` does not exist; `tandem plugin list` shows the plugins that there are"
    );
}

#[test]
fn broken_files_are_listed_and_foreign_libraries_beside_the_executable_are_not() {
    let place = Place::new();
    let foreign = patched(plugin("another"), b".note.tandem\0", b".note.random\0");
    place.put("exe/libmacros.so", &foreign);
    place.put("exe/libhalf.so", &plugin("another")[..5000]);
    place.put("a/libforeign.so", &foreign);
    place.put("a/libempty.so", b"");
    let whole = plugin("another").len();
    assert_eq!(
        place.list(),
        [
            ("a/libempty.so".into(), "plugin file `a/libempty.so` is empty; build or copy it again".into(), None),
            (
                "a/libforeign.so".into(),
                "plugin file `a/libforeign.so` is not a tandem plugin: it has no manifest (`.note.tandem`); the crate \
                 of a plugin calls `export_gan!`"
                    .into(),
                None
            ),
            (
                "exe/libhalf.so".to_owned(),
                format!(
                    "plugin file `exe/libhalf.so` is cut short: its headers speak of {whole} bytes, it has 5000; build \
                     or copy it again"
                ),
                None
            ),
        ]
    );
}

#[test]
fn a_name_that_is_not_found_says_what_there_is() {
    let place = Place::new();
    place.put("a/liba.so", &plugin("another"));
    place.put("b/liba.so", &plugin("another"));
    place.put("b/libb.so", &plugin("well_behaved"));
    place.put("b/libc.so", b"");
    std::fs::remove_dir(place.path("exe/plugins")).unwrap();
    let root = place.0.path().display().to_string();
    assert_eq!(
        place.search().find("anotehr").unwrap_err().to_string().replace(&root, "R"),
        "no plugin is named `anotehr`; did you mean `another`?\n  \
           available: another, well-behaved\n  \
           searched: `R/a`, `R/b`, `R/exe/plugins` (does not exist), `R/exe`, `R/home/.local/share/tandem/plugins`\n  \
           broken: plugin file `R/b/libc.so` is empty; build or copy it again\n  \
           name its file, or add its directory with `--plugin-path` or TANDEM_PLUGIN_PATH"
    );
    let nothing = SearchPath::from_environment(&[], None, |_| None).find("gan").unwrap_err().to_string();
    assert_eq!(
        nothing,
        "no plugin is named `gan`\n  available: none\n  searched: none\n  \
         name its file, or add its directory with `--plugin-path` or TANDEM_PLUGIN_PATH"
    );
}
