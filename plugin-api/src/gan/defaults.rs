//! Hyper-parameters that a plugin recommends, for each training mode.

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
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Defaults {
    /// G's optimizer.
    pub generator: Optimizer,
    /// D's optimizer.
    pub discriminator: Optimizer,
    /// D's steps for each of G's.
    pub n_critic: i64,
}

impl Default for Defaults {
    fn default() -> Self {
        Self::adam(2e-4, 2e-4)
    }
}

impl Defaults {
    /// Adam for both, with these learning rates.
    pub const fn adam(generator: f64, discriminator: f64) -> Self {
        Self { generator: Optimizer::adam(generator), discriminator: Optimizer::adam(discriminator), n_critic: 1 }
    }

    /// RMSprop for both, with this learning rate.
    pub const fn rmsprop(learning_rate: f64) -> Self {
        let optimizer = Optimizer::RmsProp { learning_rate };
        Self { generator: optimizer, discriminator: optimizer, n_critic: 1 }
    }

    /// D's steps for each of G's.
    pub const fn n_critic(mut self, n_critic: i64) -> Self {
        self.n_critic = n_critic;
        self
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if !(1..=1000).contains(&self.n_critic) {
            return Err(Error::new(format!("n_critic must be from 1 to 1000, found {}", self.n_critic)));
        }
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
