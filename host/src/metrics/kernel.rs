//! The kernel distance (Bińkowski et al. 2018): the unbiased squared MMD under `k(x, y) = (x·y / d + 1)³`, as the mean over
//! random subsets. Near 0 where the sets are alike, and then by chance below it.

use tch::{Device, Kind, Tensor};

use super::{MetricsError, legacy_random::LegacyRandom};
use crate::work::go_on;

/// How many subsets.
pub const SUBSETS: usize = 100;
/// Samples of a subset, where both sets have as many.
pub const SUBSET_SIZE: usize = 1000;
/// torch-fidelity's seed.
const SEED: u32 = 2020;

/// The mean over subsets, and their spread (divided by the count).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct KernelDistance {
    /// The mean.
    pub mean: f64,
    /// The standard deviation.
    pub std: f64,
}

/// The subsets that torch-fidelity takes: of the generated set, then of the real one, each without repetition.
pub fn subsets(generated: usize, real: usize, count: usize, size: usize) -> Vec<(Vec<i64>, Vec<i64>)> {
    let mut random = LegacyRandom::new(SEED);
    let mut some = |n| {
        let mut order = random.permutation(n);
        order.truncate(size);
        order
    };
    (0..count).map(|_| (some(generated), some(real))).collect()
}

/// The distance over these subsets of `[n, d]` and `[m, d]`; each pair of subsets goes to `device` in float64.
pub fn kernel_distance(
    generated: &Tensor,
    real: &Tensor,
    subsets: &[(Vec<i64>, Vec<i64>)],
    device: Device,
) -> Result<KernelDistance, MetricsError> {
    let mut values = Vec::with_capacity(subsets.len());
    for (of_generated, of_real) in subsets {
        go_on()?;
        let take = |rows: &Tensor, some: &[i64]| {
            let index = Tensor::f_from_slice(some)?.f_to_device(rows.device())?;
            rows.f_index_select(0, &index)?.f_to_device(device)?.f_to_kind(Kind::Double)
        };
        values.push(squared_mmd(&take(generated, of_generated)?, &take(real, of_real)?)?);
    }
    let mean = values.iter().sum::<f64>() / values.len() as f64;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / values.len() as f64;
    Ok(KernelDistance { mean, std: variance.sqrt() })
}

/// Without the diagonals of the kernels within a set; of all pairs between the sets.
fn squared_mmd(x: &Tensor, y: &Tensor) -> Result<f64, MetricsError> {
    let kernel = |a: &Tensor, b: &Tensor| -> Result<Tensor, MetricsError> {
        let inner = a.f_matmul(&b.f_tr()?)?.f_div_scalar(a.size()[1] as f64)?.f_add_scalar(1.0)?;
        Ok(inner.f_square()?.f_mul(&inner)?)
    };
    let within = |a: &Tensor| -> Result<f64, MetricsError> {
        let k = kernel(a, a)?;
        let n = a.size()[0] as f64;
        Ok(k.f_sum(Kind::Double)?.f_sub(&k.f_trace()?)?.f_double_value(&[])? / (n * (n - 1.0)))
    };
    let between = kernel(x, y)?.f_mean(Kind::Double)?.f_double_value(&[])?;
    Ok(within(x)? + within(y)? - 2.0 * between)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::legacy_random::tests::{close, golden, uniform};

    fn sets() -> (Tensor, Tensor) {
        (uniform(200, 16, 1), uniform(250, 16, 2).square())
    }

    #[test]
    fn the_whole_sets_have_the_references_distance() {
        let (x, y) = sets();
        let whole = vec![((0..200).collect(), (0..250).collect())];
        let found = kernel_distance(&x, &y, &whole, Device::Cpu).unwrap();
        close(found.mean, 0.158_808_679_506_894_8, 1e-9);
        assert_eq!(found.std, 0.0);
    }

    #[test]
    fn its_own_subsets_are_torch_fidelitys() {
        let (x, y) = sets();
        let found = kernel_distance(&x, &y, &subsets(200, 250, 100, 50), Device::Cpu).unwrap();
        let expected = golden("kid");
        close(found.mean, expected["mean"].as_f64().unwrap(), 1e-9);
        close(found.std, expected["std"].as_f64().unwrap(), 1e-9);
    }
}
