//! `tandem plugin list`, and finding the plugin that the other commands are about.

use std::path::PathBuf;

use serde_json::json;
use tandem_plugin_api::{
    Gan, Images,
    value::{Named, Value},
};

use super::{arguments::Subject, print, print_json, table::Table};
use crate::{
    config,
    plugin::{PluginFile, SearchPath},
    session, share,
    text::Show as _,
};

pub(super) fn list(plugin_path: &[PathBuf], as_json: bool) -> anyhow::Result<()> {
    let listed = SearchPath::new(plugin_path).list();
    if as_json {
        let rows: Vec<_> = listed
            .iter()
            .map(|l| match &l.plugin {
                Ok(file) => json!({ "path": l.path, "name": file.manifest.name, "version": file.manifest.version,
                    "summary": file.manifest.summary, "api": file.manifest.api, "opset": file.manifest.opset,
                    "sha256": file.sha256, "shadowed_by": l.shadowed_by }),
                Err(error) => json!({ "path": l.path, "error": error.to_string() }),
            })
            .collect();
        print_json(format_args!("{:#}", json!(rows)))?;
        return Ok(());
    }
    let mut table = Table::new(&["name", "version", "summary", "file"]);
    for l in &listed {
        let path = l.path.shown().to_string();
        match (&l.plugin, &l.shadowed_by) {
            (Ok(file), shadow) => {
                let note = shadow.as_ref().map(|s| format!(" (shadowed by {})", s.shown())).unwrap_or_default();
                let manifest = &file.manifest;
                table.row([manifest.name.clone(), manifest.version.clone(), manifest.summary.clone(), path + &note]);
            }
            (Err(error), _) => table.row(["-".into(), "-".into(), error.to_string(), path]),
        }
    }
    print(&table.to_string())?;
    Ok(())
}

/// The file of a plugin.
pub(super) fn find(name: &str, plugin_path: &[PathBuf]) -> anyhow::Result<PluginFile> {
    Ok(SearchPath::new(plugin_path).find(name)?)
}

/// Refuses a plugin that the environment's policy does not let anybody ask, for commands that no configuration has a say in.
pub(super) fn allow(file: &PluginFile, asked: &str) -> anyhow::Result<()> {
    Ok(share::allow(file, asked, &config::trust_of_environment()?, None)?)
}

/// What a plugin declares for the images and options on the command line.
pub(super) fn declare(plugin: &PluginFile, subject: &Subject, more: &[Named<Value>]) -> anyhow::Result<Gan> {
    let mut options = session::options(&config::plugin_options(&subject.sets)?)?;
    options.retain(|o| !more.iter().any(|m| m.name == o.name));
    options.extend_from_slice(more);
    let images = Images { channels: subject.channels, size: subject.image_size, classes: 10 };
    Ok(plugin.declare(images, &options)?)
}
