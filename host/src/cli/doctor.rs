//! `tandem doctor`: what this installation has, and what is amiss.

use std::path::PathBuf;

use serde_json::json;
use tandem_torch_ext::cuda_graphs_are_built;

use super::{Code, DONE, FAILED, print, print_json, progress};
use crate::{
    config::Device,
    confined,
    plugin::SearchPath,
    session::{loaded_from, resolve_device},
    text::Show as _,
};

pub(super) fn run(plugin_path: &[PathBuf], as_json: bool) -> anyhow::Result<Code> {
    let cuda = resolve_device(Device::Cuda(0));
    let search = SearchPath::new(plugin_path);
    let listed = search.list();
    let found: Vec<&str> =
        listed.iter().filter_map(|l| l.plugin.as_ref().ok()).map(|f| f.manifest.name.as_str()).collect();
    let broken: Vec<String> = listed.iter().filter_map(|l| l.plugin.as_ref().err()).map(ToString::to_string).collect();
    let libtorch = loaded_from();
    let healthy = !found.is_empty() && broken.is_empty();
    if as_json {
        let value = json!({
            "version": env!("CARGO_PKG_VERSION"), "libtorch": libtorch, "threads": tch::get_num_threads(),
            "cuda": cuda.is_ok(), "cuda_reason": cuda.as_ref().err().map(ToString::to_string),
            "cuda_graphs": cuda_graphs_are_built(),
            "plugins_are_confined_by": confined::layers(),
            "plugin_directories": search.directories().collect::<Vec<_>>(), "plugins": found, "broken": broken,
            "healthy": healthy,
        });
        print_json(format_args!("{value:#}"))?;
    } else {
        let mut text = format!("tandem   {}\n", env!("CARGO_PKG_VERSION"));
        let shown = libtorch.map_or_else(|| "unknown place".into(), |p| p.shown().to_string());
        text += &format!("libtorch {shown}\n");
        text += &format!("device   {}\n", progress::device(cuda.as_ref().copied().unwrap_or(tch::Device::Cpu)));
        if let Err(why) = &cuda {
            text += &format!("         no CUDA: {why}\n");
        }
        if !cuda_graphs_are_built() {
            text += "         CUDA graphs are not built in: CUDA's headers were missing (docs/setup.md)\n";
        }
        text += &format!(
            "plugins  {}\n",
            if found.is_empty() { "none; build them with cargo build --release".into() } else { found.join(", ") }
        );
        text += &format!("         confined by {} when they are asked\n", confined::layers().join(", "));
        for directory in search.directories() {
            text += &format!("         looked in {}\n", directory.shown());
        }
        for error in &broken {
            text += &format!("broken   {error}\n");
        }
        print(&text)?;
    }
    Ok(if healthy { DONE } else { FAILED })
}
