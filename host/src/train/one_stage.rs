//! One forward, one backward, both networks' gradients (docs/one-stage.md).

use std::borrow::Borrow;

use tandem_torch_ext::grad;
use tch::Tensor;

use super::{
    Batch, Losses, Networks, Scores, Seeds, StepWeights, Strategy, TrainError, View, backward::backward as seeded,
    losses, phase,
};
use crate::network::Pass;

/// What a step computes before any parameter moves.
#[derive(Debug)]
pub struct Gradients {
    /// `∇L_D`, in the order of D's learned tensors.
    pub discriminator: Vec<Tensor>,
    /// `∇L_G`, in the order of G's learned tensors.
    pub generator: Vec<Tensor>,
    /// The losses and their derivatives at the scores.
    pub seeds: Seeds,
    /// `D(x)`, detached.
    pub real_scores: Tensor,
    /// `D(G(z))`, detached.
    pub fake_scores: Tensor,
    /// `G(z)`, detached.
    pub fakes: Tensor,
}

/// A forward pass of both networks, kept for the backward passes of a strategy.
#[derive(Debug)]
pub struct Forward {
    /// `G(z)` with its graph.
    pub fakes: Tensor,
    /// A leaf with the fakes' values: where D's backward ends and G's begins.
    pub leaf: Tensor,
    /// `D(x)` with its graph.
    pub real_scores: Tensor,
    /// `D(leaf)` with its graph.
    pub fake_scores: Tensor,
    pivot: Option<tandem_torch_ext::Pivot>,
}

/// Runs G once, and D once on real and once on fake samples.
///
/// Real and fake samples never share a call of D: a batch norm would mix them.
pub fn forward(
    networks: &Networks,
    batch: &Batch,
    latents: &Tensor,
    weights: &StepWeights,
    strategy: Strategy,
    view: &mut View<'_>,
) -> Result<Forward, TrainError> {
    let labels = batch.labels.as_ref();
    let fakes = {
        let _phase = phase!("generator_forward");
        networks.generate(latents, labels, &Pass::training(&weights.generator))?
    };
    let _phase = phase!("discriminator_forward");
    let leaf = fakes.f_detach()?.f_set_requires_grad(true)?;
    let pivot = (strategy == Strategy::Pivoted).then(|| networks.pivot(batch.len())).transpose()?;
    let pass = Pass::training(&weights.discriminator);
    let real_scores = networks.score(&view.of(&batch.images)?, labels, &pass)?;
    let fake_scores = networks.score(&view.of(&leaf)?, labels, &Pass { pivot: pivot.as_ref(), ..pass })?;
    Ok(Forward { fakes, leaf, real_scores, fake_scores, pivot })
}

/// The gradients of both losses at the same parameters.
pub fn gradients(
    networks: &Networks,
    losses: &Losses,
    batch: &Batch,
    latents: &Tensor,
    strategy: Strategy,
    view: &mut View<'_>,
) -> Result<Gradients, TrainError> {
    let pass = forward(networks, batch, latents, &networks.weights(true)?, strategy, view)?;
    backward(networks, losses, batch, &pass, strategy)
}

/// The backward passes of [`gradients`], for the strategy that the forward was made for.
pub fn backward(
    networks: &Networks,
    losses: &Losses,
    batch: &Batch,
    pass: &Forward,
    strategy: Strategy,
) -> Result<Gradients, TrainError> {
    let _phase = phase!("backward");
    let labels = batch.labels.as_ref();
    let seeds = losses.seeds(&Scores { real: &pass.real_scores, fake: &pass.fake_scores, labels })?;
    let (discriminator, at_fakes) = discriminator_backward(networks, pass, &seeds, strategy)?;
    let generator = seeded(networks.autocast(), &[&pass.fakes], &[&at_fakes], networks.generator.learned(), false)?;
    Ok(Gradients {
        discriminator,
        generator,
        seeds,
        real_scores: pass.real_scores.f_detach()?,
        fake_scores: pass.fake_scores.f_detach()?,
        fakes: pass.leaf.f_detach()?,
    })
}

