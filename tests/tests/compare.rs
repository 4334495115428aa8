//! A comparison from its plan to its table, killed on the way, with runs that fail and plans that are wrong.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::{Value, json};
use tandem_tests::{Playground, binary, root, tandem};

/// A plan over the playground's tiny network; `more` comes before its lists.
fn plan(here: &Playground, more: &str, methods: &str) -> String {
    let path = here.path("plan.toml");
    let text =
        format!("metrics = [\"fid\", \"kid\"]\nseeds = [0, 1]\n{more}\n[[data]]\nname = \"Digits 32\"\n{methods}");
    fs::write(&path, text).unwrap();
    path
}

const DCGAN: &str = "[[methods]]\nname = \"DCGAN\"\nconfig = \"config.toml\"\n";

/// Evaluations as training writes them: four, ending at `last`, a second of training between them.
fn evaluate(run: &Path, last: f64, name: &str, pace: f64) {
    evaluate_against(run, last, name, pace, &json!({}));
}

fn evaluate_against(run: &Path, last: f64, name: &str, pace: f64, record: &Value) {
    let values = [last * 9.0, last * 1.2, last, last * 1.01];
    let lines = values.iter().enumerate().map(|(i, value)| {
        let (step, figure) = (i + 1, |metric: &str, by: f64| json!({ "metric": metric, "name": format!("{} ({name})", metric.to_uppercase()), "value": value * by, "std": null }));
        let line = json!({
            "step": step, "images": step * 4, "passes": { "generator": step, "discriminator": 2 * step },
            "seconds": step as f64 * pace, "weights": "ema", "seed": 0, "n": 100,
            "figures": [figure("fid", 1.0), figure("kid", 0.001)], "record": record,
        });
        line.to_string() + "\n"
    });
    fs::write(run.join("evaluations.jsonl"), lines.collect::<String>()).unwrap();
}

fn run(here: &Playground, name: &str) -> PathBuf {
    here.path("out/digits-32").as_str().parse::<PathBuf>().unwrap().join(name)
}

#[test]
fn a_plan_becomes_a_table_and_curves_and_is_not_run_twice() {
    let here = Playground::default();
    let plan = plan(&here, "plateau.hold = 1", DCGAN);
    let out = here.path("out");
    tandem(&["compare", &plan, "--out", &out, "--dry-run"])
        .assert()
        .success()
        .stdout(contains("out/digits-32/dcgan/two-0  6 steps  to do\n"));
    tandem(&["compare", &plan, "--out", &out, "--workers", "2"])
        .assert()
        .success()
        .stderr(contains("out/digits-32/dcgan/one-1: done").and(contains("4 of 4 runs")))
        .stdout(contains("| DCGAN | one | – | – |"));
    for (mode, value, pace) in [("one", 10.0, 1.0), ("two", 20.0, 2.0)] {
        for seed in [0, 1] {
            let run = run(&here, &format!("dcgan/{mode}-{seed}"));
            assert!(fs::read_to_string(run.join("config.toml")).unwrap().contains(&format!("stages = \"{mode}\"")));
            evaluate(&run, value + f64::from(seed), "test", pace);
        }
    }
    let page = "| DCGAN | two | 20.70 ± 0.71 | 0.0207 ± 0.0007 |\n| DCGAN | one | **10.61 ± 0.71 (↓)** | **0.0106 ± 0.0007 (↓)** |\n";
    tandem(&["compare", &plan, "--out", &out])
        .assert()
        .success()
        .stderr(contains("done").not())
        .stdout(contains(page).and(contains("- FID on Digits 32: FID (test)")));

    let read = |name: &str| String::from_utf8(here.read(&format!("out/{name}"))).unwrap();
    assert!(read("table.md").contains(
        "| Digits 32 | DCGAN | 6.0 ± 0.0 | 3.0 ± 0.0 | 2.00 ± 0.00 (n = 2) | 1.00 ± 0.00 (n = 2) | 3.15 ± 0.01 (n = 2) | 1.58 ± 0.01 (n = 2) | 2.00 ± 0.00 (n = 2) |"
    ), "{}", read("table.md"));
    assert!(
        read("table.tex").contains("DCGAN & one & $\\mathbf{10.61 \\pm 0.71}\\,(\\downarrow)$ &"),
        "{}",
        read("table.tex")
    );
    assert!(read("table.csv").contains("Digits 32,DCGAN,one,fid,FID (test),10.605,"), "{}", read("table.csv"));
    let json: Value = serde_json::from_str(&read("table.json")).unwrap();
    assert_eq!(json["rows"][1]["cells"][0]["against_two"]["better"], true);
    assert_eq!(json["curves"].as_array().unwrap().len(), 4);
    for name in ["fid-seconds", "fid-passes", "kid-seconds", "kid-passes"] {
        assert_eq!(&here.read(&format!("out/curves/digits-32-{name}.png"))[1..4], b"PNG");
        assert!(read(&format!("curves/digits-32-{name}.svg")).starts_with("<svg"));
    }

    // Another extractor in one run: no table is made of unlike figures.
    evaluate(&run(&here, "dcgan/one-1"), 5.0, "other", 1.0);
    tandem(&["compare", &plan, "--out", &out]).assert().code(1).stderr(
        contains("`fid` is not the same figure in all runs on `Digits 32`")
            .and(contains("two-0 has \"FID (test)\""))
            .and(contains("one-1 has \"FID (other)\"")),
    );
    // Equal names, other real images: neither.
    evaluate_against(&run(&here, "dcgan/one-1"), 5.0, "test", 1.0, &json!({ "real_sha256": "00ff" }));
    tandem(&["compare", &plan, "--out", &out]).assert().code(1).stderr(
        contains("two-0 has \"FID (test), real images of SHA-256 unknown\"")
            .and(contains("one-1 has \"FID (test), real images of SHA-256 00ff\"")),
    );
}

