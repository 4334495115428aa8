//! A whole GAN, typed: two networks, the losses over their scores, and everything a trainer must know beside.

mod augment;
mod builder;
mod check;
mod defaults;
mod definition;
mod schedule;
mod scores;

pub use augment::{Augmentation, Transform};
pub use builder::GanBuilder;
pub use defaults::{Defaults, Optimizer};
pub use schedule::{CriticBoost, Schedule, Span};
pub use scores::Scores;

use crate::{Error, Network, opset::Op, options::OptionInfo, shape::Shape};

/// How the two losses relate (Shen et al., CVPR 2021, section 3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Symmetry {
    /// `L_G = -L_D^f`: the same fake term with the other sign. Checked by the host on random scores.
    Symmetric,
    /// Anything else.
    Asymmetric,
}

/// Where the latents come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Latent {
    /// `N(0, 1)` in each coordinate.
    Normal,
    /// `U(-1, 1)` in each coordinate.
    Uniform,
}

/// Whether G and D step together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stages {
    /// One forward, one backward, both updates.
    One,
    /// D's step, then G's through the updated D.
    Two,
}

/// D's loss, minimised by D.
#[derive(Debug, Clone, PartialEq)]
pub enum DiscriminatorLoss {
    /// A real term plus a fake term: neither needs the other's scores.
    Split {
        /// Over `real` alone.
        real: Network,
        /// Over `fake` alone.
        fake: Network,
    },
    /// One expression over both, as relativistic losses have.
    Whole(Network),
}

/// Where a gradient penalty takes D's input gradient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PenaltyAt {
    /// `ε x + (1 - ε) x̂`, `ε ~ U(0, 1)` for each sample (Gulrajani et al. 2017).
    Interpolated,
    /// Real samples (R1, Mescheder et al. 2018).
    Real,
    /// Fakes (R2).
    Fake,
    /// `x + ε u`, `ε ~ U(0, 1)` for each sample, `u ~ U(0, σ/2)` for each pixel, σ the batch's standard deviation
    /// (DRAGAN, Kodali et al. 2017, as in the authors' code).
    Perturbed,
}

/// A term of D's alone: `weight · mean((‖∇ₓ D(x)‖₂ - target)²)`, and `weight · mean(‖∇ₓ D(x)‖₂²)` for a target of 0.
///
/// Taken on detached fakes and never part of γ. R1 as usually written, `γ/2 · E‖∇D‖²`, is `weight = γ/2, target = 0`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GradientPenalty {
    /// Where.
    pub at: PenaltyAt,
    /// The norm that the gradient is drawn to.
    pub target: f64,
    /// The factor.
    pub weight: f64,
    /// Taken in every `interval`-th step of D, then with `interval` times the weight (Karras et al. 2020, section 3.1).
    pub interval: i64,
}

/// A term of D's alone: `weight/2 · ‖w‖²` of one of its learned tensors, as PyTorch's `weight_decay` of a parameter group.
#[derive(Debug, Clone, PartialEq)]
pub struct WeightDecay {
    /// The tensor as the layer names it, `score.weight`; under spectral norm that is `score.weight_orig`.
    pub tensor: String,
    /// The factor.
    pub weight: f64,
}

impl WeightDecay {
    /// Whether it is of D's tensor of this name.
    pub fn is_of(&self, name: &str) -> bool {
        name.strip_prefix(&self.tensor).is_some_and(|rest| rest.is_empty() || rest == "_orig")
    }
}

/// One number that the loss keeps between steps, for example Fisher's λ; no gradient flows into its update.
#[derive(Debug, Clone, PartialEq)]
pub struct State {
    /// The name under which losses read it.
    pub name: String,
    /// Its value before the first step.
    pub initial: f64,
    /// Its next value, from the scores of D's step and the states before it.
    pub update: Network,
}

