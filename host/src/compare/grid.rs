//! The runs that a plan means: each with its config, its settings and its place.

use std::{
    fmt,
    path::{Path, PathBuf, absolute},
};

use serde::{Deserialize, Serialize};
use toml::{Table, Value};

use super::{
    CompareError,
    plan::{Plan, slug},
};
use crate::{
    config::{Config, PluginDefaults, Sources, keys},
    text::Show as _,
};

/// How a run trains.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// In one stage.
    One,
    /// In two stages.
    Two,
}

impl Mode {
    /// As configs call it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::One => "one",
            Self::Two => "two",
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One run of a plan.
#[derive(Debug, Clone, PartialEq)]
pub struct Job {
    /// The method's index in the plan.
    pub method: usize,
    /// The data set's index in the plan.
    pub data: usize,
    /// The mode.
    pub mode: Mode,
    /// The seed.
    pub seed: u64,
    /// The config file.
    pub config: PathBuf,
    /// What `--set` takes, nearest last.
    pub sets: Vec<String>,
    /// The run directory.
    pub directory: PathBuf,
    /// The steps that it is to train for.
    pub steps: u64,
    /// Whether the plan or the config says how many threads it takes.
    pub threads_set: bool,
    /// The hash over every setting that shapes the weights, as far as config and plan say them.
    pub hash: String,
}

impl Job {
    /// A file beside the run directory: its name with this after it.
    pub fn beside(&self, extension: &str) -> PathBuf {
        let mut name = self.directory.as_os_str().to_owned();
        name.push(extension);
        name.into()
    }
}

/// Every run, seeds outermost. Configs and settings are read and checked.
pub fn jobs(plan: &Plan, out: &Path) -> Result<Vec<Job>, CompareError> {
    let base = plan.path.parent().unwrap_or(Path::new(""));
    let fixed = |table: &Table, what: &str| arguments(table, base, what).map_err(|what| wrong(plan, what));
    let of_plan = fixed(&plan.set, "set")?;
    let mut jobs = Vec::new();
    for &seed in &plan.seeds {
        for (data, set) in plan.data.iter().enumerate() {
            for (method, named) in plan.methods.iter().enumerate() {
                if named.data.as_ref().is_some_and(|only| !only.contains(&set.name)) {
                    continue;
                }
                for &mode in &plan.stages {
                    let config = named.config.replace("{stages}", mode.name()).replace("{data}", &slug(&set.name));
                    let mut sets = fixed(&named.set, &format!("set of method `{}`", named.name))?;
                    sets.extend(fixed(&set.set, &format!("set of data set `{}`", set.name))?);
                    sets.extend(of_plan.iter().cloned());
                    sets.extend([format!("stages={mode}"), format!("seed={seed}")]);
                    let config = base.join(config);
                    let Checked { steps, threads_set, hash } = check(plan, &config, &sets, (method, data))?;
                    let directory = out.join(slug(&set.name)).join(slug(&named.name)).join(format!("{mode}-{seed}"));
                    jobs.push(Job { method, data, mode, seed, config, sets, directory, steps, threads_set, hash });
                }
            }
        }
    }
    Ok(jobs)
}

fn wrong(plan: &Plan, what: String) -> CompareError {
    CompareError::Plan { path: plan.path.clone(), what }
}

/// What is known of a run before it is run.
struct Checked {
    steps: u64,
    threads_set: bool,
    hash: String,
}

/// Reads a run's config under its settings, as the run will, and checks that it will give the table its figures.
fn check(plan: &Plan, config: &Path, sets: &[String], (method, data): (usize, usize)) -> Result<Checked, CompareError> {
    let (method, data) = (&plan.methods[method].name, &plan.data[data].name);
    let wrong_config = |source| CompareError::Config {
        path: plan.path.clone(),
        method: method.clone(),
        data: data.clone(),
        source: Box::new(source),
    };
    let resolved = Sources::load(Some(config), [], sets).and_then(|s| s.resolve(&PluginDefaults::default()));
    let config = resolved.map_err(wrong_config)?.config;
    figures(&config, &plan.metrics).map_err(|why| wrong(plan, format!("method `{method}` on `{data}`: {why}")))?;
    let hash = config.hash().map_err(wrong_config)?;
    Ok(Checked { steps: config.steps, threads_set: config.threads.is_some(), hash })
}

/// That a run of this config will have a figure of each metric: the table would have dashes for all that was trained.
fn figures(config: &Config, metrics: &[String]) -> Result<(), String> {
    let Config { steps, evaluate, .. } = config;
    if evaluate.every == 0 {
        return Err("`evaluate.every` is 0, so that no run has figures; set it to the steps between evaluations".into());
    }
    if evaluate.every > *steps {
        let every = evaluate.every;
        return Err(format!(
            "`evaluate.every` is {every} and `steps` {steps}, so that no run has figures; evaluate at least once"
        ));
    }
    match metrics.iter().find(|metric| !evaluate.metrics.contains(metric)) {
        Some(metric) => Err(format!(
            "`evaluate.metrics` is {:?}, and the plan's `metrics` want `{metric}`; add it to the one or leave it out of the other",
            evaluate.metrics
        )),
        None => Ok(()),
    }
}

/// A table as arguments of `--set`, one for each of its own keys: what stands in a table below belongs together, as an
/// optimizer and its rate do. Paths are relative to the plan.
fn arguments(table: &Table, base: &Path, what: &str) -> Result<Vec<String>, String> {
    for (key, plans) in [("stages", "stages"), ("seed", "seeds")] {
        if table.contains_key(key) {
            return Err(format!("`{key}` stands in the {what}; it is the plan's own key `{plans}`"));
        }
    }
    // As arguments they would count as the word of whoever runs the plan, which may be anybody's.
    if let Some(key) = table.keys().find(|key| key.trim() == "trust" || key.trim().starts_with("trust.")) {
        return Err(format!(
            "`{}` stands in the {what}; what may be run is for a config to say, or for whoever runs tandem \
             (TANDEM_TRUST__POLICY)",
            key.shown()
        ));
    }
    let argument = |(key, value): (&String, &Value)| {
        let text = inline(key, value, base).map_err(|e| format!("`{key}` in the {what}: {e}"))?;
        Ok(format!("{key}={text}"))
    };
    table.iter().map(argument).collect()
}

/// A value as TOML on one line.
fn inline(key: &str, value: &Value, base: &Path) -> std::io::Result<String> {
    Ok(match value {
        Value::Table(table) => {
            let fields = table.iter().map(|(name, value)| {
                let quoted = Value::String(name.clone());
                Ok(format!("{quoted} = {}", inline(&format!("{key}.{name}"), value, base)?))
            });
            format!("{{{}}}", fields.collect::<std::io::Result<Vec<_>>>()?.join(", "))
        }
        Value::String(path) if is_file(key, path) => {
            Value::String(absolute(base.join(path))?.to_string_lossy().into_owned()).to_string()
        }
        other => other.to_string(),
    })
}

/// Whether a key's value is a file's place: some keys take a name or a place.
fn is_file(key: &str, value: &str) -> bool {
    let named = keys::find(key).is_none_or(|k| k.kind != keys::Kind::Path);
    keys::is_path(key) && (!named || value.contains('/') || Path::new(value).extension().is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_does_not_say_what_may_be_run() {
        for text in ["trust.keys = [\"RW\"]", "trust = { policy = \"any\" }", "\" trust.lock_file\" = \"x\""] {
            let table: Table = toml::from_str(text).unwrap();
            let said = arguments(&table, Path::new("/plans"), "set").unwrap_err();
            assert!(said.contains("for whoever runs tandem"), "{said}");
        }
    }

    #[test]
    fn what_belongs_together_is_one_argument_and_paths_are_the_plans() {
        let table: Table = toml::from_str(
            "steps = 5\ngenerator = { optimizer = \"sgd\", learning_rate = 1e-3 }\ndata.path = \"x/y\"\nplugin = \"dcgan\"",
        )
        .unwrap();
        let sets = arguments(&table, Path::new("/plans"), "set").unwrap();
        assert_eq!(
            sets,
            [
                "data={\"path\" = \"/plans/x/y\"}",
                "generator={\"learning_rate\" = 0.001, \"optimizer\" = \"sgd\"}",
                "plugin=\"dcgan\"",
                "steps=5"
            ]
        );
    }
}
