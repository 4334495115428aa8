//! Derivatives against central differences: of the losses at the scores, and of everything along random directions.

use serde::Serialize;
use tandem_plugin_api::Gan;
use tandem_torch_ext::Generator;
use tch::{Kind, Tensor};

use super::{Draw, Subject, worse};
use crate::train::{Losses, Scores, Strategy, Terms, TrainError, View, gradients, one_stage, two_stage};

/// The step of a difference, for values of order 1 in float64.
const STEP: f64 = 1e-6;

/// Relative errors against finite differences.
#[derive(Debug, Clone, Serialize)]
pub struct Derivatives {
    /// `∂L_D/∂s_r`, `∂L_D/∂s_f`, `∂L_G/∂s_f`: the largest.
    pub losses: f64,
    /// The state updates' derivatives at the scores, which no gradient uses: that an update computes what it says.
    pub states: f64,
    /// The state whose error that is; none where there are no states.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// `L_D` and `L_G` along a random direction of D's and G's parameters: the larger.
    pub networks: f64,
    /// The terms of D's alone, penalties and weight decay, along a random direction of D's parameters.
    pub terms: f64,
}

impl Derivatives {
    /// The largest of all.
    pub fn worst(&self) -> f64 {
        [self.losses, self.states, self.networks, self.terms].into_iter().fold(0.0, worse)
    }
}

pub(super) fn compare(gan: &Gan, subject: &Subject, draw: &Draw) -> Result<Derivatives, TrainError> {
    let (states, state) = states(gan, &subject.losses, draw)?;
    Ok(Derivatives {
        losses: losses(gan, &subject.losses, draw)?,
        states,
        state,
        networks: networks(subject, draw)?,
        terms: terms(gan, subject, draw)?,
    })
}

/// Random scores, real and fake, of a batch of five.
fn random_scores(gan: &Gan, on: &Draw) -> Result<[Tensor; 2], TrainError> {
    let mut generator = Generator::new(on.device, on.seed)?;
    let size = gan.score_shape().with_batch(5);
    let mut draw = || -> Result<Tensor, TrainError> {
        let scores = Tensor::f_zeros(&size[..], (Kind::Double, on.device))?;
        generator.normal_(&scores, 0.0, 1.5)?;
        Ok(scores)
    };
    Ok([draw()?, draw()?])
}

/// Each update's derivative at the fake scores, and at the real ones, against the update with a score moved both ways.
///
/// The largest error, and whose it is.
fn states(gan: &Gan, losses: &Losses, on: &Draw) -> Result<(f64, Option<String>), TrainError> {
    let [real, fake] = random_scores(gan, on)?;
    let labels = Tensor::f_zeros([5], (Kind::Int64, on.device))?;
    let next = |i: usize, real: &Tensor, fake: &Tensor| -> Result<Tensor, TrainError> {
        let scores = Scores { real, fake, labels: Some(&labels) };
        Ok(losses.next_states(&scores)?[i].shallow_clone())
    };
    let (mut worst, mut of) = (0.0, None);
    for (i, state) in gan.states.iter().enumerate() {
        let leaf = |scores: &Tensor| scores.f_detach_copy()?.f_set_requires_grad(true);
        let (at_real, at_fake) = (leaf(&real)?, leaf(&fake)?);
        let after = next(i, &at_real, &at_fake)?;
        let exact = gradients(&after, &[&at_real, &at_fake], false)
            .map_err(|error| TrainError::Refused(format!("loss state `{}`: {error}", state.name)))?;
        // A state may move by a millionth of itself, in whose rounding a small step's difference drowns.
        let with = |step: f64| -> Result<f64, TrainError> {
            let of_real = numeric(&real, step, |s| Ok(next(i, s, &fake)?.f_double_value(&[])?))?;
            let of_fake = numeric(&fake, step, |s| Ok(next(i, &real, s)?.f_double_value(&[])?))?;
            super::relative_error(&[of_real, of_fake], &exact)
        };
        let (small, large) = (with(STEP)?, with(1e3 * STEP)?);
        let error = if small < large { small } else { large };
        if of.is_none() || error > worst || (error.is_nan() && !worst.is_nan()) {
            (worst, of) = (error, Some(state.name.clone()));
        }
    }
    Ok((worst, of))
}

/// Each seed entry against the loss with that score moved both ways.
fn losses(gan: &Gan, losses: &Losses, on: &Draw) -> Result<f64, TrainError> {
    let [real, fake] = random_scores(gan, on)?;
    let labels = Tensor::f_zeros([5], (Kind::Int64, on.device))?;
    let scores = Scores { real: &real, fake: &fake, labels: Some(&labels) };
    let seeds = losses.seeds(&scores)?;
    let value = |of_d: bool, real: &Tensor, fake: &Tensor| -> Result<f64, TrainError> {
        let scores = Scores { real, fake, labels: Some(&labels) };
        let loss = if of_d { losses.discriminator(&scores)? } else { losses.generator(&scores)? };
        Ok(loss.f_double_value(&[])?)
    };
    let g_r = numeric(&real, STEP, |s| value(true, s, &fake))?;
    let g_f = numeric(&fake, STEP, |s| value(true, &real, s))?;
    let h = numeric(&fake, STEP, |s| value(false, &real, s))?;
    let pairs = [(&seeds.g_r, g_r), (&seeds.g_f, g_f), (&seeds.h, h)];
    pairs.iter().try_fold(0.0, |worst, (exact, found)| {
        Ok(worse(worst, super::relative_error(&[found.shallow_clone()], &[exact.shallow_clone()])?))
    })
}