/// `∇L_D` at D's parameters, and `∂L_G/∂x̂` at the fakes.
fn discriminator_backward(
    networks: &Networks,
    pass: &Forward,
    seeds: &Seeds,
    strategy: Strategy,
) -> Result<(Vec<Tensor>, Tensor), TrainError> {
    let learned = networks.discriminator.learned();
    let scores = [&pass.real_scores, &pass.fake_scores];
    let autocast = networks.autocast();
    let backward = |of_fakes: &Tensor| -> Result<(Vec<Tensor>, Tensor), TrainError> {
        let inputs: Vec<&Tensor> = learned.iter().chain([&pass.leaf]).collect();
        let mut all = seeded(autocast, &scores, &[&seeds.g_r, of_fakes], &inputs, false)?;
        let at_fakes = all.pop().ok_or_else(|| TrainError::Refused("no gradient reached the fakes".into()))?;
        Ok((all, at_fakes))
    };
    match strategy {
        Strategy::Scaled => {
            let (of_d, at_fakes) = backward(&seeds.g_f)?;
            Ok((of_d, scale_samples(&at_fakes, &gamma(seeds)?)?))
        }
        Strategy::Pivoted => {
            let (seed, a, b) = pivot(&seeds.g_f, &seeds.h)?;
            if let Some(factors) = &pass.pivot {
                factors.fill(&a)?;
            }
            let (of_d, at_fakes) = backward(&seed)?;
            Ok((of_d, scale_samples(&at_fakes, &b)?))
        }
        Strategy::TwoSeed => {
            let of_d = seeded(autocast, &scores, &[&seeds.g_r, &seeds.g_f], learned, true)?;
            let at_fakes = seeded(autocast, &[&pass.fake_scores], &[&seeds.h], &[&pass.leaf], false)?;
            Ok((of_d, first(at_fakes)?))
        }
    }
}

/// The paper's `γ = h / g_f`. Where both are 0 nothing reaches the fake and any factor will do; -1 is what a symmetric
/// loss has everywhere, also where it is saturated.
fn gamma(seeds: &Seeds) -> Result<Tensor, TrainError> {
    let neither = seeds.g_f.f_eq(0.0)?.f_logical_and(&seeds.h.f_eq(0.0)?)?;
    Ok(seeds.h.f_div(&seeds.g_f)?.f_masked_fill(&neither, -1.0)?)
}

/// The pivot of one-stage.md: the seed `u` (the larger of `g_f` and `h`, 1 where both are 0), `a = g_f/u`, `b = h/u`;
/// `|a|` and `|b|` never exceed 1.
fn pivot(g_f: &Tensor, h: &Tensor) -> Result<(Tensor, Tensor, Tensor), TrainError> {
    let seed = g_f.f_where_self(&g_f.f_abs()?.f_ge_tensor(&h.f_abs()?)?, h)?;
    let seed = seed.f_masked_fill(&seed.f_eq(0.0)?, 1.0)?;
    Ok((seed.shallow_clone(), g_f.f_div(&seed)?, h.f_div(&seed)?))
}

/// Each sample of `[N, …]` times its factor of `[N]`; a map of factors must be one value a sample.
fn scale_samples(samples: &Tensor, factors: &Tensor) -> Result<Tensor, TrainError> {
    let mut size = vec![1; samples.dim()];
    size[0] = samples.size()[0];
    // A symmetric loss may score a map: its factor is -1 everywhere, so the first of each sample stands for all.
    let factors = if factors.dim() > 1 { factors.f_flatten(1, -1)?.f_select(1, 0)? } else { factors.shallow_clone() };
    Ok(samples.f_mul(&factors.f_view(&size[..])?)?)
}

/// The plain way, for proofs: each loss differentiated alone, by autograd through the whole graph.
///
/// # Errors
/// As [`backward`]. The graph is kept, so that this can be called before it.
pub fn separate(
    networks: &Networks,
    losses: &Losses,
    batch: &Batch,
    pass: &Forward,
) -> Result<[Vec<Tensor>; 2], TrainError> {
    let labels = batch.labels.as_ref();
    let of_d = losses.discriminator(&Scores { real: &pass.real_scores, fake: &pass.fake_scores, labels })?;
    let of_d = losses::gradients(&of_d, networks.discriminator.learned(), true)?;
    let real = pass.real_scores.f_detach()?;
    let of_g = losses.generator(&Scores { real: &real, fake: &pass.fake_scores, labels })?;
    let at_fakes = first(losses::gradients(&of_g, &[&pass.leaf], true)?)?;
    let of_g = grad(&[&pass.fakes], &[Some(&at_fakes)], networks.generator.learned(), true, false)?;
    Ok([of_d, of_g])
}

fn first(mut tensors: Vec<impl Borrow<Tensor>>) -> Result<Tensor, TrainError> {
    if tensors.is_empty() {
        return Err(TrainError::Refused("no gradient reached the fakes".into()));
    }
    Ok(tensors.remove(0).borrow().shallow_clone())
}
