//! What was changed behind the run's back is found, by the file's name, and told with what is still whole.

use proptest::prelude::*;
use sha2::{Digest, Sha256};

use super::*;

/// A run with whole checkpoints at 5 and 10 that have everything that training keeps.
fn kept(place: &Place) -> TrainingRun {
    let mut run = place.create();
    for step in [5, 10] {
        run.save_checkpoint(&full(step), 3).unwrap();
    }
    run
}

fn full(step: u64) -> Checkpoint {
    let mut full = checkpoint(step);
    full.config = Some(config(&[]).to_toml().unwrap());
    full.data = Some("{}\n".into());
    full
}

fn names(place: &Place) -> Vec<String> {
    let paths = write::entries(&place.run().join("checkpoints/step-10")).unwrap();
    paths.iter().map(|p| p.file_name().unwrap().to_str().unwrap().to_owned()).collect()
}

#[test]
fn a_checkpoint_comes_back_with_all_that_it_kept_and_sha256sum_agrees() {
    let place = Place::new();
    let run = kept(&place);
    assert_eq!(run.load_checkpoint(10).unwrap(), full(10));
    let text = fs::read_to_string(place.file(10, "SHA256SUMS")).unwrap();
    let mut listed = Vec::new();
    for line in text.lines() {
        let (sum, name) = line.split_once("  ").unwrap();
        assert_eq!(sum, format!("{:x}", Sha256::digest(fs::read(place.file(10, name)).unwrap())), "{name}");
        listed.push(name.to_owned());
    }
    listed.push("SHA256SUMS".into());
    listed.sort();
    assert_eq!(listed, names(&place));
}

#[test]
fn a_changed_cut_or_missing_file_is_named_with_the_newest_whole_checkpoint() {
    for name in ["generator.safetensors", "trainer.safetensors", "config.toml", "data.json", "seconds", "SHA256SUMS"] {
        for change in ["flip", "cut", "empty", "gone"] {
            let place = Place::new();
            let run = kept(&place);
            let path = place.file(10, name);
            let mut bytes = fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            match change {
                "flip" => bytes[middle] ^= 1,
                "cut" => bytes.truncate(middle),
                "empty" => bytes.clear(),
                _ => {}
            }
            fs::write(&path, bytes).unwrap();
            if change == "gone" {
                fs::remove_file(&path).unwrap();
            }
            let told = place.tidy(&run.load_checkpoint(10).unwrap_err());
            // Of a file's sum, it is the file that is named.
            let named = if name == "SHA256SUMS" { "" } else { name };
            assert!(
                told.starts_with("DIR/run/checkpoints/step-10") && told.contains(named),
                "{name}, {change}: {told}"
            );
            assert!(
                told.contains(
                    "the newest whole checkpoint is step-5: to go on from it, write `step-5` into DIR/run/latest"
                ),
                "{told}"
            );
            assert_eq!(run.load_checkpoint(5).unwrap(), full(5));
        }
    }
}

#[test]
fn one_part_alone_is_checked_too() {
    let place = Place::new();
    let run = kept(&place);
    let path = place.file(10, "generator_ema.safetensors");
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 0x40;
    fs::write(&path, bytes).unwrap();
    let told = place.tidy(&run.load_part(10, Part::GeneratorEma).unwrap_err());
    assert!(
        told.starts_with("DIR/run/checkpoints/step-10/generator_ema.safetensors is damaged: its SHA-256 is "),
        "{told}"
    );
    assert!(run.load_part(10, Part::Generator).unwrap().is_some());
}

