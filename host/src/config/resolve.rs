//! From what was said to what runs: merges the layers, drops what a nearer choice made void, and checks the keys that
//! must fit together. Reading sources and checking single values is done before.

use std::collections::BTreeMap;

use figment::{
    Figment, Metadata, Profile, Provider,
    value::{Dict, Map},
};
use toml::{Table, Value};

use super::{
    Augment, Config, ConfigError, CriticBoost, Data, DataKind, Evaluate, Optimizer, Origin, Schedule, Stages,
    TrustChoice,
    keys::{self},
    layers::{Layer, Setting, flatten, literal},
};
use crate::{metrics::Metric, text::Show as _};

/// What a plugin recommends for one mode. `Default` recommends nothing, which is right for a file that says everything.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct PluginDefaults {
    /// How messages call them, for example `wgan's defaults for one stage`.
    pub source: String,
    /// G's optimizer.
    pub generator: Option<Optimizer>,
    /// D's optimizer.
    pub discriminator: Option<Optimizer>,
    /// Updates of D in a step.
    pub n_critic: Option<u32>,
    /// Updates of G in a step.
    pub n_generator: Option<u32>,
    /// Steps with more updates of D.
    pub critic_boost: Option<CriticBoost>,
    /// What both rates are multiplied by.
    pub schedule: Schedule,
    /// The transforms between images and D.
    pub augment: Augment,
    /// Every option of the plugin with its default, so that the resolved options are complete.
    pub options: Table,
}

impl PluginDefaults {
    pub(super) fn layer(&self) -> Result<Layer, ConfigError> {
        let mut table = Table::new();
        for (name, optimizer) in [("generator", self.generator), ("discriminator", self.discriminator)] {
            if let Some(optimizer) = optimizer {
                table.insert(name.into(), Value::Table(Table::try_from(optimizer)?));
            }
        }
        for (name, steps) in [("n_critic", self.n_critic), ("n_generator", self.n_generator)] {
            if let Some(steps) = steps {
                table.insert(name.into(), steps.into());
            }
        }
        if let Some(boost) = self.critic_boost {
            table.insert("critic_boost".into(), Value::Table(Table::try_from(boost)?));
        }
        if !self.schedule.is_constant() {
            table.insert("schedule".into(), Value::Table(Table::try_from(&self.schedule)?));
        }
        if !self.augment.is_unset() {
            table.insert("augment".into(), Value::Table(Table::try_from(&self.augment)?));
        }
        table.insert("options".into(), Value::Table(self.options.clone()));
        let mut layer = Layer::new();
        flatten(table, "", &|_| Origin::Plugin(self.source.clone()), &mut layer);
        Ok(layer)
    }
}

/// What must be known before the plugin can say its defaults.
#[derive(Debug, Clone, PartialEq, serde::Deserialize)]
pub struct PluginChoice {
    /// A name on the search path, or an absolute path.
    pub plugin: String,
    /// The options as the user gave them; the plugin checks them.
    #[serde(default)]
    pub options: Table,
    /// The training mode.
    pub stages: Stages,
    /// The data, whose facts a plugin is told.
    pub data: Data,
    /// Whether this plugin's file may be asked.
    #[serde(skip)]
    pub trust: TrustChoice,
}

/// The data, whatever else is said.
#[derive(Debug, serde::Deserialize)]
pub(super) struct DataChoice {
    pub(super) data: Data,
}

/// The resolved configuration and where each of its values comes from.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// The configuration.
    pub config: Config,
    origins: BTreeMap<String, Origin>,
}

impl Resolved {
    /// Where this key's value comes from.
    pub fn origin(&self, key: &str) -> Origin {
        self.origins.get(key).cloned().unwrap_or(Origin::BuiltIn)
    }

    /// Every key with its value and where that comes from, one a line, for a person to read.
    pub fn explain(&self) -> Result<String, ConfigError> {
        let settings = self.config.flat()?;
        let lines: Vec<_> =
            settings.iter().map(|(key, value)| (format!("{key} = {}", literal(value)), self.origin(key))).collect();
        let width = lines.iter().map(|(line, _)| line.chars().count()).max().unwrap_or(0);
        let annotated = lines.iter().map(|(line, origin)| format!("{line:width$}  # {origin}"));
        Ok(annotated.collect::<Vec<_>>().join("\n") + "\n")
    }
}

/// The built-in defaults, from the key table.
pub(super) fn built_in() -> Layer {
    let default = |key: &'static keys::Key| {
        let text = format!("value = {}", key.default?);
        let value = toml::from_str::<Table>(&text).ok()?.remove("value")?;
        Some((key.name.to_owned(), Setting { value, origin: Origin::BuiltIn }))
    };
    keys::all().filter_map(default).collect()
}

