//! `tandem plugin inspect`: a definition for a person to read.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use serde_json::json;
use tandem_plugin_api::{
    Gan, Network, Stages, Symmetry, formula,
    gan::{CriticBoost, DiscriminatorLoss, Schedule},
    network::{describe, name},
    opset::{self, Role},
};

use super::{arguments::Inspect, plugins, print, print_json, share::signature, table::Table};
use crate::{
    plugin::{Manifest, PluginFile, is_file, user_folder},
    share::{self, ShareError, Verified},
    text::Show as _,
    train::{Choice, Cost, Strategy, Way, choose, obstacle},
};

pub(super) fn run(arguments: &Inspect, plugin_path: &[PathBuf]) -> anyhow::Result<()> {
    if is_file(&arguments.plugin) && share::is_packed(Path::new(&arguments.plugin)) {
        return packed(arguments);
    }
    let file = plugins::find(&arguments.plugin, plugin_path)?;
    // A path may be anything from anywhere, and so may what somebody installed; a name stands otherwise for what came with
    // this tandem or lies in a folder that was named.
    if (is_file(&arguments.plugin) || is_installed(&file.path)) && !arguments.run {
        return unasked(&file, arguments.subject.json);
    }
    plugins::allow(&file, &arguments.plugin)?;
    let gan = plugins::declare(&file, &arguments.subject, &[])?;
    let manifest = &file.manifest;
    if arguments.subject.json {
        let value = json!({
            "manifest": manifest, "path": file.path, "sha256": file.sha256,
            "symmetry": symmetry(&gan), "per_sample_discriminator": gan.discriminator.batch_coupling().is_none(),
            "strategy": choose(&gan, None)?.strategy.name(),
            "generator": { "parameters": gan.generator.learned_count(), "forward_flops": gan.generator.forward_flops() },
            "discriminator": { "parameters": gan.discriminator.learned_count(), "forward_flops": gan.discriminator.forward_flops() },
            "options": gan.options.iter().map(|o| json!({ "name": o.name, "help": o.help, "may_be": o.kind.to_string(),
                "default": o.default.to_string(), "value": o.value.to_string() })).collect::<Vec<_>>(),
            "definition": gan.encode(),
        });
        print_json(format_args!("{value:#}"))?;
        return Ok(());
    }
    let mut text = manifest_of(&file);
    text += "\n";
    text += &options(&gan);
    text += &definition(&gan)?;
    print(&text)?;
    Ok(())
}

/// What a file shows of itself without being run.
fn unasked(file: &PluginFile, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let value = json!({ "manifest": file.manifest, "path": file.path, "sha256": file.sha256 });
        print_json(format_args!("{value:#}"))?;
        return Ok(());
    }
    let text = manifest_of(file);
    print(&format!(
        "{text}\nNothing of it was run; --run asks it for options, networks and losses, in a confined process.\n"
    ))?;
    Ok(())
}

/// What a packed plugin shows of itself. It is never run: what runs is a library that was installed.
fn packed(arguments: &Inspect) -> anyhow::Result<()> {
    let path = Path::new(&arguments.plugin);
    if arguments.run {
        let what = format!("is packed, and nothing in it is run; `tandem plugin install {}` it first", path.shown());
        return Err(ShareError::Archive { path: path.to_owned(), what }.into());
    }
    let manifest = share::Archive::read(path)?.manifest;
    let libraries = share::verify(path, &[])?;
    if arguments.subject.json {
        let libraries: Vec<_> = libraries
            .iter()
            .map(|Verified { plugin, signed }| {
                json!({ "target": plugin.manifest.about.target, "rustc": plugin.manifest.about.rustc,
                    "sha256": plugin.sha256, "signature": signature(signed) })
            })
            .collect();
        print_json(format_args!("{:#}", json!({ "manifest": manifest, "path": path, "libraries": libraries })))?;
        return Ok(());
    }
    let mut text = said(&manifest, path, None);
    for Verified { plugin, signed } in &libraries {
        let _ = writeln!(text, "library for {}", plugin.manifest.about.target);
        let _ = writeln!(text, "  sha256: {}\n  signature: {}", plugin.sha256, signature(signed));
    }
    print(&format!(
        "{text}\nNothing of it was run; `tandem plugin install` puts the library for this machine in place.\n"
    ))?;
    Ok(())
}

/// Whether a file lies in the user's plugin folder.
fn is_installed(file: &Path) -> bool {
    let real = |path: &Path| path.canonicalize().ok();
    let folder = user_folder().and_then(|folder| real(&folder));
    folder.is_some() && file.parent().and_then(real) == folder
}

fn manifest_of(file: &PluginFile) -> String {
    said(&file.manifest, &file.path, Some(&file.sha256))
}

fn said(manifest: &Manifest, path: &Path, sha256: Option<&str>) -> String {
    let mut text = format!("{} {}: {}\n", manifest.name, manifest.version, manifest.summary);
    let _ = writeln!(text, "{}", path.shown());
    let sum = sha256.map_or_else(String::new, |sum| format!(", sha256 {sum}"));
    let _ = writeln!(text, "api {}, opset {}{sum}", manifest.api, manifest.opset);
    for (what, said) in manifest.about.said() {
        let _ = writeln!(text, "{}: {said}", what.replace('_', " "));
    }
    text
}

fn options(gan: &Gan) -> String {
    if gan.options.is_empty() {
        return "no options\n\n".into();
    }
    let mut table = Table::new(&["option", "value", "default", "may be", "help"]);
    for o in &gan.options {
        table.row([o.name.clone(), o.value.to_string(), o.default.to_string(), o.kind.to_string(), o.help.clone()]);
    }
    format!("{table}\n")
}