#[test]
fn files_that_moved_between_checkpoints_or_came_from_elsewhere_are_found() {
    let place = Place::new();
    let mut run = kept(&place);
    fs::copy(place.file(5, "discriminator.safetensors"), place.file(10, "discriminator.safetensors")).unwrap();
    assert!(run.load_checkpoint(10).unwrap_err().to_string().contains("discriminator.safetensors is damaged"));
    // Neither had sums: the step within tells.
    for step in [5, 10] {
        for name in ["SHA256SUMS", "config.toml", "data.json"] {
            fs::remove_file(place.file(step, name)).unwrap();
        }
    }
    let told = place.tidy(&run.load_checkpoint(10).unwrap_err());
    assert!(told.contains("discriminator.safetensors is damaged: it is of step 5, expected 10"), "{told}");
    // A file of another run at the same step.
    let mut other = checkpoint(10);
    other.metadata.insert("config_hash".into(), "c1".into());
    let elsewhere = Place::new();
    elsewhere.create().save_checkpoint(&other, 3).unwrap();
    run.save_checkpoint(&checkpoint(10), 3).unwrap();
    fs::remove_file(place.file(10, "SHA256SUMS")).unwrap();
    fs::copy(elsewhere.file(10, "trainer.safetensors"), place.file(10, "trainer.safetensors")).unwrap();
    let told = place.tidy(&run.load_checkpoint(10).unwrap_err());
    assert!(told.contains("its files are of two runs: what trainer.safetensors says of itself"), "{told}");
    // One that no sum was made of.
    let mut without = checkpoint(15);
    without.parts.retain(|(part, _)| *part != Part::GeneratorEma);
    run.save_checkpoint(&without, 3).unwrap();
    fs::copy(elsewhere.file(10, "generator_ema.safetensors"), place.file(15, "generator_ema.safetensors")).unwrap();
    let told = place.tidy(&run.load_part(15, Part::GeneratorEma).unwrap_err());
    assert!(told.contains("has no sum of it: it is not of this checkpoint"), "{told}");
}

#[test]
fn checkpoints_of_earlier_versions_have_no_sums_and_are_read() {
    let place = Place::new();
    let mut run = place.create();
    run.save_checkpoint(&checkpoint(5), 3).unwrap();
    for name in ["SHA256SUMS", "seconds"] {
        fs::remove_file(place.file(5, name)).unwrap();
    }
    assert_eq!(run.load_checkpoint(5).unwrap(), checkpoint(5));
}

#[test]
fn numbers_that_are_none_are_blamed_on_the_file() {
    for (what, number) in [("NaN", f32::NAN), ("infinity", f32::NEG_INFINITY)] {
        let place = Place::new();
        let mut run = place.create();
        run.save_checkpoint(&checkpoint(5), 3).unwrap();
        let mut wrong = checkpoint(10);
        wrong.parts[0].1 = vec![array("conv.weight", &[1.0, number, 2.0, number])];
        run.save_checkpoint(&wrong, 3).unwrap();
        let told = place.tidy(&run.load_part(10, Part::Generator).unwrap_err());
        assert!(told.starts_with("DIR/run/checkpoints/step-10/generator.safetensors is damaged: `conv.weight` holds 2 of 4 numbers that are NaN or infinite"), "{what}: {told}");
        assert!(told.contains("the newest whole checkpoint is step-5"), "{told}");
        assert!(run.load_checkpoint(10).is_err());
    }
    // What else training needs may hold infinities.
    let place = Place::new();
    let mut run = place.create();
    let mut infinite = checkpoint(5);
    infinite.parts[3].1 = vec![array("x", &[f32::INFINITY])];
    run.save_checkpoint(&infinite, 3).unwrap();
    assert_eq!(run.load_checkpoint(5).unwrap(), infinite);
}

#[test]
fn not_finite_numbers_are_counted_in_every_type() {
    let of = |dtype: ArrayType, data: Vec<u8>| NamedArray {
        name: "x".into(),
        dtype,
        shape: vec![data.len() / dtype.size()],
        data,
    };
    let wide: Vec<u8> = [1.0, f64::NAN, f64::INFINITY, -0.0, f64::MAX].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(of(ArrayType::F64, wide).not_finite(), (1, 1));
    assert_eq!(array("x", &[f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-45]).not_finite(), (1, 2));
    // 1, infinity, NaN, the largest.
    let half: Vec<u8> = [0x3c00_u16, 0x7c00, 0xfe01, 0x7bff].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(of(ArrayType::F16, half).not_finite(), (1, 1));
    let brain: Vec<u8> = [0x3f80_u16, 0xff80, 0x7f81, 0x7f7f].iter().flat_map(|x| x.to_le_bytes()).collect();
    assert_eq!(of(ArrayType::BF16, brain).not_finite(), (1, 1));
    assert_eq!(of(ArrayType::I64, vec![0xff; 16]).not_finite(), (0, 0));
}

