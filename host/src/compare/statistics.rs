//! Means over seeds, their deviations, and how far two means are apart.

use serde::Serialize;

/// A mean over seeds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Average {
    pub(super) mean: f64,
    /// The sample standard deviation, over n − 1; `None` for one value.
    pub(super) std: Option<f64>,
    pub(super) n: usize,
}

impl Average {
    /// Of these values; `None` of none.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let n = values.len();
        let mean = (n > 0).then(|| values.iter().sum::<f64>() / n as f64)?;
        let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
        Some(Self { mean, std: (n > 1).then(|| (squares / (n - 1) as f64).sqrt()), n })
    }

    /// Welch's t of this mean against another: their difference in units of its standard error.
    pub(super) fn welch(&self, other: &Self) -> Option<f64> {
        let error = |m: &Self| Some(m.std?.powi(2) / m.n as f64);
        let t = (self.mean - other.mean) / (error(self)? + error(other)?).sqrt();
        t.is_finite().then_some(t)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deviation_is_the_samples() {
        let mean = Average::of(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!((mean.mean, mean.n), (5.0, 8));
        assert!((mean.std.unwrap() - (32.0_f64 / 7.0).sqrt()).abs() < 1e-12);
        assert_eq!(Average::of(&[3.0]).unwrap().std, None);
        assert_eq!(Average::of(&[]), None);
    }

    /// By hand: −3 / √(1/3 + (20/3)/4).
    #[test]
    fn welchs_t_is_the_difference_over_its_error() {
        let (a, b) = (Average::of(&[1.0, 2.0, 3.0]).unwrap(), Average::of(&[2.0, 4.0, 6.0, 8.0]).unwrap());
        assert!((a.welch(&b).unwrap() + 2.121_320_343_559_643).abs() < 1e-12);
        assert_eq!(a.welch(&Average::of(&[1.0]).unwrap()), None);
    }
}
