//! Mean and covariance of features, block by block, in float64.

use tch::{Device, Kind, Tensor};

use super::MetricsError;

/// The sums that mean and covariance come from, so far.
///
/// Blocks are joined as Chan, Golub & LeVeque (1979) do, about the blocks' own means: sums of plain squares would lose
/// half the digits where a feature's mean is large beside its spread.
#[derive(Debug)]
pub struct Moments {
    count: i64,
    mean: Tensor,
    scatter: Tensor,
}

impl Moments {
    /// Of no samples yet, of `width` features each.
    pub fn new(width: i64, device: Device) -> Result<Self, MetricsError> {
        let zeros = |size: &[i64]| Tensor::f_zeros(size, (Kind::Double, device));
        Ok(Self { count: 0, mean: zeros(&[width])?, scatter: zeros(&[width, width])? })
    }

    /// From a mean `[d]` and a covariance `[d, d]` of `count` samples, in float64.
    pub fn from_parts(count: i64, mean: Tensor, covariance: &Tensor) -> Result<Self, MetricsError> {
        Ok(Self { count, mean, scatter: covariance.f_mul_scalar((count - 1) as f64)? })
    }

    /// Of all rows of `[n, d]` at once.
    pub fn of(rows: &Tensor) -> Result<Self, MetricsError> {
        let mut moments = Self::new(rows.size()[1], rows.device())?;
        for block in rows.f_split(BLOCK, 0)? {
            moments.add(&block)?;
        }
        Ok(moments)
    }

    /// Takes in a block `[n, d]`.
    pub fn add(&mut self, block: &Tensor) -> Result<(), MetricsError> {
        let block = block.f_to_kind(Kind::Double)?.f_to_device(self.mean.device())?;
        let (before, added) = (self.count as f64, block.size()[0] as f64);
        if added == 0.0 {
            return Ok(());
        }
        let mean = block.f_mean_dim(0, false, Kind::Double)?;
        let centred = block.f_sub(&mean)?;
        let step = mean.f_sub(&self.mean)?;
        let all = before + added;
        let between = step.f_outer(&step)?.f_mul_scalar(before * added / all)?;
        self.scatter = self.scatter.f_add(&between)?.f_addmm(&centred.f_tr()?, &centred)?;
        self.mean = self.mean.f_add(&step.f_mul_scalar(added / all)?)?;
        self.count += block.size()[0];
        Ok(())
    }

    /// How many samples were taken in.
    pub const fn count(&self) -> i64 {
        self.count
    }

    /// Features of a sample.
    pub fn width(&self) -> i64 {
        self.mean.size()[0]
    }

    /// `[d]`.
    pub const fn mean(&self) -> &Tensor {
        &self.mean
    }

    /// `[d, d]`, divided by one less than the count, as `numpy.cov`.
    pub fn covariance(&self) -> Result<Tensor, MetricsError> {
        Ok(self.scatter.f_div_scalar((self.count - 1).max(1) as f64)?)
    }
}

/// Rows that are widened to float64 at a time.
const BLOCK: i64 = 4096;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::legacy_random::tests::uniform;

    #[test]
    fn blocks_give_what_all_rows_at_once_give() {
        // A mean of a thousand and a spread of less than one: plain sums of squares lose six digits here.
        let rows = uniform(300, 7, 1) + 1000.0;
        let mut streamed = Moments::new(7, Device::Cpu).unwrap();
        for block in rows.split_sizes([1, 99, 0, 200], 0) {
            streamed.add(&block).unwrap();
        }
        let centred = &rows - rows.mean_dim(0, false, Kind::Double);
        let expected = centred.tr().matmul(&centred) / 299.0;
        let error = (streamed.covariance().unwrap() - &expected).abs().max().double_value(&[]);
        assert!(error < 1e-12, "{error}");
        assert_eq!((streamed.count(), streamed.width()), (300, 7));
        let again = Moments::from_parts(300, streamed.mean().copy(), &streamed.covariance().unwrap()).unwrap();
        assert!((again.covariance().unwrap() - expected).abs().max().double_value(&[]) < 1e-12);
    }
}