#[test]
fn latest_and_best_that_name_no_checkpoint_are_damaged() {
    let place = Place::new();
    let mut run = kept(&place);
    for text in ["", "../../etc\n", "step-5000000000000000000000\n", "stfp-10\n", "\u{1b}[2J", "step-\n"] {
        fs::write(place.run().join("latest"), text).unwrap();
        let told = place.tidy(&run.latest().unwrap_err());
        assert!(told.starts_with("DIR/run/latest is damaged: it holds `"), "{told}");
        assert!(told.ends_with("the newest whole one is step-10") && !told.contains('\u{1b}'), "{told}");
    }
    // Saving writes it again.
    run.save_checkpoint(&full(15), 0).unwrap();
    assert_eq!(run.latest().unwrap(), Some(15));
    fs::write(place.run().join("best"), b"\xff\xfe").unwrap();
    assert!(place.tidy(&run.best().unwrap_err()).starts_with("DIR/run/best is damaged: it holds `"));
    // The best one is not known: none goes, and the run goes on.
    run.save_checkpoint(&full(20), 1).unwrap();
    assert_eq!(run.checkpoints().unwrap(), [5, 10, 15, 20]);
}

#[test]
fn a_config_or_definition_that_was_edited_is_told_with_its_keys() {
    let place = Place::new();
    let mut run = place.create();
    let definition = format!("{:x}", Sha256::digest("{\"opset\": 1}"));
    let mut whole = full(5);
    whole.metadata.insert("definition_hash".into(), definition);
    run.save_checkpoint(&whole, 3).unwrap();
    drop(run);
    let run = RunDir::open(&place.run()).unwrap();
    let check = || run.check_definition(5, &whole.metadata).and_then(|()| run.check_config(5, &whole.metadata));
    check().unwrap();
    // What may change may be changed by hand.
    let free = config(&["steps=77", "log_every=3", "threads=2"]).to_toml().unwrap();
    fs::write(place.run().join("config.toml"), free).unwrap();
    check().unwrap();
    fs::write(place.run().join("config.toml"), config(&["seed=7"]).to_toml().unwrap()).unwrap();
    insta::assert_snapshot!(place.tidy(&check().unwrap_err()), @r"
    DIR/run/config.toml is not what step-5 was trained with: it was edited since, or the checkpoint is of another run:
      seed: 0 then, 7 now
    put it back as it was (DIR/run/checkpoints/step-5/config.toml), or begin a new run
    ");
    fs::write(place.run().join("definition.json"), "{\"opset\": 2}").unwrap();
    let told = place.tidy(&check().unwrap_err());
    assert!(told.starts_with("DIR/run/definition.json is not what step-5 was trained with: its SHA-256 is "), "{told}");
}

#[test]
fn a_refused_resume_leaves_the_run_as_it_was() {
    let place = Place::new();
    let mut run = kept(&place);
    run.append_metrics(15, &serde_json::json!({})).unwrap();
    drop(run);
    let before = content(&place.run());
    // Opened, and left for some reason before it began.
    drop(RunDir::open_for_resume(&place.run(), &config(&["steps=77"])).unwrap());
    assert_eq!(content(&place.run()), before);
}

#[test]
fn a_damaged_line_costs_no_other() {
    let place = Place::new();
    let mut run = place.create();
    for step in 1..=5 {
        run.append_metrics(step, &serde_json::json!({ "d": 1 })).unwrap();
        run.append_evaluation(step, &serde_json::json!({ "n": 1 })).unwrap();
    }
    run.save_checkpoint(&checkpoint(4), 3).unwrap();
    for file in ["metrics.jsonl", "evaluations.jsonl"] {
        let path = place.run().join(file);
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.replacen("{\"step\":2", "{\"stex\":2", 1).replacen("{\"step\":3", "{\"step\":\u{0}3", 1))
            .unwrap();
    }
    assert_eq!(run.readable_metrics().unwrap().len(), 4);
    let told = place.tidy(&run.metrics().unwrap_err());
    assert!(
        told.starts_with("DIR/run/metrics.jsonl is damaged: line 3: ") && told.contains("without that line"),
        "{told}"
    );
    drop(run);
    let run = place.resume(&[]).unwrap();
    let steps = |lines: Vec<serde_json::Value>| lines.iter().map(|l| l["step"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(steps(run.metrics().unwrap()), [1, 4]);
    assert_eq!(steps(run.evaluations().unwrap()), [1, 4]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_flipped_bit_of_a_checkpoint_goes_unseen(file in 0_usize..8, at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let place = Place::new();
        let run = kept(&place);
        let names = names(&place);
        let path = place.file(10, &names[file % names.len()]);
        let mut bytes = fs::read(&path).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        fs::write(&path, bytes).unwrap();
        let told = place.tidy(&run.load_checkpoint(10).unwrap_err());
        prop_assert!(told.contains("step-10") && told.contains("newest whole checkpoint is step-5"), "{}", told);
    }
}
