//! Figures of runs and folders, while training and after, from the real binary; PyTorch and the published packages find the same.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{fs, io::Write as _};

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
    assert_eq!(whole[0]["record"]["weights"], "generator_ema");
    train(&here, "parts", &["--set", "steps=3"]).assert().success();
    train(&here, "parts", &["--resume"]).assert().success();
    assert_eq!(timeless(&here, "parts"), whole);
    assert_eq!(here.read("parts/best"), here.read("whole/best"));
    // As after a kill between the last checkpoint and its evaluation: what is missing is made up for, and the best is the same.
    let text = String::from_utf8(here.read("parts/evaluations.jsonl")).unwrap();
    let kept: String = text.split_inclusive('\n').take(2).collect();
    fs::write(here.path("parts/evaluations.jsonl"), kept).unwrap();
    train(&here, "parts", &["--resume"]).assert().success().stderr(contains("step 6: FID "));
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
fn a_checkpoint_that_is_due_is_saved_before_the_evaluation() {
    let here = Playground::new("[evaluate]\nevery = 3\nsamples = 20\n");
    let output = train(&here, "run", &[]).env("TANDEM_LOG", "info").assert().success();
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    let at = |words: &str| said.find(words).unwrap_or_else(|| panic!("no {words:?} in {said}"));
    assert!(at("checkpoints/step-3") < at("step 3: FID "), "{said}");
    // It is warned of once, not at each evaluation.
    assert_eq!(said.matches("20 generated images in 128 dimensions").count(), 1, "{said}");
    assert!(said.contains("says nothing of how good either is"), "{said}");
}

