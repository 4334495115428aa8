//! Links in a run directory: whoever made it, nothing is written or removed through them.

use std::os::unix::fs::{MetadataExt as _, symlink};

use super::*;

/// Somebody's folder with somebody's files, and what they are.
fn theirs() -> (tempfile::TempDir, Vec<(String, Vec<u8>)>) {
    let theirs = tempfile::tempdir().unwrap();
    for name in ["thesis.tex", "draft.tmp", "step-1/all.txt", "step-5.old.tmp/all.txt", "step-00000001.png"] {
        let path = theirs.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "theirs\n").unwrap();
    }
    let before = content(theirs.path());
    (theirs, before)
}

/// A run of three checkpoints whose `name` makes way for a link to this.
fn with_link(place: &Place, name: &str, target: &Path) {
    let mut run = place.create();
    run.board(0).unwrap();
    run.append_session(&serde_json::json!({})).unwrap();
    drop(run.log_file().unwrap());
    for step in [1, 2, 3] {
        run.save_checkpoint(&checkpoint(step), 3).unwrap();
    }
    drop(run);
    write::remove(&place.run().join(name)).unwrap();
    symlink(target, place.run().join(name)).unwrap();
}

/// Everything that training does in a run directory.
fn train(place: &Place) -> Result<(), RunError> {
    let mut run = place.resume(&[])?;
    run.append_session(&serde_json::json!({}))?;
    drop(run.log_file()?);
    run.board(3)?;
    run.write_sample(1, b"png")?;
    run.append_metrics(4, &serde_json::json!({}))?;
    run.append_evaluation(4, &serde_json::json!({}))?;
    run.save_checkpoint(&checkpoint(4), 1)?;
    run.mark_best(Some(4))?;
    run.write_plot(b"png").map(drop)
}

#[test]
fn what_is_written_into_is_refused_where_it_is_a_link() {
    for name in ["checkpoints", "samples", "tensorboard"] {
        let place = Place::new();
        let (theirs, before) = theirs();
        with_link(&place, name, theirs.path());
        let told = place.tidy(&train(&place).unwrap_err());
        let expected = format!("DIR/run/{name} is a link to {}; nothing of a run is written", theirs.path().display());
        assert!(told.starts_with(&expected), "{told}");
        assert_eq!(content(theirs.path()), before, "{name}");
    }
    for name in ["metrics.jsonl", "evaluations.jsonl", "sessions.jsonl", "log", "lock"] {
        let place = Place::new();
        let (theirs, before) = theirs();
        with_link(&place, name, &theirs.path().join("thesis.tex"));
        let told = place.tidy(&train(&place).unwrap_err());
        assert!(told.starts_with(&format!("DIR/run/{name} is a link to ")), "{told}");
        assert_eq!(content(theirs.path()), before, "{name}");
        // And where the link names nothing, nothing comes to be.
        write::remove(&place.run().join(name)).unwrap();
        symlink(theirs.path().join("new"), place.run().join(name)).unwrap();
        assert!(train(&place).is_err());
        assert_eq!(content(theirs.path()), before, "{name}");
    }
}

#[test]
fn what_takes_its_place_takes_that_of_a_link_and_what_is_removed_is_the_link() {
    let names = [
        "latest",
        "best",
        "losses.png",
        "config.toml.tmp",
        "latest.tmp",
        "losses.png.tmp",
        "checkpoints/step-1",
        "checkpoints/step-2.tmp",
        "checkpoints/step-4.tmp",
        "checkpoints/step-4",
        "checkpoints/step-4.old.tmp",
        "checkpoints/step-1/generator.safetensors",
        "checkpoints/step-1/folder",
        "samples/step-00000001.png",
        "samples/step-00000001.png.tmp",
        "samples/x.tmp",
    ];
    for name in names {
        for target in ["", "thesis.tex"] {
            let place = Place::new();
            let (theirs, before) = theirs();
            with_link(&place, name, &theirs.path().join(target));
            // Whether it goes on depends on what was lost by the link; that nothing is lost elsewhere does not.
            let ended = train(&place);
            assert_eq!(content(theirs.path()), before, "{name}: {ended:?}");
            assert!(ended.is_ok() || name == "latest" || name == "best", "{name}: {ended:?}");
        }
    }
}

#[test]
fn a_new_run_follows_no_link_either() {
    for name in ["lock", "log", "definition.json", "plugin.json", "config.toml.tmp", "checkpoints", "samples"] {
        let place = Place::new();
        let (theirs, _) = theirs();
        let empty = tempfile::tempdir().unwrap();
        let folder = ["checkpoints", "samples"].contains(&name);
        fs::create_dir(place.run()).unwrap();
        let target = if folder { empty.path().to_owned() } else { theirs.path().join("thesis.tex") };
        symlink(&target, place.run().join(name)).unwrap();
        let _ = RunDir::create(&place.run(), &config(&[]), "{}", &plugin());
        assert_eq!(fs::read_to_string(theirs.path().join("thesis.tex")).unwrap(), "theirs\n", "{name}");
        assert!(content(empty.path()).is_empty(), "{name}");
    }
}

#[test]
fn a_run_directory_may_be_a_link_itself() {
    let place = Place::new();
    let disk = tempfile::tempdir().unwrap();
    symlink(disk.path(), place.run()).unwrap();
    place.create().save_checkpoint(&checkpoint(3), 3).unwrap();
    train(&place).unwrap();
    assert!(place.run().is_symlink());
    assert!(disk.path().join("checkpoints/step-4").is_dir());
}

#[test]
fn a_file_with_a_second_name_becomes_one_of_its_own_before_it_is_written_into() {
    let place = Place::new();
    let mut run = place.create();
    run.append_metrics(1, &serde_json::json!({})).unwrap();
    run.save_checkpoint(&checkpoint(1), 3).unwrap();
    drop(run.log_file().unwrap());
    drop(run);
    let backup = tempfile::tempdir().unwrap();
    for name in ["metrics.jsonl", "evaluations.jsonl", "log", "lock"] {
        fs::hard_link(place.run().join(name), backup.path().join(name)).unwrap();
    }
    let lock = fs::metadata(place.run().join("lock")).unwrap().ino();
    fs::write(backup.path().join("lock"), "theirs").unwrap();
    let before: Vec<_> = ["metrics.jsonl", "evaluations.jsonl", "log", "lock"]
        .map(|name| fs::read(backup.path().join(name)).unwrap())
        .into();
    train(&place).unwrap();
    let after: Vec<_> = ["metrics.jsonl", "evaluations.jsonl", "log", "lock"]
        .map(|name| fs::read(backup.path().join(name)).unwrap())
        .into();
    assert_eq!(after, before);
    // What is locked stays the same file, or two could hold it.
    assert_eq!(fs::metadata(place.run().join("lock")).unwrap().ino(), lock);
    let lines = fs::read_to_string(place.run().join("metrics.jsonl")).unwrap();
    assert_eq!(lines, "{\"step\":1}\n{\"step\":4}\n");
}

#[test]
fn what_is_no_file_is_not_waited_on() {
    for name in ["metrics.jsonl", "evaluations.jsonl", "log", "lock", "latest", "sessions.jsonl"] {
        let place = Place::new();
        with_link(&place, name, Path::new("nowhere"));
        write::remove(&place.run().join(name)).unwrap();
        nix::unistd::mkfifo(&place.run().join(name), nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
        let begun = std::time::Instant::now();
        assert!(train(&place).unwrap_err().to_string().contains(name), "{name}");
        assert!(begun.elapsed() < std::time::Duration::from_secs(5), "{name}");
    }
}
