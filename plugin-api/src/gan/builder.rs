//! Putting a GAN together: networks, losses and the rest in any order, the first mistake kept until the end.

use super::{
    Augmentation, Defaults, DiscriminatorLoss, Gan, GradientPenalty, Latent, PenaltyAt, Scores, Stages, State,
    Symmetry, Transform, WeightDecay, score_shape, scores::loss_graph,
};
use crate::{Error, Network, Tensor, shape::Shape};

/// A GAN being put together; see [`Gan::builder`].
#[derive(Debug)]
pub struct GanBuilder {
    parts: Result<(Network, Network), Error>,
    score: Shape,
    loss_discriminator: Result<DiscriminatorLoss, Error>,
    loss_generator: Result<Network, Error>,
    symmetry: Symmetry,
    latent: Latent,
    penalties: Vec<GradientPenalty>,
    weight_decays: Vec<WeightDecay>,
    augmentation: Augmentation,
    weight_clip: Option<f64>,
    states: Result<Vec<State>, Error>,
    one_stage: Defaults,
    two_stage: Defaults,
}

impl GanBuilder {
    pub(super) fn new(generator: Result<Network, Error>, discriminator: Result<Network, Error>) -> Self {
        let generator = generator.map_err(|e| e.within("generator"));
        let discriminator = discriminator.map_err(|e| e.within("discriminator"));
        let score = discriminator.as_ref().map(score_shape).unwrap_or_default();
        Self {
            parts: generator.and_then(|g| Ok((g, discriminator?))),
            score,
            loss_discriminator: Err(Error::new("loss_discriminator was not given")),
            loss_generator: Err(Error::new("loss_generator was not given")),
            symmetry: Symmetry::Asymmetric,
            latent: Latent::Normal,
            penalties: Vec::new(),
            weight_decays: Vec::new(),
            augmentation: Augmentation::default(),
            weight_clip: None,
            states: Ok(Vec::new()),
            one_stage: Defaults::default(),
            two_stage: Defaults::default(),
        }
    }

    /// D's loss as a real term and a fake term; D minimises their sum.
    pub fn loss_discriminator(mut self, terms: impl Fn(&Scores) -> (Tensor, Tensor)) -> Self {
        let real = loss_graph(&self.score, |s| terms(s).0).map_err(|e| e.within("loss_discriminator.real"));
        let fake = loss_graph(&self.score, |s| terms(s).1).map_err(|e| e.within("loss_discriminator.fake"));
        self.loss_discriminator = real.and_then(|real| Ok(DiscriminatorLoss::Split { real, fake: fake? }));
        self
    }

    /// D's loss as one expression over both scores, where it does not split.
    pub fn loss_discriminator_whole(mut self, loss: impl Fn(&Scores) -> Tensor) -> Self {
        self.loss_discriminator =
            loss_graph(&self.score, loss).map_err(|e| e.within("loss_discriminator")).map(DiscriminatorLoss::Whole);
        self
    }

    /// G's loss; real scores count as constants.
    pub fn loss_generator(mut self, loss: impl Fn(&Scores) -> Tensor) -> Self {
        self.loss_generator = loss_graph(&self.score, loss).map_err(|e| e.within("loss_generator"));
        self
    }

    /// The declared symmetry; the host checks it.
    pub fn symmetry(mut self, symmetry: Symmetry) -> Self {
        self.symmetry = symmetry;
        self
    }

    /// The latents' distribution; normal unless said.
    pub fn latent(mut self, latent: Latent) -> Self {
        self.latent = latent;
        self
    }

    /// Adds a gradient penalty to D's loss.
    pub fn gradient_penalty(self, at: PenaltyAt, target: f64, weight: f64) -> Self {
        self.lazy_gradient_penalty(at, target, weight, 1)
    }

    /// Adds a gradient penalty that is taken in every `interval`-th step of D, then with `interval` times the weight.
    pub fn lazy_gradient_penalty(mut self, at: PenaltyAt, target: f64, weight: f64, interval: i64) -> Self {
        self.penalties.push(GradientPenalty { at, target, weight, interval });
        self
    }

    /// Adds `weight/2 · ‖w‖²` of one of D's learned tensors to D's loss: `score.weight`.
    pub fn weight_decay(mut self, tensor: &str, weight: f64) -> Self {
        self.weight_decays.push(WeightDecay { tensor: tensor.into(), weight });
        self
    }

    /// Puts these transforms between all images and D.
    pub fn augment(mut self, transforms: &[Transform]) -> Self {
        self.augmentation.transforms = transforms.to_vec();
        self
    }

    /// The same, with a probability that grows while D gives more than `target` of the real images a positive score.
    pub fn augment_adaptively(mut self, transforms: &[Transform], target: f64) -> Self {
        self.augmentation = Augmentation { transforms: transforms.to_vec(), target: Some(target) };
        self
    }

    /// Clamps D's learned tensors to `[-limit, limit]` after each of its steps.
    pub fn weight_clip(mut self, limit: f64) -> Self {
        self.weight_clip = Some(limit);
        self
    }

    /// A number kept between steps; losses read it with [`Scores::state`].
    pub fn state(mut self, name: &str, initial: f64, update: impl Fn(&Scores) -> Tensor) -> Self {
        let update = loss_graph(&self.score, update).map_err(|e| e.within(format_args!("state.{name}")));
        if let Ok(states) = &mut self.states {
            match update {
                Ok(update) => states.push(State { name: name.into(), initial, update }),
                Err(e) => self.states = Err(e),
            }
        }
        self
    }

    /// Hyper-parameters for one mode.
    pub fn defaults(mut self, stages: Stages, defaults: Defaults) -> Self {
        match stages {
            Stages::One => self.one_stage = defaults,
            Stages::Two => self.two_stage = defaults,
        }
        self
    }

    /// The GAN, or the first mistake in it.
    pub fn build(self) -> Result<Gan, Error> {
        let (generator, discriminator) = self.parts?;
        Gan {
            generator,
            discriminator,
            loss_discriminator: self.loss_discriminator?,
            loss_generator: self.loss_generator?,
            symmetry: self.symmetry,
            latent: self.latent,
            penalties: self.penalties,
            weight_decays: self.weight_decays,
            augmentation: self.augmentation,
            weight_clip: self.weight_clip,
            states: self.states?,
            one_stage: self.one_stage,
            two_stage: self.two_stage,
            options: Vec::new(),
        }
        .check()
    }
}
