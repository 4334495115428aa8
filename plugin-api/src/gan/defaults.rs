//! Hyper-parameters that a plugin recommends, for each training mode.

use super::{CriticBoost, Schedule};
use crate::Error;

/// An optimizer with its rate; names and defaults are PyTorch's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Optimizer {
    /// Kingma & Ba 2015, `torch.optim.Adam`.
    Adam {
        /// The learning rate.
        learning_rate: f64,
        /// Decay of the two moments.
        betas: [f64; 2],
    },
    /// `torch.optim.RMSprop`, alpha 0.99.
    RmsProp {
        /// The learning rate.
        learning_rate: f64,
    },
    /// `torch.optim.SGD`.
    Sgd {
        /// The learning rate.
        learning_rate: f64,
        /// The momentum.
        momentum: f64,
    },
}

impl Optimizer {
    /// Adam with GAN training's usual betas, (0.5, 0.999) (Radford et al. 2016).
    pub const fn adam(learning_rate: f64) -> Self {
        Self::Adam { learning_rate, betas: [0.5, 0.999] }
    }
}

/// Hyper-parameters of one training mode.
#[derive(Debug, Clone, PartialEq)]
pub struct Defaults {
    /// G's optimizer.
    pub generator: Optimizer,
    /// D's optimizer.
    pub discriminator: Optimizer,
    /// D's steps in a round.
    pub n_critic: i64,
    /// G's steps in a round.
    pub n_generator: i64,
    /// Rounds with more steps of D.
    pub critic_boost: Option<CriticBoost>,
    /// What both rates are multiplied by.
    pub schedule: Schedule,
}

impl Default for Defaults {
    fn default() -> Self {
        Self::adam(2e-4, 2e-4)
    }
}

impl Defaults {
    /// Adam for both, with these learning rates.
    pub const fn adam(generator: f64, discriminator: f64) -> Self {
        Self::new(Optimizer::adam(generator), Optimizer::adam(discriminator))
    }

    /// RMSprop for both, with this learning rate.
    pub const fn rmsprop(learning_rate: f64) -> Self {
        let optimizer = Optimizer::RmsProp { learning_rate };
        Self::new(optimizer, optimizer)
    }

    /// These optimizers, one step of each in a round, at constant rates.
    pub const fn new(generator: Optimizer, discriminator: Optimizer) -> Self {
        let schedule = Schedule::Constant;
        Self { generator, discriminator, n_critic: 1, n_generator: 1, critic_boost: None, schedule }
    }

    /// D's steps in a round.
    pub const fn n_critic(mut self, n_critic: i64) -> Self {
        self.n_critic = n_critic;
        self
    }

    /// G's steps in a round.
    pub const fn n_generator(mut self, n_generator: i64) -> Self {
        self.n_generator = n_generator;
        self
    }

    /// `n_critic` steps of D in the `first` rounds and in each round whose number `every` divides.
    pub const fn critic_boost(mut self, n_critic: i64, first: i64, every: i64) -> Self {
        self.critic_boost = Some(CriticBoost { n_critic, first, every });
        self
    }

    /// How both rates change.
    pub fn schedule(mut self, schedule: Schedule) -> Self {
        self.schedule = schedule;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        for (name, steps) in [("n_critic", self.n_critic), ("n_generator", self.n_generator)] {
            if !(1..=1000).contains(&steps) {
                return Err(Error::new(format!("{name} must be from 1 to 1000, found {steps}")));
            }
        }
        self.schedule.check()?;
        self.critic_boost.as_ref().map_or(Ok(()), CriticBoost::check)?;
        for (who, optimizer) in [("generator", self.generator), ("discriminator", self.discriminator)] {
            let (rate, fractions) = match optimizer {
                Optimizer::Adam { learning_rate, betas } => (learning_rate, betas),
                Optimizer::RmsProp { learning_rate } => (learning_rate, [0.0; 2]),
                Optimizer::Sgd { learning_rate, momentum } => (learning_rate, [momentum, 0.0]),
            };
            if !(rate.is_finite() && rate > 0.0) {
                return Err(Error::new(format!("{who}: learning_rate must be above 0, found {rate}")));
            }
            if let Some(f) = fractions.iter().find(|f| !(0.0..1.0).contains(*f)) {
                return Err(Error::new(format!("{who}: betas and momentum must be in [0, 1), found {f}")));
            }
        }
        Ok(())
    }
}
