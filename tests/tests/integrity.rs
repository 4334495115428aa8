//! What was changed behind a run's back, through the real binary: its images, its files, its directory. And whatever ends a run,
//! what goes on from it ends in the same bytes.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{fs, os::unix::fs::symlink, path::Path};

use predicates::{
    prelude::{PredicateBooleanExt as _, predicate},
    str::contains,
};
use tandem_tests::{Playground, binary, long, python_with, root, tandem};

/// A run over so many pictures of a folder, three classes, for six steps.
struct Pictures(Playground);

impl Pictures {
    fn new() -> Self {
        let here = Self(Playground::new("plugin = \"cgan\""));
        for (class, shade) in [("a", 10), ("b", 90), ("c", 170)] {
            for number in 0..4 {
                here.put(&format!("{class}/{number}.png"), shade + 10 * number);
            }
        }
        here
    }

    /// A plain picture: PNG of 8-bit grey.
    fn put(&self, name: &str, shade: u8) {
        let path = self.0.path(&format!("data/{name}"));
        fs::create_dir_all(Path::new(&path).parent().unwrap()).unwrap();
        image::GrayImage::from_pixel(32, 32, image::Luma([shade])).save(path).unwrap();
    }

    fn train(&self, more: &[&str]) -> assert_cmd::Command {
        let data = ["data.kind=folder".into(), format!("data.path={}", self.0.path("data"))];
        let mut all = vec!["--set", "data.image_size=32"];
        for set in &data {
            all.extend(["--set", set]);
        }
        let mut command = self.0.train("run", &[&all[..], more].concat());
        command.env("XDG_CACHE_HOME", self.0.path("cache"));
        command
    }

    fn prepare(&self) {
        // The kind first: another one makes what was said of a farther one's path void.
        let path = format!("data.path={}", self.0.path("data"));
        let data = ["data.kind=folder", &path, "data.image_size=32"];
        let sets = data.into_iter().flat_map(|set| ["--set", set]);
        tandem(&["data", "prepare", &self.0.path("config.toml")])
            .args(sets)
            .env("XDG_CACHE_HOME", self.0.path("cache"))
            .assert()
            .success();
    }

    fn files(&self) -> Vec<(String, Vec<u8>)> {
        all_files(Path::new(&self.0.path("run")))
    }
}

/// Every file of a directory but its lock, with its bytes.
fn all_files(root: &Path) -> Vec<(String, Vec<u8>)> {
    let (mut files, mut open) = (Vec::new(), vec![root.to_owned()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else if !path.ends_with("lock") {
                files.push((path.to_str().unwrap().to_owned(), fs::read(&path).unwrap()));
            }
        }
    }
    files.sort();
    files
}

const MORE: [&str; 3] = ["--resume", "--set", "steps=9"];

#[test]
fn a_resume_knows_its_images_from_a_folder_and_from_a_cache() {
    for cached in [false, true] {
        let here = Pictures::new();
        if cached {
            here.prepare();
        }
        here.train(&[]).assert().success();
        let before = here.files();
        let refused = |what: &str| {
            if cached {
                here.prepare();
            }
            here.train(&MORE).assert().code(2).stderr(
                contains("the images are not those that led to")
                    .and(contains("run/checkpoints/step-6"))
                    .and(contains(what))
                    .and(contains("--set data.may_change=true")),
            );
            // Refused means that nothing was touched, not the steps in config.toml either.
            assert!(here.files() == before, "{what}");
        };
        here.put("b/0.png", 91);
        refused("their pixels");
        here.put("b/0.png", 90);
        here.put("b/4.png", 90);
        refused("images: 12 then, 13 now");
        fs::remove_file(here.0.path("data/b/4.png")).unwrap();
        // As they were, the run goes on.
        here.train(&["--resume", "--set", "steps=7"])
            .assert()
            .success()
            .stderr(contains("other images").not().and(contains("cannot be told").not()));
    }
}

