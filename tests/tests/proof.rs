//! The shipped plugins, proven through the real binary, and their steps recomputed by PyTorch.

use std::collections::BTreeSet;

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use serde_json::Value;
use tandem_tests::{Playground, SHIPPED, long, python, root, tandem};

/// Every shipped method with every choice of its options (all norms of D among them), every strategy, float64; at 32 pixels,
/// and at the 64 that are the default in the long form.
#[test]
fn every_plugin_is_exact_in_every_variant() {
    let folder = tandem_tests::binary().parent().unwrap().to_owned();
    for name in SHIPPED {
        let file = folder.join(format!("libtandem_{}.so", name.replace('-', "_")));
        let output = tandem(&[
            "plugin",
            "check",
            file.to_str().unwrap(),
            "--variants",
            "--json",
            "--image-size",
            if long() { "64" } else { "32" },
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
                    .collect::<BTreeSet<_>>()
            };
            let ran = strategies(variant);
            let coupled = !variant["coupled_by"].is_null();
            let (must, chosen): (&[&str], _) = match (variant["symmetry"] == "symmetric", coupled) {
                (false, false) => (&["pivoted", "two-seed"], "pivoted"),
                (false, true) => (&["two-seed"], "two-seed"),
                (true, false) => (&["pivoted", "scaled", "two-seed"], "scaled"),
                (true, true) => (&["scaled", "two-seed"], "scaled"),
            };
            let must: BTreeSet<String> = must.iter().map(ToString::to_string).collect();
            // Where every batch has a fake with `g_f = 0`, as with hinges, there is no point for `scaled`.
            let may: BTreeSet<String> =
                if coupled { must.clone() } else { &must | &BTreeSet::from(["scaled".to_owned()]) };
            assert!(must.is_subset(&ran) && ran.is_subset(&may), "{variant:#}");
            assert_eq!(variant["strategy"], chosen);
        }
    }
}

