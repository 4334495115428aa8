//! What the runs of a plan have said so far, checked to be comparable.

use super::{CompareError, Job, Outcome, Unlike, plan::Plan};
use crate::{
    report::{Evaluation, evaluations},
    run::RunDir,
};

/// How far a run is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Done,
    Failed(String),
    /// It has not ended, or not begun.
    Open,
}

/// A run with what it measured.
#[derive(Debug, Clone)]
pub(super) struct Run<'a> {
    pub(super) job: &'a Job,
    pub(super) state: State,
    pub(super) evaluations: Vec<Evaluation>,
}

/// Every run of the plan as it is now.
pub(super) fn collect<'a>(plan: &Plan, jobs: &'a [Job]) -> Result<Vec<Run<'a>>, CompareError> {
    let mut runs = Vec::with_capacity(jobs.len());
    for job in jobs {
        let state = match Outcome::of(job)? {
            Some(Outcome::Done(_)) => State::Done,
            Some(Outcome::Failed { why, .. }) => State::Failed(why),
            None => State::Open,
        };
        let begun = job.directory.join("config.toml").exists();
        let evaluations = if begun { evaluations(&RunDir::open(&job.directory)?)? } else { Vec::new() };
        runs.push(Run { job, state, evaluations });
    }
    check_names(plan, &runs)?;
    Ok(runs)
}

/// That a metric is the same figure in all runs on a data set: by its name, and by what a name cannot tell apart.
fn check_names(plan: &Plan, runs: &[Run<'_>]) -> Result<(), CompareError> {
    for (at, data) in plan.data.iter().enumerate() {
        for metric in &plan.metrics {
            let mut first = None;
            for run in runs.iter().filter(|r| r.job.data == at) {
                for (e, figure) in run.evaluations.iter().filter_map(|e| Some((e, e.figure(metric)?))) {
                    // The Inception Score sees no real images.
                    let real = e.record.real_sha256.as_ref().filter(|_| metric != "is");
                    let facts = [
                        ("extractor of SHA-256", e.record.extractor_sha256.as_ref()),
                        ("real images of SHA-256", real),
                        ("weights", e.weights.as_ref()),
                    ];
                    let (other, name, then) = *first.get_or_insert((run, &figure.name, facts));
                    let differs = then.iter().zip(&facts).find(|(then, now)| then.1 != now.1);
                    if name == &figure.name && differs.is_none() {
                        continue;
                    }
                    // Where the names are equal, in what else they differ.
                    let told = |name: &String, what: Option<&(&str, Option<&String>)>| match what {
                        Some((what, value)) => format!("{name}, {what} {}", value.map_or("unknown", String::as_str)),
                        None => name.clone(),
                    };
                    let differs = differs.filter(|_| name == &figure.name);
                    return Err(CompareError::Unlike(Box::new(Unlike {
                        metric: metric.clone(),
                        data: data.name.clone(),
                        a: other.job.directory.clone(),
                        name_a: told(name, differs.map(|(then, _)| then)),
                        b: run.job.directory.clone(),
                        name_b: told(&figure.name, differs.map(|(_, now)| now)),
                    })));
                }
            }
        }
    }
    Ok(())
}

impl Run<'_> {
    /// The curve of a metric: what is not finite is left out.
    pub(super) fn curve(&self, metric: &str) -> Vec<Point> {
        let point = |e: &Evaluation| {
            Some(Point {
                step: e.step,
                seconds: e.seconds,
                passes: e.passes.map(|p| p.generator + p.discriminator),
                value: e.figure(metric)?.value?,
            })
        };
        self.evaluations.iter().filter_map(point).collect()
    }
}

/// One evaluation of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Point {
    pub(super) step: u64,
    pub(super) seconds: Option<f64>,
    pub(super) passes: Option<f64>,
    pub(super) value: f64,
}
