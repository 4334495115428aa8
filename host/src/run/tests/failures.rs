//! Crashes, full disks and directories that cannot be written: an error that says what is safe, and nothing lost.

use std::{
    io::{BufRead, BufReader},
    process::{Command, Output, Stdio},
    time::Duration,
};

use super::*;

#[test]
fn what_a_crash_left_unfinished_is_removed_and_the_rest_is_as_it_was() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    drop(run);
    let before = content(&place.run());
    let unfinished = place.run().join("checkpoints/step-10.tmp");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("generator.safetensors"), "half").unwrap();
    fs::write(place.run().join("latest.tmp"), "step-").unwrap();
    fs::write(place.run().join("samples/step-00000010.png.tmp"), "half").unwrap();
    // A reader is not misled and touches nothing.
    let read = RunDir::open(&place.run()).unwrap();
    assert_eq!((read.latest().unwrap(), read.checkpoints().unwrap()), (Some(5), vec![5]));
    assert!(unfinished.exists());
    let run = place.resume(&[]).unwrap();
    assert_eq!(run.load_checkpoint(5).unwrap(), checkpoint(5));
    assert_eq!(content(&place.run()), before);
    assert!(!unfinished.exists());
}

#[test]
fn a_crash_while_a_checkpoint_is_replaced_leaves_the_old_one() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    drop(run);
    // The old one has made way, the new one is not yet in place.
    let at = |name: &str| place.run().join("checkpoints").join(name);
    fs::rename(at("step-5"), at("step-5.old.tmp")).unwrap();
    fs::create_dir(at("step-5.tmp")).unwrap();
    let run = place.resume(&[]).unwrap();
    assert_eq!(run.load_checkpoint(5).unwrap(), checkpoint(5));
    assert_eq!(write::entries(&place.run().join("checkpoints")).unwrap(), [at("step-5")]);
}

#[test]
fn a_crash_between_the_checkpoint_and_latest_leaves_both_good() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    run.save_checkpoint(&checkpoint(10), 3).unwrap();
    drop(run);
    fs::write(place.run().join("latest"), "step-5\n").unwrap();
    let mut run = place.resume(&[]).unwrap();
    assert_eq!(run.latest().unwrap(), Some(5));
    run.save_checkpoint(&checkpoint(10), 3).unwrap();
    assert_eq!((run.latest().unwrap(), run.checkpoints().unwrap()), (Some(10), vec![5, 10]));
}

#[test]
fn directories_that_cannot_be_written() {
    let place = Place::new();
    fs::write(place.run(), "a file").unwrap();
    let inside = place.run().join("below");
    let error = RunDir::create(&inside, &config(&[]), "{}", &plugin()).unwrap_err();
    insta::assert_snapshot!(place.tidy(&error), @"cannot read the directory DIR/run/below: Not a directory (os error 20)");
    fs::remove_file(place.run()).unwrap();

    let mut run = place.create();
    fs::remove_dir(place.run().join("checkpoints")).unwrap();
    fs::write(place.run().join("checkpoints"), "a file").unwrap();
    insta::assert_snapshot!(place.tidy(&run.save_checkpoint(&checkpoint(5), 3).unwrap_err()), @"cannot create DIR/run/checkpoints/step-5.tmp: Not a directory (os error 20); no checkpoint yet");
    // A folder that was removed to make room is made again.
    fs::remove_dir(place.run().join("samples")).unwrap();
    run.write_sample(1, b"png").unwrap();
    fs::remove_dir_all(place.run().join("samples")).unwrap();
    fs::write(place.run().join("samples"), "a file").unwrap();
    insta::assert_snapshot!(place.tidy(&run.write_sample(1, b"png").unwrap_err()), @"cannot write DIR/run/samples/step-00000001.png: Not a directory (os error 20); no checkpoint yet");
}

#[test]
fn a_full_disk_under_the_metrics() {
    let place = Place::new();
    drop(place.create());
    let full = fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut metrics = metrics::Metrics::over(place.run().join("metrics.jsonl"), full);
    insta::assert_snapshot!(place.tidy(&metrics.append(50, &serde_json::json!({})).unwrap_err()), @"cannot write DIR/run/metrics.jsonl: No space left on device (os error 28)");
}

