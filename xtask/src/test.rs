//! `cargo xtask test`: every test of the workspace and of the black-box suite, and how many there were.
//!
//! One profile, release, for all of it: libtorch's bindings take minutes to build, and training is slow without.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::{libtorch, python, setup, shell};

/// Sets up, builds, runs all tests; the runner's closing line is the last.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let libtorch = setup::run()?;
    let python = python::for_tests()?;
    let cargo = |words: &[&str]| {
        let mut cargo = shell::cargo();
        cargo
            .args(words)
            .env("LIBTORCH", &libtorch)
            .env("TANDEM_PYTHON", &python)
            // The runner keeps every core busy by itself; libtorch's own threads on top would only wait on each other.
            .env("OMP_NUM_THREADS", "1");
        cargo
    };
    // The binary and the plugins are files to the black-box suite, which depends on none of them.
    shell::run(&mut cargo(&["build", "--release"]))?;
    if args.is_empty() {
        examples(&mut cargo(&["test", "--release", "--workspace", "--doc"]), &libtorch)?;
    }
    if shell::succeeds(shell::cargo().args(["nextest", "--version"])) {
        // One more than there are cores: there is always one that waits, for a process that is to be ended after a while.
        let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get) + 1;
        let mut nextest = cargo(&["nextest", "run", "--release", "--workspace", "--no-fail-fast"]);
        nextest.arg(format!("--test-threads={threads}"));
        return shell::run(nextest.args(args)).context("tests failed");
    }
    let mut tests = cargo(&["test", "--release", "--workspace", "--no-fail-fast", "--lib", "--bins", "--tests"]);
    let counts = counted(tests.args(args))?;
    eprintln!("{}", counts.line());
    Ok(())
}

/// The examples in the documentation. Cargo gives them no rpath, unlike every other program that it links.
fn examples(command: &mut Command, libtorch: &Path) -> Result<()> {
    let counts = counted(command.env("LD_LIBRARY_PATH", libtorch::real(libtorch)?))?;
    eprintln!("examples in the documentation: {}", counts.line());
    Ok(())
}

/// What `cargo test` says of one program, or the sum of it.
#[derive(Debug, Default, PartialEq)]
struct Counts {
    passed: u64,
    failed: u64,
    ignored: u64,
}

impl Counts {
    fn line(&self) -> String {
        let Self { passed, failed, ignored } = self;
        let result = if *failed == 0 { "ok" } else { "FAILED" };
        format!("test result: {result}. {passed} passed; {failed} failed; {ignored} ignored")
    }

    /// Adds a line of the shape of [`Counts::line`]; any other line is passed over.
    fn add(&mut self, line: &str) {
        let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) else {
            return;
        };
        for part in counts.split("; ") {
            match part.trim().split_once(' ') {
                Some((number, "passed")) => self.passed += number.parse().unwrap_or(0),
                Some((number, "failed")) => self.failed += number.parse().unwrap_or(0),
                Some((number, "ignored")) => self.ignored += number.parse().unwrap_or(0),
                _ => {}
            }
        }
    }
}

/// Runs `cargo test`, shows what it prints, and sums its results.
#[expect(clippy::print_stdout, reason = "it passes on what the tests print")]
fn counted(command: &mut Command) -> Result<Counts> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo did not start")?;
    let output = child.stdout.take().context("cargo's output is not there")?;
    let mut counts = Counts::default();
    for line in BufReader::new(output).lines() {
        let line = line.context("cargo's output broke off")?;
        counts.add(&line);
        println!("{line}");
    }
    let status = child.wait().context("cargo was lost")?;
    if !status.success() {
        bail!("tests failed ({status}); {}", counts.line());
    }
    Ok(counts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_add_up() {
        let mut counts = Counts::default();
        counts.add("running 3 tests");
        counts.add("test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s");
        counts.add("test result: FAILED. 40 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 2s");
        assert_eq!(counts, Counts { passed: 42, failed: 1, ignored: 1 });
        assert_eq!(counts.line(), "test result: FAILED. 42 passed; 1 failed; 1 ignored");
    }
}