#[test]
fn a_run_that_fails_is_a_row_and_the_others_go_on() {
    let here = Playground::default();
    let set = "generator = { optimizer = \"sgd\", learning_rate = 1e38 }, discriminator = { optimizer = \"sgd\", learning_rate = 1e38 }, plugin = \"lsgan\", steps = 50";
    let methods = format!("{DCGAN}[[methods]]\nname = \"Runaway\"\nconfig = \"config.toml\"\nset = {{ {set} }}\n");
    let plan = plan(&here, "stages = [\"one\"]", &methods);
    let out = here.path("out");
    let page = contains("| DCGAN | one | – | – |\n| Runaway | one | failed | failed |\n")
        .and(contains("| Runaway on Digits 32, one stage, seed 1 | step "));
    tandem(&["compare", &plan, "--out", &out]).assert().success().stdout(page);
    // It stays failed until it is asked for again.
    let failed = contains("runaway/one-0: failed: ").and(contains("is not finite"));
    tandem(&["compare", &plan, "--out", &out]).assert().success().stderr(contains("failed").not());
    tandem(&["compare", &plan, "--out", &out, "--retry"]).assert().success().stderr(failed);
}

fn start(plan: &str, out: &str) -> Child {
    Command::new(binary())
        .args(["compare", plan, "--out", out])
        .env("OMP_NUM_THREADS", "1")
        .stderr(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn wait_for(path: &Path) {
    let start = Instant::now();
    while !path.exists() {
        assert!(start.elapsed() < Duration::from_mins(1), "{} does not come", path.display());
        thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn killed_or_interrupted_it_goes_on_where_it_was() {
    let here = Playground::default();
    let plan = plan(
        &here,
        "stages = [\"one\"]\nset = { steps = 150, checkpoint_every = 10, sample_every = 0, threads = 1 }",
        DCGAN,
    );
    let (out, first) = (here.path("out"), run(&here, "dcgan/one-0"));

    let mut child = start(&plan, &out);
    wait_for(&first.join("checkpoints/step-10"));
    child.kill().unwrap();
    child.wait().unwrap();
    // Its run trains on alone; the next comparison waits for it, and then goes on with it.
    let mut child = start(&plan, &out);
    wait_for(&run(&here, "dcgan/one-1/checkpoints/step-10"));
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(interrupt.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert!(first.with_extension("json").exists() && !run(&here, "dcgan/one-1.json").exists());

    tandem(&["compare", &plan, "--out", &out])
        .assert()
        .success()
        .stderr(contains("one-0").not().and(contains("dcgan/one-1: done")));
    for seed in [0, 1] {
        let metrics = fs::read_to_string(run(&here, &format!("dcgan/one-{seed}/metrics.jsonl"))).unwrap();
        let steps: Vec<u64> =
            metrics.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["step"].as_u64().unwrap()).collect();
        assert!(steps.is_sorted_by(|a, b| a < b) && steps.last() == Some(&150), "{steps:?}");
    }
}

#[test]
fn a_wrong_plan_says_where_and_what_before_anything_is_trained() {
    let here = Playground::default();
    let out = here.path("out");
    let refused = |more: &str, methods: &str, says: &str| {
        let plan = plan(&here, more, methods);
        tandem(&["compare", &plan, "--out", &out]).assert().code(2).stderr(contains(says));
        assert!(!Path::new(&out).exists(), "{says}");
    };
    refused(
        "",
        "[[methods]]\nname = \"A\"\nconfig = \"gone.toml\"\n",
        "plan.toml: method `A` on `Digits 32`: cannot read",
    );
    refused("seed = 3", DCGAN, "plan.toml: line 3: unknown field `seed`, expected one of `metrics`, `seeds`");
    refused("set = { stepz = 3 }", DCGAN, "did you mean `steps`?");
    refused("set = { seed = 3 }", DCGAN, "plan.toml: `seed` stands in the set; it is the plan's own key `seeds`");
    refused("stages = [\"one\", \"one\"]", DCGAN, "plan.toml: `stages` holds `one` twice, and so the same runs twice");
    let twins = DCGAN.to_owned() + &DCGAN.replace("DCGAN", "dcgan!");
    refused("", &twins, "plan.toml: `methods` holds `dcgan` twice");
    refused(
        "",
        &DCGAN.replace("config =", "data = [\"Faces\"]\nconfig ="),
        "method `DCGAN` names the data set `Faces`; the plan has `Digits 32`",
    );
    refused("plateau.metric = \"is\"", DCGAN, "`plateau.metric` is `is`, which is not among `metrics`");
    // What only the run finds wrong ends the comparison too: the others would say the same.
    let plan = plan(&here, "set = { options.widht = 3 }", DCGAN);
    tandem(&["compare", &plan, "--out", &out])
        .assert()
        .code(2)
        .stderr(contains("dcgan/two-0 does not start: ").and(contains("did you mean `width`?")));
}

#[test]
fn every_shipped_plan_is_sound() {
    let here = Playground::default();
    let plans = fs::read_dir(root().join("configs/plans")).unwrap().map(|entry| entry.unwrap().path());
    let plans: Vec<String> = plans.map(|path| path.to_str().unwrap().to_owned()).collect();
    assert!(plans.len() >= 4, "{plans:?}");
    for plan in plans {
        tandem(&["compare", &plan, "--out", &here.path("out"), "--dry-run"])
            .assert()
            .success()
            .stdout(contains("to do"));
    }
}