/// A choice that gives other keys their meaning: another choice makes those keys of farther layers void.
struct Choice {
    key: &'static str,
    governs: fn(&str) -> bool,
}

/// Keys of `[data]` that keep their meaning when another kind is chosen.
const OF_ANY_DATA: [&str; 7] = [
    "data.image_size",
    "data.channels",
    "data.flip",
    "data.max_bad",
    "data.use_cache",
    "data.cache",
    "data.may_change",
];

const CHOICES: [Choice; 5] = [
    Choice { key: "generator.optimizer", governs: |key| key.starts_with("generator.") },
    Choice { key: "discriminator.optimizer", governs: |key| key.starts_with("discriminator.") },
    Choice { key: "schedule.kind", governs: |key| key.starts_with("schedule.") },
    Choice { key: "augment.transforms", governs: |key| key.starts_with("augment.") },
    Choice { key: "data.kind", governs: |key| key.starts_with("data.") && !OF_ANY_DATA.contains(&key) },
];

/// Whether other keys are about what this one chooses.
pub(super) fn is_choice(key: &str) -> bool {
    CHOICES.iter().any(|choice| choice.key == key)
}

/// The layers merged, farthest first.
pub(super) struct Merged {
    layers: Vec<Layer>,
}

impl Merged {
    pub(super) fn new(layers: Vec<Layer>) -> Self {
        let mut merged: Vec<Layer> = Vec::with_capacity(layers.len());
        for layer in layers {
            for choice in &CHOICES {
                let Some(chosen) = layer.get(choice.key) else { continue };
                let before = merged.iter().rev().find_map(|l| l.get(choice.key));
                if before.is_some_and(|b| b.value != chosen.value) {
                    for farther in &mut merged {
                        farther.retain(|key, _| !(choice.governs)(key));
                    }
                }
            }
            merged.push(layer);
        }
        Self { layers: merged }
    }

    pub(super) fn get(&self, key: &str) -> Option<&Setting> {
        self.layers.iter().rev().find_map(|l| l.get(key))
    }

    /// What the settings say, as one typed value.
    pub(super) fn extract<'de, T: serde::Deserialize<'de>>(&self) -> Result<T, ConfigError> {
        let figment = self.layers.iter().fold(Figment::new(), |figment, layer| figment.merge(Source(layer)));
        figment.extract().map_err(|e| ConfigError::Extract(Box::new(e)))
    }

    pub(super) fn resolve(mut self) -> Result<Resolved, ConfigError> {
        self.check_learning_rates()?;
        self.check_schedule()?;
        self.end_with_the_run();
        let config: Config = self.extract()?;
        self.check_optimizers()?;
        self.check_stages(&config)?;
        if config.augment.target.is_some() && config.augment.transforms.as_ref().is_none_or(Vec::is_empty) {
            let why = format!("adapts how often images are transformed; {}", self.quote("augment.transforms"));
            return Err(self.conflict("augment.target", why));
        }
        self.check_evaluation(&config)?;
        let origins = self.layers.iter().flatten().map(|(key, s)| (key.clone(), s.origin.clone())).collect();
        Ok(Resolved { config, origins })
    }

    fn conflict(&self, key: &str, why: String) -> ConfigError {
        ConfigError::Conflict { key: key.to_owned(), origin: self.origin(key), why }
    }

    fn origin(&self, key: &str) -> Origin {
        self.get(key).map_or(Origin::BuiltIn, |s| s.origin.clone())
    }

    /// `key = value (origin)`, for a conflict's other side.
    fn quote(&self, key: &str) -> String {
        self.get(key).map_or_else(
            || format!("`{key}` is not set"),
            |s| format!("`{key} = {}` ({})", literal(&s.value).shown(), s.origin),
        )
    }

    /// Replacing the optimizer voids the rate that came with the old one; a new one must be given.
    fn check_learning_rates(&self) -> Result<(), ConfigError> {
        for table in ["generator", "discriminator"] {
            let key = format!("{table}.learning_rate");
            if self.get(&key).is_none() {
                let chosen = self.quote(&format!("{table}.optimizer"));
                let hint = format!("{chosen} replaces another optimizer, whose rate does not fit; set a rate with it");
                return Err(ConfigError::Missing { key, hint });
            }
        }
        Ok(())
    }

