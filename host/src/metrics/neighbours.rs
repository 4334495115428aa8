//! Improved precision and recall (Kynkäänniemi et al. 2019), density and coverage (Naeem et al. 2020): how many samples lie
//! within the distance of another set's samples to their k-th neighbours.
//!
//! Distances are compared strictly, as the `prdc` package does. They are computed in tiles, so that memory stays the same
//! however many samples there are; time grows with the square.

use tch::{Device, Kind, Tensor};

use super::MetricsError;
use crate::work::go_on;

/// Neighbours for precision and recall.
pub const MANIFOLD_K: i64 = 3;
/// Neighbours for density and coverage.
pub const COVERAGE_K: i64 = 5;

/// A tile's sides: 32 MB of float64.
const ROWS: i64 = 1024;
const COLUMNS: i64 = 4096;

/// The four figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Neighbourhoods {
    /// Share of generated samples within the radius of some real one.
    pub precision: f64,
    /// Share of real samples within the radius of some generated one.
    pub recall: f64,
    /// Mean number of real samples within whose radius a generated one lies, over k.
    pub density: f64,
    /// Share of real samples whose nearest generated one lies within their radius.
    pub coverage: f64,
}

/// The squared distance of each row of `[n, d]` to its k-th neighbour, itself excluded, for each `k`: `[n]` in float64.
pub fn radii(rows: &Tensor, ks: &[i64], device: Device) -> Result<Vec<Tensor>, MetricsError> {
    let n = rows.size()[0];
    let most = ks.iter().copied().max().unwrap_or(1);
    if n <= most {
        let why = format!("{n} samples have no {most} neighbours each; take more than {most}");
        return Err(MetricsError::Figure { metric: "the neighbourhood of samples", why });
    }
    // Made before the tiles: a small tensor that outlives them would lie where one was, and the next would find no room there.
    let room = |_| Tensor::f_empty([n], (Kind::Double, Device::Cpu));
    let found = ks.iter().map(room).collect::<Result<Vec<_>, _>>()?;
    for i in (0..n).step_by(ROWS as usize) {
        go_on()?;
        let some = Block::of(rows, i, ROWS, device)?;
        let mut nearest: Option<Tensor> = None;
        for j in (0..n).step_by(COLUMNS as usize) {
            let others = Block::of(rows, j, COLUMNS, device)?;
            let squares = some.squares(&others)?;
            // A sample's distance to itself is 0, whatever rounding made of it.
            if i - j > -squares.size()[0] && i - j < squares.size()[1] {
                let _ = squares.f_diagonal(i - j, 0, 1)?.f_zero_()?;
            }
            let candidates = match nearest.take() {
                Some(so_far) => Tensor::f_cat(&[so_far, smallest(&squares, most + 1)?], 1)?,
                None => squares,
            };
            nearest = Some(smallest(&candidates, most + 1)?);
        }
        if let Some(nearest) = nearest {
            for (k, found) in ks.iter().zip(&found) {
                found.f_narrow(0, i, nearest.size()[0])?.f_copy_(&nearest.f_select(1, *k)?)?;
            }
        }
    }
    Ok(found)
}

/// The `k` smallest of each row, ascending; all, where there are fewer.
fn smallest(values: &Tensor, k: i64) -> Result<Tensor, MetricsError> {
    Ok(values.f_topk(k.min(values.size()[1]), 1, false, true)?.0)
}

/// The figures of `generated` `[n, d]` against `real` `[m, d]`. Radii are squared, as [`radii`] gives them: those of real
/// samples for precision and for coverage (with its `k`), and those of generated ones for recall.
pub fn neighbourhoods(
    real: &Tensor,
    generated: &Tensor,
    [of_real, of_generated]: [&Tensor; 2],
    (coverage_k, of_coverage): (i64, &Tensor),
    device: Device,
) -> Result<Neighbourhoods, MetricsError> {
    let (m, n) = (real.size()[0], generated.size()[0]);
    let flags = |n| Tensor::f_zeros([n], (Kind::Bool, device));
    let (mut precise, mut dense) = (flags(n)?, 0.0);
    let (mut recalled, mut covered) = (0, 0);
    for i in (0..m).step_by(ROWS as usize) {
        go_on()?;
        let some = Block::of(real, i, ROWS, device)?;
        let rows = some.rows.size()[0];
        let radius = |of: &Tensor, at, len| of.f_narrow(0, at, len)?.f_to_device(device);
        let (wide, near) = (radius(of_real, i, rows)?.f_unsqueeze(1)?, radius(of_coverage, i, rows)?.f_unsqueeze(1)?);
        let (mut reached, mut covers) = (flags(rows)?, flags(rows)?);
        for j in (0..n).step_by(COLUMNS as usize) {
            let others = Block::of(generated, j, COLUMNS, device)?;
            let squares = some.squares(&others)?;
            let columns = squares.size()[1];
            let mut hit = precise.f_narrow(0, j, columns)?;
            let within = squares.f_lt_tensor(&wide)?.f_any_dim(0, false)?;
            hit.f_copy_(&hit.f_logical_or(&within)?)?;
            let reach = radius(of_generated, j, columns)?;
            reached = reached.f_logical_or(&squares.f_lt_tensor(&reach)?.f_any_dim(1, false)?)?;
            let close = squares.f_lt_tensor(&near)?;
            dense += close.f_sum(Kind::Int64)?.f_int64_value(&[])? as f64;
            covers = covers.f_logical_or(&close.f_any_dim(1, false)?)?;
        }
        let count = |flags: &Tensor| flags.f_sum(Kind::Int64)?.f_int64_value(&[]);
        recalled += count(&reached)?;
        covered += count(&covers)?;
    }
    precise = precise.f_to_device(Device::Cpu)?;
    Ok(Neighbourhoods {
        precision: precise.f_sum(Kind::Int64)?.f_int64_value(&[])? as f64 / n as f64,
        recall: recalled as f64 / m as f64,
        density: dense / (coverage_k * n) as f64,
        coverage: covered as f64 / m as f64,
    })
}

