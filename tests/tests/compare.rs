//! A comparison from its plan to its table, killed on the way, with runs that fail and plans that are wrong.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::{Value, json};
use tandem_tests::{Playground, Running, binary, root, tandem};

/// A plan over the playground's tiny network; `more` comes before its lists.
fn plan(here: &Playground, more: &str, methods: &str) -> String {
    let path = here.path("plan.toml");
    let text =
        format!("metrics = [\"fid\", \"kid\"]\nseeds = [0, 1]\n{more}\n[[data]]\nname = \"Digits 32\"\n{methods}");
    fs::write(&path, text).unwrap();
    path
}

/// A folder whose config is evaluated, once and of a few images.
fn playground() -> Playground {
    Playground::new("[evaluate]\nevery = 6\nsamples = 16\n")
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
    let here = playground();
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
        .stdout(contains("| DCGAN | one | ").and(contains("| DCGAN | one | –").not()));
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
    // What the means are made of.
    let seeds = |of: &Value, key: &str| of.as_array().unwrap().iter().map(|r| r[key].clone()).collect::<Vec<_>>();
    let one: Vec<&Value> = json["runs"].as_array().unwrap().iter().filter(|r| r["stages"] == "one").collect();
    assert_eq!(one.len(), 2);
    assert_eq!(one[1]["state"], "done");
    assert_eq!(
        (&one[1]["data"], &one[1]["method"], &one[1]["seed"]),
        (&json!("Digits 32"), &json!("DCGAN"), &json!(1))
    );
    let fid = |run: usize| one[run]["values"]["fid"].as_f64().unwrap();
    let mean = f64::midpoint(fid(0), fid(1));
    assert!((mean - json["rows"][1]["cells"][0]["value"]["mean"].as_f64().unwrap()).abs() < 1e-12, "{mean}");
    assert_eq!(one[0]["values"]["kid"], json!(10.0 * 1.01 * 0.001));
    assert_eq!((&one[0]["step"], &one[0]["seconds"], &one[0]["passes"]), (&json!(4), &json!(4.0), &json!(12.0)));
    assert_eq!(one[0]["plateau"], json!({ "step": 3, "seconds": 3.0, "passes": 9.0 }));
    let ratios = &json["plateau"]["rows"][0]["seeds"];
    assert_eq!(seeds(ratios, "seed"), [json!(0), json!(1)]);
    assert_eq!(seeds(ratios, "own_seconds"), [json!(2.0), json!(2.0)]);
    let same = seeds(ratios, "same_seconds").iter().map(|r| r.as_f64().unwrap()).sum::<f64>() / 2.0;
    assert_eq!(json["plateau"]["rows"][0]["same_seconds"]["mean"], json!(same));
    let tex = read("table.tex");
    assert_eq!(tex.matches("\\begin{tabular}").count(), 2, "{tex}");
    assert!(
        tex.contains(
            "Digits 32 & DCGAN & $6.0 \\pm 0.0$ & $3.0 \\pm 0.0$ & $2.00 \\pm 0.00$ (2) & $1.00 \\pm 0.00$ (2) & $3.15 "
        ),
        "{tex}"
    );
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
    let here = playground();
    let set = "generator = { optimizer = \"sgd\", learning_rate = 1e38 }, discriminator = { optimizer = \"sgd\", learning_rate = 1e38 }, plugin = \"lsgan\", steps = 50";
    let methods = format!("{DCGAN}[[methods]]\nname = \"Runaway\"\nconfig = \"config.toml\"\nset = {{ {set} }}\n");
    let plan = plan(&here, "stages = [\"one\"]", &methods);
    let out = here.path("out");
    let page = contains("\n| Runaway | one | failed | failed |\n")
        .and(contains("| Runaway on Digits 32, one stage, seed 1 | step "));
    tandem(&["compare", &plan, "--out", &out]).assert().success().stdout(page);
    // It stays failed until it is asked for again.
    let failed = contains("runaway/one-0: failed: ").and(contains("is not finite"));
    tandem(&["compare", &plan, "--out", &out]).assert().success().stderr(contains("failed").not());
    tandem(&["compare", &plan, "--out", &out, "--retry"]).assert().success().stderr(failed);
    // As are records of older versions, which do not say what a run was told.
    let record = run(&here, "runaway/one-0.json");
    fs::write(&record, "{\"state\": \"failed\", \"why\": \"it ran away\"}").unwrap();
    tandem(&["compare", &plan, "--out", &out]).assert().success().stderr(contains("runaway").not());
    // Under a rate that it can bear it is another run, which begins anew; the others are done.
    let text = fs::read_to_string(&plan).unwrap().replace("1e38", "1e-3").replace("steps = 50", "steps = 12");
    fs::write(&plan, text).unwrap();
    let repaired = contains("runaway/one-1: done").and(contains("dcgan").not());
    tandem(&["compare", &plan, "--out", &out]).assert().success().stderr(repaired);
    // What the older record says is not known to be of another rate: asked for again, it begins anew, as it has no checkpoint.
    tandem(&["compare", &plan, "--out", &out, "--retry"]).assert().success().stdout(contains("failed").not());
}

