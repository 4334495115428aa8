//! Images from a finished run: chosen classes, truncated latents, files by the thousand, and ways from one to the next.
#![expect(clippy::unwrap_used, reason = "tests: a panic is the report")]

use std::fs;

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use tandem_tests::{Playground, tandem};

fn trained(config: &str) -> (Playground, String) {
    let here = Playground::new(config);
    here.train("run", &["--set", "steps=1", "--set", "sample_every=0"]).assert().success();
    let run = here.path("run");
    (here, run)
}

fn sample(run: &str, out: &str, more: &[&str]) -> assert_cmd::Command {
    tandem(&[&["sample", run, "--out", out], more].concat())
}

/// The named tensor of a file as numbers; labels as they are.
fn numbers(path: &str, name: &str) -> Vec<f64> {
    let bytes = fs::read(path).unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let tensor = tensors.tensor(name).unwrap();
    match tensor.dtype() {
        safetensors::Dtype::I64 => {
            tensor.data().chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap()) as f64).collect()
        }
        _ => tensor.data().chunks(4).map(|b| f64::from(f32::from_le_bytes(b.try_into().unwrap()))).collect(),
    }
}

#[test]
fn latents_are_truncated_and_batches_do_not_show() {
    let (here, run) = trained("");
    let (out, tensors) = (here.path("g.png"), here.path("g.safetensors"));
    sample(&run, &out, &["--num", "500", "--truncation", "0.5", "--tensors", &tensors]).assert().success();
    let latents = numbers(&tensors, "latents");
    let within = latents.iter().all(|z| z.abs() <= 0.5);
    // A normal distribution cut at ±1/2 is nearly flat: standard deviation 0.2835 (the formula of the truncated normal).
    let deviation = (latents.iter().map(|z| z * z).sum::<f64>() / latents.len() as f64).sqrt();
    assert!(within && (deviation - 0.2835).abs() < 0.01, "{deviation}");
    let images = numbers(&tensors, "images");
    sample(&run, &out, &["--num", "500", "--truncation", "0.5", "--tensors", &tensors, "--batch", "37"])
        .assert()
        .success();
    let others = numbers(&tensors, "images");
    assert!(images.iter().zip(&others).all(|(a, b)| (a - b).abs() < 1e-5));
    sample(&run, &out, &["--truncation", "0"]).assert().code(2).stderr(contains("expected a number above 0"));
    sample(&run, &out, &["--classes", "1"]).assert().code(2).stderr(contains("takes no classes"));
}

#[test]
fn classes_are_those_asked_for() {
    let (here, run) = trained("plugin = \"cgan\"");
    let (out, tensors) = (here.path("g.png"), here.path("g.safetensors"));
    sample(&run, &out, &["--num", "5", "--classes", "7,3", "--tensors", &tensors]).assert().success();
    assert_eq!(numbers(&tensors, "labels"), [7.0, 3.0, 7.0, 3.0, 7.0]);
    sample(&run, &out, &["--classes", "10"])
        .assert()
        .code(2)
        .stderr(contains("no class 10: this generator knows 0 to 9"));
}

#[test]
fn images_become_files_of_their_own() {
    let (here, run) = trained("");
    let folder = here.path("images");
    sample(&run, &folder, &["--num", "70", "--files", "--batch", "32"]).assert().success().stdout(contains("images"));
    let mut names: Vec<_> =
        fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    assert_eq!((names.len(), names[0].as_str(), names[69].as_str()), (70, "000000.png", "000069.png"));
    let first = image::open(format!("{folder}/000069.png")).unwrap();
    assert_eq!((first.width(), first.height()), (32, 32));
    sample(&run, &folder, &["--files"]).assert().failure().stderr(contains("is not empty; name another folder"));
    sample(&run, &here.path("g.png"), &["--num", "70000"])
        .assert()
        .failure()
        .stderr(contains("at most 65536").and(contains("--files")));
}

#[test]
fn a_way_between_latents_is_a_strip_or_a_film() {
    let (here, run) = trained("");
    let path = ["--num", "3", "--interpolate", "4"];
    for (name, between) in [("strip.png", "slerp"), ("film.gif", "lerp"), ("film.apng", "slerp")] {
        let out = here.path(name);
        sample(&run, &out, &[&path[..], &["--between", between]].concat()).assert().success();
    }
    let strip = image::open(here.path("strip.png")).unwrap();
    // Three rows of four images of 32 pixels with 2 around each, enlarged twice.
    assert_eq!((strip.width(), strip.height()), (2 * (4 * 34 + 2), 2 * (3 * 34 + 2)));
    let gif = image::codecs::gif::GifDecoder::new(std::io::Cursor::new(here.read("film.gif"))).unwrap();
    assert_eq!(image::AnimationDecoder::into_frames(gif).count(), 12);
    let out = here.path("film.mp4");
    sample(&run, &out, &path).assert().code(2).stderr(contains("not as `.mp4`"));
    assert!(fs::metadata(out).is_err());
}