#[test]
fn a_renamed_class_moves_every_label_and_is_refused_until_somebody_says_so() {
    let here = Pictures::new();
    here.train(&[]).assert().success();
    fs::rename(here.0.path("data/a"), here.0.path("data/z")).unwrap();
    let other = || contains("names of classes: 3, of them `a` then, 3, of them `z` now").and(contains("their order"));
    here.train(&MORE).assert().code(2).stderr(other());
    here.train(&[&MORE[..], &["--set", "data.may_change=true"]].concat())
        .assert()
        .success()
        .stderr(contains("goes on with other images").and(other()));
    // From there on these are its images; what was allowed once is not allowed for ever.
    here.train(&["--resume", "--set", "steps=10"]).assert().success().stderr(contains("other images").not());
    assert!(!String::from_utf8(here.0.read("run/config.toml")).unwrap().contains("may_change"));
    here.put("b/0.png", 1);
    here.train(&["--resume", "--set", "steps=11"]).assert().code(2).stderr(contains("their pixels"));
}

#[test]
fn fewer_images_than_the_run_had_seen_of_an_epoch_are_no_crash() {
    let here = Pictures::new();
    here.train(&["--set", "steps=2"]).assert().success();
    fs::remove_dir_all(here.0.path("data/c")).unwrap();
    fs::remove_file(here.0.path("data/b/3.png")).unwrap();
    fs::remove_file(here.0.path("data/b/2.png")).unwrap();
    here.put("c/0.png", 170);
    here.train(&["--resume", "--set", "steps=5", "--set", "data.may_change=true"]).assert().success();
}

#[test]
fn a_run_from_before_fingerprints_goes_on_with_one_line_and_has_one_from_then_on() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    for step in [3, 6] {
        for name in ["data.json", "config.toml", "SHA256SUMS"] {
            fs::remove_file(here.path(&format!("run/checkpoints/step-{step}/{name}"))).unwrap();
        }
    }
    here.train("run", &["--resume", "--set", "steps=7"]).assert().success().stderr(contains("cannot be told").count(1));
    here.train("run", &["--resume", "--set", "steps=8"]).assert().success().stderr(contains("cannot be told").not());
}

#[test]
fn a_damaged_checkpoint_is_named_by_all_that_read_it_and_the_older_one_goes_on() {
    let here = Playground::new("keep_checkpoints = 0");
    here.train("run", &[]).assert().success();
    let flip = |name: &str| {
        let path = here.path(&format!("run/checkpoints/step-6/{name}"));
        let mut bytes = fs::read(&path).unwrap();
        let middle = bytes.len() - 9;
        bytes[middle] ^= 0x10;
        fs::write(path, bytes).unwrap();
    };
    for part in ["generator", "generator_ema", "discriminator"] {
        flip(&format!("{part}.safetensors"));
    }
    let told = |part: &str| {
        contains(format!("step-6/{part}.safetensors is damaged: its SHA-256 is "))
            .and(contains("the newest whole checkpoint is step-3"))
            .and(contains("write `step-3` into"))
    };
    let run = here.path("run");
    here.train("run", &MORE).assert().code(1).stderr(told("generator"));
    let out = here.path("out");
    tandem(&["sample", &run, "--num", "4", "--out", &here.path("x.png")])
        .assert()
        .code(1)
        .stderr(told("generator_ema"));
    tandem(&["export", &run, "--to", "safetensors", "--out", &out]).assert().failure().stderr(told("generator_ema"));
    tandem(&["eval", &run, "--samples", "8", "--metrics", "fid"]).assert().failure().stderr(told("generator_ema"));
    // What the message says is what helps.
    fs::write(here.path("run/latest"), "step-3").unwrap();
    here.train("run", &["--resume"]).assert().success().stderr(contains("going on at step 3"));
    tandem(&["sample", &run, "--num", "4", "--out", &here.path("x.png")]).assert().success();
}

#[test]
fn sha256sum_reads_the_sums() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let folder = here.path("run/checkpoints/step-6");
    let check =
        std::process::Command::new("sha256sum").args(["-c", "SHA256SUMS"]).current_dir(folder).output().unwrap();
    let said = String::from_utf8(check.stdout).unwrap();
    assert!(check.status.success() && said.lines().count() == 7, "{said}");
}

