//! From what the user said to everything that a run needs: plugin found, definition made, configuration resolved.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tandem_plugin_api::{
    Defaults, Gan, Images, Optimizer, Stages,
    gan::{Augmentation, CriticBoost, Schedule, Span, Transform},
    value::{Definition, Named, Value},
};

use super::SessionError;
use crate::{
    config::{self, Config, ConfigError, PluginChoice, PluginDefaults, Resolved, Sources, TrustChoice},
    data::Dataset,
    files::{self, MOST_TEXT},
    plugin::{PluginFile, SearchPath},
    run::PluginRecord,
    share,
    text::Show as _,
};

/// A run that could start.
#[derive(Debug)]
pub struct Prepared {
    /// The configuration, with where each value came from.
    pub resolved: Resolved,
    /// The definition, checked.
    pub gan: Gan,
    /// The definition as the run keeps it.
    pub definition: String,
    /// Which plugin it came from.
    pub plugin: PluginRecord,
    /// The data set.
    pub dataset: Dataset,
    /// The config's file, whose locks hold for what it names.
    pub file: Option<PathBuf>,
    /// What files that are code must show.
    pub trust: TrustChoice,
}

impl Prepared {
    /// The configuration.
    pub const fn config(&self) -> &Config {
        &self.resolved.config
    }
}

/// Reads the data, asks the plugin, and resolves the configuration with the plugin's defaults.
pub fn prepare(sources: &Sources, plugin_path: &[PathBuf]) -> Result<Prepared, SessionError> {
    let choice = sources.plugin_choice()?;
    let plugin = find_plugin(sources, &choice, plugin_path)?;
    let dataset = super::data::open(&choice.data)?;
    let gan = plugin.declare(images(&dataset), &options(&choice.options)?)?;
    let (resolved, gan) = prepare_for(sources, &plugin, gan, choice.stages)?;
    let file = sources.file().map(Path::to_owned);
    Ok(Prepared {
        definition: to_json(&gan)?,
        plugin: record(&plugin),
        resolved,
        gan,
        dataset,
        file,
        trust: choice.trust,
    })
}

/// The file of the plugin that a config chooses, if the config's trust and lock allow it.
pub fn find_plugin(
    sources: &Sources,
    choice: &PluginChoice,
    plugin_path: &[PathBuf],
) -> Result<PluginFile, SessionError> {
    let plugin = SearchPath::new(plugin_path).find(&choice.plugin)?;
    share::allow(&plugin, &choice.plugin, &choice.trust, sources.file())?;
    Ok(plugin)
}

/// The configuration under what a plugin recommends for this definition and mode, and the definition as the
/// configuration has it: with its augmentation.
pub fn prepare_for(
    sources: &Sources,
    plugin: &PluginFile,
    gan: Gan,
    stages: config::Stages,
) -> Result<(Resolved, Gan), SessionError> {
    let resolved = sources.resolve(&defaults(plugin, &gan, stages))?;
    let config::Augment { transforms, target } = &resolved.config.augment;
    let known = |name: &String| Transform::ALL.iter().find(|(n, _)| n == name).map(|(_, t)| *t);
    let transforms = transforms.iter().flatten().filter_map(known).collect();
    let gan = gan.with_augmentation(Augmentation { transforms, target: *target }).map_err(|e| {
        let key = "augment.transforms".to_owned();
        ConfigError::Conflict { origin: resolved.origin(&key), key, why: format!("does not fit: {e}") }
    })?;
    Ok((resolved, gan))
}

/// The facts of a data set that a plugin is told.
pub(super) fn images(dataset: &Dataset) -> Images {
    Images { channels: dataset.channels() as i64, size: dataset.size() as i64, classes: dataset.classes() as i64 }
}

/// A TOML table as the values that cross to a plugin.
pub fn options(table: &toml::Table) -> Result<Vec<Named<Value>>, SessionError> {
    let named = table.iter().map(|(name, value)| {
        let value = match value {
            toml::Value::Boolean(v) => Value::Bool(*v),
            toml::Value::Integer(v) => Value::Int(*v),
            toml::Value::Float(v) => Value::Float(*v),
            toml::Value::String(v) => Value::Text(v.clone()),
            other => {
                let kind = other.type_str();
                return Err(SessionError::Option(format!(
                    "`options.{}` must be a text, a number or a boolean, found {kind}",
                    name.shown()
                )));
            }
        };
        Ok(Named::new(name.clone(), value))
    });
    named.collect()
}

