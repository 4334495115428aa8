//! Each strategy against separate backward passes.

use serde::Serialize;
use tandem_plugin_api::{Gan, Symmetry};
use tandem_torch_ext::Generator;
use tch::{Kind, Tensor};

use super::{Draw, Subject};
use crate::train::{
    Scores, Seeds, Strategy, TrainError, View, obstacle,
    one_stage::{self, Forward},
};

/// Where fake scores are put: random ones, and those at which a ratio of derivatives breaks (one-stage.md).
const POINTS: &[(&str, Option<f64>)] = &[
    ("the network's own", None),
    ("0 (LSGAN's pole)", Some(0.0)),
    ("-1 (hinge's kink, Fisher's pole)", Some(-1.0)),
    ("-3 (hinge saturated)", Some(-3.0)),
    ("-2 (Fisher's γ = 1)", Some(-2.0)),
    ("0.659046 (BGAN's γ = 1)", Some(0.659_046)),
    ("1", Some(1.0)),
    ("-100", Some(-100.0)),
    ("100", Some(100.0)),
];

/// A strategy's errors at one kind of scores.
#[derive(Debug, Clone, Serialize)]
pub struct StrategyError {
    /// The strategy.
    pub strategy: &'static str,
    /// The fake scores.
    pub scores: &'static str,
    /// Relative error of `∇L_D`.
    pub discriminator: f64,
    /// Relative error of `∇L_G`.
    pub generator: f64,
}

/// `‖a - b‖ / ‖b‖` over all tensors of a network together; `‖a‖` where `b` is 0.
pub fn relative_error(a: &[Tensor], b: &[Tensor]) -> Result<f64, TrainError> {
    let (mut difference, mut size) = (0.0, 0.0);
    for (a, b) in a.iter().zip(b) {
        difference += a.f_sub(b)?.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
        size += b.f_square()?.f_sum(Kind::Double)?.f_double_value(&[])?;
    }
    Ok(difference.sqrt() / if size > 0.0 { size.sqrt() } else { 1.0 })
}

pub(super) fn compare(gan: &Gan, subject: &Subject, draw: &Draw) -> Result<Vec<StrategyError>, TrainError> {
    let mut results = Vec::new();
    for &(name, score) in POINTS {
        let reference = forward(subject, Strategy::TwoSeed, score, draw)?;
        let [of_d, of_g] = one_stage::separate(&subject.networks, &subject.losses, &subject.batch, &reference)?;
        let scores = Scores {
            real: &reference.real_scores,
            fake: &reference.fake_scores,
            labels: subject.batch.labels.as_ref(),
        };
        let seeds = subject.losses.seeds(&scores)?;
        for strategy in Strategy::ALL {
            if obstacle(gan, strategy).is_some() || !applies(gan, strategy, &seeds)? {
                continue;
            }
            let pass = forward(subject, strategy, score, draw)?;
            let found = one_stage::backward(&subject.networks, &subject.losses, &subject.batch, &pass, strategy)?;
            results.push(StrategyError {
                strategy: strategy.name(),
                scores: name,
                discriminator: relative_error(&found.discriminator, &of_d)?,
                generator: relative_error(&found.generator, &of_g)?,
            });
        }
    }
    Ok(results)
}

/// `scaled` divides by `g_f`: where that is 0 or has underflowed it is not the paper's method that is wrong, but there
/// is nothing left to scale. Every other strategy applies everywhere.
pub(super) fn applies(gan: &Gan, strategy: Strategy, seeds: &Seeds) -> Result<bool, TrainError> {
    if strategy != Strategy::Scaled || gan.symmetry == Symmetry::Symmetric {
        return Ok(true);
    }
    let least = seeds.g_f.f_abs()?.f_min()?.f_double_value(&[])?;
    Ok(least > f64::MIN_POSITIVE && seeds.h.f_div(&seeds.g_f)?.f_abs()?.f_max()?.f_double_value(&[])?.is_finite())
}

/// One forward with fake scores moved to around `score`: a third exactly there, the others close by on both sides.
///
/// The same dropout masks every time, and no power iteration, so that all strategies see the same networks.
fn forward(subject: &Subject, strategy: Strategy, score: Option<f64>, draw: &Draw) -> Result<Forward, TrainError> {
    tch::manual_seed(draw.seed as i64);
    let weights = subject.networks.weights(false)?;
    let mut noise = Subject::noise(draw)?;
    let mut view = View::new(&subject.augment, &mut noise);
    let mut pass =
        one_stage::forward(&subject.networks, &subject.batch, &subject.latents, &weights, strategy, &mut view)?;
    let mut spread = Generator::new(draw.device, draw.seed)?;
    let noise_for = |scores: &Tensor, spread: &mut Generator| -> Result<Tensor, TrainError> {
        let noise = scores.f_zeros_like()?.f_detach()?;
        spread.normal_(&noise, 0.0, 1.0)?;
        Ok(noise)
    };
    // An untrained D gives scores near 0, all alike: spread them.
    let real = noise_for(&pass.real_scores, &mut spread)?;
    pass.real_scores = pass.real_scores.f_add(&real)?;
    let noise = noise_for(&pass.fake_scores, &mut spread)?;
    let Some(score) = score else {
        pass.fake_scores = pass.fake_scores.f_add(&noise.f_mul_scalar(2.0)?)?;
        return Ok(pass);
    };
    let near = noise.f_mul_scalar(0.1)?.f_add_scalar(score)?;
    let every_third = Tensor::f_arange(noise.size()[0], (Kind::Int64, draw.device))?.f_remainder(3)?.f_eq(0)?;
    let mut size = vec![1; noise.dim()];
    size[0] = -1;
    let target = near.f_masked_fill(&every_third.f_view(&size[..])?, score)?;
    pass.fake_scores = pass.fake_scores.f_add(&target.f_sub(&pass.fake_scores.f_detach()?)?)?;
    Ok(pass)
}
