//! Tests of the configuration: what wins, what is refused and in which words, what identifies a run.

mod documented;
mod identity;
mod messages;
mod precedence;
mod shipped;

use std::path::{Path, PathBuf};

use super::*;

/// A folder of config files that lives as long as the test.
struct Folder(tempfile::TempDir);

impl Folder {
    fn new(files: &[(&str, &str)]) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        for (name, text) in files {
            let path = folder.path(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root().join(name)
    }

    fn root(&self) -> &Path {
        self.0.path()
    }

    /// The text with this folder's random name taken out.
    fn tidy(&self, text: &str) -> String {
        text.replace(self.root().to_str().unwrap(), "DIR")
    }

    fn load(&self, name: &str, env: &[(&str, &str)], sets: &[&str]) -> Result<Sources, ConfigError> {
        Sources::load(Some(&self.path(name)), variables(env), &arguments(sets))
    }
}

fn variables(env: &[(&str, &str)]) -> Vec<(String, String)> {
    env.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn arguments(sets: &[&str]) -> Vec<String> {
    sets.iter().map(|&s| s.to_owned()).collect()
}

/// Settings without a file.
fn said(sets: &[&str]) -> Result<Sources, ConfigError> {
    Sources::load(None, [], &arguments(sets))
}

/// The configuration that these settings give, with no plugin defaults.
fn resolved(sets: &[&str]) -> Config {
    said(sets).unwrap().resolve(&PluginDefaults::default()).unwrap().config
}

/// What a WGAN recommends for two stages.
fn wgan() -> PluginDefaults {
    PluginDefaults {
        source: "wgan's defaults for two stages".into(),
        generator: Some(Optimizer::rmsprop(5e-5)),
        discriminator: Some(Optimizer::rmsprop(5e-5)),
        n_critic: Some(5),
        n_generator: None,
        critic_boost: None,
        schedule: Schedule::Constant,
        augment: Augment::default(),
        options: toml::toml! { width = 64
        norm = "none" },
    }
}