/// A checked GAN.
#[derive(Debug, Clone, PartialEq)]
pub struct Gan {
    /// `latent [N, z]` (and `labels [N]`) to images `[N, C, H, W]` in `[-1, 1]`.
    pub generator: Network,
    /// `image [N, C, H, W]` (and `labels [N]`) to scores.
    pub discriminator: Network,
    /// Minimised by D.
    pub loss_discriminator: DiscriminatorLoss,
    /// Minimised by G.
    pub loss_generator: Network,
    /// How the two relate.
    pub symmetry: Symmetry,
    /// The latents' distribution.
    pub latent: Latent,
    /// Terms of D's alone.
    pub penalties: Vec<GradientPenalty>,
    /// More terms of D's alone.
    pub weight_decays: Vec<WeightDecay>,
    /// Between images, real and fake, and D.
    pub augmentation: Augmentation,
    /// After each step of D, its learned tensors are clamped to `[-c, c]` (Arjovsky et al. 2017).
    pub weight_clip: Option<f64>,
    /// Numbers kept between steps.
    pub states: Vec<State>,
    /// Hyper-parameters for one stage.
    pub one_stage: Defaults,
    /// Hyper-parameters for two stages.
    pub two_stage: Defaults,
    /// The plugin's options with the values that made this definition.
    pub options: Vec<OptionInfo>,
}

impl Gan {
    /// Starts a GAN from its two networks.
    ///
    /// The generator takes `latent [N, z]`, the discriminator `image [N, C, H, W]`; both may take `labels [N]`. The
    /// discriminator's output is one score a sample (`[N]`, `[N, 1]`, `[N, 1, 1, 1]`) or a map of scores.
    pub fn builder(generator: Result<Network, Error>, discriminator: Result<Network, Error>) -> GanBuilder {
        GanBuilder::new(generator, discriminator)
    }

    /// The same with another augmentation, or why that does not fit its images.
    pub fn with_augmentation(mut self, augmentation: Augmentation) -> Result<Self, Error> {
        self.augmentation = augmentation;
        self.check()
    }

    /// The scores' shape as losses see them: `[N]` for one a sample.
    pub fn score_shape(&self) -> Shape {
        score_shape(&self.discriminator)
    }

    /// Hyper-parameters of a mode.
    pub const fn defaults(&self, stages: Stages) -> &Defaults {
        match stages {
            Stages::One => &self.one_stage,
            Stages::Two => &self.two_stage,
        }
    }

    /// The size of the latent vector.
    pub fn latent_size(&self) -> i64 {
        self.generator.input("latent").map_or(0, |t| t.shape.elements_per_sample())
    }

    /// How many classes the networks have room for, where one of them takes labels.
    pub fn classes(&self) -> Option<i64> {
        let rooms =
            [&self.generator, &self.discriminator].into_iter().flat_map(Network::nodes).filter_map(|n| match n.op {
                Op::OneHot { num_classes: n } | Op::Embedding { num_embeddings: n, .. } => Some(n),
                _ => None,
            });
        rooms.min()
    }

    /// All losses and state updates as a person writes them, by their names in the definition.
    pub fn formulas(&self) -> Vec<(String, String)> {
        self.losses().into_iter().map(|(name, network)| (name, crate::formula(network))).collect()
    }
}

fn score_shape(discriminator: &Network) -> Shape {
    let shape = &discriminator.output_type().shape;
    if shape.is_batched() && shape.elements_per_sample() == 1 { Shape::batched(&[]) } else { shape.clone() }
}

/// What a plugin's one function is to the export macro, the test kit and the host: options in, a definition out.
///
/// Runs `declare`, refuses options that it did not ask for, and checks that the images fit the data.
pub fn declare_with(
    declare: impl Fn(&crate::options::Options) -> Result<Gan, Error>,
    options: crate::options::Options,
) -> Result<Gan, Error> {
    let images = options.images();
    let gan = declare(&options);
    // A stray option is the better message when both went wrong only through it; a wrong value is the better one else.
    let mut gan = gan?;
    gan.options = options.finish()?;
    gan.check_meaning()?;
    gan.fits(images)?;
    Ok(gan)
}
