//! Training through the real binary: what a run leaves behind, and that it can be stopped anywhere and gone on with.

use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    process::Stdio,
};

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use tandem_tests::{Playground, Running, SHIPPED, binary, root, tandem};

const WEIGHTS: [&str; 4] = ["generator", "generator_ema", "discriminator", "trainer"];

/// In plain libtorch each of these ends in heap corruption or a segmentation fault (docs/decisions/0010).
#[test]
fn layers_that_libtorch_does_not_survive_are_trained() {
    let file = binary().with_file_name("examples").join("libstrided_points.so");
    let here = Playground::new(&format!("plugin = \"{}\"", file.display()));
    let config = fs::read_to_string(here.path("config.toml")).unwrap();
    fs::write(here.path("config.toml"), config.split("[options]").next().unwrap()).unwrap();
    let runs = [("one", "stages=\"one\""), ("two", "stages=\"two\""), ("narrow", "precision=\"bfloat16\"")];
    for (run, more) in runs.into_iter().take(if has_bfloat16() { 3 } else { 2 }) {
        here.train(run, &["--set", more]).assert().success().stdout(contains("trained to step 6"));
    }
}

#[test]
fn a_run_leaves_what_its_page_promises() {
    let here = Playground::default();
    here.train("run", &[])
        .assert()
        .success()
        .stdout(contains("trained to step 6").and(contains("step-6/generator.safetensors")))
        .stderr(contains("one stage, strategy pivoted"));
    for name in ["config.toml", "definition.json", "plugin.json", "metrics.jsonl", "latest", "log", "losses.png"] {
        assert!(fs::metadata(here.path(&format!("run/{name}"))).is_ok(), "{name}");
    }
    for name in ["step-00000000.png", "step-00000003.png", "step-00000006.png"] {
        assert!(here.read(&format!("run/samples/{name}")).starts_with(b"\x89PNG"), "{name}");
    }
    let metrics = String::from_utf8(here.read("run/metrics.jsonl")).unwrap();
    let steps: Vec<u64> = metrics
        .lines()
        .map(|l| serde_json::from_str::<serde_json::Value>(l).unwrap()["step"].as_u64().unwrap())
        .collect();
    assert_eq!(steps, [2, 3, 4, 6]);
}

#[test]
fn every_method_trains_in_both_modes() {
    for plugin in SHIPPED {
        for stages in ["one", "two"] {
            let here = Playground::new(&format!("plugin = \"{plugin}\"\nstages = \"{stages}\""));
            here.train("run", &["--set", "steps=2"]).assert().success();
        }
    }
}

