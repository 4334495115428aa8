//! Who may begin, resume or read a run, and in which words the rest are refused.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Stdio},
};

use super::*;

#[test]
fn a_new_run_holds_what_reading_it_needs() {
    let place = Place::new();
    let run = place.create();
    let read = RunDir::open(&place.run()).unwrap();
    assert_eq!(read.config().unwrap(), config(&[]));
    assert_eq!(read.definition().unwrap(), "{\"opset\": 1}");
    assert_eq!(read.plugin().unwrap(), plugin());
    assert_eq!(read.metrics().unwrap(), Vec::<serde_json::Value>::new());
    let names: Vec<String> = content(run.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["config.toml", "definition.json", "evaluations.jsonl", "metrics.jsonl", "plugin.json"]);
}

#[test]
fn a_new_run_refuses_a_run_and_other_peoples_files() {
    let place = Place::new();
    let begin = || RunDir::create(&place.run(), &config(&[]), "{}", &plugin());
    fs::create_dir(place.run()).unwrap();
    fs::write(place.run().join("thesis.tex"), "").unwrap();
    insta::assert_snapshot!(place.tidy(&begin().unwrap_err()), @"DIR/run is not empty and holds no run (found `thesis.tex`); choose another directory with `--out`");
    fs::remove_file(place.run().join("thesis.tex")).unwrap();
    let mut run = begin().unwrap();
    run.save_checkpoint(&checkpoint(500), 3).unwrap();
    let before = content(&place.run());
    insta::assert_snapshot!(place.tidy(&begin().unwrap_err()), @"DIR/run already holds a run (last good checkpoint: step-500); go on with it with `--resume`, or choose another directory with `--out`");
    drop(run);
    insta::assert_snapshot!(place.tidy(&begin().unwrap_err()), @"DIR/run already holds a run (last good checkpoint: step-500); go on with it with `--resume`, or choose another directory with `--out`");
    assert_eq!(content(&place.run()), before);
}

#[test]
fn a_beginning_that_was_cut_short_can_begin_again() {
    let place = Place::new();
    place.create();
    fs::remove_file(place.run().join("config.toml")).unwrap();
    fs::remove_file(place.run().join("metrics.jsonl")).unwrap();
    fs::remove_file(place.run().join("evaluations.jsonl")).unwrap();
    fs::write(place.run().join("config.toml.tmp"), "half").unwrap();
    place.create();
    assert!(!place.run().join("config.toml.tmp").exists());
}

#[test]
fn what_is_no_run_is_not_opened() {
    let place = Place::new();
    insta::assert_snapshot!(place.tidy(&RunDir::open(&place.run()).unwrap_err()), @"DIR/run holds no run: there is no such directory; a run directory is what `tandem train` writes to `--out`");
    fs::create_dir(place.run()).unwrap();
    insta::assert_snapshot!(place.tidy(&place.resume(&[]).unwrap_err()), @"DIR/run holds no run: it has no config.toml; a run directory is what `tandem train` writes to `--out`");
    assert!(content(&place.run()).is_empty());
}

#[test]
fn a_changed_config_is_refused_with_what_changed() {
    let place = Place::new();
    place.create();
    let before = content(&place.run());
    let refused = place.resume(&["seed=7", "options.norm=batch", "generator.learning_rate=1e-5", "steps=9"]);
    insta::assert_snapshot!(place.tidy(&refused.unwrap_err()), @r#"
    DIR/run was started with another config and cannot be resumed with this one:
      generator.learning_rate: 0.0002 then, 1e-5 now
      options.norm: not set then, "batch" now
      seed: 0 then, 7 now
    resume with the config as it was (DIR/run/config.toml), or start a new run with another `--out`
    "#);
    assert_eq!(content(&place.run()), before);
}

#[test]
fn what_may_change_is_recorded() {
    let place = Place::new();
    drop(place.create());
    let sets = ["steps=9000", "log_every=7", "checkpoint_every=7", "keep_checkpoints=7", "sample_every=7"];
    let sets = [&sets[..], &["sample_count=7", "device=cpu", "threads=2"]].concat();
    let run = place.resume(&sets).unwrap();
    assert_eq!(run.config().unwrap(), config(&sets));
}

#[test]
fn a_run_cannot_end_before_where_it_is() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(500), 3).unwrap();
    drop(run);
    insta::assert_snapshot!(place.tidy(&place.resume(&["steps=499"]).unwrap_err()), @"DIR/run is at step 500, beyond `steps = 499`; resume with `steps` of at least 500");
    place.resume(&["steps=500"]).unwrap();
}

/// Not a test of its own: the process that [`another_process_is_kept_out`] starts. It holds a run until it is killed.
#[test]
fn holder() {
    let Some(path) = std::env::var_os("HOLD_RUN") else { return };
    let _run = create(Path::new(&path));
    println!("\nholding");
    std::thread::sleep(std::time::Duration::from_mins(1));
}

#[test]
fn another_process_is_kept_out_until_it_is_killed() {
    let place = Place::new();
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "run::tests::opening::holder", "--nocapture"])
        .env("HOLD_RUN", place.run())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap() == "holding"));
    let expected = format!(
        "DIR/run is in use by process {}; wait for it, stop it, or choose another directory with `--out`",
        holder.id()
    );
    assert_eq!(place.tidy(&place.resume(&[]).unwrap_err()), expected);
    RunDir::open(&place.run()).unwrap().config().unwrap();
    // SIGKILL: the process cannot tidy up.
    holder.kill().unwrap();
    holder.wait().unwrap();
    place.resume(&[]).unwrap();
}

#[test]
fn this_process_is_kept_out_of_its_own_run_too() {
    let place = Place::new();
    let run = place.create();
    assert!(
        matches!(place.resume(&[]).unwrap_err(), RunError::Locked { holder: Some(pid), .. } if pid == std::process::id())
    );
    drop(run);
    place.resume(&[]).unwrap();
}
