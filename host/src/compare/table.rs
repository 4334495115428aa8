//! The table's content: rows of methods and modes, columns of data sets and metrics. How it is written comes after.

use serde::Serialize;

use super::{
    Mode,
    collect::{Run, State},
    plan::{Plan, Take},
    statistics::Average,
};
use crate::report::smaller_is_better;

/// One column.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Column {
    pub(super) data: String,
    pub(super) metric: String,
    /// The figures' full name, once a run has one.
    pub(super) name: Option<String>,
    /// Whether a smaller value is the better one, where that is known.
    pub(super) smaller_is_better: Option<bool>,
}

/// One method in one mode.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) method: String,
    pub(super) stages: Mode,
    pub(super) cells: Vec<Cell>,
}

/// One method in one mode by one metric.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Cell {
    /// Over the seeds that ended with a finite value.
    pub(super) value: Option<Average>,
    /// Runs that the plan means; 0 where it leaves the method out.
    pub(super) planned: usize,
    /// Runs that failed, or ended with a value that is not finite.
    pub(super) failed: usize,
    /// Against two stages, for a row of one.
    pub(super) against_two: Option<Against>,
}

/// One stage against two.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Against {
    /// The difference of the means: one stage's less two stages'.
    pub(super) difference: f64,
    /// Welch's t of it.
    pub(super) welch_t: Option<f64>,
    /// Whether one stage is better, where it is known which is.
    pub(super) better: Option<bool>,
}

/// A run that the table cannot count.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Failure {
    pub(super) run: String,
    pub(super) why: String,
}

/// All of it.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Table {
    pub(super) take: Take,
    pub(super) seeds: Vec<u64>,
    pub(super) columns: Vec<Column>,
    pub(super) rows: Vec<Row>,
    pub(super) failures: Vec<Failure>,
    /// Runs that have not ended.
    pub(super) open: usize,
}

pub(super) fn table(plan: &Plan, runs: &[Run<'_>]) -> Table {
    let column = |data: usize, metric: &String| {
        let mut figures = runs.iter().filter(|r| r.job.data == data).flat_map(|r| &r.evaluations);
        Column {
            data: plan.data[data].name.clone(),
            metric: metric.clone(),
            name: figures.find_map(|e| e.figure(metric)).map(|f| f.name.clone()),
            smaller_is_better: smaller_is_better(metric),
        }
    };
    let places = || (0..plan.data.len()).flat_map(|data| plan.metrics.iter().map(move |metric| (data, metric)));
    let columns: Vec<Column> = places().map(|(data, metric)| column(data, metric)).collect();
    let mut rows = Vec::new();
    for (method, named) in plan.methods.iter().enumerate() {
        for &stages in &plan.stages {
            let cells = places().map(|(data, metric)| {
                let mut one = cell(plan, runs, (method, data, stages), metric);
                if stages == Mode::One {
                    let two = cell(plan, runs, (method, data, Mode::Two), metric);
                    one.against_two = against(&one, &two, smaller_is_better(metric));
                }
                one
            });
            rows.push(Row { method: named.name.clone(), stages, cells: cells.collect() });
        }
    }
    Table {
        take: plan.take,
        seeds: plan.seeds.clone(),
        columns,
        rows,
        failures: runs.iter().filter_map(|run| failure(plan, run)).collect(),
        open: runs.iter().filter(|r| r.state == State::Open).count(),
    }
}

fn cell(plan: &Plan, runs: &[Run<'_>], (method, data, mode): (usize, usize, Mode), metric: &str) -> Cell {
    let mine = runs.iter().filter(|r| (r.job.method, r.job.data, r.job.mode) == (method, data, mode));
    let (mut values, mut planned, mut failed) = (Vec::new(), 0, 0);
    for run in mine {
        planned += 1;
        match (&run.state, value(run, metric, plan.take)) {
            (State::Done, Value::Finite(value)) => values.push(value),
            (State::Failed(_), _) | (State::Done, Value::NotFinite) => failed += 1,
            (State::Open, _) | (State::Done, Value::None) => {}
        }
    }
    Cell { value: Average::of(&values), planned, failed, against_two: None }
}

enum Value {
    Finite(f64),
    NotFinite,
    None,
}

/// What a run counts with.
fn value(run: &Run<'_>, metric: &str, take: Take) -> Value {
    match taken(run, metric, take) {
        Some((_, Some(value))) => Value::Finite(value),
        Some((_, None)) => Value::NotFinite,
        None => Value::None,
    }
}

/// The step and the value of the evaluation that counts, the first of equals; no value where it is not finite.
pub(super) fn taken(run: &Run<'_>, metric: &str, take: Take) -> Option<(u64, Option<f64>)> {
    let figures = || run.evaluations.iter().filter_map(|e| Some((e.step, e.figure(metric)?.value)));
    let last = figures().next_back();
    match (take, smaller_is_better(metric)) {
        (Take::Best, Some(smaller)) => {
            let finite = figures().filter_map(|(step, value)| Some((step, value?)));
            let better = |a: f64, b: f64| if smaller { a < b } else { a > b };
            let best = finite.reduce(|best, next| if better(next.1, best.1) { next } else { best });
            best.map(|(step, value)| (step, Some(value))).or(last)
        }
        _ => last,
    }
}

fn against(one: &Cell, two: &Cell, smaller: Option<bool>) -> Option<Against> {
    let (one, two) = (one.value?, two.value?);
    let difference = one.mean - two.mean;
    let better = smaller.filter(|_| difference != 0.0).map(|smaller| (difference < 0.0) == smaller);
    Some(Against { difference, welch_t: one.welch(&two), better })
}

fn failure(plan: &Plan, run: &Run<'_>) -> Option<Failure> {
    let not_finite =
        |metric: &&String| run.state == State::Done && matches!(value(run, metric, plan.take), Value::NotFinite);
    let why = match &run.state {
        State::Failed(why) => why.clone(),
        _ => format!("`{}` is not finite", plan.metrics.iter().find(not_finite)?),
    };
    let job = run.job;
    let (method, data) = (&plan.methods[job.method].name, &plan.data[job.data].name);
    Some(Failure {
        run: format!(
            "{method} on {data}, {} stage{}, seed {}",
            job.mode,
            if job.mode == Mode::One { "" } else { "s" },
            job.seed
        ),
        why,
    })
}