fn defaults(plugin: &PluginFile, gan: &Gan, stages: config::Stages) -> PluginDefaults {
    let stages = match stages {
        config::Stages::One => Stages::One,
        config::Stages::Two => Stages::Two,
    };
    let Defaults { generator, discriminator, n_critic, n_generator, critic_boost, schedule } = gan.defaults(stages);
    let values = gan.options.iter().filter_map(|o| {
        let value = match &o.value {
            Value::Bool(v) => toml::Value::Boolean(*v),
            Value::Int(v) => toml::Value::Integer(*v),
            Value::Float(v) => toml::Value::Float(*v),
            Value::Text(v) => toml::Value::String(v.clone()),
            Value::Ints(_) | Value::Floats(_) | Value::Texts(_) => return None,
        };
        Some((o.name.clone(), value))
    });
    PluginDefaults {
        source: format!("{}'s defaults", plugin.manifest.name),
        generator: Some(optimizer(generator)),
        discriminator: Some(optimizer(discriminator)),
        n_critic: Some(*n_critic as u32),
        n_generator: Some(*n_generator as u32),
        critic_boost: critic_boost.map(|CriticBoost { n_critic, first, every }| config::CriticBoost {
            n_critic,
            first,
            every,
        }),
        schedule: recommended(schedule),
        augment: augment(&gan.augmentation),
        options: values.collect(),
    }
}

fn recommended(schedule: &Schedule) -> config::Schedule {
    let span = |s: &Span| config::Span { start: s.start, end: s.end, factor: s.factor };
    match schedule {
        Schedule::Constant => config::Schedule::Constant,
        Schedule::MultiStep { milestones, gamma } => {
            config::Schedule::MultiStep { milestones: milestones.clone(), gamma: *gamma }
        }
        Schedule::Linear(s) => config::Schedule::Linear(span(s)),
        Schedule::Cosine(s) => config::Schedule::Cosine(span(s)),
    }
}

fn augment(declared: &Augmentation) -> config::Augment {
    let names: Vec<String> = declared.transforms.iter().map(|t| t.name().to_owned()).collect();
    config::Augment { transforms: (!names.is_empty()).then_some(names), target: declared.target }
}

fn optimizer(declared: &Optimizer) -> config::Optimizer {
    match *declared {
        Optimizer::Adam { learning_rate, betas } => config::Optimizer::adam(learning_rate, betas),
        Optimizer::RmsProp { learning_rate } => config::Optimizer::rmsprop(learning_rate),
        Optimizer::Sgd { learning_rate, momentum } => config::Optimizer::sgd(learning_rate, momentum),
    }
}

fn record(plugin: &PluginFile) -> PluginRecord {
    PluginRecord {
        name: plugin.manifest.name.clone(),
        version: plugin.manifest.version.clone(),
        sha256: plugin.sha256.clone(),
    }
}

/// A definition as a run keeps it.
pub(super) fn to_json(gan: &Gan) -> Result<String, SessionError> {
    let text = serde_json::to_string(&gan.encode());
    text.map_err(|e| SessionError::Stored(format!("the definition cannot be written as JSON: {e}")))
}

/// The definition of a run, checked as if a plugin had sent it.
pub(super) fn from_json(text: &str) -> Result<Gan, SessionError> {
    decode(text).map_err(|what| SessionError::Stored(format!("definition.json: {what}; restore it from a backup")))
}

/// A definition that the user names, a file or a pipe, as JSON, checked as if a plugin had sent it.
pub fn read_definition(path: &Path) -> Result<Gan, SessionError> {
    let wrong = |what: String| SessionError::Stored(format!("definition `{}`: {what}", path.shown()));
    let gan = decode(&files::read_given_text(path, MOST_TEXT).map_err(|e| wrong(e.to_string()))?).map_err(wrong)?;
    gan.check_meaning().map_err(|e| wrong(e.to_string()))?;
    Ok(gan)
}

fn decode(text: &str) -> Result<Gan, String> {
    let definition: Definition = serde_json::from_str(text).map_err(|e| e.to_string())?;
    Gan::decode(&definition).map_err(|e| e.to_string())
}

/// The SHA-256 of a definition, in hexadecimal.
pub(super) fn definition_hash(definition: &str) -> String {
    format!("{:x}", Sha256::digest(definition))
}