/// The gradient of a function of a small tensor, one entry at a time.
fn numeric(at: &Tensor, step: f64, f: impl Fn(&Tensor) -> Result<f64, TrainError>) -> Result<Tensor, TrainError> {
    let mut gradient = Vec::with_capacity(at.numel());
    for i in 0..at.numel() {
        let moved = |by: f64| -> Result<f64, TrainError> {
            let mut point = vec![0.0; at.numel()];
            at.f_copy_data(&mut point, at.numel())?;
            point[i] += by;
            f(&Tensor::f_from_slice(&point)?.f_reshape(at.size())?.f_to_device(at.device())?)
        };
        gradient.push((moved(step)? - moved(-step)?) / (2.0 * step));
    }
    Ok(Tensor::f_from_slice(&gradient)?.f_reshape(at.size())?.f_to_device(at.device())?)
}

/// Both losses, as functions of both networks' parameters, along a random direction.
fn networks(subject: &Subject, draw: &Draw) -> Result<f64, TrainError> {
    let Subject { networks, losses, batch, latents, augment } = subject;
    let labels = batch.labels.as_ref();
    let pass = || -> Result<one_stage::Forward, TrainError> {
        tch::manual_seed(draw.seed as i64);
        let mut noise = Subject::noise(draw)?;
        let mut view = View::new(augment, &mut noise);
        one_stage::forward(networks, batch, latents, &networks.weights(false)?, Strategy::TwoSeed, &mut view)
    };
    let both = |pass: &one_stage::Forward| -> Result<[f64; 2], TrainError> {
        let scores = Scores { real: &pass.real_scores, fake: &pass.fake_scores, labels };
        Ok([losses.discriminator(&scores)?.f_double_value(&[])?, losses.generator(&scores)?.f_double_value(&[])?])
    };
    let reference = pass()?;
    let [of_d, of_g] = one_stage::separate(networks, losses, batch, &reference)?;
    let d = along(networks.discriminator.learned(), &of_d, draw, || Ok(both(&pass()?)?[0]))?;
    let g = along(networks.generator.learned(), &of_g, draw, || Ok(both(&pass()?)?[1]))?;
    Ok(worse(d, g))
}

/// All terms of D's alone together, as the trainer takes them: at the same points every time.
fn terms(gan: &Gan, subject: &Subject, draw: &Draw) -> Result<f64, TrainError> {
    let Subject { networks, batch, latents, augment, .. } = subject;
    let terms = Terms::new(gan, networks.discriminator.learned_names());
    if terms.is_empty() {
        return Ok(0.0);
    }
    let fakes = two_stage::detached_fakes(networks, batch, latents)?;
    let learned = networks.discriminator.learned();
    let evaluate = || -> Result<(f64, Vec<Tensor>), TrainError> {
        let mut noise = Subject::noise(draw)?;
        let mut view = View::new(augment, &mut noise);
        let mut gradients =
            learned.iter().map(|p| Ok(p.f_zeros_like()?.f_detach()?)).collect::<Result<Vec<_>, TrainError>>()?;
        // Every term is due in the first step.
        let sum = terms.add(networks, batch, &fakes, &mut view, 0, &mut gradients)?;
        Ok((sum.map_or(Ok(0.0), |s| s.f_double_value(&[]))?, gradients))
    };
    along(learned, &evaluate()?.1, draw, || Ok(evaluate()?.0))
}

/// The relative error of `⟨gradient, v⟩` against `f`'s difference along a random `v`, scaled to the parameters' size.
fn along(
    parameters: &[Tensor],
    gradient: &[Tensor],
    draw: &Draw,
    f: impl Fn() -> Result<f64, TrainError>,
) -> Result<f64, TrainError> {
    let mut generator = Generator::new(draw.device, draw.seed.wrapping_add(7))?;
    let directions = parameters.iter().map(|p| {
        let v = p.f_zeros_like()?.f_detach()?;
        generator.normal_(&v, 0.0, 1.0)?;
        Ok(v)
    });
    let directions = directions.collect::<Result<Vec<_>, TrainError>>()?;
    let norm = |tensors: &[Tensor]| -> Result<f64, TrainError> {
        let squares = tensors.iter().map(|t| t.f_square()?.f_sum(Kind::Double)?.f_double_value(&[]));
        Ok(squares.sum::<Result<f64, _>>()?.sqrt())
    };
    let (of_gradient, of_noise) = (norm(gradient)?, norm(&directions)?);
    // Where the gradient is exactly 0, the difference along noise alone must be as small.
    let share = if of_gradient == 0.0 { 0.0 } else { of_gradient.recip() };
    let mut slope = 0.0;
    let mut direction = Vec::new();
    for (v, g) in directions.iter().zip(gradient) {
        // Mostly along the gradient, or the slope would drown in the rounding of a large network.
        let v = v.f_mul_scalar(0.5 / of_noise)?.f_add(&g.f_mul_scalar(share)?)?;
        slope += v.f_mul(g)?.f_sum(Kind::Double)?.f_double_value(&[])?;
        direction.push(v);
    }
    let scale = if share == 0.0 { 1.0 } else { slope.abs() };
    let shift = |by: f64| -> Result<(), TrainError> {
        let _guard = tch::no_grad_guard();
        for (p, v) in parameters.iter().zip(&direction) {
            let _ = p.shallow_clone().f_add_(&v.f_mul_scalar(by)?)?;
        }
        Ok(())
    };
    // A kink of a LeakyReLU inside the larger step is seldom inside the smaller one too; a wrong slope is wrong in both.
    [STEP, 0.1 * STEP].into_iter().try_fold(f64::INFINITY, |least, step| {
        shift(step)?;
        let ahead = f()?;
        shift(-2.0 * step)?;
        let behind = f()?;
        shift(step)?;
        let error = (((ahead - behind) / (2.0 * step)) - slope).abs() / scale;
        Ok(if error < least { error } else { least })
    })
}
