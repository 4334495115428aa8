//! Weights from elsewhere as the first checkpoint of a new run: PyTorch state_dicts, checked tensor by tensor.

use std::path::Path;

use tch::Device;

use super::{
    Prepared, SessionError,
    arrays::to_array,
    checkpoint::{parts, tensors},
    device::set_up,
    prepare::definition_hash,
    settings::settings,
    state_dict::state_dict,
};
use crate::{
    data::{Facts, SamplerState},
    export::Target,
    run::{Checkpoint, NamedArray, RunDir},
    train::Trainer,
};

/// The files to take weights from; a network without one begins with first values of the seed.
#[derive(Debug)]
pub struct Import<'a> {
    /// G's state_dict.
    pub generator: Option<&'a Path>,
    /// D's state_dict.
    pub discriminator: Option<&'a Path>,
}

/// Begins a run in `out` whose checkpoint at step 0 has these weights. Nothing is written unless all of them fit.
pub fn import(prepared: &Prepared, files: &Import<'_>, out: &Path, device: Device) -> Result<(), SessionError> {
    let config = prepared.config();
    set_up(config, device)?;
    let gan = &prepared.gan;
    let read = |file: Option<&Path>, target: Target| file.map(|f| state_dict(f, target, target.of(gan))).transpose();
    let generator = read(files.generator, Target::Generator)?;
    let discriminator = read(files.discriminator, Target::Discriminator)?;
    let mut trainer = Trainer::new(gan, settings(config, device))
        .map_err(|source| SessionError::Definition { plugin: prepared.plugin.name.clone(), source })?;
    let own = |network: &crate::network::Compiled| -> Result<Vec<NamedArray>, SessionError> {
        network.state().map(|(name, tensor)| to_array(name, tensor)).collect()
    };
    let first = [own(&trainer.networks().generator)?, own(&trainer.networks().discriminator)?];
    let [first_g, first_d] = &first;
    let g = tensors(generator.as_ref().unwrap_or(first_g))?;
    trainer.load_networks(&g, &tensors(discriminator.as_ref().unwrap_or(first_d))?)?;
    trainer.load_ema(&g)?;
    trainer.check_weights()?;

    let position = SamplerState { seed: config.seed, epoch: 0, offset: 0 };
    let definition = definition_hash(&prepared.definition);
    let mut checkpoint =
        Checkpoint::new(0, parts(&trainer, position)?, &prepared.plugin.name, &config.hash()?, &definition);
    checkpoint.config = Some(config.to_toml()?);
    checkpoint.data = Some(Facts::of(&prepared.dataset).to_json());
    let mut run = RunDir::create(out, config, &prepared.definition, &prepared.plugin)?;
    Ok(run.save_checkpoint(&checkpoint, config.keep_checkpoints)?)
}
