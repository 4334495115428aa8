//! Looking at a run: the page in a real browser, TensorBoard's own reader, and what is said of a damaged run.
#![expect(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "tests: a panic is the report, and what is not looked at is told"
)]

use std::{collections::BTreeSet, fs, process::Command};

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use tandem_tests::{Playground, python, root, tandem};

const EVALUATIONS: &str = r#"{"step":2,"images":8,"passes":{"generator":4,"discriminator":8},"seconds":0.5,"weights":"ema","seed":0,"n":100,"figures":[{"metric":"fid","name":"FID (test <extractor>, n 100)","value":30.5,"std":null}],"record":{}}
{"step":4,"images":16,"passes":{"generator":8,"discriminator":16},"seconds":1.0,"weights":"ema","seed":0,"n":100,"figures":[{"metric":"fid","name":"FID (test <extractor>, n 100)","value":20.25,"std":null}],"record":{}}
"#;

fn browser() -> Option<&'static str> {
    let found = ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(|name| Command::new(name).arg("--version").output().is_ok_and(|o| o.status.success()));
    if found.is_none() {
        eprintln!("no Chromium is installed: the page is not rendered in this test");
    }
    found
}

#[test]
fn a_run_is_one_page_that_a_browser_shows_without_a_network() {
    let here = Playground::default();
    here.train("run", &["--set", "log_every=1"]).assert().success();
    fs::write(here.path("run/evaluations.jsonl"), EVALUATIONS).unwrap();
    let page = here.path("page.html");
    tandem(&["report", &here.path("run"), "--out", &page]).assert().success().stdout(contains("page.html"));
    let html = fs::read_to_string(&page).unwrap();
    for outside in ["http:", "https:", "src=\"/", "@import", "url(", "<link"] {
        let at = html.find(outside).map(|at| &html[at.saturating_sub(80)..(at + 80).min(html.len())]);
        assert!(at.is_none_or(|found| found.contains("url(#")), "{outside}: {at:?}");
    }
    let Some(browser) = browser() else { return };
    let profile = format!("--user-data-dir={}", here.path("profile"));
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", &profile, "--dump-dom", &format!("file://{page}")])
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    // The script ran to its end on every chart with points.
    assert_eq!(dom.matches("data-pointed=\"yes\"").count(), 4, "{dom}");
    for id in ["losses", "scores", "gamma", "speed", "metric-0"] {
        assert!(dom.contains(&format!("id=\"{id}\"")), "no chart {id}");
    }
    assert_eq!(dom.matches("alt=\"Samples at step").count(), 3);
    assert!(
        dom.contains("all 6 steps done")
            && dom.contains("20.25")
            && dom.contains("FID (test &lt;extractor&gt;, n 100)")
    );
    assert!(dom.contains("<dd>dcgan</dd>") && dom.contains("class=\"heat\""));
}

#[test]
fn a_run_in_two_stages_and_one_without_readings_have_pages() {
    let here = Playground::new("stages = \"two\"");
    here.train("two", &[]).assert().success();
    tandem(&["report", &here.path("two")]).assert().success();
    assert!(String::from_utf8(here.read("two/report.html")).unwrap().contains("this run trained in two stages"));
    fs::remove_file(here.path("two/metrics.jsonl")).unwrap();
    fs::remove_dir_all(here.path("two/samples")).unwrap();
    tandem(&["report", &here.path("two")]).assert().success();
    assert!(String::from_utf8(here.read("two/report.html")).unwrap().contains("Nothing was read yet"));
}

#[test]
fn what_is_damaged_is_named_with_its_line() {
    let here = Playground::default();
    tandem(&["report", &here.path("nowhere")]).assert().code(2).stderr(contains(
        "nowhere holds no run: there is no such directory; a run directory is what `tandem train` writes",
    ));
    here.train("run", &[]).assert().success();
    let metrics = String::from_utf8(here.read("run/metrics.jsonl")).unwrap();
    fs::write(here.path("run/metrics.jsonl"), metrics.replacen("{\"step\":4", "{\"step\":4 4", 1)).unwrap();
    tandem(&["report", &here.path("run")])
        .assert()
        .code(1)
        .stderr(contains("run/metrics.jsonl is damaged: line 3: expected").and(contains("column 11")));
    fs::write(here.path("run/metrics.jsonl"), metrics).unwrap();
    fs::write(here.path("run/evaluations.jsonl"), "{\"step\": 2, \"figures\": []}\n{\"step\": 3}\n").unwrap();
    tandem(&["report", &here.path("run")])
        .assert()
        .code(1)
        .stderr(contains("run/evaluations.jsonl is damaged: line 2: missing field `figures`"));
    fs::remove_file(here.path("run/evaluations.jsonl")).unwrap();
    fs::write(here.path("run/samples/step-00000003.png"), "no picture").unwrap();
    tandem(&["report", &here.path("run")]).assert().code(1).stderr(contains("step-00000003.png: cannot read PNG: "));
}

