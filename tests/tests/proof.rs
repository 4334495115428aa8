//! The shipped plugins, proven through the real binary, and their steps recomputed by PyTorch.

use predicates::str::contains;
use serde_json::Value;
use tandem_tests::{Playground, python, root, tandem};

/// Every shipped method with every choice of its options (all norms of D among them), every strategy, float64.
#[test]
fn every_plugin_is_exact_in_every_variant() {
    let folder = tandem_tests::binary().parent().unwrap().to_owned();
    for name in ["dcgan", "wgan", "lsgan", "relgan"] {
        let file = folder.join(format!("libtandem_{name}.so"));
        let output = tandem(&[
            "plugin",
            "check",
            file.to_str().unwrap(),
            "--variants",
            "--json",
            "--set",
            "width=8",
            "--set",
            "latent_size=8",
        ])
        .output()
        .unwrap();
        assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
        let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(outcome["plugin"], name);
        assert!(outcome["max_relative_error"].as_f64().unwrap() <= 1e-10, "{name}: {outcome:#}");
        for variant in outcome["variants"].as_array().unwrap() {
            let strategies = |v: &Value| {
                v["gradients"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .map(|g| g["strategy"].as_str().unwrap().to_owned())
                    .collect::<Vec<_>>()
            };
            let ran = strategies(variant);
            assert!(ran.contains(&"two-seed".to_owned()), "{variant:#}");
            if variant["symmetry"] == "asymmetric" && !variant["coupled_by"].is_null() {
                assert!(ran.iter().all(|s| s == "two-seed"), "{variant:#}");
                assert_eq!(variant["strategy"], "two-seed");
            }
        }
    }
}

/// One step, dumped whole and recomputed by PyTorch's own layers and autograd, for each loss.
#[test]
fn pytorch_gets_the_same_step() {
    let Some(_) = python() else { return };
    let here = Playground::default();
    let cases = [
        ("dcgan", "loss=saturating"),
        ("dcgan", "loss=non-saturating"),
        ("wgan", "norm=none"),
        ("lsgan", "norm=batch"),
        ("lsgan", "norm=spectral"),
        ("relgan", "variant=standard"),
        ("relgan", "variant=average"),
    ];
    for (i, (plugin, option)) in cases.into_iter().enumerate() {
        let dump = here.path(&format!("{i}.safetensors"));
        tandem(&["plugin", "check", plugin, "--set", option, "--set", "width=8", "--dump", &dump]).assert().success();
        let script = root().join("tests/python/check_dump.py");
        python().unwrap().arg(script).arg(&dump).assert().success();
    }
}

/// Weights of a trained generator in PyTorch give the host's images.
#[test]
fn pytorch_gets_the_same_images() {
    let Some(mut python) = python() else { return };
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let (run, png, tensors) = (here.path("run"), here.path("g.png"), here.path("samples.safetensors"));
    tandem(&["sample", &run, "--num", "5", "--raw", "--out", &png, "--tensors", &tensors]).assert().success();
    python.arg(root().join("tests/python/load_weights.py")).args([&run, &tensors]).assert().success();
}

#[test]
fn inspect_shows_networks_losses_strategy_and_cost() {
    let mut shown = tandem(&["plugin", "inspect", "lsgan", "--image-size", "64", "--channels", "3"]);
    for words in ["mean((fake - 1)²) · 0.5", "asymmetric", "D is per sample", "strategy pivoted", "1.33x", "to_image"]
    {
        shown.assert().success().stdout(contains(words));
    }
}

#[test]
fn list_names_the_shipped_plugins() {
    let output = tandem(&["plugin", "list", "--json"]).output().unwrap();
    let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: Vec<&str> = listed.as_array().unwrap().iter().filter_map(|p| p["name"].as_str()).collect();
    for name in ["dcgan", "lsgan", "relgan", "wgan"] {
        assert!(names.contains(&name), "{names:?}");
    }
}

#[test]
fn every_shipped_config_resolves() {
    for folder in ["mnist-32", "mnist-64"] {
        for entry in std::fs::read_dir(root().join("configs").join(folder)).unwrap() {
            let config = entry.unwrap().path();
            tandem(&["train", config.to_str().unwrap(), "--dry-run"])
                .assert()
                .success()
                .stdout(contains("predicted cost"));
        }
    }
}