#[test]
fn an_evaluation_that_fails_is_a_row_and_the_others_go_on() {
    let here = playground();
    // One step at this rate: the weights are finite, and what they draw is not.
    let set = "generator = { optimizer = \"sgd\", learning_rate = 1e36 }, steps = 6, evaluate.every = 1";
    let methods = format!("[[methods]]\nname = \"Blown\"\nconfig = \"config.toml\"\nset = {{ {set} }}\n{DCGAN}");
    let plan = plan(&here, "stages = [\"one\"]", &methods);
    tandem(&["compare", &plan, "--out", &here.path("out")])
        .assert()
        .success()
        .stderr(contains("dcgan/one-1: done").and(contains(
            "blown/one-0: failed: the evaluation after step 1 failed: cannot evaluate: its generator gives images that are not finite; \
             no checkpoint was saved before it",
        )))
        .stdout(contains("| Blown | one | failed | failed |"));
}

#[test]
fn an_edited_config_is_a_changed_plan() {
    let here = playground();
    let plan = plan(&here, "stages = [\"one\"]", DCGAN);
    let out = here.path("out");
    tandem(&["compare", &plan, "--out", &out]).assert().success();
    let config = String::from_utf8(here.read("config.toml")).unwrap();
    let edit = |text: &str| fs::write(here.path("config.toml"), text).unwrap();
    // More steps are trained on, fewer are refused, and other weights too.
    edit(&config.replace("steps = 6", "steps = 12"));
    tandem(&["compare", &plan, "--out", &out])
        .assert()
        .success()
        .stderr(contains("dcgan/one-0: done").and(contains("dcgan/one-1: done")));
    edit(&config);
    let fewer = contains("one-0 does not start: ").and(contains("is at step 12, beyond `steps = 6`"));
    tandem(&["compare", &plan, "--out", &out]).assert().code(2).stderr(fewer);
    edit(&format!("n_critic = 2\n{}", config.replace("steps = 6", "steps = 12")));
    let other = contains("one-0 does not start: ").and(contains("n_critic: 1 then, 2 now"));
    tandem(&["compare", &plan, "--out", &out]).assert().code(2).stderr(other);
    edit(&config.replace("steps = 6", "steps = 12"));
    tandem(&["compare", &plan, "--out", &out]).assert().success().stderr(contains("done").not());
}

fn start(plan: &str, out: &str, stderr: Stdio) -> Running {
    let mut command = Command::new(binary());
    command.args(["compare", plan, "--out", out]).env("OMP_NUM_THREADS", "1").stderr(stderr).stdout(Stdio::null());
    Running::start(&mut command)
}

