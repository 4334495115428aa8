//! γ counted into fixed bins: what its mean and ends do not show. The bins are the same for every run and step, so
//! that counts add up over steps and runs compare; counting leaves all on the device.

use tch::{Device, Kind, Tensor};

use super::TrainError;

/// Edges on each side of 0.
const SIDE: usize = 19;
/// How many bins there are: one around 0, and one beyond each edge.
pub const GAMMA_BINS: usize = 2 * SIDE + 1;

/// The edges between the bins, ascending: `±10^((2k + 1) / 6)` for k from -8 to 10, three bins a decade from 0.003 to 3162
/// on each side of 0. -1, which a symmetric loss has everywhere, lies in the middle of its bin (on this scale).
///
/// Bin i holds `edges[i - 1] <= γ < edges[i]`; the first and the last are open.
pub fn gamma_edges() -> [f64; GAMMA_BINS - 1] {
    std::array::from_fn(|i| {
        let magnitude = |k: i32| 10_f64.powf(f64::from(2 * k + 1) / 6.0);
        if i < SIDE { -magnitude(10 - i as i32) } else { magnitude(i as i32 - SIDE as i32 - 8) }
    })
}

/// Counts a batch's γ; keeps the edges where they are needed.
#[derive(Debug, Default)]
pub(super) struct Histogram {
    /// -∞, under which no number lies, then the edges.
    edges: Option<Tensor>,
}

impl Histogram {
    /// How many of `gamma` are at each edge or above, `GAMMA_BINS` numbers on its device. NaN is at none.
    pub(super) fn count(&mut self, gamma: &Tensor) -> Result<Tensor, TrainError> {
        let device = gamma.device();
        if self.edges.as_ref().is_none_or(|edges| edges.device() != device) {
            self.edges = Some(edges_on(device)?);
        }
        let Some(edges) = &self.edges else { return Err(TrainError::Refused("there are no edges".into())) };
        let above = gamma.f_reshape([-1, 1])?.f_ge_tensor(edges)?;
        Ok(above.f_sum_dim_intlist(&[0_i64][..], false, Kind::Double)?)
    }
}

fn edges_on(device: Device) -> Result<Tensor, TrainError> {
    let values: Vec<f64> = [f64::NEG_INFINITY].into_iter().chain(gamma_edges()).collect();
    Ok(Tensor::f_from_slice(&values)?.f_to_device(device)?)
}

/// The counts of the bins from how many are at each edge or above.
pub(super) fn bins(above: &[f64]) -> [u32; GAMMA_BINS] {
    std::array::from_fn(|i| {
        let at = |i: usize| above.get(i).copied().unwrap_or(0.0);
        (at(i) - at(i + 1)) as u32
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn edges_ascend_and_minus_one_is_in_the_middle_of_its_bin() {
        let edges = gamma_edges();
        assert!(edges.is_sorted_by(|a, b| a < b), "{edges:?}");
        assert!((edges[0] + 10_f64.powf(3.5)).abs() < 1e-9 && (edges[37] - 10_f64.powf(3.5)).abs() < 1e-9);
        let at = edges.iter().position(|e| *e > -1.0).unwrap();
        assert!((edges[at - 1] * edges[at] - 1.0).abs() < 1e-12, "{} .. {}", edges[at - 1], edges[at]);
    }

    #[test]
    fn every_number_is_in_one_bin_and_nan_in_none() {
        let edges = gamma_edges();
        let values = [f64::NEG_INFINITY, -1.0, -1.0, 0.0, edges[30], 1e9, f64::INFINITY, f64::NAN];
        let above = Histogram::default().count(&Tensor::from_slice(&values)).unwrap();
        let counts = bins(&Vec::<f64>::try_from(above).unwrap());
        assert_eq!(counts.iter().sum::<u32>(), 7);
        let bin = |value: f64| edges.iter().filter(|e| value >= **e).count();
        assert_eq!([counts[0], counts[bin(-1.0)], counts[bin(0.0)], counts[31], counts[38]], [1, 2, 1, 1, 2]);
    }
}
