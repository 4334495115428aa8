//! `tandem train`.

use std::path::{Path, PathBuf};

use super::{
    Code, DONE, INTERRUPTED,
    arguments::{Common, Train},
    inspect,
    interrupt::{say_farewell, set_farewell},
    log, print,
    progress::Screen,
    shell::Line,
    terminal::say,
};
use crate::{
    config::{self, Sources, environment},
    session::{End, Start, Training, prepare, resolve_device},
    text::Show as _,
    work,
};

pub(super) fn run(arguments: &Train, common: &Common) -> anyhow::Result<Code> {
    let sources = Sources::load(Some(&arguments.config), environment(), &arguments.sets)?;
    let again = again(arguments, common)?;
    // Right at whichever moment of a beginning it is asked to end.
    let first = again.clone().flag(if arguments.resume { "--resume" } else { "--resume-or-start" });
    set_farewell(format!("interrupted before the first step; go on with: {first}"));
    let prepared = prepare(&sources, &common.plugin_path)?;
    if arguments.dry_run {
        print(&prepared.resolved.explain()?)?;
        print(&inspect::definition(&prepared.gan)?)?;
        return Ok(DONE);
    }
    let device = resolve_device(prepared.config().device)?;
    let out = out(arguments);
    let start = match (arguments.resume, arguments.resume_or_start) {
        (true, _) => Start::Resume,
        (_, true) => Start::Either,
        _ => Start::New,
    };
    let mut training = Training::start(prepared, &out, start, device)?;
    log::also_to(training.run_dir().log_file()?);
    let go_on = again.flag("--resume");
    work::go_on()?;
    set_farewell(format!("interrupted and saved; go on with: {go_on}"));
    match training.train(&mut Screen::new())? {
        End::Interrupted => {
            say_farewell();
            Ok(INTERRUPTED)
        }
        end @ (End::Done | End::Plateau) => {
            if end == End::Plateau {
                say(format_args!(
                    "stopped: the last {} evaluations were no better than the best; to go on, raise evaluate.patience",
                    training.run_dir().config()?.evaluate.patience
                ));
            }
            let latest = training.run_dir().latest()?.unwrap_or(0);
            // The run is done and whole, whoever reads of it.
            if let Err(error) = print(&summary(&out, latest, training.last_grid().map(PathBuf::as_path))) {
                say(format_args!("{error:#}"));
            }
            Ok(DONE)
        }
    }
}

/// The command that means the same wherever the environment is another, but for going on.
fn again(arguments: &Train, common: &Common) -> anyhow::Result<Line> {
    let Train { config, sets, out: _, resume: _, resume_or_start: _, dry_run: _ } = arguments;
    let line = common.of(Line::tandem(&["train"])).file(config).with("--out", out(arguments));
    let variables = config::as_arguments(environment())?;
    Ok(line.with_all("--set", variables).with_all("--set", sets))
}

/// `runs/lsgan-one` for `configs/mnist-32/lsgan-one.toml`.
fn out(arguments: &Train) -> PathBuf {
    let named = || Path::new("runs").join(arguments.config.file_stem().unwrap_or_else(|| "run".as_ref()));
    arguments.out.clone().unwrap_or_else(named)
}

fn summary(out: &Path, step: u64, grid: Option<&Path>) -> String {
    let run = out.shown();
    let mut text = format!("trained to step {step}\n");
    if let Some(grid) = grid {
        text += &format!("samples  {}\n", grid.shown());
    }
    text + &format!("curves   {run}/losses.png\nweights  {run}/checkpoints/step-{step}/generator.safetensors\n")
}
