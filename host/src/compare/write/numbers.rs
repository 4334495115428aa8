//! Figures as tables show them: a column's have one number of decimals.

use crate::compare::{statistics::Average, table::Table};

/// Decimals of a column: two for FIDs, three for KIDs, as the paper's.
pub(super) fn decimals(table: &Table, column: usize) -> usize {
    let means = table.rows.iter().filter_map(|row| row.cells.get(column)?.value.map(|v| v.mean.abs()));
    match means.fold(0.0, f64::max) {
        1.0.. => 2,
        0.1.. => 3,
        _ => 4,
    }
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
