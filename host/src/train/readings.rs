//! What a step reports: numbers that stay on the device until somebody reads many steps at once.
//!
//! Reading a loss makes the host wait for the device, so a step only appends a small vector; every `log_every` steps
//! one copy brings them all. A loss or gradient that is no longer finite is found then, with its step.

use tandem_torch_ext::all_finite;
use tch::{Device, Kind, Tensor};

use super::{
    Seeds, TrainError,
    histogram::{GAMMA_BINS, Histogram, bins},
};

/// The columns of a reading.
const TERMS: [&str; 11] = [
    "loss_discriminator",
    "loss_generator",
    "penalty",
    "discriminator's gradient",
    "generator's gradient",
    "score_real",
    "score_fake",
    "gamma_mean",
    "gamma_min",
    "gamma_max",
    "saturated",
];

/// A step's numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Reading {
    /// The step, counted from 1.
    pub step: u64,
    /// `L_D` without penalties.
    pub loss_discriminator: f64,
    /// `L_G`.
    pub loss_generator: f64,
    /// The penalties' sum; 0 without any.
    pub penalty: f64,
    /// Mean of `D(x)`.
    pub score_real: f64,
    /// Mean of `D(G(z))`.
    pub score_fake: f64,
    /// γ over the fakes whose `g_f` is not 0, where the step was joint.
    pub gamma: Option<Gamma>,
}

/// Statistics of `γ_i = h_i / g_f,i` over a batch.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gamma {
    /// The mean.
    pub mean: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
    /// The share of fakes with `g_f = 0`, where γ does not exist.
    pub saturated: f64,
    /// How many γ lie in each bin of [`super::gamma_edges`].
    pub histogram: [u32; GAMMA_BINS],
}

/// What a step of D (or a joint step) hands over; every tensor stays on the device.
#[derive(Debug)]
pub(super) struct DiscriminatorReport<'a> {
    pub(super) loss: &'a Tensor,
    pub(super) penalty: Option<&'a Tensor>,
    pub(super) gradients: &'a [Tensor],
    pub(super) real_scores: &'a Tensor,
    pub(super) fake_scores: &'a Tensor,
    pub(super) seeds: Option<&'a Seeds>,
}

/// A round's row while its steps run: the last step's numbers, and whether all gradients so far were finite.
#[derive(Debug, Default)]
struct Row([Option<Tensor>; TERMS.len()]);

impl Row {
    fn set(&mut self, term: usize, value: &Tensor) -> Result<(), TrainError> {
        self.0[term] = Some(value.f_to_kind(Kind::Double)?);
        Ok(())
    }

    fn set_finite(&mut self, term: usize, gradients: &[Tensor]) -> Result<(), TrainError> {
        let finite = all_finite(gradients)?.f_to_kind(Kind::Double)?;
        self.0[term] = Some(match &self.0[term] {
            Some(before) => before.f_mul(&finite)?,
            None => finite,
        });
        Ok(())
    }

    /// The row as one tensor; what no step of the round reported is 1 for a flag, NaN for γ, 0 for the rest.
    fn close(self, device: Device) -> Result<Tensor, TrainError> {
        let absent = |term| match term {
            3 | 4 => 1.0,
            7..=10 => f64::NAN,
            _ => 0.0,
        };
        let terms = self.0.into_iter().enumerate().map(|(term, value)| match value {
            Some(value) => Ok(value),
            None => Ok(Tensor::f_full([0_i64; 0], absent(term), (Kind::Double, device))?),
        });
        Ok(Tensor::f_stack(&terms.collect::<Result<Vec<_>, TrainError>>()?, 0)?)
    }
}

/// Rounds that were reported and not read yet.
#[derive(Debug, Default)]
pub struct Readings {
    row: Row,
    histogram: Histogram,
    /// The round's counts of γ, so far.
    counts: Option<Tensor>,
    pending: Vec<(u64, Tensor)>,
}

