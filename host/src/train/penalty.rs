//! Gradient penalties: terms of D's alone, on detached fakes, added to D's gradients and never part of γ.

use tandem_plugin_api::gan::{GradientPenalty, PenaltyAt};
use tandem_torch_ext::{Generator, grad};
use tch::Tensor;

use super::{Batch, Networks, TrainError, error::In};
use crate::network::Pass;

/// Keeps the norm's derivative finite where the gradient is 0 (Gulrajani et al. leave it out and meet NaN).
const NORM_EPS: f64 = 1e-12;

/// Adds `∇(weight · mean((‖∇ₓD‖ - target)²))` of each penalty to D's gradients; returns the penalties' sum.
pub fn add(
    penalties: &[GradientPenalty],
    networks: &Networks,
    batch: &Batch,
    fakes: &Tensor,
    noise: &mut Generator,
    gradients: &mut [Tensor],
) -> Result<Option<Tensor>, TrainError> {
    let mut total: Option<Tensor> = None;
    for penalty in penalties {
        let points = points(penalty.at, &batch.images, fakes, noise)?;
        let value = value(penalty, networks, &points, batch.labels.as_ref())?;
        let of_d = grad(&[&value], &[None], networks.discriminator.learned(), false, false)?;
        for (sum, more) in gradients.iter_mut().zip(&of_d) {
            *sum = sum.f_add(more)?;
        }
        let value = value.f_detach()?;
        total = Some(match total {
            Some(sum) => sum.f_add(&value)?,
            None => value,
        });
    }
    Ok(total)
}

/// Where the gradient is taken: a leaf `[N, C, H, W]`.
fn points(at: PenaltyAt, real: &Tensor, fakes: &Tensor, noise: &mut Generator) -> Result<Tensor, TrainError> {
    let points = match at {
        PenaltyAt::Real => real.f_detach_copy()?,
        PenaltyAt::Fake => fakes.f_detach()?.f_detach_copy()?,
        PenaltyAt::Interpolated => {
            let epsilon = Tensor::f_empty([real.size()[0], 1, 1, 1], (real.kind(), real.device()))?;
            noise.uniform_(&epsilon, 0.0, 1.0)?;
            fakes.f_detach()?.f_lerp_tensor(real, &epsilon)?
        }
    };
    Ok(points.f_set_requires_grad(true)?)
}

/// The penalty at these points, differentiable in D's parameters. Running statistics stay as they are.
pub fn value(
    penalty: &GradientPenalty,
    networks: &Networks,
    points: &Tensor,
    labels: Option<&Tensor>,
) -> Result<Tensor, TrainError> {
    let weights = networks.discriminator.weights(false).within("discriminator")?;
    let scores = networks.score(points, labels, &Pass { track: false, ..Pass::training(&weights) })?;
    let at_points = grad(&[&scores.f_sum(None)?], &[None], &[points], true, true)?;
    let Some(gradient) = at_points.first() else {
        return Err(TrainError::Refused("a gradient penalty got no gradient at the images".into()));
    };
    let squared = gradient.f_flatten(1, -1)?.f_square()?.f_sum_dim_intlist(1, false, None)?;
    // Without a target the square needs no root, whose derivative at 0 would be infinite.
    let distance = if penalty.target == 0.0 {
        squared
    } else {
        squared.f_add_scalar(NORM_EPS)?.f_sqrt()?.f_sub_scalar(penalty.target)?.f_square()?
    };
    Ok(distance.f_mean(None)?.f_mul_scalar(penalty.weight)?)
}
