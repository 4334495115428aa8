//! A run's network as a folder for other frameworks: which weights, what they are called, what goes beside them.

use std::path::Path;

use tandem_plugin_api::{Gan, Network, network::is_legal_name, opset::OPSET, value::Value};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::{
    SessionError, Weights,
    arrays::to_array,
    checkpoint::tensors,
    data::spec,
    evaluate::name_of,
    prepare::from_json,
    sample::{fixed_samples, stored},
};
use crate::{
    config::Config,
    export::{self, Card, File, Format, ONNX_OPSET, Subject, Target, code, plain},
    network::{Compiled, Pass},
    report::evaluations,
    run::{Metadata, NamedArray, Part, RunDir, encode_arrays},
    text::Show as _,
};

/// Samples in `check.safetensors`.
const CHECKED: usize = 8;

/// What to export, and how.
#[derive(Debug)]
pub struct Export<'a> {
    /// What to.
    pub format: Format,
    /// Which network.
    pub target: Target,
    /// Which of G's weights.
    pub weights: Weights,
    /// A checkpoint's step, if not the latest.
    pub step: Option<u64>,
    /// The weights' licence, as hubs spell it.
    pub license: &'a str,
    /// Whether an export that is there makes way.
    pub force: bool,
}

/// Writes the folder and says which step it holds.
pub fn export(run: &RunDir, asked: &Export<'_>, out: &Path) -> Result<u64, SessionError> {
    // Before any work: what is there stays unless it may go.
    export::check_target(out, asked.force)?;
    let gan = from_json(&run.definition()?)?;
    let stored = match asked.target {
        Target::Generator => stored(run, asked.step, asked.weights)?,
        Target::Discriminator => super::sample::discriminator(run, asked.step)?,
    };
    // The card says how the weights were trained.
    run.check_config(stored.step, &stored.metadata)?;
    let config = run.config()?.without_folders()?;
    let origin = run.path().join("checkpoints").join(format!("step-{}", stored.step)).join(stored.part.file_name());
    let network = asked.target.of(&gan);
    let weights = export::Weights::check(network, asked.target, &stored.arrays, &origin.shown().to_string())?;
    let method = stored.metadata.get("method").cloned().unwrap_or(run.plugin()?.name);
    // It comes from a file that may be of another machine, and goes into a program's text.
    if !is_legal_name(&method) {
        return Err(SessionError::Stored(format!(
            "{} names its method {method:?}: expected a plugin's name, of letters, digits, `_`, `-` and `.`; it cannot be exported",
            origin.shown()
        )));
    }
    let variant = variant(&gan);
    let subject =
        Subject { gan: &gan, target: asked.target, weights: &weights, method: &method, variant, step: stored.step };

    let metadata = metadata(run, &gan, &stored, asked, &method)?;
    let file = format!("{}.safetensors", asked.target.name());
    let mut files = vec![];
    // An ONNX model has its weights within.
    if asked.format != Format::Onnx {
        files.push(File::new(&file, encode_arrays(Path::new(&file), &stored.arrays, &metadata)?));
    }
    files.extend(subject.program(asked.format)?);
    let checked = checked(&gan, asked.target, &stored.arrays, run, stored.step)?;
    files.push(File::new("check.safetensors", encode_arrays(Path::new("check.safetensors"), &checked, &metadata)?));
    files.push(File::new("samples.png", samples(&gan, run, &stored, asked, &config)?));
    let all = evaluations(run)?;
    let toml = config.to_toml()?;
    let card = Card {
        subject: &subject,
        format: asked.format,
        license: asked.license,
        dataset: dataset(&config),
        facts: facts(&gan, &config, &metadata, asked.format, &subject.variant),
        config: &toml,
        evaluation: all.iter().rev().find(|e| e.step <= stored.step),
    };
    files.push(File::new("README.md", card.markdown()));
    files.push(File::new("config.toml", toml.as_str()));
    export::write(out, &files, asked.force)?;
    Ok(stored.step)
}

/// A part of a checkpoint, and what it is.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) step: u64,
    pub(super) part: Part,
    pub(super) arrays: Vec<NamedArray>,
    pub(super) metadata: Metadata,
}

/// What the training data is called, and of which kind it is.
fn dataset(config: &Config) -> [String; 2] {
    // As configs write it.
    let kind = format!("{:?}", config.data.kind).to_lowercase();
    let name = name_of(&spec(&config.data));
    [if name.is_empty() { kind.clone() } else { name }, kind]
}

/// The options that choose what the method is: `loss = hinge, network = resnet`.
fn variant(gan: &Gan) -> String {
    let chosen = gan.options.iter().filter_map(|o| match &o.value {
        Value::Text(choice) => Some(format!("{} = {choice}", o.name)),
        Value::Bool(true) => Some(o.name.clone()),
        _ => None,
    });
    chosen.collect::<Vec<_>>().join(", ")
}

