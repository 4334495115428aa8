//! What a user reads when something is wrong: the file, the key, what was found, what to do. Never a panic.

use std::{fs, os::unix::fs::PermissionsExt as _};

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use tandem_tests::{Playground, tandem};

#[test]
fn an_unknown_key_names_its_place_and_the_nearest() {
    let here = Playground::new("batchsize = 8");
    here.train("run", &[])
        .assert()
        .code(2)
        .stderr(contains("batchsize").and(contains("batch_size")).and(contains("config.toml")));
}

#[test]
fn an_option_of_the_plugin_names_its_range() {
    let here = Playground::default();
    here.train("run", &["--set", "options.width=0"])
        .assert()
        .code(2)
        .stderr(contains("`width` must be an integer from 1 to 1024, found 0"));
    here.train("run", &["--set", "options.widht=8"]).assert().code(2).stderr(contains("did you mean `width`?"));
}

#[test]
fn an_augmentation_that_does_not_fit_names_the_key_and_the_channels() {
    let here = Playground::new("augment.transforms = [\"saturation\"]");
    here.train("run", &[]).assert().code(2).stderr(
        contains("key `augment.transforms` (")
            .and(contains("config.toml"))
            .and(contains("augmentation `saturation` needs images with 3 channels, found 1; leave it out")),
    );
}

#[test]
fn a_norm_that_mixes_samples_is_no_choice_where_d_is_penalised() {
    let here = Playground::new("plugin = \"wgan-gp\"");
    here.train("run", &["--set", "options.norm=batch"])
        .assert()
        .code(2)
        .stderr(contains("option `norm` must be one of \"group\", \"none\", \"spectral\", found \"batch\""));
}

#[test]
fn a_missing_plugin_says_where_it_was_looked_for_and_what_there_is() {
    let here = Playground::new("plugin = \"dcgam\"");
    here.train("run", &[]).assert().code(2).stderr(contains("dcgam").and(contains("dcgan")));
}

#[test]
fn a_wrong_strategy_says_why_it_is_wrong() {
    let here = Playground::default();
    here.train("run", &["--set", "options.norm=batch", "--set", "strategy=scaled"])
        .assert()
        .code(2)
        .stderr(contains("strategy `scaled` would give wrong gradients: layer `conv2_norm` (batch_norm) in D mixes the samples of a batch"));
}

#[test]
fn cuda_without_a_gpu_says_what_to_do() {
    if fs::metadata("/dev/nvidiactl").is_ok() {
        return;
    }
    let here = Playground::default();
    here.train("run", &["--set", "device=cuda:0"])
        .assert()
        .code(2)
        .stderr(contains("device = \"cuda:0\"").and(contains("use device = \"cpu\"")));
}

#[test]
fn a_precision_that_the_cpu_has_not_is_refused() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512fp16") {
        return;
    }
    let here = Playground::default();
    here.train("run", &["--set", "precision=float16", "--set", "device=cpu"]).assert().code(2).stderr(
        contains("precision = \"float16\": this CPU has no arithmetic in it")
            .and(contains("use precision = \"float32\"")),
    );
    assert!(fs::metadata(here.path("run")).is_err());
}

/// The address space is limited to little more than libtorch takes.
#[test]
fn memory_that_runs_out_says_what_to_lower_and_leaves_the_checkpoint_whole() {
    let here = Playground::default();
    let more = ["--set", "options.width=32", "--set", "batch_size=1024", "--set", "sample_every=0"];
    here.train("run", &[&more[..], &["--set", "steps=1"]].concat()).assert().success();
    let (config, run) = (here.path("config.toml"), here.path("run"));
    let limited = "ulimit -v 700000; exec \"$0\" \"$@\"";
    assert_cmd::Command::new("sh")
        .args(["-c", limited])
        .arg(tandem_tests::binary())
        .args(["train", &config, "--out", &run, "--resume"])
        .args(more)
        .env("OMP_NUM_THREADS", "1")
        .assert()
        .code(1)
        .stderr(
            contains("error: out of memory: ")
                .and(contains("MB of RAM at its peak; lower `batch_size` (1024 now)"))
                .and(contains("the last good checkpoint is ").and(contains("run/checkpoints/step-1"))),
        );
    tandem(&["sample", &run, "--num", "1", "--out", &here.path("g.png")]).assert().success();
}

#[test]
fn numbers_that_run_away_stop_the_run_with_the_step_and_the_last_good_checkpoint() {
    let here = Playground::new("plugin = \"lsgan\"");
    let more = [
        "--set",
        "steps=5000",
        "--set",
        "generator.optimizer=sgd",
        "--set",
        "generator.learning_rate=1e38",
        "--set",
        "discriminator.optimizer=sgd",
        "--set",
        "discriminator.learning_rate=1e38",
        "--set",
        "checkpoint_every=1",
    ];
    here.train("run", &more)
        .assert()
        .code(1)
        .stderr(contains("is not finite").and(contains("step ")).and(contains("checkpoint")));
}

#[test]
fn broken_data_names_the_file_and_both_numbers() {
    let here = Playground::new("");
    let folder = here.path("mnist");
    fs::create_dir(&folder).unwrap();
    let images = [&[0, 0, 8, 3, 0, 0, 0, 9, 0, 0, 0, 28, 0, 0, 0, 28][..], &[7; 9 * 28 * 28 - 5]].concat();
    fs::write(format!("{folder}/train-images-idx3-ubyte"), images).unwrap();
    fs::write(format!("{folder}/train-labels-idx1-ubyte"), [0, 0, 8, 1, 0, 0, 0, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8])
        .unwrap();
    here.train("run", &["--set", "data.kind=mnist", "--set", &format!("data.path={folder}")])
        .assert()
        .code(1)
        .stderr(contains("train-images-idx3-ubyte").and(contains("7056")).and(contains("7051")));
}

#[test]
fn an_unwritable_place_is_one_clear_error() {
    let here = Playground::default();
    fs::write(here.path("file"), "in the way").unwrap();
    here.train("file/run", &[]).assert().failure().stderr(contains("Not a directory").and(contains("file/run")));
}

/// Every file that is no plugin, through the real binary; the messages themselves are tested in the loader.
#[test]
fn files_that_are_no_plugins_are_refused_before_they_run() {
    let here = Playground::default();
    let good = tandem_tests::binary().with_file_name("libtandem_lsgan.so");
    let bytes = fs::read(good).unwrap();
    let cases = [
        ("empty.so", Vec::new()),
        (
            "garbage.so",
            b"not an ELF file, only words, and enough of them to fill a header of sixty-four bytes".to_vec(),
        ),
        ("cut.so", bytes[..bytes.len() / 2].to_vec()),
        ("head.so", bytes[..100].to_vec()),
    ];
    for (name, content) in cases {
        fs::write(here.path(name), content).unwrap();
        fs::set_permissions(here.path(name), fs::Permissions::from_mode(0o755)).unwrap();
        tandem(&["plugin", "inspect", &here.path(name)])
            .assert()
            .code(2)
            .stderr(contains(name).and(contains("panicked").not()));
    }
    tandem(&["plugin", "inspect", &here.path("missing.so")]).assert().code(2).stderr(contains("missing.so"));
}
