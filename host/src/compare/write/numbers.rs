//! Figures as tables show them: a column's have one number of decimals.

use crate::compare::{statistics::Average, table::Table};

/// Decimals of a column: two for FIDs, three or four for KIDs, as the paper's, and more where a cell would otherwise show less than
/// two digits.
pub(super) fn decimals(table: &Table, column: usize) -> usize {
    let values: Vec<Average> = table.rows.iter().filter_map(|row| row.cells.get(column)?.value).collect();
    let usual = match values.iter().map(|v| v.mean.abs()).fold(0.0, f64::max) {
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    };
    values.iter().map(needed).fold(usual, usize::max)
}

/// More decimals than this are noise, however small the values.
const MOST: usize = 8;

/// Decimals that show two digits of a mean, or of its deviation where that is the larger: a mean near 0 is no better known.
fn needed(value: &Average) -> usize {
    let size = value.mean.abs().max(value.std.unwrap_or(0.0));
    if size > 0.0 && size.is_finite() { (1.0 - size.log10().floor()).clamp(0.0, MOST as f64) as usize } else { 0 }
}

/// `mean ± std` between the given signs.
pub(super) fn spread(value: &Average, decimals: usize, plus_minus: &str) -> String {
    let std = value.std.map_or_else(String::new, |std| format!("{plus_minus}{std:.decimals$}"));
    format!("{:.decimals$}{std}", value.mean)
}

/// A metric as a heading.
pub(super) fn heading(metric: &str) -> String {
    match metric {
        "fid" | "kid" | "is" => metric.to_uppercase(),
        other => other.replace(['_', '-'], " "),
    }
}

/// The first letters of a failure: its whole text is in the run's log.
pub(super) fn first_line(why: &str) -> &str {
    why.lines().next().unwrap_or("")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::{
        Mode,
        plan::Take,
        table::{Cell, Row},
    };

    fn of(values: &[(f64, Option<f64>)]) -> usize {
        let row = |&(mean, std): &(f64, Option<f64>)| {
            let value = Some(Average { mean, std, n: 2 });
            let cell = Cell { value, planned: 2, failed: 0, against_two: None };
            Row { method: "A".into(), stages: Mode::One, cells: vec![cell] }
        };
        let rows = values.iter().map(row).collect();
        let (columns, failures) = (Vec::new(), Vec::new());
        decimals(&Table { take: Take::Last, seeds: vec![0, 1], columns, rows, failures, open: 0 }, 0)
    }

    #[test]
    fn no_cell_is_rounded_to_nothing() {
        assert_eq!(of(&[(20.7, Some(0.71)), (10.6, None)]), 2);
        assert_eq!(of(&[(0.0207, Some(0.0007)), (0.0106, None)]), 4);
        assert_eq!(of(&[(0.214, None), (0.0004, Some(0.0001))]), 5, "0.0004 is not 0.000");
        assert_eq!(of(&[(3.2, None), (0.0123, None)]), 3);
        assert_eq!(of(&[(0.02, None), (-0.000_001, Some(0.0003))]), 5, "as far as its deviation lets it be known");
        assert_eq!(of(&[(0.0, None), (0.0, Some(0.0))]), 4);
        assert_eq!(of(&[(1e-30, None)]), MOST);
    }
}
