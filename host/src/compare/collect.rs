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

/// That a metric is the same figure in all runs on a data set.
fn check_names(plan: &Plan, runs: &[Run<'_>]) -> Result<(), CompareError> {
    for (at, data) in plan.data.iter().enumerate() {
        for metric in &plan.metrics {
            let mut first: Option<(&Run<'_>, &str)> = None;
            for run in runs.iter().filter(|r| r.job.data == at) {
                for figure in run.evaluations.iter().filter_map(|e| e.figure(metric)) {
                    let (other, name) = *first.get_or_insert((run, &figure.name));
                    if name != figure.name {
                        return Err(CompareError::Unlike(Box::new(Unlike {
                            metric: metric.clone(),
                            data: data.name.clone(),
                            a: other.job.directory.clone(),
                            name_a: name.to_owned(),
                            b: run.job.directory.clone(),
                            name_b: figure.name.clone(),
                        })));
                    }
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
