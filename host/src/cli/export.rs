//! `tandem export`.

use std::path::PathBuf;

use super::{
    arguments::{Export, ExportFormat, ExportNetwork, ExportWeights},
    print,
};
use crate::{
    export::{ExportError, Format, Target},
    run::RunDir,
    session::{self, SessionError, Weights},
    text::Show as _,
};

pub(super) fn run(arguments: &Export) -> anyhow::Result<()> {
    let run = RunDir::open(&arguments.run)?;
    let format = match arguments.to {
        ExportFormat::Safetensors => Format::Safetensors,
        ExportFormat::Onnx => Format::Onnx,
        ExportFormat::Pytorch => Format::PyTorch,
        ExportFormat::Flax => Format::Flax,
    };
    let target = match arguments.network {
        ExportNetwork::Generator => Target::Generator,
        ExportNetwork::Discriminator => Target::Discriminator,
    };
    let weights = match arguments.weights {
        Some(ExportWeights::Averaged) if target == Target::Discriminator => {
            let why = "only the generator has a moving average; leave it out for the discriminator";
            return Err(wrong("weights", why.into()));
        }
        Some(ExportWeights::Averaged) => Weights::Ema,
        Some(ExportWeights::Live) => Weights::Raw,
        None => Weights::Best,
    };
    let license = &arguments.license;
    if license.is_empty() || !license.chars().all(|c| c.is_ascii_alphanumeric() || "-._+".contains(c)) {
        let why = "expected an identifier such as `apache-2.0`, of letters, digits, `-`, `.`, `_` and `+`";
        return Err(wrong("license", format!("{why}, found {license:?}")));
    }
    let out = arguments.out.clone().unwrap_or_else(|| default_out(arguments, format, target));
    let asked = session::Export { format, target, weights, step: arguments.step, license, force: arguments.force };
    let step = session::export(&run, &asked, &out)?;
    print(&format!("exported step {step} to {}\n", out.shown()))?;
    Ok(())
}

fn wrong(flag: &'static str, why: String) -> anyhow::Error {
    SessionError::from(ExportError::Argument { flag, why }).into()
}

/// `lsgan-one-onnx` for `runs/lsgan-one`.
fn default_out(arguments: &Export, format: Format, target: Target) -> PathBuf {
    let run = arguments.run.canonicalize().unwrap_or_else(|_| arguments.run.clone());
    let name = run.file_name().map_or_else(|| "run".into(), |n| n.to_string_lossy().into_owned());
    let which = if target == Target::Generator { "" } else { "-discriminator" };
    PathBuf::from(format!("{name}{which}-{}", format.name()))
}
