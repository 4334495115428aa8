//! `tandem train`.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
    sync::atomic::{AtomicBool, Ordering},
};

use anyhow::Context as _;

use super::{INTERRUPTED, arguments::Train, inspect, log, print, progress::Screen};
use crate::{
    config::{Sources, environment},
    session::{End, Training, prepare, resolve_device},
};

/// Set by Ctrl-C: the run saves and leaves at the end of its step.
static STOP: AtomicBool = AtomicBool::new(false);

pub(super) fn run(arguments: &Train, plugin_path: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let sources = Sources::load(Some(&arguments.config), environment(), &arguments.sets)?;
    let prepared = prepare(&sources, plugin_path)?;
    if arguments.dry_run {
        print(&prepared.resolved.explain()?)?;
        print(&inspect::definition(&prepared.gan)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let device = resolve_device(prepared.config().device)?;
    let out = arguments.out.clone().unwrap_or_else(|| default_out(&arguments.config));
    let mut training = Training::start(prepared, &out, arguments.resume, device, &STOP)?;
    log::also_to(training.run_dir().log_file()?);
    ctrlc::set_handler(interrupt).context("cannot watch for Ctrl-C")?;
    let end = training.train(&mut Screen::new())?;
    match end {
        End::Interrupted => {
            eprintln!(
                "interrupted and saved; go on with: tandem train {} --out {} --resume",
                arguments.config.display(),
                out.display()
            );
            Ok(ExitCode::from(INTERRUPTED))
        }
        End::Done | End::Plateau => {
            if end == End::Plateau {
                eprintln!(
                    "stopped: the last {} evaluations were no better than the best; to go on, raise evaluate.patience",
                    training.run_dir().config()?.evaluate.patience
                );
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
    eprintln!("stopping after this step; Ctrl-C again to leave without saving");
}

fn summary(out: &Path, step: u64, grid: Option<&Path>) -> String {
    let run = out.display();
    let mut text = format!("trained to step {step}\n");
    if let Some(grid) = grid {
        text += &format!("samples  {}\n", grid.display());
    }
    text + &format!("curves   {run}/losses.png\nweights  {run}/checkpoints/step-{step}/generator.safetensors\n")
}