/// What TensorBoard's reader finds, or `None` where it is not installed.
fn read_by_tensorboard(folder: &str) -> Option<Value> {
    let mut python = python()?;
    let script = root().join("tests/python/read_tensorboard.py");
    let output = python.arg(script).arg(folder).output().unwrap();
    if output.status.code() == Some(3) {
        eprintln!("{}: not checked", String::from_utf8_lossy(&output.stderr).trim());
        return None;
    }
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[test]
fn tensorboard_opens_a_run_and_what_was_done_again_counts_once() {
    let here = Playground::new("tensorboard = true");
    here.train("run", &["--set", "log_every=1"]).assert().success();
    // As after a crash: steps 4 to 6 are done again from the checkpoint of step 3.
    fs::write(here.path("run/latest"), "step-3\n").unwrap();
    here.train("run", &["--set", "log_every=1", "--set", "steps=7", "--resume"]).assert().success();
    let files: BTreeSet<_> =
        fs::read_dir(here.path("run/tensorboard")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(files.len(), 2, "{files:?}");
    let sessions = String::from_utf8(here.read("run/sessions.jsonl")).unwrap();
    let steps: Vec<Value> =
        sessions.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["step"].clone()).collect();
    assert_eq!(steps, [0, 3]);

    let Some(found) = read_by_tensorboard(&here.path("run/tensorboard")) else { return };
    let metrics = String::from_utf8(here.read("run/metrics.jsonl")).unwrap();
    let wanted: Vec<Value> = metrics.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let losses = found["scalars"]["loss/generator"].as_array().unwrap();
    assert_eq!(losses.len(), 7);
    for (line, event) in wanted.iter().zip(losses) {
        assert_eq!(line["step"], event[0]);
        let (written, read) = (line["loss_generator"].as_f64().unwrap(), event[1].as_f64().unwrap());
        assert!((written - read).abs() <= 1e-6 * written.abs(), "{written} {read}");
    }
    assert_eq!(found["scalars"].as_object().unwrap().len(), 12);
    let images: Vec<Value> = found["images"]["samples"].as_array().unwrap().iter().map(|i| i[0].clone()).collect();
    assert_eq!(images, [0, 3, 6, 7]);
    assert_eq!(found["images"]["samples"][0][1], 140, "two images of 32 pixels with padding, twice as large");
    assert_eq!(found["images"]["samples"][0][3], "89504e47");
    assert!(found["texts"]["config"].as_str().unwrap().contains("plugin = \"dcgan\""));
}

#[test]
fn tensorboard_shows_figures_under_their_full_names() {
    let here = Playground::new("tensorboard = true\n[evaluate]\nevery = 3\nsamples = 20\n");
    here.train("run", &[]).env("XDG_CACHE_HOME", here.path("cache")).assert().success();
    let text = String::from_utf8(here.read("run/evaluations.jsonl")).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 2);
    let file = fs::read_dir(here.path("run/tensorboard")).unwrap().next().unwrap().unwrap().path();
    let bytes = fs::read(file).unwrap();
    let has = |words: &str| bytes.windows(words.len()).any(|some| some == words.as_bytes());
    for figure in lines[0]["figures"].as_array().unwrap() {
        assert!(
            has(figure["name"].as_str().unwrap()) && has(&format!("metrics/{}", figure["metric"].as_str().unwrap()))
        );
    }
    let Some(found) = read_by_tensorboard(&here.path("run/tensorboard")) else { return };
    for (i, metric) in ["fid", "kid"].into_iter().enumerate() {
        let tag = format!("metrics/{metric}");
        let events = found["scalars"][&tag].as_array().unwrap();
        assert_eq!(events.len(), 2);
        for (line, event) in lines.iter().zip(events) {
            assert_eq!(line["step"], event[0]);
            let (written, read) = (line["figures"][i]["value"].as_f64().unwrap(), event[1].as_f64().unwrap());
            assert!((written - read).abs() <= 1e-6 * written.abs(), "{written} {read}");
        }
        assert_eq!(found["descriptions"][&tag], lines[0]["figures"][i]["name"]);
    }
}
