//! A whole GAN, typed: two networks, the losses over their scores, and everything a trainer must know beside.

mod defaults;
mod definition;
mod scores;

pub use defaults::{Defaults, Optimizer};
pub use scores::Scores;

use crate::{
    Error, Network,
    options::{Images, OptionInfo},
    shape::Shape,
};
use scores::loss_graph;

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
        let generator = generator.map_err(|e| e.within("generator"));
        let discriminator = discriminator.map_err(|e| e.within("discriminator"));
        let score = discriminator.as_ref().map(score_shape).unwrap_or_default();
        GanBuilder {
            parts: generator.and_then(|g| Ok((g, discriminator?))),
            score,
            loss_discriminator: Err(Error::new("loss_discriminator was not given")),
            loss_generator: Err(Error::new("loss_generator was not given")),
            symmetry: Symmetry::Asymmetric,
            latent: Latent::Normal,
            penalties: Vec::new(),
            weight_clip: None,
            states: Ok(Vec::new()),
            one_stage: Defaults::default(),
            two_stage: Defaults::default(),
        }
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

    /// All losses and state updates as a person writes them, by their names in the definition.
    pub fn formulas(&self) -> Vec<(String, String)> {
        let mut all = Vec::new();
        let mut add = |name: &str, network: &Network| all.push((name.to_owned(), crate::formula(network)));
        match &self.loss_discriminator {
            DiscriminatorLoss::Split { real, fake } => {
                add("loss_discriminator.real", real);
                add("loss_discriminator.fake", fake);
            }
            DiscriminatorLoss::Whole(loss) => add("loss_discriminator", loss),
        }
        add("loss_generator", &self.loss_generator);
        self.states.iter().for_each(|s| add(&format!("state.{}", s.name), &s.update));
        all
    }

    /// Whether the networks make and judge these images; the host asks again, since it trusts no plugin to have asked.
    pub fn fits(&self, Images { channels, size, .. }: Images) -> Result<(), Error> {
        let made = &self.generator.output_type().shape;
        let wanted = Shape::batched(&[channels, size, size]);
        if made == &wanted {
            return Ok(());
        }
        Err(Error::new(format!("the generator makes {made}, the data are {wanted}")))
    }

    /// Everything that can be known without computing: inputs and outputs that fit, losses that are numbers.
    fn check(self, images: Option<Images>) -> Result<Self, Error> {
        let latent = self
            .generator
            .input("latent")
            .ok_or_else(|| Error::new("generator: its output does not depend on `latent`"))?;
        if !matches!(latent.shape.sample().as_deref(), Some([_])) {
            return Err(Error::new(format!("generator: `latent` must be [N, z], found {}", latent.shape)));
        }
        let image = self
            .discriminator
            .input("image")
            .ok_or_else(|| Error::new("discriminator: its output does not depend on `image`"))?;
        let made = &self.generator.output_type().shape;
        if made != &image.shape {
            return Err(Error::new(format!(
                "the generator makes {made}, the discriminator takes {}; they must be equal",
                image.shape
            )));
        }
        if let Some(images) = images {
            self.fits(images)?;
        }
        if !self.discriminator.output_type().shape.is_batched() {
            return Err(Error::new(format!(
                "discriminator: the output must keep the batch first, found {}",
                self.discriminator.output_type().shape
            )));
        }
        known_inputs(&self.generator, &["latent", "labels"]).map_err(|e| e.within("generator"))?;
        known_inputs(&self.discriminator, &["image", "labels"]).map_err(|e| e.within("discriminator"))?;
        self.check_losses()?;
        self.check_numbers()?;
        Ok(self)
    }

    fn check_losses(&self) -> Result<(), Error> {
        let states: Vec<&str> = self.states.iter().map(|s| s.name.as_str()).collect();
        let check = |loss: &Network, place: &str, scores: &[&str]| {
            let shape = &loss.output_type().shape;
            if *shape != Shape::scalar() {
                return Err(Error::new(format!("must be one number, found {shape}; reduce it with mean() or sum()"))
                    .within(place));
            }
            if let Some(p) = loss.parameters().first() {
                return Err(Error::new(format!("a loss owns no parameters, found `{}`", p.name)).within(place));
            }
            let score = self.score_shape();
            for name in ["real", "fake"] {
                match loss.input(name) {
                    Some(t) if t.shape != score => {
                        return Err(Error::new(format!(
                            "`{name}` must be {score} as the discriminator's output, found {}",
                            t.shape
                        ))
                        .within(place));
                    }
                    _ => {}
                }
            }
            let known: Vec<&str> = scores.iter().chain(&states).chain(&["labels"]).copied().collect();
            known_inputs(loss, &known).map_err(|e| e.within(place))
        };
        match &self.loss_discriminator {
            DiscriminatorLoss::Split { real, fake } => {
                check(real, "loss_discriminator, real term", &["real"])?;
                check(fake, "loss_discriminator, fake term", &["fake"])?;
            }
            DiscriminatorLoss::Whole(loss) => check(loss, "loss_discriminator", &["real", "fake"])?,
        }
        check(&self.loss_generator, "loss_generator", &["real", "fake"])?;
        if self.loss_generator.input("fake").is_none() {
            return Err(Error::new("loss_generator: does not depend on the fake scores, so G would never learn"));
        }
        self.states.iter().try_for_each(|s| check(&s.update, &format!("state `{}`", s.name), &["real", "fake"]))
    }

    fn check_numbers(&self) -> Result<(), Error> {
        if let Some(c) = self.weight_clip.filter(|c| !(c.is_finite() && *c > 0.0)) {
            return Err(Error::new(format!("weight_clip must be above 0, found {c}")));
        }
        for p in &self.penalties {
            if !(p.weight.is_finite() && p.weight >= 0.0 && p.target.is_finite() && p.target >= 0.0) {
                return Err(Error::new(format!(
                    "a gradient penalty's weight and target must be 0 or more, found {} and {}",
                    p.weight, p.target
                )));
            }
        }
        if !self.penalties.is_empty() && self.score_shape() != Shape::batched(&[]) {
            return Err(Error::new(format!(
                "a gradient penalty needs one score a sample, found {}",
                self.score_shape()
            )));
        }
        for (i, s) in self.states.iter().enumerate() {
            if !s.initial.is_finite() || self.states[..i].iter().any(|t| t.name == s.name) {
                return Err(Error::new(format!("state `{}` must start finite and have a name of its own", s.name)));
            }
        }
        self.one_stage.check().map_err(|e| e.within("defaults for one stage"))?;
        self.two_stage.check().map_err(|e| e.within("defaults for two stages"))
    }
}