/// Labels in both networks, which no choice of an option turns on: conditional batch norm and projection.
#[test]
fn a_conditional_resnet_is_exact() {
    for size in ["32", "48", "64"] {
        let set = ["network=resnet", "conditional=true", "width=4", "latent_size=8"].map(|o| ["--set", o]).concat();
        let arguments = [&["plugin", "check", "sngan", "--json", "--image-size", size][..], &set].concat();
        let output = tandem(&arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert!(outcome["max_relative_error"].as_f64().unwrap() <= 1e-10, "{outcome:#}");
    }
}

/// A script that judges the host is judged itself: it must find the mistakes that are planted for it.
fn passes_its_own_test(script: &str, flags: &[&str]) {
    let Some(mut python) = python() else { return };
    let output =
        python.arg(root().join(script)).args(flags).env("OMP_NUM_THREADS", "1").output().expect("Python starts");
    assert!(output.status.success(), "{script}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn the_python_references_pass_their_own_test() {
    passes_its_own_test("tests/python/self_test.py", &[]);
}

#[test]
fn the_benchs_peers_pass_their_own_test() {
    passes_its_own_test("benches/peers/serve.py", &["--self-test"]);
}

#[test]
fn the_bench_passes_its_own_test() {
    passes_its_own_test("benches/self_test.py", &[]);
}

/// One step, dumped whole and recomputed by PyTorch's own layers and autograd, for each loss.
#[test]
fn pytorch_gets_the_same_step() {
    let Some(mut python) = python() else { return };
    let here = Playground::default();
    let cases = [
        ("dcgan", "loss=saturating"),
        ("dcgan", "loss=non-saturating"),
        ("cgan", "loss=saturating"),
        ("cgan", "loss=non-saturating"),
        ("wgan", "norm=none"),
        ("lsgan", "norm=batch"),
        ("lsgan", "norm=spectral"),
        ("relgan", "variant=standard"),
        ("relgan", "variant=average"),
        ("relgan", "variant=average-least-squares"),
        ("relgan", "variant=average-hinge"),
        ("lsgan", "coding=pearson"),
        ("lsgan", "coding=signed"),
        ("geogan", "norm=group"),
        ("sngan", "loss=hinge"),
        ("sngan", "loss=non-saturating"),
        ("fishergan", "norm=group"),
        ("bgan", "target=boundary"),
        ("bgan", "target=log-z"),
        ("wgan-gp", "norm=none"),
        ("r3gan-loss", "norm=none"),
        ("sngan", "loss=non-saturating network=resnet latent_size=8"),
        ("sngan", "loss=hinge network=resnet latent_size=8 conditional=true"),
    ];
    let mut dumps = Vec::new();
    for (i, (plugin, options)) in cases.into_iter().enumerate() {
        let dump = here.path(&format!("{i}-{plugin}.safetensors"));
        let mut check = tandem(&["plugin", "check", plugin, "--image-size", "32", "--dump", &dump]);
        for option in options.split(' ').chain(["width=8"]) {
            check.args(["--set", option]);
        }
        check.assert().success();
        dumps.push(dump);
    }
    python.arg(root().join("tests/python/check_dump.py")).args(dumps).assert().success();
}

/// Weights of a trained generator in PyTorch give the host's images, of the classes that were asked for.
#[test]
fn pytorch_gets_the_same_images() {
    for plugin in ["dcgan", "cgan"] {
        let Some(mut python) = python() else { return };
        let here = Playground::new(&format!("plugin = \"{plugin}\""));
        here.train("run", &[]).assert().success();
        let (run, png, tensors) = (here.path("run"), here.path("g.png"), here.path("samples.safetensors"));
        tandem(&["sample", &run, "--num", "5", "--raw", "--out", &png, "--tensors", &tensors]).assert().success();
        python.arg(root().join("tests/python/load_weights.py")).args([&run, &tensors]).assert().success();
    }
}

/// Every listing of the page for authors is code that is compiled: in a plugin, a test, or the crate that `plugin new` writes.
#[test]
fn every_listing_for_authors_is_compiled() {
    let sources = ["plugins/geogan/src/lib.rs", "plugin-api/tests/listings.rs", "host/assets/new-plugin/lib.rs.in"];
    let flat = |text: &str| text.lines().map(str::trim).collect::<Vec<_>>().join("\n");
    let sources: Vec<String> = sources.map(|path| flat(&std::fs::read_to_string(root().join(path)).unwrap())).to_vec();
    let page = std::fs::read_to_string(root().join("docs/plugins.md")).unwrap();
    let listings: Vec<&str> = page.split("```rust\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(listings.len() >= 3, "{listings:?}");
    for listing in listings {
        assert!(sources.iter().any(|source| source.contains(&flat(listing))), "in no compiled source:\n{listing}");
    }
}

/// What reads no score has no slope, which is no mistake: the proof says so, and both modes train it.
#[test]
fn expressions_that_read_no_score_are_proven_and_trained() {
    let file = tandem_tests::binary().parent().unwrap().join("examples/libscoreless.so");
    let file = file.to_str().unwrap();
    tandem(&["plugin", "check", file, "--variants", "--set", "width=8"])
        .assert()
        .success()
        .stdout(contains("kind = counter").and(contains("kind = penalty")).and(contains("(worst: `")));
    let here = Playground::new(&format!("plugin = \"{file}\""));
    for kind in ["counter", "term", "penalty"] {
        for stages in ["one", "two"] {
            let sets = [format!("stages={stages}"), format!("options.kind={kind}")];
            let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
            here.train(&format!("{kind}-{stages}"), &sets).assert().success();
        }
    }
}

/// The tutorial's code is an example that is compiled, short, proven and trained.
#[test]
fn the_tutorial_says_what_works() {
    let code = std::fs::read_to_string(root().join("tests/plugins/examples/margin.rs")).unwrap();
    let page = std::fs::read_to_string(root().join("docs/tutorial.md")).unwrap();
    assert!(page.contains(&format!("```rust\n{code}```")), "docs/tutorial.md differs from its example");
    assert!(code.lines().count() <= 40);
    let file = tandem_tests::binary().parent().unwrap().join("examples/libmargin.so");
    let file = file.to_str().unwrap();
    tandem(&["plugin", "check", file, "--variants", "--set", "width=8"]).assert().success();
    let here = Playground::new(&format!("plugin = \"{file}\""));
    for stages in ["one", "two"] {
        here.train(stages, &["--set", &format!("stages={stages}"), "--set", "options.margin=2.0"]).assert().success();
    }
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
    for name in SHIPPED {
        assert!(names.contains(&name), "{names:?}");
    }
}

/// Those of 64 pixels differ from those of 32 in their data alone, and those of two stages from those of one in that they say
/// so: both are for the long form.
#[test]
fn every_shipped_config_resolves() {
    for folder in &["mnist-32", "mnist-64"][..if long() { 2 } else { 1 }] {
        for entry in std::fs::read_dir(root().join("configs").join(folder)).unwrap() {
            let config = entry.unwrap().path();
            if !long() && !config.to_str().unwrap().ends_with("-one.toml") {
                continue;
            }
            tandem(&["train", config.to_str().unwrap(), "--dry-run"])
                .assert()
                .success()
                .stdout(contains("predicted cost"));
        }
    }
}
