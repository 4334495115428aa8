//! What a round of training costs, counted before anything runs.

use tandem_plugin_api::Gan;

use super::Strategy;

/// Passes of D for one gradient penalty: D forward, its input gradient, and two passes back through each of both
/// (PyTorch counts 5.94 passes' FLOPs for DCGAN-64).
const PENALTY: f64 = 6.0;

/// How a round is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Joint steps of both networks.
    OneStage(Strategy),
    /// A step of D, then one of G through the updated D.
    TwoStages {
        /// Whether G's step takes the fakes of D's.
        reuse_fakes: bool,
    },
}

/// Passes of a batch through each network, `T^g` and `T^d`: forward, gradient to the input and gradient to the weights
/// count one each.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Passes of G.
    pub generator: f64,
    /// Passes of D.
    pub discriminator: f64,
}

impl Cost {
    /// The cost of a round with `n_critic` steps of D and `n_generator` of G, on average over lazy penalties.
    pub fn of_round(gan: &Gan, way: Way, n_critic: u64, n_generator: u64) -> Self {
        let (n_critic, n_generator) = (n_critic as f64, n_generator as f64);
        let penalties: f64 = gan.penalties.iter().map(|p| PENALTY / p.interval as f64).sum();
        // A relativistic G needs D on real samples once more where it steps alone.
        let real_again = if gan.loss_generator.input("real").is_some() { 1.0 } else { 0.0 };
        let of_d = Self { generator: 1.0, discriminator: 6.0 + penalties };
        let of_g = Self { generator: 3.0, discriminator: 2.0 + real_again };
        match way {
            Way::OneStage(strategy) => {
                let joint = n_critic.min(n_generator);
                let both = Self { generator: 3.0, discriminator: strategy.discriminator_passes() + penalties };
                both.times(joint).plus(of_d.times(n_critic - joint)).plus(of_g.times(n_generator - joint))
            }
            Way::TwoStages { reuse_fakes } => {
                let saved = if reuse_fakes { 1.0 } else { 0.0 };
                let round = of_d.times(n_critic).plus(of_g.times(n_generator));
                Self { generator: round.generator - saved, ..round }
            }
        }
    }

    /// FLOPs for one sample.
    pub fn flops(self, gan: &Gan) -> f64 {
        self.generator * gan.generator.forward_flops() + self.discriminator * gan.discriminator.forward_flops()
    }

    fn times(self, n: f64) -> Self {
        Self { generator: self.generator * n, discriminator: self.discriminator * n }
    }

    fn plus(self, other: Self) -> Self {
        Self { generator: self.generator + other.generator, discriminator: self.discriminator + other.discriminator }
    }
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::{Builder, Linear, PenaltyAt, Symmetry};

    use super::*;

    fn gan() -> Gan {
        let g = Builder::new();
        let generator = g.finish(&g.input("latent", &[3]).linear("fc", 16, Linear::default()).reshape(&[1, 4, 4]));
        let d = Builder::new();
        let score = d.input("image", &[1, 4, 4]).flatten().linear("score", 1, Linear::default());
        Gan::builder(generator, d.finish(&score))
            .loss_discriminator(|s| (-s.real.mean(), s.fake.mean()))
            .loss_generator(|s| -s.fake.mean())
            .symmetry(Symmetry::Symmetric)
            .lazy_gradient_penalty(PenaltyAt::Real, 0.0, 2.0, 3)
            .build()
            .unwrap()
    }

    fn passes(way: Way, n_critic: u64, n_generator: u64) -> (f64, f64) {
        let cost = Cost::of_round(&gan(), way, n_critic, n_generator);
        (cost.generator, cost.discriminator)
    }

    #[test]
    fn passes_are_those_of_the_mathematics_page() {
        let two = |reuse_fakes| Way::TwoStages { reuse_fakes };
        // A third of a penalty's six passes in each step of D.
        assert_eq!(passes(Way::OneStage(Strategy::Scaled), 1, 1), (3.0, 8.0));
        assert_eq!(passes(Way::OneStage(Strategy::TwoSeed), 1, 1), (3.0, 9.0));
        assert_eq!(passes(two(true), 1, 1), (3.0, 10.0));
        assert_eq!(passes(two(false), 1, 1), (4.0, 10.0));
        assert_eq!(passes(Way::OneStage(Strategy::Scaled), 5, 1), (7.0, 40.0));
        assert_eq!(passes(Way::OneStage(Strategy::Scaled), 1, 2), (6.0, 10.0));
        assert_eq!(passes(two(false), 5, 1), (8.0, 42.0));
    }
}
