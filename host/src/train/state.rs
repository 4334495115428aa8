//! What a trainer would lose if it stopped now, as named tensors and bytes.

use std::collections::BTreeMap;

use tandem_torch_ext::{generator_state, set_generator_state};
use tch::{Kind, Tensor};

use super::{Optimizer, TrainError, Trainer, error::In};

/// The trainer's own stream: latents and penalties.
const NOISE: &str = "random.noise";
/// libtorch's stream: dropout.
const DEFAULT: &str = "random.default";
const STEPS_TAKEN: &str = "steps_taken";

impl Trainer {
    /// The names of [`Self::random_states`].
    pub const RANDOM_STATES: [&'static str; 2] = [NOISE, DEFAULT];

    /// Optimizer moments, loss states and an adaptive augmentation's by name: `generator.exp_avg.project.weight`,
    /// `state.lambda`, `augment.probability`.
    pub fn state(&self) -> Vec<(String, Tensor)> {
        let mut all = Vec::new();
        for (network, optimizer, names) in self.optimizers() {
            for (list, i, tensor) in optimizer.state() {
                all.push((format!("{network}.{list}.{}", names[i]), tensor.shallow_clone()));
            }
            let steps = Tensor::from_slice(&[optimizer.steps_taken() as i64]);
            all.push((format!("{network}.{STEPS_TAKEN}"), steps));
        }
        all.extend(self.augment.state().map(|(name, value)| (name.to_owned(), value.shallow_clone())));
        all.extend(self.losses.states().map(|(name, value)| (format!("state.{name}"), value.shallow_clone())));
        all
    }

    /// The state of every random stream.
    pub fn random_states(&self) -> Result<[(&'static str, Vec<u8>); 2], TrainError> {
        Ok([(NOISE, self.noise.state()?), (DEFAULT, generator_state(self.noise.device())?)])
    }

    /// Sets a stream of [`Self::RANDOM_STATES`].
    pub fn set_random_state(&mut self, name: &str, state: &[u8]) -> Result<(), TrainError> {
        if name == NOISE {
            self.noise.set_state(state)?;
        } else {
            set_generator_state(self.noise.device(), state)?;
        }
        Ok(())
    }

    /// Sets both networks.
    pub fn load_networks(
        &mut self,
        generator: &BTreeMap<String, Tensor>,
        discriminator: &BTreeMap<String, Tensor>,
    ) -> Result<(), TrainError> {
        self.networks.generator.load(generator).within("generator")?;
        self.networks.discriminator.load(discriminator).within("discriminator")
    }

    /// Sets G's moving average, where one is kept.
    pub fn load_ema(&mut self, generator: &BTreeMap<String, Tensor>) -> Result<(), TrainError> {
        self.ema.as_mut().map_or(Ok(()), |ema| ema.load(generator).within("generator_ema"))
    }

    /// Sets what [`Self::state`] gave after `step` rounds; all of it must be there, and nothing else.
    pub fn load_state(&mut self, step: u64, state: &BTreeMap<String, Tensor>) -> Result<(), TrainError> {
        let known = self.state();
        if let Some(stray) = state.keys().find(|k| !known.iter().any(|(name, _)| name == *k)) {
            return Err(TrainError::Refused(format!("the checkpoint holds `{stray}`, which this run does not have")));
        }
        let _guard = tch::no_grad_guard();
        for (name, mut tensor) in known {
            let Some(from) = state.get(&name) else {
                return Err(TrainError::Refused(format!("the checkpoint lacks `{name}`")));
            };
            if from.size() != tensor.size() || from.kind() != tensor.kind() {
                let shown = |t: &Tensor| format!("{:?} {:?}", t.kind(), t.size());
                let (want, have) = (shown(&tensor), shown(from));
                return Err(TrainError::Refused(format!("the checkpoint's `{name}` is {have}, expected {want}")));
            }
            match name.split_once('.') {
                Some(("state", own)) => drop(self.losses.set_state(own, from)?),
                Some(("augment", _)) => self.augment.set_state(&name, from)?,
                _ => tensor.f_copy_(from)?,
            }
        }
        let steps = |network: &str| -> Result<u64, TrainError> {
            let counted = state.get(&format!("{network}.{STEPS_TAKEN}")).filter(|t| t.kind() == Kind::Int64);
            Ok(counted.map_or(Ok(0), |t| t.f_int64_value(&[0]))? as u64)
        };
        self.generator_optimizer.set_steps_taken(steps("generator")?);
        self.discriminator_optimizer.set_steps_taken(steps("discriminator")?);
        self.step = step;
        Ok(())
    }

    fn optimizers(&self) -> [(&'static str, &Optimizer, &[String]); 2] {
        [
            ("generator", &self.generator_optimizer, self.networks.generator.learned_names()),
            ("discriminator", &self.discriminator_optimizer, self.networks.discriminator.learned_names()),
        ]
    }
}
