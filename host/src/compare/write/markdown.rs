//! The table as a Markdown page: cells, the columns' full names, failures, time to plateau.

use std::fmt::Write as _;

use super::{
    Results,
    numbers::{decimals, first_line, heading, spread},
};
use crate::compare::{
    Mode,
    plan::Take,
    plateau::{self, Own},
    statistics::Average,
    table::{Cell, Row, Table},
};
use crate::text::sentence;

pub(super) fn page(results: &Results) -> String {
    let table = &results.table;
    let seeds = table.seeds.len();
    let taken = match table.take {
        Take::Last => "the last evaluation",
        Take::Best => "the best evaluation",
    };
    let mut text = format!(
        "Mean ± standard deviation of {taken} over {seeds} seed{}. ↓ and ↑: one stage lies below or above two; **bold**: it is better.\n\n",
        if seeds == 1 { "" } else { "s" }
    );
    cells(&mut text, table);
    text += "\n";
    for column in &table.columns {
        if let Some(name) = &column.name {
            let _ = writeln!(text, "- {} on {}: {}", heading(&column.metric), escape(&column.data), escape(name));
        }
    }
    if table.open > 0 {
        let _ = writeln!(text, "\n{} runs have not ended yet.", table.open);
    }
    if !table.failures.is_empty() {
        text += "\n| failed run | why |\n|---|---|\n";
        for failure in &table.failures {
            let _ = writeln!(text, "| {} | {} |", escape(&failure.run), escape(first_line(&failure.why)));
        }
    }
    plateaus(&mut text, results);
    text
}

fn cells(text: &mut String, table: &Table) {
    let heads = table.columns.iter().map(|c| format!("{} {}", escape(&c.data), heading(&c.metric)));
    let heads: Vec<String> = heads.collect();
    let _ = writeln!(text, "| method | stages | {} |", heads.join(" | "));
    let _ = writeln!(text, "|---|---|{}", "--:|".repeat(heads.len()));
    for row in &table.rows {
        let cells: Vec<String> =
            row.cells.iter().enumerate().map(|(at, c)| cell(table, row, c, decimals(table, at))).collect();
        let _ = writeln!(text, "| {} | {} | {} |", escape(&row.method), row.stages, cells.join(" | "));
    }
}

fn cell(table: &Table, row: &Row, cell: &Cell, decimals: usize) -> String {
    if cell.planned == 0 {
        return "/".into();
    }
    let Some(value) = &cell.value else {
        return if cell.failed == cell.planned { "failed".into() } else { "–".into() };
    };
    let mut text = spread(value, decimals, " ± ");
    if row.stages == Mode::One
        && let Some(against) = cell.against_two
    {
        text += if against.difference < 0.0 {
            " (↓)"
        } else if against.difference > 0.0 {
            " (↑)"
        } else {
            " (=)"
        };
        if against.better == Some(true) {
            text = format!("**{text}**");
        }
    }
    if value.n < table.seeds.len() {
        text += &format!(" ({} of {})", value.n, table.seeds.len());
    }
    text
}

fn plateaus(text: &mut String, results: &Results) {
    let plateau = &results.plateau;
    if !plateau.any() {
        return;
    }
    let _ = writeln!(
        text,
        "\n{} Ratios are two stages' over one stage's, \
         seed by seed: each to its own plateau, both to the worse of their two best values (between evaluations on a straight line), and for a step.\n",
        plateau.rule()
    );
    *text += "| data | method | two: s | one: s | own, time | own, passes | same, time | same, passes | a step, time |\n\
              |---|---|--:|--:|--:|--:|--:|--:|--:|\n";
    for row in &plateau.rows {
        let _ = writeln!(
            text,
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            escape(&row.data),
            escape(&row.method),
            seconds(row, Mode::Two),
            seconds(row, Mode::One),
            ratio(row.own_seconds),
            ratio(row.own_passes),
            ratio(row.same_seconds),
            ratio(row.same_passes),
            ratio(row.step_seconds)
        );
    }
}

fn seconds(row: &plateau::Row, mode: Mode) -> String {
    let Some(own) = row.modes.iter().find(|own| own.stages == mode) else { return "/".into() };
    let Own { runs, seconds, .. } = own;
    match seconds {
        Some(mean) if mean.n < *runs => format!("{} ({} of {runs})", spread(mean, 1, " ± "), mean.n),
        Some(mean) => spread(mean, 1, " ± "),
        None if *runs > 0 => "not reached".into(),
        None => "–".into(),
    }
}

fn ratio(ratio: Option<Average>) -> String {
    ratio.map_or_else(|| "–".into(), |mean| format!("{} (n = {})", spread(&mean, 2, " ± "), mean.n))
}

fn escape(text: &str) -> String {
    sentence(text).replace('|', "\\|")
}
