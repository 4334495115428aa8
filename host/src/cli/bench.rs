//! `tandem bench`: what one stage saves on the user's own configuration and machine.

use std::{collections::BTreeMap, fmt::Write as _, path::PathBuf};

use serde_json::json;

use super::{arguments::Bench, print, print_json, progress, table::Table};
use crate::{
    config::{Sources, environment},
    session::{Measured, Plan, bench, prepare, resolve_device},
    train::PHASES,
    work::Work,
};

pub(super) fn run(arguments: &Bench, plugin_path: &[PathBuf]) -> anyhow::Result<()> {
    let sources = Sources::load(Some(&arguments.config), environment(), &arguments.sets)?;
    let prepared = prepare(&sources, plugin_path)?;
    let device = resolve_device(prepared.config().device)?;
    let (config, plugin) = (prepared.config().clone(), prepared.plugin.name.clone());
    let (channels, size) = (prepared.dataset.channels(), prepared.dataset.size());
    let plan = Plan { rounds: arguments.rounds, steps: arguments.steps, warmup: arguments.warmup };
    let work = Work::of("measuring", plan.rounds, "rounds");
    let measured = bench(prepared, plan, device, |round| Ok(work.at(round)?))?;
    drop(work);
    if arguments.json {
        let value = json!({
            "plugin": plugin, "device": progress::device(device), "threads": tch::get_num_threads(), "precision": config.precision,
            "batch_size": config.batch_size, "image": [channels, size, size],
            "n_critic": config.n_critic, "n_generator": config.n_generator,
            "rounds": plan.rounds, "ways": measured,
        });
        print_json(format_args!("{value:#}"))?;
        return Ok(());
    }
    let mut text = format!(
        "{plugin}: {} images of {channels} x {size} x {size} a batch, {}, on {}; {} rounds\n\n",
        config.batch_size,
        config.precision.name(),
        progress::device(device),
        plan.rounds
    );
    let _ = write!(text, "{}\n{}", ways(&measured), phases(&measured));
    print(&text)?;
    Ok(())
}

fn ways(measured: &[Measured]) -> Table {
    let header = ["a step of", "ms", "images/s", "GFLOP/s", "T^g", "T^d", "predicted", "measured over one stage"];
    let mut table = Table::new(&header).right(&[1, 2, 3, 4, 5, 6, 7]);
    for way in measured {
        let ratio = way.measured_ratio;
        table.row([
            way.name.to_owned(),
            milliseconds(way.seconds_per_step.median),
            format!("{:.0}", way.images_per_second),
            format!("{:.1}", way.gflop_per_second),
            format!("{}", way.generator_passes),
            format!("{}", (way.discriminator_passes * 100.0).round() / 100.0),
            format!("{:.2}x", way.predicted_ratio),
            format!("{:.2}x ({:.2} .. {:.2})", ratio.median, ratio.min, ratio.max),
        ]);
    }
    table
}

/// Milliseconds by phase, and their share of the step.
fn phases(measured: &[Measured]) -> Table {
    let names: Vec<&str> = PHASES.into_iter().chain(["other"]).collect();
    let titles: Vec<String> = names.iter().map(|name| name.replace('_', " ")).collect();
    let header: Vec<&str> = ["ms by phase"].into_iter().chain(titles.iter().map(String::as_str)).collect();
    let mut table = Table::new(&header).right(&(1..header.len()).collect::<Vec<_>>());
    for way in measured {
        let whole: f64 = way.phases.values().sum();
        let cell = |name: &&str| share(&way.phases, name, whole);
        table.row([way.name.to_owned()].into_iter().chain(names.iter().map(cell)));
    }
    table
}

fn share(phases: &BTreeMap<&'static str, f64>, name: &str, whole: f64) -> String {
    let seconds = phases.get(name).copied().unwrap_or(0.0);
    format!("{} ({:.0} %)", milliseconds(seconds), 100.0 * seconds / whole)
}

fn milliseconds(seconds: f64) -> String {
    let ms = 1e3 * seconds;
    if ms < 10.0 { format!("{ms:.2}") } else { format!("{ms:.1}") }
}
