//! The Fréchet distance between two Gaussians (Heusel et al. 2017):
//! `|m1 - m2|² + tr S1 + tr S2 - 2 tr (S1 S2)^½`.
//!
//! `S1 S2` has the eigenvalues of `A S2 A` with `A = S1^½`, which is symmetric, so that no complex numbers come up and rank
//! does not matter.

use tch::{Kind, Tensor};

use super::{MetricsError, Moments};

/// The symmetric square root of the covariance, `[d, d]`: the dear half of [`distance`], for keeping.
pub fn root(moments: &Moments) -> Result<Tensor, MetricsError> {
    let (values, vectors) = moments.covariance()?.f_linalg_eigh("L")?;
    let roots = values.f_clamp_min(0.0)?.f_sqrt()?;
    Ok(vectors.f_mul(&roots)?.f_matmul(&vectors.f_tr()?)?)
}

/// The distance, given the root of `a`'s covariance.
pub fn distance(a: &Moments, root_of_a: &Tensor, b: &Moments) -> Result<f64, MetricsError> {
    let product = root_of_a.f_matmul(&b.covariance()?)?.f_matmul(root_of_a)?;
    finish(a, b, &product)
}

/// The distance from all features of `b` rather than their covariance: cheaper where there are fewer samples than
/// features, and as exact, because `S1 S2` then has the few eigenvalues of `Y S1 Yᵀ / (n - 1)`, `Y` being the centred rows.
pub fn distance_of_few(a: &Moments, b: &Moments, rows_of_b: &Tensor) -> Result<f64, MetricsError> {
    let centred = rows_of_b.f_to_kind(Kind::Double)?.f_sub(b.mean())?;
    let product = centred.f_matmul(&a.covariance()?)?.f_matmul(&centred.f_tr()?)?;
    finish(a, b, &product.f_div_scalar((b.count() - 1) as f64)?)
}

fn finish(a: &Moments, b: &Moments, product: &Tensor) -> Result<f64, MetricsError> {
    let symmetric = product.f_add(&product.f_tr()?)?.f_div_scalar(2.0)?;
    let eigenvalues = symmetric.f_linalg_eigvalsh("L")?;
    // What rounding leaves of a zero eigenvalue: its root would be eight digits larger.
    let zero = eigenvalues.f_max()?.f_mul_scalar(eigenvalues.size()[0] as f64 * f64::EPSILON)?;
    let cross = eigenvalues.f_where_self(&eigenvalues.f_gt_tensor(&zero)?, &zero.f_zeros_like()?)?;
    let cross = cross.f_sqrt()?.f_sum(Kind::Double)?;
    let between = a.mean().f_sub(b.mean())?.f_square()?.f_sum(Kind::Double)?;
    let traces = a.covariance()?.f_trace()?.f_add(&b.covariance()?.f_trace()?)?;
    Ok(between.f_add(&traces)?.f_sub(&cross.f_mul_scalar(2.0)?)?.f_double_value(&[])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::legacy_random::tests::{close, golden, uniform};

    fn between(x: &Tensor, y: &Tensor) -> (f64, f64) {
        let (a, b) = (Moments::of(x).unwrap(), Moments::of(y).unwrap());
        (distance(&a, &root(&a).unwrap(), &b).unwrap(), distance_of_few(&a, &b, y).unwrap())
    }

    #[test]
    fn it_is_the_references() {
        let (x, y) = (uniform(200, 16, 1), uniform(250, 16, 2).square());
        let (full, few) = between(&x, &y);
        close(full, 0.537_940_739_021_649_1, 1e-9);
        close(few, full, 1e-9);
        close(full, golden("fid")["200x16 against 250x16"].as_f64().unwrap(), 1e-9);
    }

    #[test]
    fn fewer_samples_than_features_are_no_less_exact() {
        let (x, y) = (uniform(300, 40, 3), uniform(20, 40, 4).square());
        let (full, few) = between(&x, &y);
        close(few, golden("fid")["300x40 against 20x40"].as_f64().unwrap(), 1e-6);
        close(full, few, 1e-6);
        // Both sides short of rank.
        let (full, few) = between(&uniform(30, 40, 5), &y);
        close(few, golden("fid")["30x40 against 20x40"].as_f64().unwrap(), 1e-6);
        close(full, few, 1e-5);
    }

    #[test]
    fn equal_sets_have_no_distance() {
        let x = uniform(200, 16, 1);
        assert!(between(&x, &x).0.abs() < 1e-9);
    }
}
