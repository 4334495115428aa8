//! Figures of runs and folders, while training and after, from the real binary; PyTorch and the published packages find the same.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::fs;

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use tandem_tests::{Playground, python, root, tandem};

/// `tandem` with a cache of the playground's own, so that nothing is found there.
fn fresh(here: &Playground, arguments: &[&str]) -> assert_cmd::Command {
    let mut command = tandem(arguments);
    command.env("XDG_CACHE_HOME", here.path("cache"));
    command
}

fn train(here: &Playground, out: &str, more: &[&str]) -> assert_cmd::Command {
    let (config, out) = (here.path("config.toml"), here.path(out));
    fresh(here, &[&["train", &config, "--out", &out], more].concat())
}

fn extractor(name: &str) -> String {
    root().join(format!("tests/extractors/{name}.pt")).to_str().unwrap().to_owned()
}

fn lines(here: &Playground, run: &str) -> Vec<Value> {
    let text = String::from_utf8(here.read(&format!("{run}/evaluations.jsonl"))).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The lines without what a clock says.
fn timeless(here: &Playground, run: &str) -> Vec<Value> {
    let mut lines = lines(here, run);
    for line in &mut lines {
        line.as_object_mut().unwrap().remove("seconds");
    }
    lines
}

const EVALUATE: &str = "[evaluate]\nevery = 2\nsamples = 40\nkeep_best = \"fid\"\n";

#[test]
fn a_run_is_evaluated_while_it_trains_and_a_resumed_one_alike() {
    let here = Playground::new(EVALUATE);
    train(&here, "whole", &[]).assert().success().stderr(contains("step 6: FID ").and(contains(", KID ")));
    let whole = timeless(&here, "whole");
    assert_eq!(whole.iter().map(|l| l["step"].as_u64().unwrap()).collect::<Vec<_>>(), [2, 4, 6]);
    assert_eq!(whole[0]["images"], 8);
    let name = whole[0]["figures"][0]["name"].as_str().unwrap();
    assert_eq!(name, "FID (mnist-classifier-v1, n=40 against 10000 of digits, 32x32 into the extractor, uint8)");
    train(&here, "parts", &["--set", "steps=3"]).assert().success();
    train(&here, "parts", &["--resume"]).assert().success();
    assert_eq!(timeless(&here, "parts"), whole);
    assert_eq!(here.read("parts/best"), here.read("whole/best"));
    let seconds: Vec<f64> = lines(&here, "parts").iter().map(|l| l["seconds"].as_f64().unwrap()).collect();
    assert!(seconds.is_sorted() && seconds[0] > 0.0, "{seconds:?}");
    // Looking changes nothing: the weights are those of a run that was never evaluated.
    train(&here, "unseen", &["--set", "evaluate.every=0"]).assert().success();
    let weights = |run: &str| {
        let bytes = here.read(&format!("{run}/checkpoints/step-6/generator.safetensors"));
        let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
        let mut named: Vec<_> = tensors.iter().map(|(name, view)| (name.to_owned(), view.data().to_vec())).collect();
        named.sort();
        named
    };
    assert_eq!(weights("whole"), weights("unseen"));
}

#[test]
fn the_best_checkpoint_stays_and_a_plateau_ends_the_run() {
    let here = Playground::new("[evaluate]\nevery = 1\nsamples = 20\nkeep_best = \"fid\"\npatience = 3\n");
    let more = ["--set", "steps=60", "--set", "keep_checkpoints=1", "--set", "generator.learning_rate=1e-9"];
    train(&here, "run", &more).assert().success();
    let lines = lines(&here, "run");
    assert!(lines.len() < 60, "it was to stop at its plateau");
    let fid = |line: &Value| line["figures"][0]["value"].as_f64().unwrap();
    let best = lines.iter().min_by(|a, b| fid(a).total_cmp(&fid(b))).unwrap();
    assert_eq!(lines.last().unwrap()["step"].as_u64(), best["step"].as_u64().map(|step| step + 3));
    assert_eq!(String::from_utf8(here.read("run/best")).unwrap().trim(), format!("step-{}", best["step"]));
    let run = here.path("run");
    fresh(&here, &["eval", &run, "--best", "--samples", "20", "--metrics", "fid"]).assert().success();
    let step = best["step"].to_string();
    fresh(&here, &["sample", &run, "--step", &step, "--num", "1", "--out", &here.path("g.png")]).assert().success();
}

#[test]
fn a_runs_figures_are_the_references() {
    let here = Playground::default();
    train(&here, "run", &[]).assert().success();
    let (features, figures) = (here.path("features.safetensors"), here.path("figures.json"));
    let eval =
        ["eval", &here.path("run"), "--samples", "300", "--json", "--features", &features, "--against", "digits"];
    let told = fresh(&here, &eval).assert().success().get_output().stdout.clone();
    fs::write(&figures, &told).unwrap();
    // From the cache this time, in other batches: the same figures.
    let again = fresh(&here, &[&eval[..], &["--batch", "37"]].concat()).assert().success().get_output().stdout.clone();
    let value = |bytes: &[u8]| {
        let found: Value = serde_json::from_slice(bytes).unwrap();
        found["figures"].as_array().unwrap().iter().map(|f| f["value"].as_f64().unwrap()).collect::<Vec<_>>()
    };
    for (a, b) in value(&told).iter().zip(value(&again)) {
        assert!((a - b).abs() <= 1e-5 * a.abs().max(1e-3), "{a} {b}");
    }
    let Some(mut python) = python() else { return };
    let shipped = root().join("host/assets/extractors/mnist-classifier-v1.pt");
    let script = root().join("tests/python/metrics_reference.py");
    let python = python.arg(script).args([&features, &figures]).arg(shipped).output().unwrap();
    let said = String::from_utf8_lossy(&python.stdout) + String::from_utf8_lossy(&python.stderr);
    assert!(python.status.success(), "{said}");
}

#[test]
fn a_folder_is_measured_and_few_images_are_warned_of() {
    let here = Playground::default();
    let folder = here.path("folder");
    fs::create_dir(&folder).unwrap();
    fresh(&here, &["eval", &folder, "--against", "digits"]).assert().code(1).stderr(contains("holds no images"));
    train(&here, "run", &["--set", "sample_count=1"]).assert().success();
    for i in 0..4 {
        let (out, seed) = (format!("{folder}/{i}.png"), i.to_string());
        fresh(&here, &["sample", &here.path("run"), "--num", "1", "--seed", &seed, "--out", &out]).assert().success();
    }
    fresh(&here, &["eval", &folder]).assert().code(2).stderr(contains("say with --against which real images"));
    fresh(&here, &["eval", &folder, "--against", "digits", "--metrics", "fid"])
        .assert()
        .success()
        .stdout(contains("FID (mnist-classifier-v1, n=4 against 10000 of digits, "))
        .stderr(contains("FID from 4 generated images in 128 dimensions").and(contains("a rank of 3 at most")));
}

#[test]
fn what_is_no_extractor_is_told_with_what_it_gave() {
    let here = Playground::default();
    train(&here, "run", &[]).assert().success();
    let run = here.path("run");
    let eval = |more: &[&str]| fresh(&here, &[&["eval", &run, "--samples", "8"], more].concat()).assert();
    eval(&["--extractor", &extractor("means"), "--metrics", "fid"]).success().stdout(contains("FID (means@"));
    for (name, said) in [("unflattened", "expected [2, width]"), ("whole-numbers", "float"), ("wants-floats", "uint8")]
    {
        eval(&["--extractor", &extractor(name)]).failure().stderr(contains(said).and(contains(name)));
    }
    let text = here.path("config.toml");
    eval(&["--extractor", &text]).code(2).stderr(contains("config.toml").and(contains("TorchScript")));
    eval(&["--extractor", "incepton"]).code(2).stderr(contains("incepton"));
    eval(&["--extractor", &extractor("means"), "--sha256", "00"]).code(2).stderr(contains("expected 00"));
    eval(&["--extractor", &extractor("means"), "--metrics", "is"])
        .code(2)
        .stderr(contains("features alone, no logits"));
    eval(&["--metrics", "speed"]).code(2).stderr(contains("expected some of fid, kid"));
    eval(&["--best"]).code(2).stderr(contains("keeps no best checkpoint"));
    fresh(&here, &["eval", &here.path("nowhere")]).assert().code(2).stderr(contains("is not there"));
}
