//! Saving, listing, pruning, going on: what `latest` names is always whole.

use super::*;

#[test]
fn a_checkpoint_comes_back_as_it_was() {
    let place = Place::new();
    let mut run = place.create();
    assert_eq!(run.latest().unwrap(), None);
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    assert_eq!(run.load_checkpoint(5).unwrap(), checkpoint(5));
    assert_eq!(fs::read_to_string(place.run().join("latest")).unwrap(), "step-5\n");
    let (arrays, metadata) = run.load_part(5, Part::Generator).unwrap().unwrap();
    assert_eq!(Some(arrays.as_slice()), checkpoint(5).part(Part::Generator));
    let text = metadata.iter().map(|(k, v)| format!("{k}={v}")).collect::<Vec<_>>().join("\n");
    insta::assert_snapshot!(text, @r#"
    config_hash=c0
    definition_hash=d0
    format=pt
    method=dcgan
    step=5
    tandem_format=1
    "#);
}

#[test]
fn the_moving_average_alone_may_be_absent() {
    let place = Place::new();
    let mut run = place.create();
    let mut without = checkpoint(1);
    without.parts.retain(|(part, _)| *part != Part::GeneratorEma);
    run.save_checkpoint(&without, 3).unwrap();
    assert_eq!(run.load_checkpoint(1).unwrap(), without);
    assert_eq!(run.load_part(1, Part::GeneratorEma).unwrap(), None);
    fs::remove_file(place.file(1, "trainer.safetensors")).unwrap();
    insta::assert_snapshot!(place.tidy(&run.load_checkpoint(1).unwrap_err()), @"DIR/run/checkpoints/step-1/trainer.safetensors is damaged: it is missing, and SHA256SUMS beside it has its sum; no other checkpoint here is whole: restore it from a backup");
    // As earlier versions wrote it.
    fs::remove_file(place.file(1, "SHA256SUMS")).unwrap();
    insta::assert_snapshot!(place.tidy(&run.load_checkpoint(1).unwrap_err()), @"DIR/run/checkpoints/step-1 is damaged: it has no trainer.safetensors; no other checkpoint here is whole: restore it from a backup");
    fs::rename(place.run().join("checkpoints/step-1"), place.run().join("checkpoints/step-2")).unwrap();
    run.save_checkpoint(&without, 3).unwrap();
    insta::assert_snapshot!(place.tidy(&run.load_checkpoint(9).unwrap_err()), @"DIR/run has no checkpoint step-9; it has step-1, step-2");
}

#[test]
fn a_checkpoint_under_another_steps_name_is_refused() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(1), 3).unwrap();
    fs::rename(place.run().join("checkpoints/step-1"), place.run().join("checkpoints/step-2")).unwrap();
    insta::assert_snapshot!(place.tidy(&run.load_checkpoint(2).unwrap_err()), @"DIR/run/checkpoints/step-2/generator.safetensors is damaged: it is of step 1, expected 2; no other checkpoint here is whole: restore it from a backup");
}

#[test]
fn old_checkpoints_go_and_the_newest_stay() {
    let place = Place::new();
    let mut run = place.create();
    for step in [8, 9, 10, 11] {
        run.save_checkpoint(&checkpoint(step), 2).unwrap();
    }
    assert_eq!(run.checkpoints().unwrap(), [10, 11]);
    run.save_checkpoint(&checkpoint(12), 0).unwrap();
    assert_eq!(run.checkpoints().unwrap(), [10, 11, 12]);
}

#[test]
fn saving_a_step_again_replaces_it() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    let mut again = checkpoint(5);
    again.metadata.insert("note".into(), "again".into());
    run.save_checkpoint(&again, 1).unwrap();
    assert_eq!(run.load_checkpoint(5).unwrap(), again);
    assert_eq!(write::entries(&place.run().join("checkpoints")).unwrap().len(), 1);
}

#[test]
fn a_run_taken_back_by_hand_goes_on_from_there_and_keeps_it() {
    let place = Place::new();
    let mut run = place.create();
    for step in [5, 10, 15] {
        run.save_checkpoint(&checkpoint(step), 3).unwrap();
    }
    drop(run);
    fs::write(place.run().join("latest"), "step-5\n").unwrap();
    let mut run = place.resume(&[]).unwrap();
    assert_eq!(run.latest().unwrap(), Some(5));
    run.save_checkpoint(&checkpoint(7), 1).unwrap();
    assert_eq!((run.latest().unwrap(), run.checkpoints().unwrap()), (Some(7), vec![7, 10, 15]));
}

#[test]
fn latest_that_is_missing_or_names_what_is_gone_falls_back_to_what_there_is() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    fs::write(place.run().join("latest"), "step-9\n").unwrap();
    assert_eq!(run.latest().unwrap(), Some(5));
    fs::remove_file(place.run().join("latest")).unwrap();
    assert_eq!(run.latest().unwrap(), Some(5));
}

#[test]
fn metrics_are_lines_and_resuming_drops_those_after_the_checkpoint() {
    #[derive(serde::Serialize)]
    struct Losses {
        d: f64,
        g: f64,
    }
    let place = Place::new();
    let mut run = place.create();
    run.append_metrics(50, &Losses { d: 1.5, g: f64::NAN }).unwrap();
    run.append_metrics(100, &Losses { d: 1.0, g: 2.0 }).unwrap();
    run.save_checkpoint(&checkpoint(100), 3).unwrap();
    run.append_metrics(150, &Losses { d: 0.5, g: 3.0 }).unwrap();
    drop(run);
    let path = place.run().join("metrics.jsonl");
    let mut cut = fs::read(&path).unwrap();
    cut.extend(b"{\"step\":1");
    fs::write(&path, cut).unwrap();
    assert_eq!(RunDir::open(&place.run()).unwrap().metrics().unwrap().len(), 3);
    let mut run = place.resume(&[]).unwrap();
    run.append_metrics(150, &serde_json::json!({ "d": 0.25 })).unwrap();
    insta::assert_snapshot!(fs::read_to_string(&path).unwrap(), @r#"
    {"step":50,"d":1.5,"g":null}
    {"step":100,"d":1.0,"g":2.0}
    {"step":150,"d":0.25}
    "#);
    assert_eq!(run.metrics().unwrap()[2]["d"], 0.25);
    drop(run);
    // Without a checkpoint the run begins again, and so do its metrics.
    fs::remove_dir_all(place.run().join("checkpoints")).unwrap();
    place.resume(&[]).unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "");
}

#[test]
fn samples_the_plot_and_the_log_have_their_places() {
    let place = Place::new();
    let run = place.create();
    assert_eq!(run.write_sample(250, b"png").unwrap(), place.run().join("samples/step-00000250.png"));
    assert_eq!(run.write_plot(b"png").unwrap(), place.run().join("losses.png"));
    std::io::Write::write_all(&mut run.log_file().unwrap(), b"line\n").unwrap();
    std::io::Write::write_all(&mut run.log_file().unwrap(), b"line\n").unwrap();
    assert_eq!(fs::read_to_string(place.run().join("log")).unwrap(), "line\nline\n");
}
