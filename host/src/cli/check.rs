//! `tandem plugin check`: the proof, for one plugin or all, with every choice of their options.

use std::path::{Path, PathBuf};

use serde::Serialize;
use tandem_plugin_api::{
    Gan,
    options::OptionKind,
    value::{Named, Value},
};

use super::{Code, DONE, FAILED, arguments::Check, device, plugins, print, print_json, table::Table};
use crate::{
    check::{self, Draw, Report},
    plugin::SearchPath,
    run::{Metadata, write_arrays},
    session::{self, to_array},
    text::Show as _,
    work::Work,
};

/// More combinations of choices than this are not what anybody asked for.
const MAX_VARIANTS: usize = 64;

/// One plugin's outcome.
#[derive(Debug, Serialize)]
struct Outcome {
    plugin: String,
    passed: bool,
    max_relative_error: f64,
    variants: Vec<Variant>,
}

#[derive(Debug, Serialize)]
struct Variant {
    options: String,
    #[serde(flatten)]
    report: Report,
}

pub(super) fn run(arguments: &Check, plugin_path: &[PathBuf]) -> anyhow::Result<Code> {
    let device = device(&arguments.device)?;
    let draw = Draw { samples: arguments.samples, seed: arguments.seed, device };
    let outcomes: Box<dyn Iterator<Item = anyhow::Result<Outcome>>> = if let Some(path) = &arguments.definition {
        Box::new(std::iter::once_with(|| defined(arguments, path, &draw)))
    } else {
        let names = names(arguments, plugin_path)?.into_iter();
        Box::new(names.map(|name| one(arguments, &name, plugin_path, &draw)))
    };
    let mut passed = true;
    for outcome in outcomes {
        let outcome = outcome?;
        passed &= outcome.passed;
        if arguments.subject.json {
            print_json(serde_json::to_string(&outcome)?)?;
        } else {
            print(&shown(&outcome))?;
        }
    }
    Ok(if passed { DONE } else { FAILED })
}

fn names(arguments: &Check, plugin_path: &[PathBuf]) -> anyhow::Result<Vec<String>> {
    if let Some(name) = &arguments.plugin {
        return Ok(vec![name.clone()]);
    }
    // A broken file fails the check of all: it was found, and cannot be proven.
    let files = SearchPath::new(plugin_path).list().into_iter().filter(|l| l.shadowed_by.is_none());
    files.map(|l| Ok(l.plugin?.path.shown().to_string())).collect()
}

/// The check of a definition that comes as data.
fn defined(arguments: &Check, path: &Path, draw: &Draw) -> anyhow::Result<Outcome> {
    let gan = session::read_definition(path)?;
    let name = path.shown().to_string();
    if let Some(path) = &arguments.dump {
        dump(draw, &gan, &name, path)?;
    }
    Ok(Outcome::of(name.clone(), vec![proven(&name, &gan, draw)?]))
}

fn one(arguments: &Check, name: &str, plugin_path: &[PathBuf], draw: &Draw) -> anyhow::Result<Outcome> {
    let file = plugins::find(name, plugin_path)?;
    plugins::allow(&file, name)?;
    let first = plugins::declare(&file, &arguments.subject, &[])?;
    if let Some(path) = &arguments.dump {
        dump(draw, &first, &file.manifest.name, path)?;
    }
    let choices = if arguments.variants { combinations(&first)? } else { vec![Vec::new()] };
    let mut variants = Vec::new();
    let work = Work::of(format!("checking {name}"), choices.len() as u64, "variants");
    for choice in choices {
        let gan = plugins::declare(&file, &arguments.subject, &choice)?;
        variants.push(proven(&file.manifest.name, &gan, draw)?);
        work.more(1)?;
    }
    Ok(Outcome::of(file.manifest.name, variants))
}

fn proven(name: &str, gan: &Gan, draw: &Draw) -> anyhow::Result<Variant> {
    let report = check::check(gan, draw).map_err(|e| anyhow::anyhow!("plugin `{name}`: {e}"))?;
    Ok(Variant { options: described(gan), report })
}

