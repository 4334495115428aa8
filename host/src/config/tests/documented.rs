//! `docs/config.md` is made from the key table: this test makes it and compares. `UPDATE_DOCS=1` writes it instead.

use std::fmt::Write as _;

use super::*;
use crate::config::{check::expected, keys::Key};

const INTRODUCTION: &str = "\
# Configuration

This page is made from the key table in `host/src/config/keys.rs`; a test holds it equal.

Where a setting may stand, nearest last; the nearest wins, and tables merge key by key:

1. built-in defaults
2. the plugin's defaults for the chosen `stages`
3. the config file, over the files that it `extends`
4. environment variables `TANDEM_KEY`, with `__` for the dot: `TANDEM_GENERATOR__LEARNING_RATE=1e-4`
5. `--set key=value`, as often as needed: `--set generator.learning_rate=1e-4`

Values in the last two are TOML; a bare word is a text. `TANDEM_LOG`, `TANDEM_PLUGIN_PATH`, `TANDEM_PYTHON`,
`TANDEM_LIBTORCH`, `TANDEM_PLUGIN_IN_PROCESS`, `TANDEM_EXTRACTOR_IN_PROCESS` and `TANDEM_BIN` are not settings. A variable
of another name may be another program's: it is passed over with a warning that names the nearest.

A file may begin with `extends = \"base.toml\"`, relative to itself; the base may extend another. Paths in a file are relative to that
file, elsewhere to the current directory.

Some keys give others their meaning. Choosing another `optimizer` than a farther source did drops that source's whole table,
so set `learning_rate` beside it; choosing another `data.kind` drops the farther files, another `schedule.kind` the farther schedule, other `augment.transforms` the farther target.

Every setting of every source is checked, also one that a nearer source covers. An error names the key, where it was set, what was
expected and found, and the nearest key.

`[options]` belongs to the plugin: `tandem plugin inspect NAME` lists what it takes.

`Identity` marks the keys that shape the weights: they make the config hash, which every weights file carries beside the
definition's hash and the step. Options are part of it. A path counts by its last component, so that a run and its data may be moved.
`Resume` marks the keys that may change when a run resumes; any other change is refused and shown. Resuming with another `device`,
`threads` or `deterministic` goes on well but no longer to the same bytes, and changes the hash from there on.
";

fn page() -> String {
    let mut page = INTRODUCTION.to_owned();
    let mut table = None;
    for key in keys::all() {
        let of = key.name.split_once('.').map(|(table, _)| table);
        if of != table || page == INTRODUCTION {
            table = of;
            let title = of.map_or_else(|| "The run".to_owned(), |t| format!("`[{t}]`"));
            write!(
                page,
                "\n## {title}\n\n| key | value | default | identity | resume | |\n|---|---|---|---|---|---|\n"
            )
            .unwrap();
        }
        row(&mut page, key);
    }
    page
}

fn row(page: &mut String, key: &Key) {
    let default = match (key.note, key.default) {
        ("", Some(default)) => format!("`{default}`"),
        (note, _) => note.to_owned(),
    };
    let mark = |yes| if yes { "yes" } else { "" };
    let name = key.name.split_once('.').map_or(key.name, |(_, name)| name);
    let (identity, resume) = (mark(key.identity), mark(key.resume));
    let cells = [&format!("`{name}`"), &expected(key.kind), &default, identity, resume, key.help];
    writeln!(page, "| {} |", cells.join(" | ")).unwrap();
}

#[test]
fn the_page_is_what_the_key_table_says() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/config.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, page()).unwrap();
    }
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(written == page(), "docs/config.md is out of date: run this test with UPDATE_DOCS=1");
}

#[test]
fn names_are_unique_and_defaults_pass_their_own_check() {
    let names: Vec<&str> = keys::all().map(|k| k.name).collect();
    let distinct: std::collections::BTreeSet<&str> = names.iter().copied().collect();
    assert_eq!(names.len(), distinct.len());
    let built_in = crate::config::resolve::built_in();
    assert_eq!(built_in.len(), keys::all().filter(|k| k.default.is_some()).count());
    crate::config::check::check(&built_in).unwrap();
}

#[test]
fn every_key_of_the_typed_config_is_in_the_table() {
    let sets = ["plugin=dcgan", "threads=1", "data.kind=mnist", "data.images=/a", "data.labels=/b"];
    for key in resolved(&sets).flat().unwrap().keys() {
        assert!(keys::find(key).is_some(), "{key}");
    }
}