/// What the weights file says of itself.
fn metadata(
    run: &RunDir,
    gan: &Gan,
    stored: &Stored,
    asked: &Export<'_>,
    method: &str,
) -> Result<Metadata, SessionError> {
    let plugin = run.plugin()?;
    let mut all = stored.metadata.clone();
    let averaged = if stored.part == Part::GeneratorEma { "averaged" } else { "live" };
    let mut put = |key: &str, value: &str| drop(all.insert(key.to_owned(), value.to_owned()));
    put("format", "pt");
    put("tandem_format", "1");
    put("method", method);
    put("variant", &variant(gan));
    put("network", asked.target.name());
    put("weights", averaged);
    put("step", &stored.step.to_string());
    put("opset", &OPSET.to_string());
    put("plugin_version", &plugin.version);
    put("plugin_sha256", &plugin.sha256);
    put("tandem_version", env!("CARGO_PKG_VERSION"));
    Ok(all)
}

/// The rows of the card's table.
fn facts(
    gan: &Gan,
    config: &Config,
    metadata: &Metadata,
    format: Format,
    variant: &str,
) -> Vec<(&'static str, String)> {
    let of = |key: &str| metadata.get(key).cloned().unwrap_or_default();
    let mut facts = vec![("method", format!("{}, version {}", code(&of("method")), plain(&of("plugin_version"))))];
    if !variant.is_empty() {
        facts.push(("variant", plain(variant)));
    }
    let stages = if config.stages == crate::config::Stages::One { "one stage" } else { "two stages" };
    facts.push(("trained in", format!("{stages}, batches of {}, seed {}", config.batch_size, config.seed)));
    facts.push(("step", plain(&of("step"))));
    let weights = if of("weights") == "averaged" {
        format!("the moving average (decay {})", config.ema_decay)
    } else {
        "as the last step left them".into()
    };
    facts.push(("weights", weights));
    for (name, formula) in gan.formulas().into_iter().filter(|(name, _)| name.starts_with("loss")) {
        let name = if name.starts_with("loss_generator") { "loss of G" } else { "loss of D" };
        facts.push((name, code(&formula)));
    }
    if format == Format::Onnx {
        facts.push(("ONNX opset", format!("{ONNX_OPSET}; spectral norms are folded into the weights")));
    }
    facts.push(("config hash", code(&of("config_hash"))));
    facts.push(("definition hash", code(&of("definition_hash"))));
    facts.push(("plugin SHA-256", code(&of("plugin_sha256"))));
    facts.push(("tandem", of("tandem_version")));
    facts
}

/// Inputs and the host's outputs of the exported network, for whoever loads it to compare with.
fn checked(
    gan: &Gan,
    target: Target,
    arrays: &[NamedArray],
    run: &RunDir,
    step: u64,
) -> Result<Vec<NamedArray>, SessionError> {
    let generator = match target {
        Target::Generator => compiled(&gan.generator, arrays)?,
        Target::Discriminator => compiled(&gan.generator, &stored(run, Some(step), Weights::Raw)?.arrays)?,
    };
    let samples = fixed_samples(&generator, gan, CHECKED, 0)?;
    let mut inputs = match target {
        Target::Generator => vec![("latent", samples.latents)],
        Target::Discriminator => vec![("image", samples.images.shallow_clone())],
    };
    if target.of(gan).input("labels").is_some() {
        let classes = gan.classes().unwrap_or(1);
        let in_turn = Tensor::f_arange(CHECKED as i64, (Kind::Int64, Device::Cpu))?.f_remainder(classes)?;
        inputs.push(("labels", samples.labels.unwrap_or(in_turn)));
    }
    let output = match target {
        Target::Generator => samples.images,
        Target::Discriminator => scores(&compiled(&gan.discriminator, arrays)?, &inputs)?,
    };
    inputs.push((target.output(), output));
    inputs.into_iter().map(|(name, tensor)| to_array(name, &tensor)).collect()
}

fn scores(discriminator: &Compiled, inputs: &[(&str, Tensor)]) -> Result<Tensor, SessionError> {
    let _guard = tch::no_grad_guard();
    let inputs: Vec<(&str, &Tensor)> = inputs.iter().map(|(name, tensor)| (*name, tensor)).collect();
    let weights = discriminator.weights(false)?;
    Ok(discriminator.forward(&inputs, &Pass::evaluation(&weights))?)
}

/// A grid of the generator's images as PNG: of the exported one, or of the one beside the exported discriminator.
fn samples(
    gan: &Gan,
    run: &RunDir,
    exported: &Stored,
    asked: &Export<'_>,
    config: &Config,
) -> Result<Vec<u8>, SessionError> {
    let arrays = match asked.target {
        Target::Generator => &exported.arrays,
        Target::Discriminator => &stored(run, Some(exported.step), Weights::Best)?.arrays,
    };
    fixed_samples(&compiled(&gan.generator, arrays)?, gan, config.sample_count, 0)?.grid()
}

fn compiled(network: &Network, arrays: &[NamedArray]) -> Result<Compiled, SessionError> {
    let mut unused = Generator::new(Device::Cpu, 0)?;
    let mut compiled = Compiled::new(network, Kind::Float, &mut unused)?;
    compiled.load(&tensors(arrays)?)?;
    Ok(compiled)
}
