//! A plugin that crashes, loops or reaches out costs an error message that names it.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

use std::io::Read as _;

use predicates::{prelude::PredicateBooleanExt as _, str::contains};
use tandem_tests::{binary, tandem};

/// What `tandem plugin inspect` says of the hostile plugin at this deed: whether it succeeded, and stdout or stderr.
fn deed(name: &str) -> (bool, String) {
    let file = binary().parent().unwrap().join("examples/libhostile.so");
    assert!(file.exists(), "{} is not built; run `cargo xtask test`", file.display());
    let set = format!("deed={name}");
    let output = tandem(&["plugin", "inspect", "--run", &file.display().to_string(), "--set", &set]).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.success(), if output.status.success() { out.into_owned() } else { err.into_owned() })
}

fn assert_refused(name: &str, why: &str) {
    let (succeeded, said) = deed(name);
    assert!(!succeeded && said.starts_with("error: plugin `hostile` ("), "{name}: {said}");
    assert!(said.contains(why), "{name}: {said}");
    assert_eq!(said.lines().count(), 1, "{name}: {said}");
}

#[test]
fn a_plugin_that_behaves_is_asked() {
    let (succeeded, said) = deed("none");
    assert!(succeeded && said.starts_with("hostile 1."), "{said}");
}

#[test]
fn what_it_prints_is_not_its_answer() {
    let (succeeded, said) = deed("print");
    assert!(succeeded && !said.contains("definition\": 1"), "{said}");
}

#[test]
fn a_crash_is_an_error() {
    assert_refused("abort", "its process ended by signal");
    assert_refused("overflow", "its process ended by signal");
    assert_refused("allocate", "memory allocation of 10737418240 bytes failed");
    assert_refused("exit", "its answer cannot be read");
}

#[test]
fn an_endless_loop_is_ended() {
    // On a busy machine the clock may be the first to run out.
    let (succeeded, said) = deed("loop");
    // Before it, how long that takes.
    let told = said.lines().any(|line| line.starts_with("error: plugin `hostile` ("));
    assert!(!succeeded && told, "{said}");
    assert!(said.contains("out of processor time") || said.contains("gave no definition within"), "{said}");
}

#[test]
fn it_writes_nothing_and_reaches_nobody() {
    let trace = std::path::Path::new("/tmp/tandem-hostile-was-here");
    let _ = std::fs::remove_file(trace);
    for name in ["write", "connect", "spawn", "thread", "signal"] {
        assert_refused(name, "refused: permission denied");
    }
    assert!(!trace.exists());
}

#[test]
fn it_reads_no_file_of_its_user_and_looks_into_no_process() {
    let doctor = tandem(&["doctor"]).output().unwrap();
    if !String::from_utf8_lossy(&doctor.stdout).contains("confined by landlock") {
        return; // Such a kernel has no means to refuse it, and docs/plugin-abi.md says so.
    }
    for name in ["read", "look"] {
        assert_refused(name, "refused: permission denied");
    }
}

#[test]
fn what_the_host_was_started_with_is_closed_to_it() {
    let (mut from, to) = nix::unistd::pipe().map(|(from, to)| (std::fs::File::from(from), to)).unwrap();
    // It reaches its own answer, which it spoils, and nothing else.
    assert_refused("leak", "its answer cannot be read");
    drop(to);
    let mut leaked = String::new();
    from.read_to_string(&mut leaked).unwrap();
    assert_eq!(leaked, "");
}

/// For debugging a plugin: its panics and its debugger are then where its author looks.
#[test]
fn in_process_it_is_trusted() {
    let file = binary().parent().unwrap().join("examples/libhostile.so");
    let mut command = tandem(&["plugin", "inspect", &file.display().to_string(), "--set", "deed=thread"]);
    command.env("TANDEM_PLUGIN_IN_PROCESS", "1").assert().success();
    let mut command = tandem(&["plugin", "inspect", "--run", &file.display().to_string(), "--set", "deed=thread"]);
    let refused = contains("plugin `hostile`").and(contains("refused: permission denied"));
    command.env("TANDEM_PLUGIN_IN_PROCESS", "0").assert().failure().stderr(refused);
}
