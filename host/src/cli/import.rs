//! `tandem import`.

use std::path::PathBuf;

use super::{arguments::Import, print};
use crate::{
    config::{Sources, environment},
    session::{self, prepare, resolve_device},
    text::Show as _,
};

pub(super) fn run(arguments: &Import, plugin_path: &[PathBuf]) -> anyhow::Result<()> {
    let sources = Sources::load(Some(&arguments.config), environment(), &arguments.sets)?;
    let prepared = prepare(&sources, plugin_path)?;
    let generator = arguments.generator.as_ref().or(arguments.state_dict.as_ref());
    let files = session::Import {
        generator: generator.map(PathBuf::as_path),
        discriminator: arguments.discriminator.as_deref(),
    };
    let device = resolve_device(prepared.config().device)?;
    session::import(&prepared, &files, &arguments.out, device)?;
    let (out, config) = (arguments.out.shown(), arguments.config.shown());
    let mut again = format!("tandem train {config} --out {out} --resume");
    for set in &arguments.sets {
        again += &format!(" --set '{set}'");
    }
    print(&format!("imported to step 0; go on with: {again}\n"))?;
    Ok(())
}
