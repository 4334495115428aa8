//! Every run with what it counts with: what the tables' means are made of.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{
    Mode,
    collect::{Run, State},
    plan::Plan,
    plateau,
    table::taken,
};

/// A run.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Each {
    data: String,
    method: String,
    stages: Mode,
    seed: u64,
    /// `done`, `failed`, or `open`: not ended. Means are over what is done.
    state: &'static str,
    /// Why it failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
    /// By metric, of the evaluation that counts; `None` where it is not finite.
    values: BTreeMap<String, Option<f64>>,
    /// By metric, the step of that evaluation.
    steps: BTreeMap<String, u64>,
    /// Of the last evaluation.
    #[serde(flatten)]
    last: At,
    /// The best value by the metric of plateaus.
    best: Option<f64>,
    /// Where its plateau begins, if it has one.
    plateau: Option<At>,
}

/// How far training was.
#[derive(Debug, Clone, Copy, Default, Serialize)]
struct At {
    step: Option<u64>,
    seconds: Option<f64>,
    /// Through G and D.
    passes: Option<f64>,
}

/// All of the plan's, in the order in which they are run.
pub(super) fn each(plan: &Plan, runs: &[Run<'_>]) -> Vec<Each> {
    runs.iter().map(|run| of(plan, run)).collect()
}

fn of(plan: &Plan, run: &Run<'_>) -> Each {
    let job = run.job;
    let (state, why) = match &run.state {
        State::Done => ("done", None),
        State::Failed(why) => ("failed", Some(why.clone())),
        State::Open => ("open", None),
    };
    let counted: Vec<_> =
        plan.metrics.iter().filter_map(|metric| Some((metric, taken(run, metric, plan.take)?))).collect();
    let last = run.evaluations.last().map(|e| At {
        step: Some(e.step),
        seconds: e.seconds,
        passes: e.passes.map(|p| p.generator + p.discriminator),
    });
    let (best, plateau) = plateau::of_run(plan, run);
    Each {
        data: plan.data[job.data].name.clone(),
        method: plan.methods[job.method].name.clone(),
        stages: job.mode,
        seed: job.seed,
        state,
        why,
        values: counted.iter().map(|(metric, (_, value))| ((*metric).clone(), *value)).collect(),
        steps: counted.iter().map(|(metric, (step, _))| ((*metric).clone(), *step)).collect(),
        last: last.unwrap_or_default(),
        best,
        plateau: plateau.map(|p| At { step: Some(p.step), seconds: p.seconds, passes: p.passes }),
    }
}