fn known_inputs(network: &Network, known: &[&str]) -> Result<(), Error> {
    match network.inputs().find(|(name, _)| !known.contains(name)) {
        Some((name, _)) => Err(Error::new(format!("input `{name}` is not one of: {}", known.join(", ")))),
        None => Ok(()),
    }
}

fn score_shape(discriminator: &Network) -> Shape {
    let shape = &discriminator.output_type().shape;
    if shape.is_batched() && shape.elements_per_sample() == 1 { Shape::batched(&[]) } else { shape.clone() }
}

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
    weight_clip: Option<f64>,
    states: Result<Vec<State>, Error>,
    one_stage: Defaults,
    two_stage: Defaults,
}

impl GanBuilder {
    /// D's loss as a real term and a fake term; D minimises their sum.
    pub fn loss_discriminator(mut self, terms: impl Fn(&Scores) -> (crate::Tensor, crate::Tensor)) -> Self {
        let real = loss_graph(&self.score, |s| terms(s).0).map_err(|e| e.within("loss_discriminator, real term"));
        let fake = loss_graph(&self.score, |s| terms(s).1).map_err(|e| e.within("loss_discriminator, fake term"));
        self.loss_discriminator = real.and_then(|real| Ok(DiscriminatorLoss::Split { real, fake: fake? }));
        self
    }

    /// D's loss as one expression over both scores, where it does not split.
    pub fn loss_discriminator_whole(mut self, loss: impl Fn(&Scores) -> crate::Tensor) -> Self {
        self.loss_discriminator =
            loss_graph(&self.score, loss).map_err(|e| e.within("loss_discriminator")).map(DiscriminatorLoss::Whole);
        self
    }

    /// G's loss; real scores count as constants.
    pub fn loss_generator(mut self, loss: impl Fn(&Scores) -> crate::Tensor) -> Self {
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
    pub fn gradient_penalty(mut self, at: PenaltyAt, target: f64, weight: f64) -> Self {
        self.penalties.push(GradientPenalty { at, target, weight });
        self
    }

    /// Clamps D's learned tensors to `[-limit, limit]` after each of its steps.
    pub fn weight_clip(mut self, limit: f64) -> Self {
        self.weight_clip = Some(limit);
        self
    }

    /// A number kept between steps; losses read it with [`Scores::state`].
    pub fn state(mut self, name: &str, initial: f64, update: impl Fn(&Scores) -> crate::Tensor) -> Self {
        let update = loss_graph(&self.score, update).map_err(|e| e.within(format_args!("state `{name}`")));
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
            weight_clip: self.weight_clip,
            states: self.states?,
            one_stage: self.one_stage,
            two_stage: self.two_stage,
            options: Vec::new(),
        }
        .check(None)
    }
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
    gan.check(Some(images))
}
