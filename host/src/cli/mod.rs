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
mod interrupt;
mod log;
mod plugins;
mod progress;
mod report;
mod sample;
mod share;
mod sheet;
mod shell;
mod status;
mod steps;
mod table;
mod terminal;
mod train;

use std::{
    io::{self, Write as _},
    panic::AssertUnwindSafe,
};

use anyhow::Context as _;
use clap::{CommandFactory, Parser};
use nix::sys::resource::{RLIM_INFINITY, Resource, getrlimit};

use arguments::{Arguments, Command, Common, DataCommand, PluginCommand};
use terminal::{print, print_json, say};

use crate::{
    exhausted, metrics,
    plugin::{self, PluginError},
    run::RunError,
    session::{SessionError, out_of_memory, resolve_device},
    text::indented,
    work::{self, Interrupted, Work},
};

/// An exit code, as `tandem --help` explains them.
type Code = u8;
/// It did what it was asked for.
const DONE: Code = 0;
/// The run failed.
const FAILED: Code = 1;
/// The arguments or the configuration are wrong; clap's own too.
const USAGE: Code = 2;
/// Somebody interrupted it; what it had is saved.
const INTERRUPTED: Code = 130;

/// Runs the command line of this process, and ends it.
pub fn main() -> ! {
    leave(command_line())
}

/// Ends the process as it stands, with all that was printed.
#[expect(unsafe_code, reason = "libc's is the one way out that waits for nothing")]
fn leave(code: Code) -> ! {
    // What must not be lost was flushed, and looked at, where it was printed.
    let _ = io::stdout().flush();
    // SAFETY: `_exit` takes any number and touches no memory. `exit` would run libtorch's destructors, which take a tenth of a
    // second to free what the system frees at once, and which may crash under threads that still compute in it.
    unsafe { libc::_exit(code.into()) }
}

fn command_line() -> Code {
    exhausted::watch();
    let Arguments { common, command } = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return no_command(&error),
    };
    // What serves another process has nobody to talk to, and ends when that one wants it.
    let served = matches!(command, Command::Declare | Command::Extract | Command::Steps(_));
    let outcome = log::start(common.log_format).map_err(Usage).map_err(anyhow::Error::new).and_then(|()| {
        if served {
            return run(command, &common);
        }
        std::panic::set_hook(Box::new(|panic| say(indented(&format!("internal error, please report it: {panic}")))));
        interrupt::listen()?;
        let _work = Work::begin(command.name());
        status::watch();
        // A panic is told where it happened; what is left to do is to end in order.
        let run = AssertUnwindSafe(|| run(command, &common));
        std::panic::catch_unwind(run).unwrap_or_else(|_| Ok(FAILED))
    });
    status::end();
    outcome.unwrap_or_else(|error| failed(&error))
}

/// Tells what ended a command, in the exit code too.
fn failed(error: &anyhow::Error) -> Code {
    if is_broken_pipe(error) {
        return DONE;
    }
    let foreign =
        error.is::<PluginError>() || error.downcast_ref::<SessionError>().is_some_and(SessionError::is_of_foreign_code);
    // Ctrl-C reaches a plugin's process, too.
    if Interrupted::caused(error.as_ref()) || (work::asked() > 0 && foreign) {
        interrupt::say_farewell();
        return INTERRUPTED;
    }
    let text = chain(error);
    // Foreign code may have run out of what it may have, and not the machine, unless this process is short of memory itself.
    let unbounded = getrlimit(Resource::RLIMIT_AS).is_ok_and(|(limit, _)| limit == RLIM_INFINITY);
    if let Some(told) = out_of_memory(&text).filter(|_| !(foreign && unbounded)) {
        say(format_args!("error: {}", indented(&told)));
        return FAILED;
    }
    say(format_args!("error: {}", indented(&text)));
    let usage = error.downcast_ref::<SessionError>().is_some_and(SessionError::is_usage)
        || error.is::<Usage>()
        || error.is::<crate::config::ConfigError>()
        || matches!(error.downcast_ref::<RunError>(), Some(RunError::NoRun { .. }))
        || error.downcast_ref::<crate::compare::CompareError>().is_some_and(crate::compare::CompareError::is_usage)
        || error.is::<PluginError>()
        || error.is::<crate::share::ShareError>();
    if usage { USAGE } else { FAILED }
}

/// What is wrong with an argument that no module knows of.
#[derive(Debug, thiserror::Error)]
#[error("{0:#}")]
struct Usage(anyhow::Error);

/// Arguments that are no command: wrong ones, or those that ask for help.
fn no_command(error: &clap::Error) -> Code {
    if error.use_stderr() {
        // Without colours: arguments are quoted in it, and what they hold is not to speak to the terminal.
        terminal::write_stderr(&error.render().to_string());
        return USAGE;
    }
    let printed = error.print().context("cannot write the result to standard output");
    printed.map_or_else(|error| failed(&error), |()| DONE)
}

fn run(command: Command, common: &Common) -> anyhow::Result<Code> {
    let path = &common.plugin_path;
    match command {
        Command::Train(train) => return train::run(&train, common),
        Command::Sample(sample) => sample::run(&sample)?,
        Command::Eval(eval) => eval::run(&eval)?,
        Command::Export(arguments) => export::run(&arguments)?,
        Command::Import(arguments) => import::run(&arguments, common)?,
        Command::Bench(bench) => bench::run(&bench, path)?,
        Command::Sheet(sheet) => sheet::run(&sheet)?,
        Command::Compare(compare) => return compare::run(&compare, common),
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
            // It panics where it cannot write; memory it always can.
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "tandem", &mut script);
            print(&String::from_utf8_lossy(&script))?;
        }
        Command::Declare => plugin::serve().map_err(anyhow::Error::msg)?,
        Command::Extract => metrics::serve().map_err(anyhow::Error::msg)?,
        Command::Steps(steps) => steps::run(&steps, path)?,
    }
    Ok(DONE)
}

impl Command {
    /// What is done, for a person who waits for it.
    const fn name(&self) -> &'static str {
        match self {
            Self::Train(_) => "getting ready to train",
            Self::Sample(_) => "drawing samples",
            Self::Eval(_) => "evaluating",
            Self::Export(_) => "exporting",
            Self::Import(_) => "importing",
            Self::Bench(_) => "measuring",
            Self::Sheet(_) => "drawing a sheet",
            Self::Report(_) => "making a report",
            Self::Compare(_) => "comparing",
            Self::Plugin(PluginCommand::Check(_)) => "checking",
            Self::Plugin(PluginCommand::Install(_)) => "installing",
            Self::Plugin(PluginCommand::Pack(_)) => "packing",
            Self::Plugin(_) => "looking at plugins",
            Self::Data(DataCommand::Inspect(_)) => "looking at the data",
            Self::Data(DataCommand::Prepare(_)) => "preparing the data",
            Self::Doctor { .. } | Self::Completions { .. } | Self::Declare | Self::Extract | Self::Steps(_) => {
                "working"
            }
        }
    }
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
