//! γ over time: how the bins of `gamma_histogram` fill from reading to reading, as inline SVG.

use std::fmt::Write as _;

use serde_json::Value;

use super::{
    chart::{Axis, PLOT, frame},
    numbers::number,
};
use crate::train::{GAMMA_BINS, gamma_edges};

/// The most columns that are drawn; readings beyond them are put together.
const COLUMNS: usize = 120;
/// Shades.
const LEVELS: usize = 9;

/// Counts between two steps.
struct Column {
    from: f64,
    to: f64,
    counts: [u64; GAMMA_BINS],
}

/// The figure from the lines of `metrics.jsonl`; `None` where none has γ.
pub(super) fn html(lines: &[Value]) -> Option<String> {
    let columns = columns(lines);
    let used: Vec<usize> = (0..GAMMA_BINS).filter(|bin| columns.iter().any(|c| c.counts[*bin] > 0)).collect();
    let (lowest, highest) = (used.first()?.saturating_sub(1), (used.last()? + 1).min(GAMMA_BINS - 1));
    let (left, top, right, bottom) = PLOT;
    let x = Axis::new([columns.first()?.from, columns.last()?.to], [left, right], 6);
    let mut y = Axis::new([lowest as f64, highest as f64 + 1.0], [bottom, top], 5);
    y.ticks = labels(lowest, highest);
    let all = columns.iter().fold([0_u64; GAMMA_BINS], |sum, c| std::array::from_fn(|i| sum[i] + c.counts[i]));
    let summary = format!(
        "Distribution of γ over training; the median lies near {}",
        number(quantile(&all, 0.5).unwrap_or(f64::NAN))
    );
    let mut svg = frame("gamma", &summary, [&x, &y], "step");
    cells(&mut svg, &columns, &x, &y);
    svg += "</svg>";
    let shares = [0.05, 0.5, 0.95].map(|share| number(quantile(&all, share).unwrap_or(f64::NAN)));
    let [low, median, high] = shares;
    Some(format!(
        "<figure class=\"card chart\" id=\"gamma\"><figcaption><h3>γ, one fake at a time</h3>\
         <p>What each fake's gradient is multiplied by on its way from D's loss to G's: darker, more of the fakes between two readings. \
         Over the whole run the median is near {median}; nine in ten lie from about {low} to {high}.</p></figcaption>{svg}</figure>\n"
    ))
}

fn columns(lines: &[Value]) -> Vec<Column> {
    let mut before = 0.0;
    let mut all: Vec<Column> = Vec::new();
    for line in lines {
        let Some(step) = line.get("step").and_then(Value::as_f64) else { continue };
        if let Some(counts) = line.get("gamma_histogram").and_then(counts) {
            all.push(Column { from: before, to: step, counts });
        }
        before = step;
    }
    let together = all.len().div_ceil(COLUMNS).max(1);
    let merge = |some: &[Column]| Column {
        from: some[0].from,
        to: some[some.len() - 1].to,
        counts: std::array::from_fn(|bin| some.iter().map(|c| c.counts[bin]).sum()),
    };
    all.chunks(together).map(merge).collect()
}

fn counts(list: &Value) -> Option<[u64; GAMMA_BINS]> {
    let list: Vec<u64> = list.as_array()?.iter().map(|n| n.as_u64().unwrap_or(0)).collect();
    list.try_into().ok()
}

/// One path a shade: many small rectangles would make the page large.
fn cells(svg: &mut String, columns: &[Column], x: &Axis, y: &Axis) {
    let mut paths = vec![String::new(); LEVELS];
    for column in columns {
        let total = column.counts.iter().sum::<u64>().max(1) as f64;
        for (bin, count) in column.counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            // The square root shows the few in the tails too.
            let level = ((*count as f64 / total).sqrt() * LEVELS as f64).ceil().clamp(1.0, LEVELS as f64) as usize;
            let (from, to) = (x.place(column.from), x.place(column.to));
            let (low, high) = (y.place(bin as f64), y.place(bin as f64 + 1.0));
            let _ = write!(
                paths[level - 1],
                "M{from:.1} {high:.1}h{:.1}v{:.1}h{:.1}z",
                to - from + 0.2,
                low - high,
                from - to - 0.2
            );
        }
    }
    for (level, path) in paths.iter().enumerate().filter(|(_, path)| !path.is_empty()) {
        let _ = write!(
            svg,
            "<path class=\"heat\" fill-opacity=\"{:.2}\" d=\"{path}\"/>",
            (level as f64 + 1.0) / LEVELS as f64
        );
    }
}

/// Powers of ten where they lie among the bins, and 0.
fn labels(lowest: usize, highest: usize) -> Vec<(f64, String)> {
    let edges = gamma_edges();
    let powers = [-1000.0, -100.0, -10.0, -1.0, -0.1, -0.01, 0.0, 0.01, 0.1, 1.0, 10.0, 100.0, 1000.0_f64];
    let middle = |value: f64| edges.iter().filter(|edge| value >= **edge).count() as f64 + 0.5;
    let placed = powers.iter().map(|p| (middle(*p), number(*p)));
    placed.filter(|(at, _)| (lowest as f64..=highest as f64 + 1.0).contains(at)).collect()
}

/// About the value below which a share of the counts lies: the middle of its bin on the logarithmic scale.
fn quantile(counts: &[u64; GAMMA_BINS], share: f64) -> Option<f64> {
    let total: u64 = counts.iter().sum();
    let wanted = (total as f64 * share).ceil().max(1.0) as u64;
    let mut sum = 0;
    let bin = counts.iter().position(|count| {
        sum += count;
        sum >= wanted
    })?;
    let edges = gamma_edges();
    Some(match bin {
        0 => edges[0],
        b if b == GAMMA_BINS - 1 => edges[b - 1],
        b if edges[b - 1] < 0.0 && edges[b] > 0.0 => 0.0,
        b => edges[b].signum() * (edges[b - 1] * edges[b]).sqrt(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_median_of_a_symmetric_loss_is_minus_one() {
        let mut counts = vec![0; GAMMA_BINS];
        let bin = gamma_edges().iter().filter(|e| -1.0 >= **e).count();
        counts[bin] = 640;
        let line = |step: u64| json!({ "step": step, "gamma_histogram": counts });
        let html = html(&[line(10), line(20)]).unwrap();
        assert!(html.contains("the median is near −1;"), "{html}");
        assert_eq!(html.matches("class=\"heat\"").count(), 1);
        assert!(html.contains("fill-opacity=\"1.00\""));
    }

    #[test]
    fn many_readings_become_few_columns_and_none_no_figure() {
        let mut counts = vec![0; GAMMA_BINS];
        counts[3] = 1;
        let lines: Vec<Value> = (1..=1000).map(|s| json!({ "step": s, "gamma_histogram": counts })).collect();
        let merged = columns(&lines);
        assert_eq!((merged.len(), merged[0].from, merged[111].to), (112, 0.0, 1000.0));
        assert_eq!(merged.iter().map(|c| c.counts[3]).sum::<u64>(), 1000);
        assert_eq!(html(&[json!({ "step": 1 })]), None);
    }
}
