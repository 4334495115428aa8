//! Weights from elsewhere as the first checkpoint of a new run: PyTorch state_dicts, checked tensor by tensor.

use std::{io::Read as _, path::Path};

use tandem_plugin_api::{Network, opset::Role};
use tch::{Device, Kind, Tensor};

use super::{
    Prepared, SessionError,
    arrays::{to_array, to_tensor},
    checkpoint::{parts, tensors},
    device::set_up,
    prepare::definition_hash,
    settings::settings,
};
use crate::{
    data::{Facts, SamplerState},
    export::{ExportError, Target, Weights},
    files,
    run::{ArrayType, Checkpoint, NamedArray, RunDir, read_arrays},
    text::Show as _,
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
    let mut checkpoint =
        Checkpoint::new(0, parts(&trainer, position)?, &prepared.plugin.name, &config.hash()?, &definition);
    checkpoint.config = Some(config.to_toml()?);
    checkpoint.data = Some(Facts::of(&prepared.dataset).to_json());
    let mut run = RunDir::create(out, config, &prepared.definition, &prepared.plugin)?;
    Ok(run.save_checkpoint(&checkpoint, config.keep_checkpoints)?)
}

/// A network's tensors from a file, in float32 whichever real type they had, or all that is wrong with them.
fn state_dict(file: &Path, target: Target, prepared: &Prepared) -> Result<Vec<NamedArray>, SessionError> {
    if is_pickled(file) {
        return Err(ExportError::Pickled { path: file.to_owned() }.into());
    }
    let (arrays, _) = read_arrays(file)?;
    let network = target.of(&prepared.gan);
    let mut wrong = Vec::new();
    let arrays = arrays.into_iter().map(|array| widened(array, &mut wrong)).collect::<Result<Vec<_>, _>>()?;
    let arrays = with_counters(arrays, network)?;
    let origin = file.shown().to_string();
    Weights::check(network, target, &arrays, &origin)?;
    if !wrong.is_empty() {
        return Err(ExportError::Values { origin, network: target.name(), wrong }.into());
    }
    Ok(arrays)
}

/// Whether a file begins as those of `torch.save` do: a zip archive, before PyTorch 1.6 a pickle.
fn is_pickled(file: &Path) -> bool {
    let mut first = [0; 4];
    let read = files::open(file).and_then(|mut file| file.read_exact(&mut first));
    read.is_ok() && (first == *b"PK\x03\x04" || first[..2] == [0x80, 0x02])
}

/// Other real types as float32; what holds no real numbers stays and is named as what it is. Numbers that are none go into
/// `wrong`: those of the file apart from those that float32 cannot hold.
fn widened(array: NamedArray, wrong: &mut Vec<String>) -> Result<NamedArray, SessionError> {
    use ArrayType::{BF16, F16, F32, F64};
    if !matches!(array.dtype, BF16 | F16 | F32 | F64) {
        return Ok(array);
    }
    let tensor = to_tensor(&array)?;
    let bad = not_finite(&tensor)?;
    if bad > 0 {
        wrong.push(format!(
            "{} holds NaN or infinities ({bad} of {} numbers): its training diverged; take weights from before that",
            array.name,
            tensor.numel()
        ));
    }
    if array.dtype == F32 {
        return Ok(array);
    }
    let tensor = tensor.f_to_kind(Kind::Float)?;
    let beyond = not_finite(&tensor)? - bad;
    if beyond > 0 {
        wrong.push(format!(
            "{} holds {beyond} of {} numbers that float32 cannot: they are beyond 3.4e38",
            array.name,
            tensor.numel()
        ));
    }
    to_array(array.name, &tensor)
}

fn not_finite(tensor: &Tensor) -> Result<i64, SessionError> {
    Ok(tensor.f_isfinite()?.f_logical_not()?.f_sum(Kind::Int64)?.f_int64_value(&[])?)
}

/// The counters of batch norms as int64, from whichever whole numbers, and at 0 where there are none: older versions of PyTorch
/// wrote none, and with a momentum that is a number, as it always is here, nothing depends on them.
fn with_counters(mut arrays: Vec<NamedArray>, network: &Network) -> Result<Vec<NamedArray>, SessionError> {
    let parameters = network.parameters();
    if !arrays.iter().any(|array| parameters.iter().any(|p| p.name == array.name)) {
        // Another network's, or under other names: nothing is to be added to what will be said of it.
        return Ok(arrays);
    }
    for counter in parameters.into_iter().filter(|p| p.role == Role::Counter) {
        match arrays.iter_mut().find(|array| array.name == counter.name) {
            Some(found) => widen_integers(found),
            None => arrays.push(to_array(counter.name, &Tensor::f_zeros([0_i64; 0], (Kind::Int64, Device::Cpu))?)?),
        }
    }
    Ok(arrays)
}

/// Shorter whole numbers as int64.
fn widen_integers(array: &mut NamedArray) {
    use ArrayType::{I8, I16, I32, I64, U8};
    let (size, signed) = match array.dtype {
        dtype @ (I8 | I16 | I32) => (dtype.size(), true),
        U8 => (1, false),
        _ => return,
    };
    let wide = array.data.chunks_exact(size).flat_map(|number| {
        let negative = signed && number.last().is_some_and(|byte| byte & 0x80 != 0);
        let mut wide = [if negative { 0xff } else { 0 }; 8];
        wide[..size].copy_from_slice(number);
        wide
    });
    array.data = wide.collect();
    array.dtype = I64;
}