#[test]
fn steps_before_an_evaluation_that_fails_are_not_lost() {
    let here = Playground::new("[evaluate]\nevery = 1\nsamples = 20\nmetrics = [\"fid\"]\n");
    let tires = format!("evaluate.extractor={}", extractor("tires"));
    let output = train(&here, "run", &["--set", &tires]).assert().code(1);
    let said = String::from_utf8_lossy(&output.get_output().stderr).into_owned();
    // No checkpoint was due at step 2 or 3.
    let safe = "the evaluation after step 3 failed: ";
    assert!(said.contains(safe) && said.contains("run/checkpoints/step-3"), "{said}");
    train(&here, "run", &["--resume", "--set", "evaluate.extractor=mnist-classifier-v1"]).assert().success();
    assert_eq!(lines(&here, "run").iter().map(|l| l["step"].as_u64().unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn what_cannot_be_evaluated_is_refused_before_there_is_a_run() {
    let here = Playground::new("[evaluate]\nevery = 2\nsamples = 40\n");
    let refused = |more: &[&str], code: i32, says: &str| {
        train(&here, "run", more).assert().code(code).stderr(contains(says));
        assert!(fs::metadata(here.path("run")).is_err(), "{says}: a run directory is left behind");
    };
    let few = ["--set", "evaluate.samples=5", "--set", "evaluate.metrics=[\"is\"]"];
    refused(&few, 2, "key `evaluate.samples` (--set evaluate.samples=5) is 5; `is` needs at least 10");
    let few = ["--set", "evaluate.samples=2", "--set", "evaluate.metrics=[\"precision\"]"];
    refused(&few, 2, "`precision` needs at least 4");
    refused(&["--set", "evaluate.extractor=/nowhere/x.pt"], 2, "/nowhere/x.pt");
    refused(&["--set", "batch_size=20000"], 2, "batch_size = 20000 is more than the 10000 images");
    train(&here, "run", &["--set", "steps=2"]).assert().success();
    // And what is in the way is told before anything is computed.
    train(&here, "run", &["--set", "evaluate.extractor=/nowhere/x.pt"])
        .assert()
        .code(2)
        .stderr(contains("already holds a run").and(contains("/nowhere/x.pt").not()));
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
    let step = best["step"].to_string();
    fresh(&here, &["eval", &run, "--best", "--samples", "20", "--metrics", "fid"])
        .assert()
        .success()
        .stdout(contains(format!("run at step {step}, averaged weights, 20 images")));
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
    let found: Value = serde_json::from_slice(&told).unwrap();
    assert_eq!((&found["step"], &found["weights"]), (&6.into(), &"generator_ema".into()));
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

/// Photographs of a colour that depends on the place, so that each crop shows others; wider than high.
fn photographs(here: &Playground, folder: &str, count: u32) {
    fs::create_dir_all(here.path(folder)).unwrap();
    for i in 0..count {
        let pixel = |x: u32, y: u32| image::Rgb([(4 * x + i) as u8, (6 * y) as u8, (x * y + 9 * i) as u8]);
        image::RgbImage::from_fn(56, 40, pixel).save(here.path(&format!("{folder}/{i:03}.png"))).unwrap();
    }
}

fn names(output: &assert_cmd::assert::Assert) -> Vec<String> {
    let found: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
    found["figures"].as_array().unwrap().iter().map(|f| f["name"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn figures_against_unlike_images_have_unlike_names() {
    let here = Playground::default();
    photographs(&here, "few", 12);
    photographs(&here, "many", 30);
    let means = extractor("means");
    let name = |data: &str| {
        let config = here.path("data.toml");
        fs::write(&config, format!("[data]\nkind = \"folder\"\npath = \"many\"\nimage_size = 32\n{data}")).unwrap();
        let few = here.path("few");
        let eval = ["eval", &few, "--against", &config, "--extractor", &means, "--metrics", "fid", "--json"];
        names(&fresh(&here, &eval).assert().success()).remove(0)
    };
    let found = ["", "crop = \"none\"", "crop = \"resize-center\"", "channels = \"grey\""].map(name);
    let of = "56x40 cropped to the central square, bilinear to 32x32 into the extractor, uint8)";
    assert!(found[0].ends_with(&format!(", n=12 against 30 of many, crop center, rgb, {of}")), "{found:?}");
    assert!(found[1].contains("30 of many, crop none, rgb, "), "{found:?}");
    assert!(found[2].contains("30 of many, crop resize-center, rgb, "), "{found:?}");
    assert!(found[3].contains("30 of many, crop center, grey, "), "{found:?}");

    // A generator's weights, where they are not averaged.
    train(&here, "live", &["--set", "ema_decay=0"]).assert().success();
    let eval = ["eval", &here.path("live"), "--samples", "20", "--metrics", "fid,is"];
    let json = fresh(&here, &[&eval[..], &["--json"]].concat()).assert().success();
    assert_eq!(
        names(&json),
        [
            "FID (mnist-classifier-v1, n=20 from live weights against 10000 of digits, 32x32 into the extractor, uint8)",
            "IS (mnist-classifier-v1, n=20 from live weights, 10 splits, 32x32 into the extractor, uint8)",
        ]
    );
    fresh(&here, &eval).assert().success().stdout(contains("live at step 6, live weights, 20 images"));
}

#[test]
fn real_and_generated_images_come_in_any_form_that_is_known() {
    let here = Playground::default();
    photographs(&here, "few", 12);
    photographs(&here, "many", 30);
    let means = extractor("means");
    let zip = |name: &str| {
        let mut zip = zip::ZipWriter::new(fs::File::create(here.path(&format!("{name}.zip"))).unwrap());
        for entry in fs::read_dir(here.path(name)).unwrap().map(|entry| entry.unwrap().path()) {
            let file = entry.file_name().unwrap().to_str().unwrap();
            zip.start_file(file, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(&fs::read(&entry).unwrap()).unwrap();
        }
        zip.finish().unwrap();
    };
    zip("few");
    zip("many");
    let cache = |name: &str| {
        let config = here.path(&format!("{name}.toml"));
        fs::write(&config, format!("[data]\nkind = \"folder\"\npath = \"{name}\"\nimage_size = 32\n")).unwrap();
        let prepared = fresh(&here, &["data", "prepare", &config, "--json"]).assert().success();
        let found: Value = serde_json::from_slice(&prepared.get_output().stdout).unwrap();
        found["path"].as_str().unwrap().to_owned()
    };
    let (few, many) = (cache("few"), cache("many"));
    let eval = |subject: &str, against: &str| {
        let eval = ["eval", subject, "--against", against, "--extractor", &means, "--metrics", "fid", "--json"];
        fresh(&here, &eval).assert()
    };
    let value = |subject: &str, against: &str| {
        let output = eval(subject, against).success();
        let found: Value = serde_json::from_slice(&output.get_output().stdout).unwrap();
        assert_eq!((&found["n"], &found["record"]["real_count"]), (&12.into(), &30.into()));
        found["figures"][0]["value"].as_f64().unwrap()
    };
    let [folder, archive, config] = ["few", "few.zip", "many.toml"].map(|name| here.path(name));
    let expected = value(&folder, &config);
    for subject in [&folder, &archive, &few] {
        for against in [&config, &many] {
            let found = value(subject, against);
            assert!((found - expected).abs() < 1e-6 * expected, "{subject} {against}: {found} {expected}");
        }
    }
    // Those without a size of their own take the subject's.
    let as_they_are = value(&folder, &here.path("many"));
    assert!((value(&archive, &here.path("many.zip")) - as_they_are).abs() < 1e-6 * as_they_are);
    assert!((value(&few, &here.path("many.zip")) - expected).abs() < 1e-6 * expected);
    eval(&few, &here.path("nowhere"))
        .code(2)
        .stderr(contains("a data set: a folder, ZIP, tar, LMDB, IDX or cache file"));
    eval(&here.path("nowhere"), &many).failure().stderr(contains("nowhere"));
    eval(&few, "digits").success();
}

/// The peak of a process's memory, in bytes, and whether it succeeded.
fn peak(command: &mut std::process::Command) -> (u64, bool) {
    let mut child = command.stdout(std::process::Stdio::null()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    loop {
        if let Ok(text) = fs::read_to_string(&status)
            && let Some(line) = text.lines().find_map(|line| line.strip_prefix("VmHWM:"))
        {
            let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().unwrap();
            most = most.max(kilobytes << 10);
        }
        if let Some(status) = child.try_wait().unwrap() {
            return (most, status.success());
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn memory_stays_the_same_however_many_images_are_measured() {
    let here = Playground::default();
    let means = extractor("means");
    let pixel = |x: u32, y: u32| image::Rgb([x as u8, y as u8, (x ^ y) as u8]);
    image::RgbImage::from_fn(256, 256, pixel).save(here.path("one.png")).unwrap();
    photographs(&here, "real", 8);
    let of = |count: u32| {
        let folder = here.path(&count.to_string());
        fs::create_dir(&folder).unwrap();
        for i in 0..count {
            fs::hard_link(here.path("one.png"), format!("{folder}/{i}.png")).unwrap();
        }
        let mut command = std::process::Command::new(tandem_tests::binary());
        command.args(["eval", &folder, "--against", &here.path("real"), "--extractor", &means, "--metrics", "fid"]);
        command.env("XDG_CACHE_HOME", here.path("cache")).env("OMP_NUM_THREADS", "1");
        let (peak, good) = peak(&mut command);
        assert!(good);
        peak
    };
    // 400 MB more in all.
    let (few, many) = (of(200), of(2200));
    assert!(many < few + (100 << 20), "{} MB for 200 images, {} MB for 2200", few >> 20, many >> 20);
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
