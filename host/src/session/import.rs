//! Weights from elsewhere as the first checkpoint of a new run: PyTorch state_dicts, checked tensor by tensor.

use std::path::Path;

use tch::{Device, Kind};

use super::{
    Prepared, SessionError,
    arrays::{to_array, to_tensor},
    checkpoint::{parts, tensors},
    device::set_up,
    prepare::definition_hash,
    settings::settings,
};
use crate::{
    data::SamplerState,
    export::{Target, Weights},
    run::{Checkpoint, NamedArray, RunDir, read_arrays},
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
    let generator = files.generator.map(|f| state_dict(f, Target::Generator, prepared)).transpose()?;
    let discriminator = files.discriminator.map(|f| state_dict(f, Target::Discriminator, prepared)).transpose()?;
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
    let checkpoint =
        Checkpoint::new(0, parts(&trainer, position)?, &prepared.plugin.name, &config.hash()?, &definition);
    let mut run = RunDir::create(out, config, &prepared.definition, &prepared.plugin)?;
    Ok(run.save_checkpoint(&checkpoint, config.keep_checkpoints)?)
}

/// A network's tensors from a file, in float32 whichever real type they had, or all that is wrong with them.
fn state_dict(file: &Path, target: Target, prepared: &Prepared) -> Result<Vec<NamedArray>, SessionError> {
    let (arrays, _) = read_arrays(file)?;
    let network = target.of(&prepared.gan);
    let arrays = arrays.into_iter().map(widened).collect::<Result<Vec<_>, _>>()?;
    let origin = file.display().to_string();
    Weights::check(network, target, &arrays, &origin)?;
    Ok(arrays)
}

/// Other real types as float32; what holds no real numbers stays and is named as what it is.
fn widened(array: NamedArray) -> Result<NamedArray, SessionError> {
    use crate::run::ArrayType::{BF16, F16, F64};
    if !matches!(array.dtype, BF16 | F16 | F64) {
        return Ok(array);
    }
    to_array(array.name.clone(), &to_tensor(&array)?.f_to_kind(Kind::Float)?)
}