/// A NaN in a stored weight is the file's fault, and no step's.
#[test]
fn a_nan_in_a_file_without_sums_is_blamed_on_the_file() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    for name in ["data.json", "config.toml", "SHA256SUMS"] {
        fs::remove_file(here.path(&format!("run/checkpoints/step-6/{name}"))).unwrap();
    }
    for part in ["discriminator", "trainer"] {
        let path = here.path(&format!("run/checkpoints/step-6/{part}.safetensors"));
        let whole = fs::read(&path).unwrap();
        let mut bytes = whole.clone();
        // The first array of the file begins right after the header; in `trainer` it is the widest type's.
        let header = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let text: serde_json::Value = serde_json::from_slice(&bytes[8..8 + header]).unwrap();
        let floats = text.as_object().unwrap().iter().filter(|(_, entry)| entry["dtype"] == "F32");
        let (name, entry) = floats.into_iter().find(|(_, entry)| entry["shape"] != serde_json::json!([])).unwrap();
        let at = 8 + header + entry["data_offsets"][0].as_u64().unwrap() as usize;
        bytes[at..at + 4].copy_from_slice(&f32::NAN.to_le_bytes());
        fs::write(&path, bytes).unwrap();
        here.train("run", &MORE).assert().code(1).stderr(
            contains(format!("step-6/{part}.safetensors is damaged: `{name}` holds 1 "))
                .and(contains("NaN"))
                .and(contains("learning").not()),
        );
        fs::write(&path, whole).unwrap();
    }
}

#[test]
fn an_edited_config_or_definition_is_told_and_what_may_change_may() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let text = String::from_utf8(here.read("run/config.toml")).unwrap();
    let edit = |from: &str, to: &str| {
        assert!(text.contains(from), "{text}");
        fs::write(here.path("run/config.toml"), text.replacen(from, to, 1)).unwrap();
    };
    edit("log_every = 2", "log_every = 3");
    let own = here.path("run/config.toml");
    tandem(&["train", &own, "--out", &here.path("run"), "--resume", "--set", "steps=7"]).assert().success();
    edit("batch_size = 4", "batch_size = 8");
    let told = || contains("config.toml is not what step-").and(contains("batch_size: 4 then, 8 now"));
    tandem(&["train", &own, "--out", &here.path("run"), "--resume", "--set", "steps=8"])
        .assert()
        .code(2)
        .stderr(told());
    let out = here.path("out");
    tandem(&["export", &here.path("run"), "--to", "safetensors", "--out", &out]).assert().failure().stderr(told());
    fs::write(here.path("run/config.toml"), &text).unwrap();
    let definition = String::from_utf8(here.read("run/definition.json")).unwrap();
    fs::write(here.path("run/definition.json"), definition.replacen(' ', "", 1) + "\n").unwrap();
    let told = || contains("definition.json is not what step-").and(contains("its SHA-256 is "));
    here.train("run", &MORE).assert().code(2).stderr(told().and(contains("plugin `").not()));
    tandem(&["sample", &here.path("run"), "--num", "4", "--out", &here.path("x.png")])
        .assert()
        .failure()
        .stderr(told());
}

#[test]
fn latest_that_says_nothing_and_a_line_that_is_broken_are_told() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    fs::write(here.path("run/latest"), "step+6\n").unwrap();
    let told = contains("run/latest is damaged: it holds `step+6`").and(contains("the newest whole one is step-6"));
    here.train("run", &MORE).assert().code(1).stderr(told);
    fs::write(here.path("run/latest"), "step-6\n").unwrap();
    let metrics = String::from_utf8(here.read("run/metrics.jsonl")).unwrap();
    fs::write(here.path("run/metrics.jsonl"), metrics.replacen("\"step\":3", "\"step\":\u{3}3", 1)).unwrap();
    here.train("run", &MORE).assert().success().stderr(contains("metrics.jsonl is damaged: line 2 cannot be read"));
    assert_eq!(String::from_utf8(here.read("run/metrics.jsonl")).unwrap().lines().count(), 5);
}