/// Rows in float64 with their squared lengths.
struct Block {
    rows: Tensor,
    lengths: Tensor,
}

impl Block {
    fn of(rows: &Tensor, start: i64, most: i64, device: Device) -> Result<Self, MetricsError> {
        let some = rows.f_narrow(0, start, most.min(rows.size()[0] - start))?;
        let rows = some.f_to_device(device)?.f_to_kind(Kind::Double)?;
        let lengths = rows.f_square()?.f_sum_dim_intlist(1, false, Kind::Double)?;
        Ok(Self { rows, lengths })
    }

    /// Squared distances, `[rows, others]`.
    fn squares(&self, others: &Self) -> Result<Tensor, MetricsError> {
        let mut sum = self.lengths.f_unsqueeze(1)?.f_add(&others.lengths)?;
        let _ = sum.f_addmm_(&self.rows, &others.rows.f_tr()?.f_mul_scalar(-2.0)?)?.f_clamp_min_(0.0)?;
        Ok(sum)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::legacy_random::tests::{golden, uniform};

    fn of(real: &Tensor, generated: &Tensor, k: i64) -> [f64; 4] {
        let radius = |rows: &Tensor| radii(rows, &[k], Device::Cpu).unwrap().remove(0);
        let (of_real, of_generated) = (radius(real), radius(generated));
        let found = neighbourhoods(real, generated, [&of_real, &of_generated], (k, &of_real), Device::Cpu).unwrap();
        [found.precision, found.recall, found.density, found.coverage]
    }

    #[test]
    fn it_is_the_references() {
        let (x, y) = (uniform(200, 16, 1), uniform(250, 16, 2).square());
        let close = |found: [f64; 4], expected: [f64; 4]| {
            assert!(found.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{found:?} is not {expected:?}");
        };
        close(of(&x, &y, 5), [0.644, 0.845, 0.2928, 0.595]);
        close(of(&x, &y, 3), [0.468, 0.745, 0.836 / 3.0, 0.45]);
        for k in [3, 5] {
            let expected: [f64; 4] = serde_json::from_value(golden("prdc")[k.to_string()].clone()).unwrap();
            close(of(&x, &y, k), expected);
        }
    }

    /// More rows and columns than a tile has, against all distances at once.
    #[test]
    fn tiles_do_not_show() {
        let (x, y) = (uniform(1100, 3, 1), uniform(4200, 3, 2));
        let all =
            |a: &Tensor, b: &Tensor| (a.unsqueeze(1) - b.unsqueeze(0)).square().sum_dim_intlist(2, false, Kind::Double);
        let radius = |a: &Tensor| all(a, a).sort(1, false).0.select(1, 4);
        let (of_x, of_y, between) = (radius(&x), radius(&y), all(&x, &y));
        let found = radii(&y, &[2, 4], Device::Cpu).unwrap();
        assert!((&found[1] - &of_y).abs().max().double_value(&[]) < 1e-12);
        let share = |flags: Tensor| flags.to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        let within = between.lt_tensor(&of_x.unsqueeze(1));
        let expected = [
            share(within.any_dim(0, false)),
            share(between.lt_tensor(&of_y).any_dim(1, false)),
            within.sum(Kind::Int64).int64_value(&[]) as f64 / (4.0 * 4200.0),
            share(between.amin([1], false).lt_tensor(&of_x)),
        ];
        assert_eq!(of(&x, &y, 4), expected);
    }

    #[test]
    fn too_few_samples_are_refused() {
        let message = radii(&uniform(5, 2, 1), &[3, 5], Device::Cpu).unwrap_err().to_string();
        assert!(message.ends_with("5 samples have no 5 neighbours each; take more than 5"), "{message}");
    }
}
