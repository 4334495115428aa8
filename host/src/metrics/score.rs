//! The Inception Score (Salimans et al. 2016): `exp` of the mean divergence of each image's classes from those of all, in
//! splits. It sees no real images.

use tch::{Kind, Tensor};

use super::{MetricsError, legacy_random::LegacyRandom};

/// How many splits.
pub const SPLITS: usize = 10;
/// torch-fidelity's seed.
const SEED: u32 = 2020;

/// Mean and spread (divided by the count) over `splits` of logits `[n, classes]`, in a shuffled order where `shuffled`: the
/// order of torch-fidelity. Images that come class by class would otherwise fall into splits by class.
pub fn inception_score(logits: &Tensor, splits: usize, shuffled: bool) -> Result<(f64, f64), MetricsError> {
    let n = logits.size()[0] as usize;
    if n < splits {
        let why = format!("{n} images cannot be cut into {splits} splits; take at least {splits}");
        return Err(MetricsError::Figure { metric: "IS", why });
    }
    let logits = if shuffled {
        let order = Tensor::f_from_slice(&LegacyRandom::new(SEED).permutation(n))?;
        logits.f_index_select(0, &order.f_to_device(logits.device())?)?
    } else {
        logits.shallow_clone()
    };
    let log_p = logits.f_to_kind(Kind::Double)?.f_log_softmax(1, Kind::Double)?;
    let mut scores = Vec::with_capacity(splits);
    for i in 0..splits {
        let (start, end) = (i * n / splits, (i + 1) * n / splits);
        let log_p = log_p.f_narrow(0, start as i64, (end - start) as i64)?;
        let p = log_p.f_exp()?;
        let log_q = p.f_mean_dim(0, true, Kind::Double)?.f_log()?;
        let divergence = p.f_mul(&log_p.f_sub(&log_q)?)?.f_sum_dim_intlist(1, false, Kind::Double)?;
        scores.push(divergence.f_mean(Kind::Double)?.f_exp()?.f_double_value(&[])?);
    }
    let mean = scores.iter().sum::<f64>() / splits as f64;
    let variance = scores.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / splits as f64;
    Ok((mean, variance.sqrt()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::legacy_random::tests::{close, golden, uniform};

    #[test]
    fn it_is_the_references() {
        let logits = uniform(100, 10, 3) * 6.0;
        close(inception_score(&logits, 1, false).unwrap().0, 2.010_114_489_422_651, 1e-12);
        let (mean, std) = inception_score(&logits, 5, false).unwrap();
        close(mean, 1.948_113_359_874_971, 1e-12);
        close(std, 0.103_007_755_086_366_23, 1e-10);
        let (mean, std) = inception_score(&logits, 10, true).unwrap();
        close(mean, golden("is")["mean"].as_f64().unwrap(), 1e-12);
        close(std, golden("is")["std"].as_f64().unwrap(), 1e-10);
    }

    #[test]
    fn fewer_images_than_splits_are_refused() {
        let message = inception_score(&uniform(9, 10, 3), 10, true).unwrap_err().to_string();
        assert_eq!(message, "IS cannot be computed: 9 images cannot be cut into 10 splits; take at least 10");
    }
}