impl Outcome {
    fn of(plugin: String, variants: Vec<Variant>) -> Self {
        let max_relative_error = variants.iter().map(|v| v.report.max_relative_error).fold(0.0, check::worse);
        let passed = variants.iter().all(|v| v.report.passed);
        Self { plugin, passed, max_relative_error, variants }
    }
}

/// Every combination of the options that are a choice.
fn combinations(gan: &Gan) -> anyhow::Result<Vec<Vec<Named<Value>>>> {
    let mut all: Vec<Vec<Named<Value>>> = vec![Vec::new()];
    for option in &gan.options {
        let OptionKind::Choice(choices) = &option.kind else { continue };
        let with = |base: &Vec<Named<Value>>, choice: &String| {
            let mut more = base.clone();
            more.push(Named::new(option.name.clone(), Value::Text(choice.clone())));
            more
        };
        all = all.iter().flat_map(|base| choices.iter().map(move |c| with(base, c))).collect();
        anyhow::ensure!(
            all.len() <= MAX_VARIANTS,
            "more than {MAX_VARIANTS} combinations of options; name some with --set"
        );
    }
    Ok(all)
}

fn described(gan: &Gan) -> String {
    let choices = gan.options.iter().filter(|o| matches!(o.kind, OptionKind::Choice(_)));
    let named = choices.map(|o| match &o.value {
        Value::Text(text) => format!("{} = {text}", o.name),
        other => format!("{} = {other}", o.name),
    });
    named.collect::<Vec<_>>().join(", ")
}

fn dump(draw: &Draw, gan: &Gan, plugin: &str, path: &std::path::Path) -> anyhow::Result<()> {
    let tensors = check::dump(gan, draw)?;
    let arrays = tensors.iter().map(|(name, t)| to_array(name.as_str(), t)).collect::<Result<Vec<_>, _>>()?;
    write_arrays(path, &arrays, &dump_metadata(draw, gan, plugin))?;
    Ok(())
}

/// What a dump says of itself. An option's bare name may be one of the others: those that cannot come last.
fn dump_metadata(draw: &Draw, gan: &Gan, plugin: &str) -> Metadata {
    let text = |value: &Value| if let Value::Text(text) = value { text.clone() } else { value.to_string() };
    let options = || gan.options.iter().map(|option| (&option.name, text(&option.value)));
    let mut metadata: Metadata = options().map(|(name, value)| (name.clone(), value)).collect();
    metadata.extend(options().map(|(name, value)| (format!("option.{name}"), value)));
    metadata.extend([
        ("method".to_owned(), plugin.to_owned()),
        ("samples".to_owned(), draw.samples.to_string()),
        ("seed".to_owned(), draw.seed.to_string()),
    ]);
    metadata
}

fn shown(outcome: &Outcome) -> String {
    let mut text = String::new();
    for Variant { options, report } in &outcome.variants {
        let coupled = report.coupled_by.as_ref().map_or_else(|| "per sample".into(), |c| format!("coupled by {c}"));
        text +=
            &format!("{} ({options}): {}, D {coupled}; takes {}\n", outcome.plugin, report.symmetry, report.strategy);
        for e in &report.excluded {
            text += &format!("  not {}: {}\n", e.strategy, e.reason);
        }
        let mut table = Table::new(&["  strategy", "fake scores", "error of ∇L_D", "error of ∇L_G"]).right(&[2, 3]);
        for g in &report.gradients {
            let error = |e: f64| format!("{e:.1e}");
            table.row([format!("  {}", g.strategy), g.scores.into(), error(g.discriminator), error(g.generator)]);
        }
        let d = &report.derivatives;
        let state = d.state.as_ref().map_or_else(String::new, |name| format!(" (worst: `{}`)", name.shown()));
        text += &format!(
            "{table}  finite differences: losses {:.1e}, states {:.1e}{state}, networks {:.1e}, terms of D alone {:.1e}\n",
            d.losses, d.states, d.networks, d.terms
        );
    }
    let verdict = if outcome.passed { "exact" } else { "NOT EXACT" };
    text + &format!("{}: {verdict}, max_relative_error = {:.1e}\n", outcome.plugin, outcome.max_relative_error)
}
