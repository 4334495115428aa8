//! `tandem import`.

use std::path::PathBuf;

use super::{
    arguments::{Common, Import},
    print,
    shell::Line,
};
use crate::{
    config::{self, Sources, environment},
    session::{self, prepare, resolve_device},
};

pub(super) fn run(arguments: &Import, common: &Common) -> anyhow::Result<()> {
    let sources = Sources::load(Some(&arguments.config), environment(), &arguments.sets)?;
    let prepared = prepare(&sources, &common.plugin_path)?;
    let generator = arguments.generator.as_ref().or(arguments.state_dict.as_ref());
    let files = session::Import {
        generator: generator.map(PathBuf::as_path),
        discriminator: arguments.discriminator.as_deref(),
    };
    let device = resolve_device(prepared.config().device)?;
    session::import(&prepared, &files, &arguments.out, device)?;
    let line = common.of(Line::tandem(&["train"])).file(&arguments.config).with("--out", &arguments.out);
    let line = line.with_all("--set", config::as_arguments(environment())?).with_all("--set", &arguments.sets);
    print(&format!("imported to step 0; go on with: {}\n", line.flag("--resume")))
}
