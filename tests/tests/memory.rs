//! Memory that runs out: told as that with exit code 1, whatever ran out of it, and never the end by a signal.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

use std::process::{Command, Output};

use tandem_tests::{Playground, binary};

/// Runs `tandem` with this much address space, in MiB.
fn within(mib: u64, arguments: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -v $0 && exec \"$@\"", &(mib * 1024).to_string()]).arg(binary()).args(arguments);
    command.env("OMP_NUM_THREADS", "1").env("MALLOC_ARENA_MAX", "1").output().unwrap()
}

/// What happens before `main` is the dynamic loader's and libtorch's own: no word of ours can be said there.
fn before_main(stderr: &str) -> bool {
    stderr.contains("error while loading shared libraries") || stderr.contains("terminate called after throwing")
}

/// Whether the command did what it should; if not, it must have said that memory is gone.
fn done_or_told(mib: u64, arguments: &[&str]) -> bool {
    let output = within(mib, arguments);
    let stderr = String::from_utf8_lossy(&output.stderr);
    if output.status.success() || before_main(&stderr) {
        return output.status.success();
    }
    assert_eq!(output.status.code(), Some(1), "{mib} MiB, {arguments:?}: {:?}, {stderr}", output.status);
    let last = stderr.lines().last().unwrap_or_default();
    assert!(
        last.starts_with("error: out of memory: ") && last.contains("batch_size"),
        "{mib} MiB, {arguments:?}: {stderr}"
    );
    false
}

#[test]
fn whatever_runs_out_of_memory_says_so() {
    let here = Playground::new("");
    here.train("run", &[]).assert().success();
    let (config, run, out) = (here.path("config.toml"), here.path("run"), here.path("images"));
    for mib in [420, 440, 460, 480, 520] {
        let under = here.path(&mib.to_string());
        // Far more than fits: whichever allocation is the first that cannot be had.
        let large = ["train", &config, "--out", &under, "--set", "batch_size=512", "--set", "options.width=128"];
        assert!(!done_or_told(mib, &large), "{mib} MiB");
        done_or_told(mib, &["train", &config, "--out", &here.path(&format!("small-{mib}"))]);
        done_or_told(mib, &["sample", &run, "--out", &format!("{out}-{mib}.png")]);
    }
}
