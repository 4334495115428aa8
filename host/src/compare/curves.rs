//! Efficiency curves: a metric against time and against passes, each mode's mean over seeds and one deviation around it.

use serde::Serialize;

use super::{
    Mode,
    collect::{Point, Run, State},
    plan::Plan,
    statistics::Average,
};
use crate::image::{Band, Panel};

/// One mode of one method on one data set, by one metric.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Curve {
    pub(super) data: String,
    pub(super) method: String,
    pub(super) metric: String,
    pub(super) stages: Mode,
    /// Runs that it is the mean of.
    pub(super) runs: usize,
    pub(super) points: Vec<At>,
}

/// The evaluations of all seeds at one step.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct At {
    pub(super) step: u64,
    /// Mean over seeds.
    pub(super) seconds: Option<f64>,
    /// Mean over seeds.
    pub(super) passes: Option<f64>,
    pub(super) mean: f64,
    pub(super) std: Option<f64>,
}

/// Every curve of the plan that has a point.
pub(super) fn curves(plan: &Plan, runs: &[Run<'_>]) -> Vec<Curve> {
    let mut curves = Vec::new();
    for (data, set) in plan.data.iter().enumerate() {
        for metric in &plan.metrics {
            for (method, named) in plan.methods.iter().enumerate() {
                for &stages in &plan.stages {
                    let mine = runs.iter().filter(|r| (r.job.method, r.job.data, r.job.mode) == (method, data, stages));
                    let all: Vec<_> = mine
                        .filter(|r| r.state == State::Done)
                        .map(|r| r.curve(metric))
                        .filter(|c| !c.is_empty())
                        .collect();
                    let points = points(&all);
                    if !points.is_empty() {
                        curves.push(Curve {
                            data: set.name.clone(),
                            method: named.name.clone(),
                            metric: metric.clone(),
                            stages,
                            runs: all.len(),
                            points,
                        });
                    }
                }
            }
        }
    }
    curves
}

/// The steps that every run has: a mean over other runs at each step would jump.
fn points(all: &[Vec<Point>]) -> Vec<At> {
    let Some(first) = all.first() else { return Vec::new() };
    let at = |step: u64| {
        let here: Vec<&Point> = all.iter().filter_map(|curve| curve.iter().find(|p| p.step == step)).collect();
        if here.len() < all.len() {
            return None;
        }
        let mean_of = |of: fn(&Point) -> Option<f64>| {
            let values: Option<Vec<f64>> = here.iter().map(|p| of(p)).collect();
            Average::of(&values?).map(|m| m.mean)
        };
        let value = Average::of(&here.iter().map(|p| p.value).collect::<Vec<_>>())?;
        Some(At {
            step,
            seconds: mean_of(|p| p.seconds),
            passes: mean_of(|p| p.passes),
            mean: value.mean,
            std: value.std,
        })
    };
    first.iter().filter_map(|p| at(p.step)).collect()
}

/// What a curve is drawn against.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Against {
    Seconds,
    Passes,
}

impl Against {
    pub(super) const ALL: [Self; 2] = [Self::Seconds, Self::Passes];

    /// In file names.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Seconds => "seconds",
            Self::Passes => "passes",
        }
    }

    /// On the axis.
    pub(super) const fn label(self) -> &'static str {
        match self {
            Self::Seconds => "seconds of training",
            Self::Passes => "passes through G and D",
        }
    }

    fn of(self, at: &At) -> Option<f64> {
        match self {
            Self::Seconds => at.seconds,
            Self::Passes => at.passes,
        }
    }
}

/// A panel for each method with a curve of this data set and metric.
pub(super) fn panels(curves: &[Curve], data: &str, metric: &str, against: Against) -> Vec<Panel> {
    let mut panels: Vec<Panel> = Vec::new();
    for curve in curves.iter().filter(|c| c.data == data && c.metric == metric) {
        let points = curve.points.iter().filter_map(|at| {
            let spread = at.std.unwrap_or(0.0);
            Some([against.of(at)?, at.mean, at.mean - spread, at.mean + spread])
        });
        let (name, colour) = match curve.stages {
            Mode::One => ("one stage", 0),
            Mode::Two => ("two stages", 1),
        };
        let band = Band { name: name.into(), colour, points: points.collect() };
        if band.points.is_empty() {
            continue;
        }
        match panels.iter_mut().find(|p| p.title == curve.method) {
            Some(panel) => panel.bands.push(band),
            None => panels.push(Panel { title: curve.method.clone(), bands: vec![band] }),
        }
    }
    panels
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mean_is_over_the_steps_that_all_seeds_have() {
        let point = |step, seconds, value| Point { step, seconds: Some(seconds), passes: None, value };
        let all = [vec![point(10, 1.0, 5.0), point(20, 2.0, 3.0)], vec![point(10, 3.0, 7.0)]];
        let points = points(&all);
        assert_eq!(points.len(), 1);
        assert_eq!((points[0].step, points[0].seconds, points[0].mean), (10, Some(2.0), 6.0));
        assert_eq!((points[0].passes, points[0].std), (None, Some(2.0_f64.sqrt())));
    }
}
