//! `tandem train`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;

use super::{INTERRUPTED, arguments::Train, inspect, log, print, progress::Screen, terminal::say};
use crate::{
    config::{Sources, environment},
    session::{End, Training, prepare, resolve_device},
    text::Show as _,
};

/// Set by Ctrl-C: the run saves and leaves at the end of its step.
static STOP: AtomicBool = AtomicBool::new(false);
/// Set once steps are made: before it there is nothing to save.
static TRAINS: AtomicBool = AtomicBool::new(false);

pub(super) fn run(arguments: &Train, plugin_path: &[PathBuf]) -> anyhow::Result<ExitCode> {
    if !arguments.dry_run {
        // Before all else: reading data and real images' statistics may take minutes, in which Ctrl-C is no crash.
        ctrlc::set_handler(interrupt).context("cannot watch for Ctrl-C")?;
    }
    let sources = Sources::load(Some(&arguments.config), environment(), &arguments.sets)?;
    let prepared = prepare(&sources, plugin_path);
    // Whatever came of it: Ctrl-C reaches the plugin's process too.
    if STOP.load(Ordering::Relaxed) {
        say("interrupted before anything was written");
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let prepared = prepared?;
    if arguments.dry_run {
        print(&prepared.resolved.explain()?)?;
        print(&inspect::definition(&prepared.gan)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let device = resolve_device(prepared.config().device)?;
    let out = arguments.out.clone().unwrap_or_else(|| default_out(&arguments.config));
    let mut training = Training::start(prepared, &out, arguments.resume, device, &STOP)?;
    log::also_to(training.run_dir().log_file()?);
    let go_on = format!("tandem train {} --out {} --resume", arguments.config.shown(), out.shown());
    TRAINS.store(true, Ordering::Relaxed);
    if STOP.load(Ordering::Relaxed) {
        say(format_args!("interrupted before the first step; go on with: {go_on}"));
        return Ok(ExitCode::from(INTERRUPTED));
    }
    let end = training.train(&mut Screen::new())?;
    match end {
        End::Interrupted => {
            say(format_args!("interrupted and saved; go on with: {go_on}"));
            Ok(ExitCode::from(INTERRUPTED))
        }
        End::Done | End::Plateau => {
            if end == End::Plateau {
                say(format_args!(
                    "stopped: the last {} evaluations were no better than the best; to go on, raise evaluate.patience",
                    training.run_dir().config()?.evaluate.patience
                ));
            }
            let latest = training.run_dir().latest()?.unwrap_or(0);
            print(&summary(&out, latest, training.last_grid().map(PathBuf::as_path)))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// `runs/lsgan-one` for `configs/mnist-32/lsgan-one.toml`.
fn default_out(config: &Path) -> PathBuf {
    Path::new("runs").join(config.file_stem().unwrap_or_else(|| "run".as_ref()))
}

/// The first asks the run to save and leave; a second leaves at once.
#[expect(clippy::exit, reason = "the user insists; the run directory is whole at any moment")]
fn interrupt() {
    if STOP.swap(true, Ordering::Relaxed) {
        std::process::exit(i32::from(INTERRUPTED));
    }
    if TRAINS.load(Ordering::Relaxed) {
        say("stopping after this step; Ctrl-C again to leave without saving");
    } else {
        say("stopping before the first step; Ctrl-C again to leave at once");
    }
}

fn summary(out: &Path, step: u64, grid: Option<&Path>) -> String {
    let run = out.shown();
    let mut text = format!("trained to step {step}\n");
    if let Some(grid) = grid {
        text += &format!("samples  {}\n", grid.shown());
    }
    text + &format!("curves   {run}/losses.png\nweights  {run}/checkpoints/step-{step}/generator.safetensors\n")
}
