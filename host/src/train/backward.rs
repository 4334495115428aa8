//! A backward pass from given seeds, in the range of numbers that the networks compute in.

use std::borrow::Borrow;

use tandem_torch_ext::grad;
use tch::{Kind, Tensor};

use super::TrainError;

/// What the absolute seeds of a float16 pass add up to. A weight's gradient is a sum over all of them times activations,
/// which then stays well below 65504, while each of a million seeds is still a normal number.
const FLOAT16_SUM: f64 = 4096.0;

/// `Σ (∂output/∂input)ᵀ seed` for each input; `keep` leaves the graph for another pass.
///
/// A backward pass is linear in its seeds. So float16 takes them times a power of two and gives the gradients divided
/// by it: what loss scaling does, without a factor to guess, a step to skip or a word to the host.
pub(super) fn backward(
    autocast: Option<Kind>,
    outputs: &[&Tensor],
    seeds: &[&Tensor],
    inputs: &[impl Borrow<Tensor>],
    keep: bool,
) -> Result<Vec<Tensor>, TrainError> {
    let plain = |seeds: &[&Tensor]| {
        let seeds: Vec<Option<&Tensor>> = seeds.iter().copied().map(Some).collect();
        Ok(grad(outputs, &seeds, inputs, keep, false)?)
    };
    if autocast != Some(Kind::Half) {
        return plain(seeds);
    }
    let scale = float16_scale(seeds)?;
    let scaled = seeds.iter().map(|s| s.f_mul(&scale)).collect::<Result<Vec<_>, _>>()?;
    let gradients = plain(&scaled.iter().collect::<Vec<_>>())?;
    gradients.iter().map(|g| Ok(g.f_div(&scale)?)).collect()
}

/// The power of two that brings the seeds' absolute sum to [`FLOAT16_SUM`] or just below; 1 where all are 0.
fn float16_scale(seeds: &[&Tensor]) -> Result<Tensor, TrainError> {
    let sums = seeds.iter().map(|s| s.f_abs()?.f_sum(Kind::Float)).collect::<Result<Vec<_>, _>>()?;
    let sum = Tensor::f_stack(&sums, 0)?.f_sum(None)?;
    let scale = sum.f_reciprocal()?.f_mul_scalar(FLOAT16_SUM)?.f_log2()?.f_floor()?.f_exp2()?;
    Ok(scale.f_masked_fill(&sum.f_eq(0.0)?, 1.0)?)
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;

    #[test]
    fn float16_seeds_are_scaled_by_a_power_of_two_that_leaves_the_gradient() {
        let x = Tensor::from_slice(&[1.0_f32, 2.0, 3.0]).set_requires_grad(true);
        let seed = Tensor::from_slice(&[1e-9_f32, -3e-9, 0.0]);
        let scale = float16_scale(&[&seed]).unwrap().double_value(&[]);
        assert_eq!(scale.log2().fract(), 0.0);
        assert!((FLOAT16_SUM / 2.0..=FLOAT16_SUM).contains(&(scale * 4e-9)), "{scale}");
        // Through float16, where 1e-9 is 0.
        let y = x.to_kind(Kind::Half).square().to_kind(Kind::Float);
        let of = |autocast| backward(autocast, &[&y], &[&seed], &[&x], true).unwrap().remove(0);
        assert_eq!(of(None).abs().max().double_value(&[]), 0.0);
        let wanted = Tensor::from_slice(&[2e-9_f32, -12e-9, 0.0]);
        let error = (of(Some(Kind::Half)) - &wanted).abs().max().double_value(&[]);
        assert!(error < 1e-3 * 12e-9, "{error}");
        let zero = Tensor::zeros([3], (Kind::Float, Device::Cpu));
        assert_eq!(float16_scale(&[&zero]).unwrap().double_value(&[]), 1.0);
    }
}