/// Not a test of its own: what [`within`] runs where there is little room.
#[test]
fn short_of_room() {
    let Some(path) = std::env::var_os("SHORT_OF_ROOM") else { return };
    let path = Path::new(&path);
    let mut run = create(path);
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    let before = content(path);
    let error = run.save_checkpoint(&large_checkpoint(10), 1).unwrap_err();
    println!("\nrefusal: {error}");
    assert_eq!(content(path), before);
    assert_eq!(run.latest().unwrap(), Some(5));
    // The failed one left its room free again: the run can go on.
    run.save_checkpoint(&checkpoint(15), 1).unwrap();
    assert_eq!(run.load_checkpoint(15).unwrap(), checkpoint(15));
}

/// Runs [`short_of_room`] from a shell that first limits the room; the script ends in `exec "$@"`.
fn within(room: &[&str], path: &Path) -> Output {
    let (program, arguments) = room.split_first().unwrap();
    Command::new(program)
        .args(arguments)
        .arg("sh")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", "run::tests::failures::short_of_room", "--nocapture", "--test-threads=1"])
        .env("SHORT_OF_ROOM", path)
        .output()
        .unwrap()
}

fn refusal(place: &Place, output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    let line = said.lines().find_map(|line| line.strip_prefix("refusal: ")).unwrap();
    line.replace(place.0.path().to_str().unwrap(), "DIR")
}

#[test]
fn a_write_that_is_cut_off_leaves_the_last_checkpoint_and_says_so() {
    let place = Place::new();
    let output = within(&["sh", "-c", "trap '' XFSZ; ulimit -f 64; exec \"$@\""], &place.run());
    insta::assert_snapshot!(refusal(&place, &output), @"cannot write DIR/run/checkpoints/step-10.tmp/generator.safetensors: File too large (os error 27); last good checkpoint: step-5");
}

#[test]
fn a_full_disk_leaves_the_last_checkpoint_and_says_so() {
    // A small file system of the test's own; where the system forbids that, the test above stands for it.
    let allowed = Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "none", "/mnt"]).output();
    if !allowed.is_ok_and(|o| o.status.success()) {
        eprintln!("skipped: this system lets a test mount no file system");
        return;
    }
    let place = Place::new();
    let script = "mount -t tmpfs -o size=200k none \"${SHORT_OF_ROOM%/*}\" && exec \"$@\"";
    let output = within(&["unshare", "-rm", "sh", "-c", script], &place.run());
    insta::assert_snapshot!(refusal(&place, &output), @"cannot write DIR/run/checkpoints/step-10.tmp/generator.safetensors: No space left on device (os error 28); last good checkpoint: step-5");
}

/// Not a test of its own: the process that [`killed_at_any_moment_the_run_goes_on`] starts. It saves until it is killed.
#[test]
fn saver() {
    let Some(path) = std::env::var_os("SAVE_INTO") else { return };
    let mut run = RunDir::open_for_resume(Path::new(&path), &config(&["steps=1000000000"])).unwrap().begin().unwrap();
    for step in run.latest().unwrap().unwrap_or(0) + 1.. {
        run.append_metrics(step, &serde_json::json!({})).unwrap();
        // Each twice: replacing is the harder case.
        run.save_checkpoint(&checkpoint(step), 2).unwrap();
        println!("\nsaved");
        run.save_checkpoint(&checkpoint(step), 2).unwrap();
    }
}

#[test]
fn killed_at_any_moment_the_run_goes_on() {
    let place = Place::new();
    place.create();
    for round in 0..15 {
        let mut saver = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "run::tests::failures::saver", "--nocapture"])
            .env("SAVE_INTO", place.run())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(saver.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap() == "saved"));
        std::thread::sleep(Duration::from_millis(4 * round));
        saver.kill().unwrap();
        saver.wait().unwrap();
        let run = place.resume(&["steps=1000000000"]).unwrap();
        let latest = run.latest().unwrap().unwrap();
        assert_eq!(run.load_checkpoint(latest).unwrap(), checkpoint(latest), "round {round}");
        let steps: Vec<u64> = run.metrics().unwrap().iter().map(|line| line["step"].as_u64().unwrap()).collect();
        assert_eq!(steps, (1..=latest).collect::<Vec<_>>(), "round {round}");
    }
}