/// A run directory of somebody else's making whose parts are links to this user's files.
#[test]
fn nothing_is_written_or_removed_through_links() {
    let theirs = tempfile::tempdir().unwrap();
    for name in ["thesis.tex", "draft.tmp", "step-1/all.txt", "000000.png"] {
        let path = theirs.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "theirs\n").unwrap();
    }
    let before = all_files(theirs.path());
    let here = Playground::default();
    here.train("whole", &["--set", "tensorboard=true"]).assert().success();
    for (name, target) in [
        ("lock", "thesis.tex"),
        ("log", "thesis.tex"),
        ("metrics.jsonl", "thesis.tex"),
        ("sessions.jsonl", "new"),
        ("samples", ""),
        ("checkpoints", ""),
        ("tensorboard", ""),
    ] {
        let run = here.path(&format!("of-{name}"));
        std::process::Command::new("cp").args(["-r", &here.path("whole"), &run]).status().unwrap();
        let place = Path::new(&run).join(name);
        if place.is_dir() { fs::remove_dir_all(&place) } else { fs::remove_file(&place) }.unwrap();
        symlink(theirs.path().join(target), &place).unwrap();
        here.train(&format!("of-{name}"), &[&MORE[..], &["--set", "tensorboard=true"]].concat())
            .assert()
            .code(1)
            .stderr(contains(format!("of-{name}/{name} is a link to ")));
        assert!(all_files(theirs.path()) == before, "{name}");
    }
    // A report takes the place of a link, and is not written where that leads.
    symlink(theirs.path().join("thesis.tex"), here.path("whole/report.html")).unwrap();
    tandem(&["report", &here.path("whole")]).assert().success();
    assert!(all_files(theirs.path()) == before);
    // The whole directory may be one.
    symlink(here.path("whole"), here.path("linked")).unwrap();
    here.train("linked", &[&MORE[..], &["--set", "tensorboard=true"]].concat()).assert().success();
    assert!(Path::new(&here.path("whole/checkpoints/step-9")).exists());
}

/// A configuration that names what never ends.
#[test]
fn files_that_a_config_names_are_files() {
    let here = Playground::default();
    let pipe = here.path("pipe");
    std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    let within = std::time::Duration::from_mins(1);
    for target in ["/dev/zero", &pipe] {
        let what =
            if target == "/dev/zero" { "it is a device; expected a file" } else { "it is a pipe; expected a file" };
        let config = here.path("bad.toml");
        fs::write(&config, format!("extends = {target:?}\nplugin = \"dcgan\"\n")).unwrap();
        let train = |config: &str, more: &[&str]| {
            let mut command = tandem(&["train", config, "--out", &here.path("run")]);
            command.args(more).timeout(within);
            command
        };
        train(&config, &[]).assert().code(2).stderr(contains(what).and(contains(target)));
        train(target, &[]).assert().code(2).stderr(contains(what));
        let extractor = format!("evaluate.extractor={target}");
        train(&here.path("config.toml"), &["--set", "evaluate.every=2", "--set", &extractor])
            .assert()
            .code(2)
            .stderr(predicate::str::contains(target));
        tandem(&["compare", target, "--out", &here.path("compared")])
            .timeout(within)
            .assert()
            .failure()
            .stderr(contains(what));
    }
    assert!(!Path::new(&here.path("run")).exists());
}

/// Five interruptions, and a hundred in the long form (docs/run-directory.md).
#[test]
fn whatever_ends_a_run_it_goes_on_to_the_same_bytes() {
    let Some(mut python) = python_with("json") else { return };
    let here = Playground::default();
    let times = if long() { "100" } else { "5" };
    let output = python
        .arg(root().join("tests/python/kill_and_resume.py"))
        .arg(binary())
        .args([&here.path("config.toml"), "--times", times, "--set", "steps=40", "--set", "checkpoint_every=10"])
        .args(["--set", "sample_every=20", "--set", "batch_size=8"])
        .output()
        .unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.contains(&format!("{times} of {times} are equal")), "{said}");
}