fn interrupt(process: &str) {
    assert!(Command::new("kill").args(["-INT", process]).status().unwrap().success());
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
    let here = playground();
    let plan = plan(
        &here,
        "stages = [\"one\"]\nset = { steps = 150, checkpoint_every = 10, sample_every = 0, threads = 1, evaluate.every = 150 }",
        DCGAN,
    );
    let (out, first) = (here.path("out"), run(&here, "dcgan/one-0"));

    let mut child = start(&plan, &out, Stdio::null());
    wait_for(&first.join("checkpoints/step-10"));
    // Another comparison in the same place is refused.
    tandem(&["compare", &plan, "--out", &out])
        .assert()
        .code(1)
        .stderr(contains(format!("out is in use by process {};", child.id())));
    child.kill().unwrap();
    child.wait().unwrap();
    // Its run trains on alone; the next comparison waits for it, and then goes on with it.
    let mut child = start(&plan, &out, Stdio::null());
    wait_for(&run(&here, "dcgan/one-1/checkpoints/step-10"));
    interrupt(&child.id().to_string());
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
fn interrupted_while_a_run_starts_it_goes_on_too() {
    let here = playground();
    let plan = plan(&here, "stages = [\"one\"]\nset = { threads = 1 }", DCGAN);
    let out = here.path("out");
    // At once the run's process listens to no signal yet, later it reads its data.
    for pause in [0, 50, 300] {
        let mut child = start(&plan, &out, Stdio::piped());
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        assert!(said.any(|line| line.unwrap().ends_with("1 of 2 runs")));
        thread::sleep(Duration::from_millis(pause));
        interrupt(&child.id().to_string());
        assert_eq!(child.wait().unwrap().code(), Some(130));
        assert!(!run(&here, "dcgan/one-0.json").exists());
    }
    tandem(&["compare", &plan, "--out", &out]).assert().success().stdout(contains("failed").not());
}

#[test]
fn a_run_that_somebody_stops_alone_has_not_ended_and_the_others_go_on() {
    let here = playground();
    let set = "set = { steps = 100000, checkpoint_every = 10, sample_every = 0, threads = 1, evaluate.every = 100000 }";
    let slow = format!("{DCGAN}{set}\n");
    let plan = plan(&here, "stages = [\"one\"]", &format!("{slow}{}", DCGAN.replace("\"DCGAN\"", "\"Quick\"")));
    let text = fs::read_to_string(&plan).unwrap().replace("seeds = [0, 1]", "seeds = [0]");
    fs::write(&plan, text).unwrap();
    let out = here.path("out");
    let mut child = start(&plan, &out, Stdio::piped());
    wait_for(&run(&here, "dcgan/one-0/checkpoints/step-10"));
    interrupt(fs::read_to_string(run(&here, "dcgan/one-0/lock")).unwrap().trim());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("dcgan/one-0: somebody stopped it; the others go on"), "{said}");
    assert!(said.contains("quick/one-0: done"), "{said}");
    let again = format!("go on with: tandem compare {plan} --out {out}");
    assert!(said.ends_with(&format!("1 of 2 runs have not ended; {again}\n")), "{said}");
    assert!(!run(&here, "dcgan/one-0.json").exists());
}

#[test]
fn a_wrong_plan_says_where_and_what_before_anything_is_trained() {
    let here = playground();
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
    let plan_of = |metrics: &str, more: &str| {
        let path = plan(&here, more, DCGAN);
        fs::write(&path, fs::read_to_string(&path).unwrap().replace("[\"fid\", \"kid\"]", metrics)).unwrap();
        tandem(&["compare", &path, "--out", &out]).assert().code(2)
    };
    plan_of("[\"fdi\"]", "").stderr(contains("plan.toml: `metrics` holds `fdi`, expected some of fid, kid, is,"));
    plan_of("[\"fid\"]", "set = { evaluate.metrics = [\"kid\"] }").stderr(contains(
        "plan.toml: method `DCGAN` on `Digits 32`: `evaluate.metrics` is [\"kid\"], and the plan's `metrics` want `fid`",
    ));
    refused(
        "set = { evaluate.every = 0 }",
        DCGAN,
        "plan.toml: method `DCGAN` on `Digits 32`: `evaluate.every` is 0, so that no run has figures",
    );
    refused(
        "set = { evaluate.every = 7 }",
        DCGAN,
        "plan.toml: method `DCGAN` on `Digits 32`: `evaluate.every` is 7 and `steps` 6, so that no run has figures",
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
    let here = playground();
    let plans = fs::read_dir(root().join("configs/plans")).unwrap().map(|entry| entry.unwrap().path());
    let plans: Vec<String> = plans.map(|path| path.to_str().unwrap().to_owned()).collect();
    assert!(plans.len() >= 5, "{plans:?}");
    for plan in plans {
        tandem(&["compare", &plan, "--out", &here.path("out"), "--dry-run"])
            .assert()
            .success()
            .stdout(contains("to do"));
    }
}
