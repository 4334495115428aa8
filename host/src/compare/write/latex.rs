//! The tables for a paper, cells and time to plateau: they need `booktabs`.

use std::fmt::Write as _;

use super::{
    Results,
    numbers::{decimals, first_line, heading, spread},
};
use crate::{
    compare::{Mode, plateau, statistics::Average, table::Cell},
    text::{is_silent, sentence},
};

pub(super) fn page(results: &Results) -> String {
    let table = &results.table;
    let mut text = "% Made by tandem compare. Needs \\usepackage{booktabs}.\n".to_owned();
    for column in &table.columns {
        if let Some(name) = &column.name {
            let _ = writeln!(text, "% {} on {}: {}", heading(&column.metric), sentence(&column.data), sentence(name));
        }
    }
    for failure in &table.failures {
        let _ = writeln!(text, "% failed: {}: {}", failure.run, first_line(&failure.why));
    }
    let _ = writeln!(text, "\\begin{{tabular}}{{ll{}}}\n\\toprule", "c".repeat(table.columns.len()));
    let heads: Vec<String> =
        table.columns.iter().map(|c| escape(&format!("{} {}", c.data, heading(&c.metric)))).collect();
    let _ = writeln!(text, "Method & Stages & {} \\\\\n\\midrule", heads.join(" & "));
    let mut before = None;
    for row in &table.rows {
        if before.is_some_and(|method| method != &row.method) {
            text += "\\addlinespace\n";
        }
        before = Some(&row.method);
        let cells: Vec<String> = row
            .cells
            .iter()
            .enumerate()
            .map(|(at, c)| cell(c, row.stages, decimals(table, at), table.seeds.len()))
            .collect();
        let _ = writeln!(text, "{} & {} & {} \\\\", escape(&row.method), row.stages, cells.join(" & "));
    }
    text += "\\bottomrule\n\\end{tabular}\n";
    plateaus(&mut text, results);
    text
}

/// A second table, after a gap.
fn plateaus(text: &mut String, results: &Results) {
    let plateau = &results.plateau;
    if !plateau.any() {
        return;
    }
    let _ = writeln!(
        text,
        "\n\\par\\bigskip\\noindent\n% {}\n% Ratios are two stages' over one stage's: to each one's own plateau, to the same value, and of a step.\n\
         \\begin{{tabular}}{{ll{}}}\n\\toprule",
        plateau.rule(),
        "c".repeat(7)
    );
    *text += "Data & Method & two (s) & one (s) & own, time & own, passes & same, time & same, passes & step, time \\\\\n\\midrule\n";
    for row in &plateau.rows {
        let ratios = [row.own_seconds, row.own_passes, row.same_seconds, row.same_passes, row.step_seconds];
        let times = [Mode::Two, Mode::One].map(|mode| time(row, mode));
        let cells: Vec<String> = times.into_iter().chain(ratios.map(ratio)).collect();
        let _ = writeln!(text, "{} & {} & {} \\\\", escape(&row.data), escape(&row.method), cells.join(" & "));
    }
    *text += "\\bottomrule\n\\end{tabular}\n";
}

fn time(row: &plateau::Row, mode: Mode) -> String {
    let Some(own) = row.modes.iter().find(|own| own.stages == mode) else { return "/".into() };
    match &own.seconds {
        Some(mean) if mean.n < own.runs => format!("${}$ ({} of {})", spread(mean, 1, " \\pm "), mean.n, own.runs),
        Some(mean) => format!("${}$", spread(mean, 1, " \\pm ")),
        None if own.runs > 0 => "not reached".into(),
        None => "--".into(),
    }
}

fn ratio(ratio: Option<Average>) -> String {
    ratio.map_or_else(|| "--".into(), |mean| format!("${}$ ({})", spread(&mean, 2, " \\pm "), mean.n))
}

fn cell(cell: &Cell, stages: Mode, decimals: usize, seeds: usize) -> String {
    if cell.planned == 0 {
        return "/".into();
    }
    let Some(value) = &cell.value else {
        return if cell.failed == cell.planned { "failed".into() } else { "--".into() };
    };
    let mut text = spread(value, decimals, " \\pm ");
    if stages == Mode::One
        && let Some(against) = cell.against_two
    {
        if against.better == Some(true) {
            text = format!("\\mathbf{{{text}}}");
        }
        text += match against.difference {
            d if d < 0.0 => "\\,(\\downarrow)",
            d if d > 0.0 => "\\,(\\uparrow)",
            _ => "\\,(=)",
        };
    }
    let of = if value.n < seeds { format!(" ({} of {seeds})", value.n) } else { String::new() };
    format!("${text}${of}")
}

fn escape(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out += "\\textbackslash{}",
            '~' => out += "\\textasciitilde{}",
            '^' => out += "\\textasciicircum{}",
            // In LaTeX's usual encoding these letters are others.
            '|' => out += "\\textbar{}",
            '<' => out += "\\textless{}",
            '>' => out += "\\textgreater{}",
            '†' => out += "$\\dagger$",
            '#' | '$' | '%' | '&' | '_' | '{' | '}' => out.extend(['\\', c]),
            c if is_silent(c) => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_text_to_latex() {
        assert_eq!(escape("DCGAN† 50% a_b"), "DCGAN$\\dagger$ 50\\% a\\_b");
        assert_eq!(escape("a|b <c>"), "a\\textbar{}b \\textless{}c\\textgreater{}");
    }
}