/// Colour photographs in class folders, as the configs of CelebA and others want them.
#[test]
fn a_folder_of_images_trains_a_conditional_gan() {
    let here = Playground::new("plugin = \"cgan\"");
    let shipped = fs::read(root().join("docs/digits/dcgan.png")).unwrap();
    for (i, class) in ["a", "a", "b", "b", "b"].into_iter().enumerate() {
        let folder = here.path(&format!("photos/{class}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(format!("{folder}/{i}.png"), &shipped).unwrap();
    }
    let data = ["--set", "data.kind=folder", "--set", &format!("data.path={}", here.path("photos"))];
    let definition = |run: &str| String::from_utf8(here.read(&format!("{run}/definition.json"))).unwrap();
    here.train(
        "run",
        &[&data[..], &["--set", "steps=2", "--set", "batch_size=4", "--set", "data.image_size=64"]].concat(),
    )
    .assert()
    .success();
    assert!(definition("run").contains("labels"));
    fs::write(here.path("photos/0.png"), &shipped).unwrap();
    here.train("unlabelled", &[&data[..], &["--set", "steps=2"]].concat())
        .assert()
        .code(2)
        .stderr(contains("the data have no labels"));
}

#[test]
fn two_stages_can_use_fakes_again_and_every_strategy_can_be_forced() {
    let here = Playground::default();
    here.train("two", &["--set", "stages=two", "--set", "reuse_fakes=true"])
        .assert()
        .success()
        .stderr(contains("used again"));
    for strategy in ["scaled", "pivoted", "two-seed"] {
        here.train(strategy, &["--set", &format!("strategy={strategy}")])
            .assert()
            .success()
            .stderr(contains(format!("strategy {strategy}: asked for in the config")));
    }
    here.train("batch", &["--set", "options.norm=batch"])
        .assert()
        .success()
        .stderr(contains("strategy two-seed: layer"));
}

/// The same configuration and seed give the same bytes; looking at a run (samples, readings) does not change it.
#[test]
fn equal_runs_give_equal_bytes() {
    let here = Playground::default();
    here.train("a", &[]).assert().success();
    here.train("b", &["--set", "sample_every=1", "--set", "log_every=1"]).assert().success();
    here.train("deterministic", &["--set", "deterministic=true"]).assert().success();
    for part in ["generator", "generator_ema", "discriminator"] {
        let file = |run| here.read(&format!("{run}/checkpoints/step-6/{part}.safetensors"));
        assert_eq!(file("a"), file("b"), "{part}");
        // The CPU's algorithms are deterministic as they are. The config hash in the file differs.
        let (a, b) = (file("a"), file("deterministic"));
        assert!(a.len() == b.len() && a[a.len() / 2..] == b[b.len() / 2..], "{part}");
    }
}

/// 200 steps equal 100, a kill -9, and 100 more: byte for byte, in everything that the next step depends on.
#[test]
fn a_killed_run_goes_on_as_if_nothing_had_happened() {
    let here = Playground::new("keep_checkpoints = 0");
    let more = ["--set", "steps=200", "--set", "checkpoint_every=50", "--set", "sample_every=1000"];
    here.train("whole", &more).assert().success();
    let mut child = Running::start(
        std::process::Command::new(binary())
            .args(["train", &here.path("config.toml"), "--out", &here.path("cut")])
            .args(more)
            .env("OMP_NUM_THREADS", "1")
            .stderr(Stdio::null()),
    );
    child.wait_for(&here.path("cut/checkpoints/step-100"));
    child.kill().unwrap();
    child.wait().unwrap();
    here.train("cut", &more).arg("--resume").assert().success().stderr(contains("going on at step"));
    for part in WEIGHTS {
        let file = |run| here.read(&format!("{run}/checkpoints/step-200/{part}.safetensors"));
        assert_eq!(file("whole"), file("cut"), "{part}");
    }
}

/// Whether the CPU computes in bfloat16; where it does not, the host refuses to.
fn has_bfloat16() -> bool {
    #[cfg(target_arch = "x86_64")]
    return is_x86_feature_detected!("avx512bf16");
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

/// An adaptive augmentation, a narrow precision, a falling rate and a boosted critic go on where a checkpoint left them.
#[test]
fn whatever_changes_over_a_run_goes_on_as_if_nothing_had_happened() {
    for precision in ["float32", "bfloat16"].into_iter().take(if has_bfloat16() { 2 } else { 1 }) {
        // Ends beyond the run, so that it does not move with `steps`; every third step has two updates of D.
        let schedule = "schedule = { kind = \"cosine\", end = 12 }\ncritic_boost = { n_critic = 2, every = 3 }";
        let here = Playground::new(&format!("precision = \"{precision}\"\n{schedule}"));
        let more = |steps| {
            [
                "--set",
                "augment.transforms=[\"translation\", \"cutout\"]",
                "--set",
                "augment.target=-0.9",
                "--set",
                steps,
            ]
        };
        here.train("whole", &more("steps=9")).assert().success();
        here.train("cut", &more("steps=6")).assert().success();
        here.train("cut", &more("steps=9")).arg("--resume").assert().success();
        for part in WEIGHTS {
            let file = |run| here.read(&format!("{run}/checkpoints/step-9/{part}.safetensors"));
            assert_eq!(file("whole"), file("cut"), "{precision} {part}");
        }
        let trainer = here.read("whole/checkpoints/step-9/trainer.safetensors");
        assert!(String::from_utf8_lossy(&trainer).contains("augment.probability"));
        let metrics = String::from_utf8(here.read("cut/metrics.jsonl")).unwrap();
        let last: serde_json::Value = serde_json::from_str(metrics.lines().last().unwrap()).unwrap();
        let wanted = f64::midpoint(1.0, (std::f64::consts::PI * 8.0 / 12.0).cos());
        assert!((last["rate_factor"].as_f64().unwrap() - wanted).abs() < 1e-12, "{last}");
    }
}

#[test]
fn a_bench_compares_one_stage_with_two_on_the_users_own_config() {
    let here = Playground::new("plugin = \"wgan-gp\"");
    let config = here.path("config.toml");
    let words = ["bench", &config, "--rounds", "2", "--steps", "1", "--warmup", "1"];
    let output = tandem(&[&words[..], &["--json"]].concat()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let ways = found["ways"].as_array().unwrap();
    let number = |way: &serde_json::Value, key: &str| way[key].as_f64().unwrap();
    // The penalty's 6 passes of D beside the steps' own.
    let passes: Vec<_> =
        ways.iter().map(|w| (number(w, "generator_passes"), number(w, "discriminator_passes"))).collect();
    assert_eq!(passes, [(3.0, 12.0), (3.0, 14.0), (4.0, 14.0)]);
    assert!(number(&ways[0], "predicted_ratio") == 1.0 && number(&ways[1], "predicted_ratio") > 1.0);
    for way in ways {
        let [least, median, most] = ["min", "median", "max"].map(|k| way["seconds_per_step"][k].as_f64().unwrap());
        assert!(0.0 < least && least <= median && median <= most, "{way:#}");
        let phases = way["phases"].as_object().unwrap();
        assert!(phases.len() == 7 && phases.values().all(|v| v.as_f64().unwrap() >= 0.0), "{way:#}");
        assert!(phases["penalties"].as_f64().unwrap() > 0.0 && phases["backward"].as_f64().unwrap() > 0.0);
    }
    tandem(&words).assert().success().stdout(
        contains("wgan-gp: 4 images of 1 x 32 x 32 a batch, float32, on the CPU")
            .and(contains("two stages, D's fakes used again"))
            .and(contains("ms by phase")),
    );
}

#[test]
fn ctrl_c_saves_and_leaves_with_130() {
    let here = Playground::default();
    let mut child = Running::start(
        std::process::Command::new(binary())
            .args(["train", &here.path("config.toml"), "--out", &here.path("run"), "--set", "steps=100000"])
            .stderr(Stdio::null())
            .stdout(Stdio::null()),
    );
    child.wait_for(&here.path("run/checkpoints/step-3"));
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    let latest = String::from_utf8(here.read("run/latest")).unwrap();
    let step: u64 = latest.trim().strip_prefix("step-").unwrap().parse().unwrap();
    here.train("run", &["--resume", "--set", &format!("steps={}", step + 2)])
        .assert()
        .success()
        .stderr(contains(format!("going on at step {step}")));
}

#[test]
fn ctrl_c_before_the_first_step_is_no_crash() {
    let here = Playground::default();
    let evaluation =
        ["--set", "evaluate.every=2", "--set", "evaluate.samples=4", "--set", "evaluate.metrics=[\"kid\"]"];
    let mut child = Running::start(
        std::process::Command::new(binary())
            .args(["train", &here.path("config.toml"), "--out", &here.path("run")])
            .args(evaluation)
            .env("XDG_CACHE_HOME", here.path("cache"))
            .env("OMP_NUM_THREADS", "1")
            .env("TANDEM_LOG", "info")
            .stderr(Stdio::piped())
            .stdout(Stdio::null()),
    );
    // Statistics of the 10,000 real images take seconds.
    let mut stderr = BufReader::new(child.stderr.take().unwrap());
    let mut said = String::new();
    while !said.contains("features of 10000 real images") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "{said}");
    }
    let killed = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    stderr.read_to_string(&mut said).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(130), "{said}");
    let (_, command) = said.split_once("interrupted before the first step; go on with: tandem train ").unwrap();
    assert!(command.ends_with(" --resume-or-start\n") && fs::metadata(here.path("run")).is_err(), "{said}");
    here.train("run", &["--resume-or-start"]).assert().success();
}

#[test]
fn a_resume_under_another_config_is_refused_with_the_difference() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    here.train("run", &["--resume", "--set", "generator.learning_rate=1e-3"])
        .assert()
        .code(2)
        .stderr(contains("generator.learning_rate").and(contains("0.001").or(contains("1e-3"))));
}

#[test]
fn a_second_process_on_the_same_run_is_refused() {
    let here = Playground::default();
    let mut first = Running::start(
        std::process::Command::new(binary())
            .args(["train", &here.path("config.toml"), "--out", &here.path("run"), "--set", "steps=100000"])
            .stderr(Stdio::null())
            .stdout(Stdio::null()),
    );
    first.wait_for(&here.path("run/checkpoints/step-3"));
    let pid = first.id().to_string();
    here.train("run", &["--resume", "--set", "steps=100000"]).assert().failure().stderr(contains(pid));
    first.kill().unwrap();
    first.wait().unwrap();
}

#[test]
fn samples_need_the_run_directory_alone() {
    let here = Playground::default();
    here.train("run", &[]).assert().success();
    let (run, png) = (here.path("run"), here.path("grid.png"));
    let sample = |weights: &str| {
        tandem_tests::tandem(&["sample", &run, "--num", "9", "--seed", "5", weights, "--out", &png])
            .env("TANDEM_PLUGIN_PATH", "/nowhere")
            .assert()
            .success();
        here.read("grid.png")
    };
    let averaged = sample("--ema");
    assert_eq!(averaged, sample("--ema"));
    assert_ne!(averaged, sample("--raw"));
}
