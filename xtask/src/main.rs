//! `cargo xtask`: sets a checkout up, shows the demo, runs the tests.
//!
//! Only what cargo cannot do by itself is here. It links no libtorch and has one dependency, so that it is there in
//! seconds on a fresh machine.
#![expect(
    clippy::print_stderr,
    reason = "it talks to whoever sets a checkout up, and has nothing to lose by a stderr that is gone"
)]

mod demo;
#[cfg(test)]
mod fetch_tests;
mod libtorch;
mod python;
mod setup;
mod sheet;
mod shell;
mod test;
#[cfg(test)]
mod tidy;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "\
usage: cargo xtask <command>

  setup                 find libtorch or fetch it (545 MB), and link it into .libtorch
  demo [-- ARGS]        set up, build, train the default GAN for about 90 s; ARGS go to `tandem train`
  sheet [-- ARGS]       train every config of configs/mnist-32 for 2000 steps, draw docs/digits/sheet.png
  test [-- ARGS]        set up, build, run every test; ARGS go to the test runner
";

fn main() -> ExitCode {
    let mut args: Vec<String> = env::args().skip(1).collect();
    let command = if args.is_empty() { String::new() } else { args.remove(0) };
    if args.first().is_some_and(|arg| arg == "--") {
        args.remove(0);
    }
    let done = match command.as_str() {
        "setup" if args.is_empty() => setup::run().map(drop),
        "demo" => demo::run(&args),
        "sheet" => sheet::run(&args),
        "test" => test::run(&args),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
