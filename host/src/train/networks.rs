//! The two networks with their latents and scores: what both kinds of step are made of.

use tandem_plugin_api::{Gan, Latent, shape::Shape};
use tandem_torch_ext::{Generator, Pivot};
use tch::{Device, Kind, Tensor};

use super::{TrainError, error::In};
use crate::network::{Compiled, Pass, Weights};

/// Real images and their labels, on the trainer's device.
#[derive(Debug)]
pub struct Batch {
    /// `[N, C, H, W]` in `[-1, 1]`.
    pub images: Tensor,
    /// `[N]`, int64.
    pub labels: Option<Tensor>,
}

impl Batch {
    /// Samples in the batch.
    pub fn len(&self) -> i64 {
        self.images.size().first().copied().unwrap_or(0)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// G and D, compiled.
#[derive(Debug)]
pub struct Networks {
    /// G.
    pub generator: Compiled,
    /// D.
    pub discriminator: Compiled,
    latent: Latent,
    latent_size: i64,
    one_score: bool,
    generator_labels: bool,
    discriminator_labels: bool,
}

impl Networks {
    /// Makes both with first values from `generator`: G first, then D.
    pub fn new(gan: &Gan, kind: Kind, generator: &mut Generator) -> Result<Self, TrainError> {
        Ok(Self {
            generator: Compiled::new(&gan.generator, kind, generator).within("generator")?,
            discriminator: Compiled::new(&gan.discriminator, kind, generator).within("discriminator")?,
            latent: gan.latent,
            latent_size: gan.latent_size(),
            one_score: gan.score_shape() == Shape::batched(&[]),
            generator_labels: gan.generator.input("labels").is_some(),
            discriminator_labels: gan.discriminator.input("labels").is_some(),
        })
    }

    /// Has both compute their matrix products in a narrower precision.
    pub const fn set_autocast(&mut self, kind: Option<Kind>) {
        self.generator.set_autocast(kind);
        self.discriminator.set_autocast(kind);
    }

    /// The narrower precision, if there is one.
    pub const fn autocast(&self) -> Option<Kind> {
        self.discriminator.autocast()
    }

    /// Latents `[batch, z]` of the definition's distribution.
    pub fn draw_latents(&self, batch: i64, generator: &mut Generator) -> Result<Tensor, TrainError> {
        let options = (self.generator.kind(), self.generator.device());
        draw_latents(self.latent, [batch, self.latent_size], options, generator)
    }

    /// `G(z)`.
    pub fn generate(&self, latents: &Tensor, labels: Option<&Tensor>, pass: &Pass<'_>) -> Result<Tensor, TrainError> {
        generate_with(&self.generator, latents, labels.filter(|_| self.generator_labels), pass)
    }

    /// `D(x)`, as `[N]` where there is one score a sample.
    pub fn score(&self, images: &Tensor, labels: Option<&Tensor>, pass: &Pass<'_>) -> Result<Tensor, TrainError> {
        let mut inputs = vec![("image", images)];
        inputs.extend(labels.filter(|_| self.discriminator_labels).map(|l| ("labels", l)));
        let scores = self.discriminator.forward(&inputs, pass).within("discriminator")?;
        if self.one_score { Ok(scores.f_reshape([-1])?) } else { Ok(scores) }
    }

    /// A pivot for a batch of D.
    pub(super) fn pivot(&self, batch: i64) -> Result<Pivot, TrainError> {
        Ok(Pivot::new(batch, self.discriminator.kind(), self.discriminator.device())?)
    }

    /// The weights of G and D for a step. `iterate` runs spectral norm's power iteration, once a training step.
    pub fn weights(&self, iterate: bool) -> Result<StepWeights, TrainError> {
        Ok(StepWeights {
            generator: self.generator.weights(iterate).within("generator")?,
            discriminator: self.discriminator.weights(iterate).within("discriminator")?,
        })
    }
}

/// The weights that a step's passes share.
#[derive(Debug)]
pub struct StepWeights {
    /// G's.
    pub generator: Weights,
    /// D's.
    pub discriminator: Weights,
}

/// Latents of a distribution, `[batch, z]`.
pub fn draw_latents(
    latent: Latent,
    size: [i64; 2],
    options: (Kind, Device),
    generator: &mut Generator,
) -> Result<Tensor, TrainError> {
    let latents = Tensor::f_empty(size, options)?;
    match latent {
        Latent::Normal => generator.normal_(&latents, 0.0, 1.0)?,
        Latent::Uniform => generator.uniform_(&latents, -1.0, 1.0)?,
    }
    Ok(latents)
}

/// `G(z)` through any copy of G, such as its moving average.
pub fn generate_with(
    generator: &Compiled,
    latents: &Tensor,
    labels: Option<&Tensor>,
    pass: &Pass<'_>,
) -> Result<Tensor, TrainError> {
    let mut inputs = vec![("latent", latents)];
    inputs.extend(labels.map(|l| ("labels", l)));
    generator.forward(&inputs, pass).within("generator")
}
