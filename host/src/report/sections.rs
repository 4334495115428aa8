//! The page's charts, from the lines of `metrics.jsonl` and the evaluations.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    Evaluation,
    chart::{Chart, Line},
    evaluations::smaller_is_better,
};

/// Below this many readings, a trend says nothing that the line does not.
const ENOUGH: usize = 12;

/// A column of `metrics.jsonl` over the steps; what is absent or `null` is a gap.
pub(super) fn series(lines: &[Value], name: &str) -> Vec<(f64, f64)> {
    let value = |line: &Value| line.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    lines.iter().filter_map(|line| Some((line.get("step")?.as_f64()?, value(line)))).collect()
}

fn chart(id: &str, title: &str, note: &str, lines: &[Value], columns: &[(&str, &str, usize)]) -> String {
    let drawn =
        columns.iter().map(|&(column, name, colour)| Line { name: name.into(), colour, points: series(lines, column) });
    Chart { id, title, note, x_label: "step", lines: drawn.collect(), trend: lines.len() >= ENOUGH }.html()
}

/// Losses and scores.
pub(super) fn losses(lines: &[Value]) -> String {
    let of = |line: &Value| line.get("penalty").and_then(Value::as_f64).is_some_and(|p| p != 0.0);
    let mut losses = vec![("loss_discriminator", "discriminator", 1), ("loss_generator", "generator", 2)];
    if lines.iter().any(of) {
        losses.push(("penalty", "penalty", 3));
    }
    chart("losses", "Losses", "Means between readings; the bold line is the trend.", lines, &losses)
        + &chart(
            "scores",
            "Scores of the discriminator",
            "Means over a batch, of real images and of fakes.",
            lines,
            &[("score_real", "D(x), real", 3), ("score_fake", "D(G(z)), fake", 4)],
        )
}

/// Speed, and the learning rate where it changes.
pub(super) fn speed(lines: &[Value]) -> String {
    let mut text = chart(
        "speed",
        "Speed",
        "Real images in a second, with everything that the run does between readings.",
        lines,
        &[("images_per_second", "images per second", 1)],
    );
    if series(lines, "data_wait").iter().any(|p| p.1 > 0.01) {
        text += &chart(
            "wait",
            "Waiting for data",
            "Share of the time in which the next batch was not ready.",
            lines,
            &[("data_wait", "share", 4)],
        );
    }
    if series(lines, "rate_factor").iter().any(|p| p.1.is_finite() && p.1 != 1.0) {
        text += &chart(
            "rate",
            "Schedule",
            "What both learning rates are multiplied by.",
            lines,
            &[("rate_factor", "factor", 2)],
        );
    }
    text
}

/// The share of fakes without γ, where it is ever above 0.
pub(super) fn saturation(lines: &[Value]) -> String {
    if series(lines, "saturated").iter().all(|p| p.1.is_nan() || p.1 == 0.0) {
        return String::new();
    }
    chart(
        "saturated",
        "Fakes without γ",
        "The share whose gradient from D's loss is exactly 0: D is sure of them.",
        lines,
        &[("saturated", "share", 4)],
    )
}

/// A chart for each full name of a figure.
pub(super) fn metrics(all: &[Evaluation]) -> String {
    let mut names: Vec<(&str, &str)> = Vec::new();
    for figure in all.iter().flat_map(|e| &e.figures) {
        if !names.iter().any(|(name, _)| *name == figure.name) {
            names.push((&figure.name, &figure.metric));
        }
    }
    names.iter().enumerate().fold(String::new(), |text, (at, (name, metric))| {
        let note = match smaller_is_better(metric) {
            Some(true) => "Smaller is better.",
            Some(false) => "Larger is better.",
            None => "",
        };
        let value =
            |e: &Evaluation| e.figures.iter().find(|f| f.name == *name).and_then(|f| f.value).unwrap_or(f64::NAN);
        let points = all.iter().map(|e| (e.step as f64, value(e))).collect();
        let line = Line { name: metric.replace(['_', '-'], " "), colour: at % 4 + 1, points };
        let id = format!("metric-{at}");
        text + &Chart { id: &id, title: name, note, x_label: "step", lines: vec![line], trend: false }.html()
    })
}

/// The step of each name's best value, where it is known which is better.
pub(super) fn best(all: &[Evaluation]) -> BTreeMap<String, u64> {
    let mut best: BTreeMap<String, (u64, f64)> = BTreeMap::new();
    for evaluation in all {
        for figure in &evaluation.figures {
            let (Some(value), Some(smaller)) = (figure.value, smaller_is_better(&figure.metric)) else { continue };
            let found = best.entry(figure.name.clone()).or_insert((evaluation.step, value));
            if if smaller { value < found.1 } else { value > found.1 } {
                *found = (evaluation.step, value);
            }
        }
    }
    best.into_iter().map(|(name, (step, _))| (name, step)).collect()
}