    fn check_optimizers(&self) -> Result<(), ConfigError> {
        for table in ["generator", "discriminator"] {
            let key = |name: &str| format!("{table}.{name}");
            let chosen = self.get(&key("optimizer")).and_then(|s| s.value.as_str()).unwrap_or_default();
            for (name, optimizers) in OPTIMIZER_KEYS {
                if self.get(&key(name)).is_some() && !optimizers.contains(&chosen) {
                    let why = format!("is for {}; {}", optimizers.join(" and "), self.quote(&key("optimizer")));
                    return Err(self.conflict(&key(name), why));
                }
            }
            let nesterov = self.get(&key("nesterov")).is_some_and(|s| s.value == Value::Boolean(true));
            let momentum =
                self.get(&key("momentum")).and_then(|s| s.value.as_float().or(s.value.as_integer().map(|i| i as f64)));
            if nesterov && momentum.unwrap_or(0.0) == 0.0 {
                let why = format!("needs a momentum above 0; {}", self.quote(&key("momentum")));
                return Err(self.conflict(&key("nesterov"), why));
            }
        }
        Ok(())
    }

    fn check_schedule(&self) -> Result<(), ConfigError> {
        let kind = self.get("schedule.kind").and_then(|s| s.value.as_str()).unwrap_or_default();
        for (name, kinds) in SCHEDULE_KEYS {
            let key = format!("schedule.{name}");
            if self.get(&key).is_some() && !kinds.contains(&kind) {
                let why = format!("is for {}; {}", kinds.join(" and "), self.quote("schedule.kind"));
                return Err(self.conflict(&key, why));
            }
        }
        if kind == "multi-step" && self.get("schedule.milestones").is_none() {
            let hint = format!("{} needs it", self.quote("schedule.kind"));
            return Err(ConfigError::Missing { key: "schedule.milestones".into(), hint });
        }
        let number = |key: &str| self.get(key).and_then(|s| s.value.as_integer());
        let (start, end) = (number("schedule.start").unwrap_or(0), number("schedule.end").or_else(|| number("steps")));
        if SPANS.contains(&kind) && end.is_some_and(|end| end <= start) {
            let last = if self.get("schedule.end").is_some() { "schedule.end" } else { "steps" };
            return Err(self.conflict("schedule.start", format!("must come before the end; {}", self.quote(last))));
        }
        if self.get("critic_boost.n_critic").is_none()
            && let Some(key) = ["critic_boost.first", "critic_boost.every"].into_iter().find(|k| self.get(k).is_some())
        {
            return Err(self.conflict(key, "needs `critic_boost.n_critic`, which is not set".into()));
        }
        Ok(())
    }

    /// A rate that falls to the end of the run: the end is written down, so that a run which is resumed with more steps
    /// does not quietly change what came before.
    fn end_with_the_run(&mut self) {
        let kind = self.get("schedule.kind").and_then(|s| s.value.as_str()).unwrap_or_default();
        if SPANS.contains(&kind)
            && self.get("schedule.end").is_none()
            && let (Some(steps), Some(nearest)) = (self.get("steps").cloned(), self.layers.last_mut())
        {
            nearest.insert("schedule.end".into(), steps);
        }
    }

    fn check_stages(&self, config: &Config) -> Result<(), ConfigError> {
        let stages = self.quote("stages");
        if config.stages == Stages::One && config.reuse_fakes {
            let why = format!("is for two stages: one stage draws fakes once and has none to reuse; {stages}");
            return Err(self.conflict("reuse_fakes", why));
        }
        if config.stages == Stages::Two && config.strategy != super::Strategy::Auto {
            let why = format!("is for one stage: two stages need no strategy; {stages}");
            return Err(self.conflict("strategy", why));
        }
        Ok(())
    }

    fn check_evaluation(&self, config: &Config) -> Result<(), ConfigError> {
        let Evaluate { every, samples, extractor, metrics, keep_best, patience } = &config.evaluate;
        if let Some(metric) = keep_best.as_ref().filter(|metric| !metrics.contains(metric)) {
            let why = format!("is `{metric}`, which is not computed; {}", self.quote("evaluate.metrics"));
            return Err(self.conflict("evaluate.keep_best", why));
        }
        if *patience > 0 && keep_best.is_none() {
            let why = "needs `evaluate.keep_best`, which says what may not get better; it is not set".into();
            return Err(self.conflict("evaluate.patience", why));
        }
        if *every > 0 && metrics.is_empty() {
            let why = format!("names nothing to compute; {}", self.quote("evaluate.every"));
            return Err(self.conflict("evaluate.metrics", why));
        }
        let least = |name: &String| Metric::from_name(name).map_or(0, |metric| metric.least()[0]);
        if let Some(name) = metrics.iter().find(|name| *every > 0 && least(name) > *samples) {
            let why =
                format!("is {samples}; `{name}` needs at least {}; {}", least(name), self.quote("evaluate.metrics"));
            return Err(self.conflict("evaluate.samples", why));
        }
        if *every > 0 && extractor.is_none() && !matches!(config.data.kind, DataKind::Digits | DataKind::Mnist) {
            let hint = format!(
                "{} needs it for these images; name a TorchScript file that gives features",
                self.quote("evaluate.every")
            );
            return Err(ConfigError::Missing { key: "evaluate.extractor".into(), hint });
        }
        Ok(())
    }

