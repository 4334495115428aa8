//! A run's configuration: from defaults, files, environment and `--set` to one checked [`Config`]. What the user said
//! ([`Sources`]) is kept apart from what follows from it ([`Resolved`]), because the plugin's defaults, which lie
//! between, are known only once the plugin is. Loading plugins, reading data and training are not here.
//!
//! Nearer wins: built-in defaults < plugin's defaults < file (and what it `extends`) < `TANDEM_*` < `--set`.

mod check;
mod error;
mod identity;
pub mod keys;
mod layers;
mod resolve;
mod trust;
mod types;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use error::ConfigError;
pub use identity::Difference;
pub use layers::Origin;
pub use resolve::{PluginChoice, PluginDefaults, Resolved};
pub use trust::TrustChoice;
pub use types::{
    Augment, Channels, Config, CriticBoost, Crop, Data, DataKind, Device, Evaluate, Optimizer, Policy, Precision,
    Schedule, Span, Split, Stages, Strategy, Trust,
};

use crate::text::Show as _;
use layers::Layer;
use resolve::Merged;

/// What the user said: file, environment and `--set`, each setting with where it was said.
#[derive(Debug, Clone)]
pub struct Sources {
    layers: Vec<Layer>,
    file: Option<PathBuf>,
}

impl Sources {
    /// Reads and checks every source. `variables` are environment variables, see [`environment`]; those that do not
    /// begin with `TANDEM_` do not matter. `sets` are the arguments of `--set`, the last one nearest.
    pub fn load(
        file: Option<&Path>,
        variables: impl IntoIterator<Item = (String, String)>,
        sets: &[String],
    ) -> Result<Self, ConfigError> {
        let mut layers = file.map_or_else(|| Ok(Vec::new()), layers::files)?;
        let (environment, foreign) = layers::environment(variables)?;
        for (variable, key) in foreign {
            let near = check::nearest_key(&key).map(layers::variable);
            let hint = near.map_or_else(String::new, |near| format!("; did you mean {near}?"));
            tracing::warn!("environment variable {} sets no key and is passed over{hint}", variable.shown());
        }
        layers.push(environment);
        for argument in sets {
            layers.push(layers::argument(argument)?);
        }
        layers.iter().try_for_each(check::check)?;
        Ok(Self { layers, file: file.map(Path::to_owned) })
    }

    /// What must be known before the plugin can say its defaults.
    pub fn plugin_choice(&self) -> Result<PluginChoice, ConfigError> {
        let merged = self.merged(None);
        require_plugin(&merged)?;
        merged.check_data()?;
        Ok(PluginChoice { trust: TrustChoice::of(&merged)?, ..merged.extract()? })
    }

    /// What must be shown of code that the configuration reaches.
    pub fn trust(&self) -> Result<TrustChoice, ConfigError> {
        TrustChoice::of(&self.merged(None))
    }

    /// The data alone; no plugin need be named.
    pub fn data(&self) -> Result<Data, ConfigError> {
        let merged = self.merged(None);
        merged.check_data()?;
        Ok(merged.extract::<resolve::DataChoice>()?.data)
    }

    /// The extractor that is named, if one is.
    pub fn extractor(&self) -> Option<String> {
        self.merged(None).get("evaluate.extractor")?.value.as_str().map(str::to_owned)
    }

    /// The configuration, given what the plugin recommends for the chosen mode.
    pub fn resolve(&self, defaults: &PluginDefaults) -> Result<Resolved, ConfigError> {
        let plugin = defaults.layer()?;
        check::check(&plugin)?;
        let merged = self.merged(Some(plugin));
        require_plugin(&merged)?;
        merged.check_data()?;
        merged.resolve()
    }

    /// The config file, if there is one.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Where the user set this key, if anywhere: for the plugin's complaints about its options.
    pub fn origin(&self, key: &str) -> Option<Origin> {
        self.layers.iter().rev().find_map(|layer| layer.get(key)).map(|setting| setting.origin.clone())
    }

    fn merged(&self, plugin: Option<Layer>) -> Merged {
        Merged::new([resolve::built_in()].into_iter().chain(plugin).chain(self.layers.iter().cloned()).collect())
    }
}

impl Config {
    /// Reads a `config.toml` that says everything, as a run directory holds it.
    pub fn read(path: &Path) -> Result<Self, ConfigError> {
        Ok(Sources::load(Some(path), [], &[])?.resolve(&PluginDefaults::default())?.config)
    }

    /// As [`Self::read`], of the text of a file that was read already.
    pub fn parse(path: &Path, text: &str) -> Result<Self, ConfigError> {
        let layer = layers::whole_file(path, text)?;
        check::check(&layer)?;
        let sources = Sources { layers: vec![layer], file: Some(path.to_owned()) };
        Ok(sources.resolve(&PluginDefaults::default())?.config)
    }
}

fn require_plugin(merged: &Merged) -> Result<(), ConfigError> {
    if merged.get("plugin").is_some() {
        return Ok(());
    }
    Err(ConfigError::Missing {
        key: "plugin".into(),
        hint: "name the plugin to train, for example `plugin = \"dcgan\"`".into(),
    })
}

/// Whether an environment variable that begins with `TANDEM_` is no setting.
pub fn is_reserved(variable: &str) -> bool {
    layers::RESERVED.contains(&variable)
}

/// What the environment asks of a plugin's file that no configuration names; its other settings do not matter.
pub fn trust_of_environment() -> Result<TrustChoice, ConfigError> {
    let variables = environment().into_iter().filter(|(name, _)| name.starts_with("TANDEM_TRUST__"));
    Sources::load(None, variables, &[])?.trust()
}

/// A plugin's options from `OPTION=VALUE` arguments: read and checked as those of a config, which never asks a plugin for what
/// cannot be. The last of a name counts.
pub fn plugin_options(arguments: &[String]) -> Result<toml::Table, ConfigError> {
    let mut options = toml::Table::new();
    for argument in arguments {
        let layer = layers::option(argument)?;
        check::check(&layer)?;
        for (key, setting) in layer {
            options.insert(key.strip_prefix("options.").unwrap_or(&key).to_owned(), setting.value);
        }
    }
    Ok(options)
}

/// The settings in environment variables as arguments of `--set`, nearest last: the same, wherever the variables are not.
pub fn as_arguments(variables: impl IntoIterator<Item = (String, String)>) -> Result<Vec<String>, ConfigError> {
    let (layer, _) = layers::environment(variables)?;
    let mut settings: Vec<_> = layer.iter().collect();
    // A choice that others are about comes first: each argument is a source of its own, and a choice drops what is farther.
    settings.sort_by_key(|(key, _)| !resolve::is_choice(key));
    Ok(settings.into_iter().map(|(key, setting)| layers::as_argument(key, &setting.value)).collect())
}

/// This process's environment, for [`Sources::load`]: the variables that begin with `TANDEM_`. What is not Unicode
/// is replaced, so that it fails as a value and not as a panic.
pub fn environment() -> Vec<(String, String)> {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value.to_string_lossy().into_owned()))
        .filter(|(name, _)| name.starts_with("TANDEM_"))
        .collect()
}
