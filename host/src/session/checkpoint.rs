//! A trainer as a checkpoint's arrays, and back: everything that the next step depends on.

use std::collections::BTreeMap;

use tch::Tensor;

use super::{
    SessionError,
    arrays::{bytes, to_array, to_tensor},
};
use crate::{
    data::SamplerState,
    network::Compiled,
    run::{ArrayType, Checkpoint, NamedArray, Part},
    train::Trainer,
};

/// The parts of a checkpoint of `trainer`, whose next batch is at `position`.
pub(super) fn parts(trainer: &Trainer, position: SamplerState) -> Result<Vec<(Part, Vec<NamedArray>)>, SessionError> {
    let networks = trainer.networks();
    let mut parts = vec![
        (Part::Generator, network(&networks.generator)?),
        (Part::Discriminator, network(&networks.discriminator)?),
    ];
    if let Some(ema) = trainer.ema() {
        parts.push((Part::GeneratorEma, network(ema)?));
    }
    let mut rest = Vec::new();
    for (name, tensor) in trainer.state() {
        rest.push(to_array(name, &tensor)?);
    }
    for (name, state) in trainer.random_states()? {
        rest.push(bytes(name, state));
    }
    let numbers = [position.seed, position.epoch, position.offset];
    let data = numbers.iter().flat_map(|n| n.to_le_bytes()).collect();
    rest.push(NamedArray { name: SAMPLER.into(), dtype: ArrayType::I64, shape: vec![3], data });
    parts.push((Part::Trainer, rest));
    Ok(parts)
}

const SAMPLER: &str = "sampler";

fn network(compiled: &Compiled) -> Result<Vec<NamedArray>, SessionError> {
    compiled.state().map(|(name, tensor)| to_array(name, tensor)).collect()
}

/// Puts a checkpoint into a fresh trainer of the same configuration; says where the data goes on.
pub(super) fn restore(trainer: &mut Trainer, checkpoint: &Checkpoint) -> Result<SamplerState, SessionError> {
    let map = |part: Part| match checkpoint.part(part) {
        Some(arrays) => tensors(arrays),
        None => Err(SessionError::Stored(format!("checkpoint step-{} has no {part}", checkpoint.step))),
    };
    trainer.load_networks(&map(Part::Generator)?, &map(Part::Discriminator)?)?;
    if trainer.ema().is_some() {
        trainer.load_ema(&map(Part::GeneratorEma)?)?;
    }
    let rest = checkpoint.part(Part::Trainer).unwrap_or_default();
    let find = |name: &str| {
        let found = rest.iter().find(|a| a.name == name);
        found.ok_or_else(|| SessionError::Stored(format!("checkpoint step-{} has no `{name}`", checkpoint.step)))
    };
    let is_tensor = |a: &&NamedArray| a.name != SAMPLER && a.dtype != ArrayType::U8;
    let state = rest.iter().filter(is_tensor).map(|a| Ok((a.name.clone(), to_tensor(a)?)));
    trainer.load_state(checkpoint.step, &state.collect::<Result<_, SessionError>>()?)?;
    for name in Trainer::RANDOM_STATES {
        trainer.set_random_state(name, &find(name)?.data)?;
    }
    let numbers: Vec<u64> =
        find(SAMPLER)?.data.chunks_exact(8).map(|c| c.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b))).collect();
    match numbers[..] {
        [seed, epoch, offset] => Ok(SamplerState { seed, epoch, offset }),
        _ => Err(SessionError::Stored(format!("checkpoint step-{}: `{SAMPLER}` must be 3 numbers", checkpoint.step))),
    }
}

/// Arrays as tensors by name.
pub(super) fn tensors(arrays: &[NamedArray]) -> Result<BTreeMap<String, Tensor>, SessionError> {
    arrays.iter().map(|a| Ok((a.name.clone(), to_tensor(a)?))).collect()
}