    /// The keys of `[data]` that must go together.
    pub(super) fn check_data(&self) -> Result<(), ConfigError> {
        let set = |key: &str| self.get(key).is_some();
        let kind = self.get("data.kind").and_then(|s| s.value.as_str()).unwrap_or_default();
        for (name, kinds) in DATA_KEYS {
            let key = format!("data.{name}");
            if set(&key) && !kinds.contains(&kind) {
                let of = kinds.iter().map(|k| format!("`{k}`")).collect::<Vec<_>>().join(", ");
                return Err(self.conflict(&key, format!("is for {of}; {}", self.quote("data.kind"))));
            }
        }
        let valid = self.get("data.split").is_some_and(|s| s.value.as_str() == Some("valid"));
        if valid && kind != "celeba" {
            return Err(self.conflict("data.split", format!("`valid` is for `celeba`; {}", self.quote("data.kind"))));
        }
        if kind != "mnist" {
            if kind != "digits" && !set("data.path") {
                let hint = format!("{} needs it", self.quote("data.kind"));
                return Err(ConfigError::Missing { key: "data.path".into(), hint });
            }
            return Ok(());
        }
        match (set("data.path"), set("data.images")) {
            (false, false) => Err(ConfigError::Missing {
                key: "data.path".into(),
                hint: format!("{} needs it, or `data.images`", self.quote("data.kind")),
            }),
            (true, true) => {
                Err(self
                    .conflict("data.images", format!("and {} both say where the images are", self.quote("data.path"))))
            }
            (true, false) if set("data.labels") => {
                Err(self.conflict("data.labels", "goes with `data.images`, not with `data.path`".into()))
            }
            (false, true) if set("data.split") => {
                Err(self.conflict("data.split", "chooses in the folder `data.path`, which is not set".into()))
            }
            _ => Ok(()),
        }
    }
}

/// Which kinds of data have which settings; the rest all have.
const DATA_KEYS: [(&str, &[&str]); 6] = [
    ("images", &["mnist"]),
    ("labels", &["mnist"]),
    ("transposed", &["mnist"]),
    ("split", &["mnist", "cifar10", "cifar100", "celeba"]),
    ("attribute", &["celeba"]),
    // All but `digits`.
    ("path", keys::DATA_KINDS.split_at(1).1),
];

/// The schedules that fall from a start to an end.
const SPANS: [&str; 2] = ["linear", "cosine"];

/// Which schedules have which settings.
const SCHEDULE_KEYS: [(&str, &[&str]); 5] = [
    ("milestones", &["multi-step"]),
    ("gamma", &["multi-step"]),
    ("start", &SPANS),
    ("end", &SPANS),
    ("factor", &SPANS),
];

/// Which optimizers have which settings; the rest all have.
const OPTIMIZER_KEYS: [(&str, &[&str]); 5] = [
    ("betas", &["adam"]),
    ("eps", &["adam", "rmsprop"]),
    ("alpha", &["rmsprop"]),
    ("momentum", &["sgd"]),
    ("nesterov", &["sgd"]),
];

/// A layer as figment reads it.
struct Source<'a>(&'a Layer);

impl Provider for Source<'_> {
    fn metadata(&self) -> Metadata {
        Metadata::named(self.0.values().next().map_or_else(String::new, |s| s.origin.to_string()))
    }

    fn data(&self) -> Result<Map<Profile, Dict>, figment::Error> {
        let mut nested = Dict::new();
        for (key, setting) in self.0 {
            let value = figment::value::Value::serialize(&setting.value)?;
            insert(&mut nested, key, value);
        }
        Ok(Profile::Default.collect(nested))
    }
}

fn insert(dict: &mut Dict, key: &str, value: figment::value::Value) {
    match key.split_once('.') {
        None => {
            dict.insert(key.to_owned(), value);
        }
        Some((table, rest)) => {
            let entry = dict.entry(table.to_owned()).or_insert_with(|| Dict::new().into());
            if let figment::value::Value::Dict(_, inner) = entry {
                insert(inner, rest, value);
            }
        }
    }
}
