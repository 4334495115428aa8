//! Optimizers over all parameters of a network at once; the arithmetic is PyTorch's, the state is ours to keep.

use tandem_torch_ext::{Adam, RmsProp, Sgd, fused_adam, rmsprop, sgd};
use tch::{Kind, Tensor};

use super::TrainError;

/// An optimizer with all its hyper-parameters; names as in `torch.optim`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum OptimizerSettings {
    /// `torch.optim.Adam`.
    Adam(Adam),
    /// `torch.optim.RMSprop`.
    RmsProp(RmsProp),
    /// `torch.optim.SGD`.
    Sgd(Sgd),
}

/// An optimizer with the moments of one network's parameters.
#[derive(Debug)]
pub struct Optimizer {
    settings: OptimizerSettings,
    /// Lists of tensors, one of each for every parameter, by the name under which a checkpoint keeps the list.
    moments: Vec<(&'static str, Vec<Tensor>)>,
    steps_taken: u64,
    rate_factor: f64,
}

impl Optimizer {
    /// A fresh optimizer for these parameters.
    pub fn new(settings: OptimizerSettings, parameters: &[Tensor]) -> Result<Self, TrainError> {
        let zeros = || {
            parameters
                .iter()
                .map(|p| Ok(p.f_zeros_like()?.f_set_requires_grad(false)?))
                .collect::<Result<Vec<_>, TrainError>>()
        };
        let counters = || {
            let zero = |p: &Tensor| Ok(Tensor::f_zeros([0_i64; 0], (Kind::Float, p.device()))?);
            parameters.iter().map(zero).collect::<Result<Vec<_>, TrainError>>()
        };
        let moments = match settings {
            OptimizerSettings::Adam(_) => vec![("exp_avg", zeros()?), ("exp_avg_sq", zeros()?), ("step", counters()?)],
            OptimizerSettings::RmsProp(_) => vec![("square_avg", zeros()?)],
            OptimizerSettings::Sgd(s) if s.momentum != 0.0 => vec![("momentum_buffer", zeros()?)],
            OptimizerSettings::Sgd(_) => Vec::new(),
        };
        Ok(Self { settings, moments, steps_taken: 0, rate_factor: 1.0 })
    }

    /// Moves `parameters` against `gradients`, in place.
    pub fn step(&mut self, parameters: &[Tensor], gradients: &[Tensor]) -> Result<(), TrainError> {
        let _guard = tch::no_grad_guard();
        let list = |i: usize| self.moments.get(i).map_or(&[][..], |(_, tensors)| &tensors[..]);
        match self.settings {
            OptimizerSettings::Adam(adam) => {
                let adam = Adam { lr: adam.lr * self.rate_factor, ..adam };
                fused_adam(parameters, gradients, list(0), list(1), list(2), &adam)?;
            }
            OptimizerSettings::RmsProp(settings) => {
                let settings = RmsProp { lr: settings.lr * self.rate_factor, ..settings };
                rmsprop(parameters, gradients, list(0), &settings)?;
            }
            OptimizerSettings::Sgd(settings) => {
                let settings = Sgd { lr: settings.lr * self.rate_factor, ..settings };
                sgd(parameters, gradients, list(0), self.steps_taken == 0, &settings)?;
            }
        }
        self.steps_taken += 1;
        Ok(())
    }

    /// Sets what the learning rate is multiplied by from now on.
    pub const fn set_rate_factor(&mut self, factor: f64) {
        self.rate_factor = factor;
    }

    /// How many steps it has taken.
    pub const fn steps_taken(&self) -> u64 {
        self.steps_taken
    }

    /// Counts steps that a recording took.
    pub(super) const fn count_steps(&mut self, steps: u64) {
        self.steps_taken += steps;
    }

    /// Sets the count, as a checkpoint has it.
    pub const fn set_steps_taken(&mut self, steps: u64) {
        self.steps_taken = steps;
    }

    /// Its tensors as `(list, index of the parameter, tensor)`, for checkpoints.
    pub fn state(&self) -> impl Iterator<Item = (&'static str, usize, &Tensor)> {
        self.moments.iter().flat_map(|(name, list)| list.iter().enumerate().map(move |(i, t)| (*name, i, t)))
    }
}