/// Networks, losses, symmetry, strategy and cost.
pub(super) fn definition(gan: &Gan) -> anyhow::Result<String> {
    let choice = choose(gan, None)?;
    let mut text = network("generator", &gan.generator) + &network("discriminator", &gan.discriminator) + &losses(gan);
    let _ = writeln!(text, "symmetry: {}", symmetry(gan));
    let _ = match gan.discriminator.batch_coupling() {
        None => writeln!(text, "D is per sample"),
        Some(op) => writeln!(text, "D is not per sample: {} mixes the samples of a batch", describe(op)),
    };
    text += &cost(gan, &choice);
    Ok(text)
}

const fn symmetry(gan: &Gan) -> &'static str {
    match gan.symmetry {
        Symmetry::Symmetric => "symmetric (L_G = -L_D's fake term)",
        Symmetry::Asymmetric => "asymmetric",
    }
}

fn network(title: &str, network: &Network) -> String {
    let mut table = Table::new(&[title, "operation", "output", "parameters"]).right(&[3]);
    for node in network.nodes() {
        let parameters = opset::parameters(&node.op, &network.input_types(node));
        let learned = parameters.iter().filter(|p| p.role == Role::Learned).map(|p| p.shape.iter().product::<i64>());
        let count: i64 = learned.sum();
        table.row([
            name(&node.op).unwrap_or("").to_owned(),
            node.op.name().to_owned(),
            node.output.shape.to_string(),
            if count > 0 { grouped(count) } else { String::new() },
        ]);
    }
    table.row(["total".into(), String::new(), String::new(), grouped(network.learned_count())]);
    format!("{table}\n")
}

fn losses(gan: &Gan) -> String {
    let of_d = match &gan.loss_discriminator {
        DiscriminatorLoss::Split { real, fake } => format!("{} + {}", formula(real), formula(fake)),
        DiscriminatorLoss::Whole(loss) => formula(loss),
    };
    let mut text = format!("L_D = {of_d}\nL_G = {}\n", formula(&gan.loss_generator));
    for s in &gan.states {
        let _ = writeln!(text, "state {} = {} at first, then {}", s.name, s.initial, formula(&s.update));
    }
    for p in &gan.penalties {
        let lazily = if p.interval == 1 { String::new() } else { format!(", every {} steps of D", p.interval) };
        let _ = writeln!(text, "penalty on D: {} · mean((‖∇D‖ - {})²), {:?} samples{lazily}", p.weight, p.target, p.at);
    }
    for w in &gan.weight_decays {
        let _ = writeln!(text, "weight decay in D: {} · ½‖{}‖²", w.weight, w.tensor);
    }
    if !gan.augmentation.transforms.is_empty() {
        let names: Vec<&str> = gan.augmentation.transforms.iter().map(|t| t.name()).collect();
        let how_often =
            gan.augmentation.target.map_or_else(String::new, |t| format!(", as often as holds E sign(D) at {t}"));
        let _ = writeln!(text, "D sees all images through {}{how_often}", names.join(", "));
    }
    if let Some(limit) = gan.weight_clip {
        let _ = writeln!(text, "after each step of D its weights are clamped to [-{limit}, {limit}]");
    }
    text
}

/// Predicted cost of a step in passes and FLOPs, for one stage and both honest ways of two.
fn cost(gan: &Gan, choice: &Choice) -> String {
    let mut text = format!("one stage: strategy {}, because {}\n", choice.strategy, choice.reason);
    for s in Strategy::ALL {
        if let Some(why) = obstacle(gan, s) {
            let _ = writeln!(text, "  not {s}: {why}");
        }
    }
    let rows = [
        ("one stage", Way::OneStage(choice.strategy)),
        ("two stages, D's fakes used again", Way::TwoStages { reuse_fakes: true }),
        ("two stages, new fakes", Way::TwoStages { reuse_fakes: false }),
    ];
    let costs = rows.map(|(what, way)| (what, Cost::of_round(gan, way, 1, 1)));
    let one = costs[0].1.flops(gan);
    let mut table =
        Table::new(&["predicted cost", "T^g", "T^d", "GFLOP a sample", "to one stage"]).right(&[1, 2, 3, 4]);
    for (what, cost) in costs {
        table.row([
            what.to_owned(),
            format!("{}", cost.generator),
            format!("{}", (cost.discriminator * 100.0).round() / 100.0),
            format!("{:.3}", cost.flops(gan) / 1e9),
            format!("{:.2}x", cost.flops(gan) / one),
        ]);
    }
    let defaults = |stages| {
        let d = gan.defaults(stages);
        let mut text = format!("G {:?}, D {:?}, n_critic {}", d.generator, d.discriminator, d.n_critic);
        if d.n_generator != 1 {
            let _ = write!(text, ", n_generator {}", d.n_generator);
        }
        if let Some(boost) = d.critic_boost {
            let CriticBoost { n_critic, first, every } = boost;
            let _ = write!(text, ", n_critic {n_critic} in the first {first} rounds and every {every}");
        }
        if d.schedule != Schedule::Constant {
            let _ = write!(text, ", rates {:?}", d.schedule);
        }
        text
    };
    format!(
        "{text}\n{table}\ndefaults in one stage:  {}\ndefaults in two stages: {}\n",
        defaults(Stages::One),
        defaults(Stages::Two)
    )
}

/// `1234567` as `1,234,567`.
fn grouped(n: i64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, c) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(c);
    }
    text
}
