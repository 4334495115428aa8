//! The command line: arguments in, words out. What is done is done elsewhere.
mod arguments;
mod bench;
mod check;
mod compare;
mod data;
mod doctor;
mod eval;
mod export;
mod import;
mod inspect;
mod log;
mod plugins;
mod progress;
mod report;
mod sample;
mod share;
mod sheet;
mod steps;
mod table;
mod terminal;
mod train;

use std::process::ExitCode;

use anyhow::Context as _;
use clap::{CommandFactory, Parser};

use arguments::{Arguments, Command, DataCommand, PluginCommand};
use terminal::{print, say};

use crate::{
    exhausted, plugin,
    run::RunError,
    session::{SessionError, out_of_memory, resolve_device},
};

/// The run failed.
const FAILED: u8 = 1;
/// The arguments or the configuration are wrong; clap's own too.
const USAGE: u8 = 2;
/// Somebody interrupted it; what it had is saved.
const INTERRUPTED: u8 = 130;

/// Runs the command line of this process; the exit codes are in `tandem --help`.
pub fn main() -> ExitCode {
    exhausted::watch();
    let arguments = Arguments::parse();
    if let Err(error) = log::start(arguments.log_format) {
        say(format_args!("error: {error:#}"));
        return ExitCode::from(USAGE);
    }
    match run(arguments) {
        Ok(code) => code,
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let text = chain(&error);
            if let Some(told) = out_of_memory(&text) {
                say(format_args!("error: {told}"));
                return ExitCode::from(FAILED);
            }
            say(format_args!("error: {text}"));
            let usage = error.downcast_ref::<SessionError>().is_some_and(SessionError::is_usage)
                || error.is::<crate::config::ConfigError>()
                || matches!(error.downcast_ref::<RunError>(), Some(RunError::NoRun { .. }))
                || error
                    .downcast_ref::<crate::compare::CompareError>()
                    .is_some_and(crate::compare::CompareError::is_usage)
                || error.is::<crate::plugin::PluginError>()
                || error.is::<crate::share::ShareError>();
            ExitCode::from(if usage { USAGE } else { FAILED })
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    let path = &arguments.plugin_path;
    match arguments.command {
        Command::Train(train) => return train::run(&train, path),
        Command::Sample(sample) => sample::run(&sample)?,
        Command::Eval(eval) => eval::run(&eval)?,
        Command::Export(arguments) => export::run(&arguments)?,
        Command::Import(arguments) => import::run(&arguments, path)?,
        Command::Bench(bench) => bench::run(&bench, path)?,
        Command::Sheet(sheet) => sheet::run(&sheet)?,
        Command::Compare(compare) => return compare::run(&compare, path),
        Command::Report(arguments) => report::run(&arguments)?,
        Command::Plugin(PluginCommand::List { json }) => plugins::list(path, json)?,
        Command::Plugin(PluginCommand::Inspect(inspect)) => inspect::run(&inspect, path)?,
        Command::Plugin(PluginCommand::Check(check)) => return check::run(&check, path),
        Command::Plugin(PluginCommand::New(new)) => share::new(&new)?,
        Command::Plugin(PluginCommand::Install(install)) => share::install(&install, path)?,
        Command::Plugin(PluginCommand::Remove { name }) => share::remove(&name)?,
        Command::Plugin(PluginCommand::Lock(lock)) => share::lock(&lock, path)?,
        Command::Plugin(PluginCommand::Pack(pack)) => share::pack(&pack)?,
        Command::Plugin(PluginCommand::Verify(verify)) => return share::verify(&verify, path),
        Command::Data(DataCommand::Inspect(inspect)) => data::inspect_data(&inspect)?,
        Command::Data(DataCommand::Prepare(prepare)) => data::prepare_data(&prepare)?,
        Command::Doctor { json } => return doctor::run(path, json),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut Arguments::command(), "tandem", &mut std::io::stdout());
        }
        Command::Declare => plugin::serve().map_err(anyhow::Error::msg)?,
        Command::Steps(steps) => steps::run(&steps, path)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole chain of causes on one line, without saying anything twice.
fn chain(error: &anyhow::Error) -> String {
    let mut text = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

/// `tandem plugin list | head -1` is not a failure.
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    let pipe = |e: &std::io::Error| e.kind() == std::io::ErrorKind::BrokenPipe;
    error.chain().any(|cause| cause.downcast_ref::<std::io::Error>().is_some_and(pipe))
}

/// The device that a `--device` flag names.
fn device(flag: &str) -> anyhow::Result<tch::Device> {
    let asked: crate::config::Device = flag.parse().map_err(anyhow::Error::msg).context("--device")?;
    Ok(resolve_device(asked)?)
}
