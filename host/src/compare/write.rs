//! The results' files: table as Markdown, LaTeX, CSV and JSON, curves as PNG and SVG.

mod latex;
mod markdown;
mod numbers;

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    CompareError, Job,
    collect::collect,
    curves::{self, Against, Curve},
    each::{Each, each},
    plan::{Plan, slug},
    plateau, table,
};
use crate::{
    image::encode_panels,
    report::number,
    run::{own_folder, replace},
};

/// All that the files say.
#[derive(Debug, Serialize)]
struct Results {
    #[serde(flatten)]
    table: table::Table,
    plateau: Plateaus,
    runs: Vec<Each>,
    curves: Vec<Curve>,
}

#[derive(Debug, Serialize)]
struct Plateaus {
    metric: String,
    tolerance: f64,
    hold: usize,
    rows: Vec<plateau::Row>,
}

impl Plateaus {
    /// Whether a run has ended that may have one.
    fn any(&self) -> bool {
        self.rows.iter().any(|row| row.modes.iter().any(|own| own.runs > 0))
    }

    /// What counts as one, as a sentence.
    fn rule(&self) -> String {
        format!(
            "Time to plateau by {}: the first evaluation within {} % of the run's best that {} more follow.",
            numbers::heading(&self.metric),
            number(self.tolerance * 100.0),
            self.hold
        )
    }
}

/// Writes tables and curves over the runs as they are now into `out`; gives the Markdown table's text and the files.
pub fn write(plan: &Plan, jobs: &[Job], out: &Path) -> Result<(String, Vec<PathBuf>), CompareError> {
    let runs = collect(plan, jobs)?;
    let results = Results {
        table: table::table(plan, &runs),
        plateau: Plateaus {
            metric: plan.plateau_metric().to_owned(),
            tolerance: plan.plateau.tolerance,
            hold: plan.plateau.hold,
            rows: plateau::rows(plan, &runs),
        },
        runs: each(plan, &runs),
        curves: curves::curves(plan, &runs),
    };
    fs::create_dir_all(out).map_err(CompareError::io("create", out))?;
    own_folder(&out.join("curves"))?;
    let text = markdown::page(&results);
    let json = serde_json::to_string_pretty(&results).unwrap_or_default() + "\n";
    let mut files = Vec::new();
    let mut put = |name: String, bytes: &[u8]| -> Result<(), CompareError> {
        let path = out.join(name);
        replace(&path, bytes)?;
        files.push(path);
        Ok(())
    };
    put("table.md".into(), text.as_bytes())?;
    put("table.tex".into(), latex::page(&results).as_bytes())?;
    put("table.csv".into(), csv(&results).as_bytes())?;
    put("table.json".into(), json.as_bytes())?;
    for column in &results.table.columns {
        for against in Against::ALL {
            let panels = curves::panels(&results.curves, &column.data, &column.metric, against);
            if panels.is_empty() {
                continue;
            }
            let title =
                column.name.as_ref().map_or_else(|| column.metric.clone(), |name| format!("{name}, {}", column.data));
            let (png, svg) = encode_panels(&title, against.label(), &panels)?;
            let name = format!("curves/{}-{}-{}", slug(&column.data), slug(&column.metric), against.name());
            put(format!("{name}.png"), &png)?;
            put(format!("{name}.svg"), svg.as_bytes())?;
        }
    }
    Ok((text, files))
}

/// A row for each cell that the plan means.
fn csv(results: &Results) -> String {
    let mut text = "data,method,stages,metric,name,mean,std,n,planned,failed,better\n".to_owned();
    for row in &results.table.rows {
        for (column, cell) in results.table.columns.iter().zip(&row.cells).filter(|(_, cell)| cell.planned > 0) {
            let number = |value: Option<f64>| value.map_or_else(String::new, |v| v.to_string());
            let better = cell.against_two.and_then(|a| a.better).map_or("", |b| if b { "yes" } else { "no" });
            let fields = [
                column.data.clone(),
                row.method.clone(),
                row.stages.name().into(),
                column.metric.clone(),
                column.name.clone().unwrap_or_default(),
                number(cell.value.map(|v| v.mean)),
                number(cell.value.and_then(|v| v.std)),
                cell.value.map_or(0, |v| v.n).to_string(),
                cell.planned.to_string(),
                cell.failed.to_string(),
                better.into(),
            ];
            text += &(fields.map(|f| quoted(&f)).join(",") + "\n");
        }
    }
    text
}

/// A field as RFC 4180 has it.
fn quoted(field: &str) -> String {
    if field.contains(['"', ',', '\n']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.to_owned() }
}
