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
    sample(&run, &out, &["--classes", "3-5"]).assert().code(2).stderr(contains("separated by commas, such as 3,4,5"));
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
    sample(&run, &folder, &["--files"]).assert().code(2).stderr(contains("is not empty; name another folder"));
    sample(&run, &here.path("run/config.toml"), &["--files"]).assert().code(2).stderr(contains("is a file"));
    sample(&run, &here.path("g.png"), &["--num", "70000"])
        .assert()
        .code(2)
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

#[test]
fn where_it_goes_is_checked_before_anything_is_drawn() {
    let (here, run) = trained("");
    let refused = |out: &str, more: &[&str], why: &str| {
        // So many that drawing them would take minutes.
        let many = ["--num", "60000"];
        sample(&run, &here.path(out), &[more, if more.is_empty() { &many } else { &[] }].concat())
            .timeout(std::time::Duration::from_mins(1))
            .assert()
            .code(2)
            .stderr(contains(why.to_owned()));
    };
    refused("q.jpg", &[], "a grid is written as .png, not as");
    refused("none/q.png", &[], "there is no folder");
    refused("run", &[], "a grid is written as .png");
    fs::create_dir(here.path("folder.png")).unwrap();
    refused("folder.png", &[], "is a folder; name a file in it with --out");
    let path = ["--num", "60", "--interpolate", "1000"];
    refused("film.mp4", &path, "not as `.mp4`");
    refused("none/film.gif", &path, "there is no folder");
    refused("film.gif", &["--num", "600", "--interpolate", "1000"], "600000 images are too many");
    // Tensors and picture: both or neither.
    let tensors = here.path("none/t.safetensors");
    refused("g.png", &["--tensors", &tensors], "name another file with --tensors");
    assert!(fs::metadata(here.path("g.png")).is_err());
}

#[test]
fn a_grid_and_a_path_have_names_of_their_own() {
    let (here, run) = trained("");
    for more in [&[][..], &["--interpolate", "2"], &["--files"]] {
        let draw = ["sample", &run, "--num", "2"];
        tandem(&[&draw, more].concat()).current_dir(here.path("")).assert().success();
    }
    for name in ["samples-step-1.png", "path-step-1.png", "samples-step-1/000001.png"] {
        assert!(fs::metadata(here.path(name)).is_ok(), "{name}");
    }
}

#[test]
fn a_grid_is_the_same_whichever_way_it_is_drawn() {
    let (here, run) = trained("plugin = \"cgan\"");
    let (out, tensors) = (here.path("g.png"), here.path("t.safetensors"));
    sample(&run, &out, &["--num", "25", "--batch", "25"]).assert().success();
    let alone = here.read("g.png");
    sample(&run, &out, &["--num", "25", "--batch", "25", "--tensors", &tensors]).assert().success();
    assert_eq!(alone, here.read("g.png"));
    // A column for each of ten classes.
    assert_eq!(image::open(&out).unwrap().width(), 2 * (10 * 34 + 2));
}