impl Readings {
    pub(super) fn discriminator(&mut self, report: &DiscriminatorReport<'_>) -> Result<(), TrainError> {
        let _guard = tch::no_grad_guard();
        self.row.set(0, report.loss)?;
        if let Some(penalty) = report.penalty {
            self.row.set(2, penalty)?;
        }
        self.row.set_finite(3, report.gradients)?;
        self.row.set(5, &report.real_scores.f_mean(Kind::Double)?)?;
        self.row.set(6, &report.fake_scores.f_mean(Kind::Double)?)?;
        if let Some(seeds) = report.seeds {
            let (gamma, saturated) = gamma(seeds)?;
            for (term, value) in (7..).zip(statistics(&gamma, &saturated)?) {
                self.row.set(term, &value)?;
            }
            self.counts = Some(self.histogram.count(&gamma.f_masked_fill(&saturated, f64::NAN)?)?);
        }
        Ok(())
    }

    pub(super) fn generator(&mut self, loss: &Tensor, gradients: &[Tensor]) -> Result<(), TrainError> {
        let _guard = tch::no_grad_guard();
        self.row.set(1, loss)?;
        self.row.set_finite(4, gradients)
    }

    /// Ends a round: its numbers as one tensor, which [`Self::push`] takes.
    pub(super) fn close(&mut self, device: Device) -> Result<Tensor, TrainError> {
        let row = std::mem::take(&mut self.row).close(device)?;
        let counts = match self.counts.take() {
            Some(counts) => counts,
            None => Tensor::f_zeros([GAMMA_BINS as i64], (Kind::Double, device))?,
        };
        Ok(Tensor::f_cat(&[row, counts], 0)?)
    }

    /// Keeps the numbers of the round numbered `step` until they are read.
    pub(super) fn push(&mut self, step: u64, row: Tensor) {
        self.pending.push((step, row));
    }

    /// Brings every pending step to the host, oldest first.
    ///
    /// # Errors
    /// [`TrainError::NotFinite`] for the first step whose loss or gradient is not finite.
    pub fn read(&mut self) -> Result<Vec<Reading>, TrainError> {
        if self.pending.is_empty() {
            return Ok(Vec::new());
        }
        let pending = std::mem::take(&mut self.pending);
        let rows: Vec<&Tensor> = pending.iter().map(|(_, row)| row).collect();
        let table = Tensor::f_stack(&rows, 0)?.f_to_device(Device::Cpu)?;
        let width = TERMS.len() + GAMMA_BINS;
        let mut values = vec![0.0; pending.len() * width];
        table.f_copy_data(&mut values, pending.len() * width)?;
        pending.iter().zip(values.chunks_exact(width)).map(|((step, _), row)| reading(*step, row)).collect()
    }
}

/// γ of every fake, and whether it is one that has none.
fn gamma(seeds: &Seeds) -> Result<(Tensor, Tensor), TrainError> {
    let (g_f, h) = (seeds.g_f.f_to_kind(Kind::Double)?, seeds.h.f_to_kind(Kind::Double)?);
    Ok((h.f_div(&g_f)?, g_f.f_eq(0.0)?))
}

/// Mean, least and largest γ over the fakes that have one, and the share of those that have none.
fn statistics(gamma: &Tensor, saturated: &Tensor) -> Result<[Tensor; 4], TrainError> {
    let without = |fill: f64| gamma.f_masked_fill(saturated, fill);
    let count = saturated.f_logical_not()?.f_sum(Kind::Double)?;
    Ok([
        without(0.0)?.f_sum(None)?.f_div(&count)?,
        without(f64::INFINITY)?.f_min()?,
        without(f64::NEG_INFINITY)?.f_max()?,
        saturated.f_to_kind(Kind::Double)?.f_mean(None)?,
    ])
}

fn reading(step: u64, row: &[f64]) -> Result<Reading, TrainError> {
    let not_finite = |i: usize, value: f64| TrainError::NotFinite { step, term: TERMS[i], value };
    // The losses and the penalty must be numbers; the two flags must be 1.
    if let Some(i) = (0..3).find(|&i| !row[i].is_finite()) {
        return Err(not_finite(i, row[i]));
    }
    if let Some(i) = (3..5).find(|&i| row[i] != 1.0) {
        return Err(not_finite(i, f64::NAN));
    }
    let gamma =
        Gamma { mean: row[7], min: row[8], max: row[9], saturated: row[10], histogram: bins(&row[TERMS.len()..]) };
    Ok(Reading {
        step,
        loss_discriminator: row[0],
        loss_generator: row[1],
        penalty: row[2],
        score_real: row[5],
        score_fake: row[6],
        gamma: (!row[10].is_nan()).then_some(gamma),
    })
}
