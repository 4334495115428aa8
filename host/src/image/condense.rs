//! Thins curves to what a plot can show, and smooths them. Leaves out the drawing.

use super::curves::usable;
use std::ops::Range;

/// Columns a plot's width is divided into: about one for each pixel.
const COLUMNS: usize = 860;
/// Half the smoothing window, as a fraction of the columns in use.
const HALF_WINDOW: f64 = 1.0 / 20.0;

/// What one pixel column shows of a curve.
#[derive(Debug)]
pub(crate) struct Column {
    /// The first, lowest, highest and last point of the column in order (the M4 aggregation of Jugel et al., 2014):
    /// a line through them covers the same pixels as a line through all points.
    pub points: Vec<(f64, f64)>,
    /// The lowest value.
    pub low: f64,
    /// The highest value.
    pub high: f64,
    /// Mean step and value.
    mean: (f64, f64),
    /// How many points there were.
    count: f64,
}

/// Splits a curve over `steps` into runs without gaps, each a list of columns. Points need not be in order of step;
/// those without a finite step are left out.
pub(crate) fn condense(points: &[(f64, f64)], steps: Range<f64>) -> Vec<Vec<Column>> {
    let mut sorted: Vec<_> = points.iter().copied().filter(|point| usable(point.0)).collect();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let width = (steps.end - steps.start).max(f64::MIN_POSITIVE);
    let column_of = |step: f64| ((step - steps.start) / width * COLUMNS as f64) as usize;
    sorted
        .split(|point| !usable(point.1))
        .filter(|run| !run.is_empty())
        .map(|run| run.chunk_by(|a, b| column_of(a.0) == column_of(b.0)).map(column).collect())
        .collect()
}

/// Sums up the points of one column, at least one.
fn column(points: &[(f64, f64)]) -> Column {
    let (mut lowest, mut highest) = (0, 0);
    let mut sum = (0.0, 0.0);
    for (index, &(step, value)) in points.iter().enumerate() {
        if value < points[lowest].1 {
            lowest = index;
        }
        if value > points[highest].1 {
            highest = index;
        }
        sum = (sum.0 + step, sum.1 + value);
    }
    let mut kept = vec![0, lowest, highest, points.len() - 1];
    kept.sort_unstable();
    kept.dedup();
    let count = points.len() as f64;
    Column {
        points: kept.into_iter().map(|index| points[index]).collect(),
        low: points[lowest].1,
        high: points[highest].1,
        mean: (sum.0 / count, sum.1 / count),
        count,
    }
}

/// The local trend of a run, one point for each column: a line fitted to the columns around it, with weights that fall
/// off linearly (LOESS of degree 1). Unlike a moving average it follows a slope up to the ends.
pub(crate) fn smooth(run: &[Column]) -> Vec<(f64, f64)> {
    let half = (run.len() as f64 * HALF_WINDOW).ceil() as usize;
    (0..run.len()).map(|at| (run[at].mean.0, trend(run, at, half))).collect()
}

/// The value at column `at` of the line fitted to the columns at most `half` away.
fn trend(run: &[Column], at: usize, half: usize) -> f64 {
    let first = at.saturating_sub(half);
    let window = &run[first..(at + half + 1).min(run.len())];
    let span = (window[window.len() - 1].mean.0 - window[0].mean.0).max(f64::MIN_POSITIVE);
    let (mut w, mut wx, mut wy, mut wxx, mut wxy) = (0.0, 0.0, 0.0, 0.0, 0.0);
    for (offset, column) in window.iter().enumerate() {
        let weight = column.count * (half + 1 - (first + offset).abs_diff(at)) as f64;
        let (x, y) = ((column.mean.0 - run[at].mean.0) / span, column.mean.1);
        w += weight;
        wx += weight * x;
        wy += weight * y;
        wxx += weight * x * x;
        wxy += weight * x * y;
    }
    let (mean_x, mean_y) = (wx / w, wy / w);
    let spread = wxx / w - mean_x * mean_x;
    let slope = if spread > 1e-9 { (wxy / w - mean_x * mean_y) / spread } else { 0.0 };
    // A steep start can carry the line beyond the data; the curve stays within them.
    let low = window.iter().fold(f64::INFINITY, |low, column| low.min(column.low));
    let high = window.iter().fold(f64::NEG_INFINITY, |high, column| high.max(column.high));
    (mean_y - slope * mean_x).clamp(low, high)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_points_keep_their_extremes_and_ends() {
        let spike = |i: u32| if i == 654_321 { 9.0 } else { f64::from(i % 7) };
        let points: Vec<_> = (0..1_000_000).map(|i| (f64::from(i), spike(i))).collect();
        let runs = condense(&points, 0.0..999_999.0);
        assert_eq!(runs.len(), 1);
        assert!(runs[0].len() <= COLUMNS + 1);
        let kept: Vec<_> = runs[0].iter().flat_map(|column| column.points.clone()).collect();
        assert!(kept.len() <= 4 * (COLUMNS + 1));
        assert!(kept.contains(&(654_321.0, 9.0)));
        assert_eq!((kept[0], kept[kept.len() - 1]), (points[0], points[999_999]));
        assert!(kept.is_sorted_by(|a, b| a.0 < b.0));
        assert_eq!(runs[0].iter().map(|column| column.count).sum::<f64>(), 1e6);
    }

    #[test]
    fn gaps_split_and_disorder_is_sorted() {
        let nan = f64::NAN;
        let runs =
            condense(&[(4.0, 4.0), (0.0, 0.0), (nan, 7.0), (1.0, 1.0), (2.0, nan), (3.0, f64::INFINITY)], 0.0..4.0);
        let steps: Vec<Vec<f64>> = runs
            .iter()
            .map(|run| run.iter().flat_map(|column| &column.points).map(|point| point.0).collect())
            .collect();
        assert_eq!(steps, [vec![0.0, 1.0], vec![4.0]]);
    }

    #[test]
    fn smoothing_keeps_a_slope_and_damps_noise() {
        let points: Vec<_> = (0..800).map(|i| (f64::from(i), f64::from(i) + 50.0 * f64::from(i % 2))).collect();
        let smoothed = smooth(&condense(&points, 0.0..799.0)[0]);
        for (step, value) in smoothed {
            assert!((value - step - 25.0).abs() < 5.0, "at {step}: {value}");
        }
    }
}
