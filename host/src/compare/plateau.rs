//! When a run stopped getting better, and how long one stage took to get there against two (`docs/compare.md`).

use serde::Serialize;

use super::{
    Mode,
    collect::{Point, Run, State},
    plan::Plan,
    statistics::Average,
};
use crate::report::smaller_is_better;

/// A method on a data set.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Row {
    pub(super) data: String,
    pub(super) method: String,
    /// Each mode's time to its own plateau.
    pub(super) modes: Vec<Own>,
    /// The ratios of each seed that ended in both modes; the others are their means.
    pub(super) seeds: Vec<Ratios>,
    /// Two stages' seconds over one stage's, each to its own plateau.
    pub(super) own_seconds: Option<Average>,
    /// The same of passes.
    pub(super) own_passes: Option<Average>,
    /// Two stages' seconds over one stage's, both to the worse of the two best values.
    pub(super) same_seconds: Option<Average>,
    /// The same of passes.
    pub(super) same_passes: Option<Average>,
    /// Two stages' seconds for a step over one stage's.
    pub(super) step_seconds: Option<Average>,
}

/// Two stages' over one stage's for one seed, as [`Row`] has their means.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Ratios {
    seed: u64,
    own_seconds: Option<f64>,
    own_passes: Option<f64>,
    same_seconds: Option<f64>,
    same_passes: Option<f64>,
    step_seconds: Option<f64>,
}

/// A mode's way to its own plateau.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Own {
    pub(super) stages: Mode,
    /// Runs that are done.
    pub(super) runs: usize,
    /// Seconds, over the runs that have a plateau.
    pub(super) seconds: Option<Average>,
    /// Passes through G and D.
    pub(super) passes: Option<Average>,
    /// The best value.
    pub(super) best: Option<Average>,
}

/// A metric's curve with what is best in it.
struct Curve {
    points: Vec<Point>,
    smaller: bool,
    tolerance: f64,
}

impl Curve {
    fn of(plan: &Plan, run: &Run<'_>, smaller: bool) -> Self {
        Self { points: run.curve(plan.plateau_metric()), smaller, tolerance: plan.plateau.tolerance }
    }

    fn best(&self) -> Option<f64> {
        let better = if self.smaller { f64::min } else { f64::max };
        self.points.iter().map(|p| p.value).reduce(better)
    }

    /// The first evaluation that is within the tolerance of a value, or beyond it.
    fn reach(&self, target: f64) -> Option<usize> {
        let band = self.tolerance * target.abs();
        self.points.iter().position(|p| if self.smaller { p.value <= target + band } else { p.value >= target - band })
    }

    /// The evaluation at which the plateau begins, if enough of them follow.
    fn plateau(&self, hold: usize) -> Option<&Point> {
        let at = self.reach(self.best()?)?;
        (at + hold < self.points.len()).then(|| &self.points[at])
    }

    /// When the curve first crosses a value, on the straight line between two evaluations; the first one's time if it has
    /// crossed by then.
    fn crossing(&self, target: f64, time: Time) -> Option<f64> {
        let at = self.points.iter().position(|p| if self.smaller { p.value <= target } else { p.value >= target })?;
        let there = &self.points[at];
        let Some(before) = at.checked_sub(1).map(|i| &self.points[i]) else { return time(there) };
        let part = (before.value - target) / (before.value - there.value);
        Some(time(before)? + part * (time(there)? - time(before)?))
    }
}

/// A run's best value by the metric of plateaus, and where its plateau begins.
pub(super) fn of_run(plan: &Plan, run: &Run<'_>) -> (Option<f64>, Option<Point>) {
    let Some(smaller) = smaller_is_better(plan.plateau_metric()) else { return (None, None) };
    let curve = Curve::of(plan, run, smaller);
    (curve.best(), curve.plateau(plan.plateau.hold).copied())
}

/// A row for each method on each data set; none where it is not known which values are better.
pub(super) fn rows(plan: &Plan, runs: &[Run<'_>]) -> Vec<Row> {
    let Some(smaller) = smaller_is_better(plan.plateau_metric()) else { return Vec::new() };
    let mut rows = Vec::new();
    for (data, set) in plan.data.iter().enumerate() {
        for (method, named) in plan.methods.iter().enumerate() {
            let of = |mode: Mode| {
                let done =
                    runs.iter().filter(move |r| r.job.method == method && r.job.data == data && r.job.mode == mode);
                let ended = done.filter(|r| r.state == State::Done);
                ended.map(|r| (r.job.seed, Curve::of(plan, r, smaller))).collect::<Vec<_>>()
            };
            if !runs.iter().any(|r| r.job.method == method && r.job.data == data) {
                continue;
            }
            let (one, two) = (of(Mode::One), of(Mode::Two));
            let hold = plan.plateau.hold;
            let pairs = one.iter().filter_map(|(s, a)| Some((*s, a, &two.iter().find(|(t, _)| t == s)?.1)));
            let seeds: Vec<_> = pairs.map(|(seed, one, two)| ratios(seed, one, two, hold)).collect();
            let average =
                |of: fn(&Ratios) -> Option<f64>| Average::of(&seeds.iter().filter_map(of).collect::<Vec<_>>());
            rows.push(Row {
                data: set.name.clone(),
                method: named.name.clone(),
                modes: plan
                    .stages
                    .iter()
                    .map(|&stages| own(stages, if stages == Mode::One { &one } else { &two }, hold))
                    .collect(),
                own_seconds: average(|r| r.own_seconds),
                own_passes: average(|r| r.own_passes),
                same_seconds: average(|r| r.same_seconds),
                same_passes: average(|r| r.same_passes),
                step_seconds: average(|r| r.step_seconds),
                seeds,
            });
        }
    }
    rows
}

type Time = fn(&Point) -> Option<f64>;

fn own(stages: Mode, curves: &[(u64, Curve)], hold: usize) -> Own {
    let times = |time: Time| {
        let all: Vec<f64> = curves.iter().filter_map(|(_, c)| time(c.plateau(hold)?)).collect();
        Average::of(&all)
    };
    let best: Vec<f64> = curves.iter().filter_map(|(_, c)| c.best()).collect();
    Own {
        stages,
        runs: curves.len(),
        seconds: times(|p| p.seconds),
        passes: times(|p| p.passes),
        best: Average::of(&best),
    }
}

fn ratios(seed: u64, one: &Curve, two: &Curve, hold: usize) -> Ratios {
    let finite = |ratio: Option<f64>| ratio.filter(|r| r.is_finite());
    Ratios {
        seed,
        own_seconds: finite(to_own(one, two, hold, |p| p.seconds)),
        own_passes: finite(to_own(one, two, hold, |p| p.passes)),
        same_seconds: finite(to_same(one, two, |p| p.seconds)),
        same_passes: finite(to_same(one, two, |p| p.passes)),
        step_seconds: finite(of_a_step(one, two)),
    }
}

/// Two stages' time over one stage's for one seed, each to its own plateau; `None` where either has none.
fn to_own(one: &Curve, two: &Curve, hold: usize, time: Time) -> Option<f64> {
    Some(time(two.plateau(hold)?)? / time(one.plateau(hold)?)?)
}

/// The same, both to the worse of the two best values, which both have reached.
fn to_same(one: &Curve, two: &Curve, time: Time) -> Option<f64> {
    let worse = if one.smaller { f64::max } else { f64::min };
    let target = worse(one.best()?, two.best()?);
    Some(two.crossing(target, time)? / one.crossing(target, time)?)
}

/// The same of a step, over all of either run.
fn of_a_step(one: &Curve, two: &Curve) -> Option<f64> {
    let step = |curve: &Curve| curve.points.last().and_then(|p| Some(p.seconds? / p.step as f64));
    Some(step(two)? / step(one)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64], pace: f64) -> Curve {
        let point = |(i, &value): (usize, &f64)| Point {
            step: i as u64 + 1,
            seconds: Some((i + 1) as f64 * pace),
            passes: None,
            value,
        };
        Curve { points: values.iter().enumerate().map(point).collect(), smaller: true, tolerance: 0.05 }
    }

    #[test]
    fn a_plateau_begins_near_the_best_and_is_held() {
        let falling = [100.0, 50.0, 20.0, 10.4, 11.0, 10.0, 10.2, 10.1];
        let begins = |values: &[f64], hold| curve(values, 1.0).plateau(hold).map(|p| p.step);
        assert_eq!(begins(&falling, 3), Some(4));
        assert_eq!(begins(&falling, 4), Some(4));
        assert_eq!(begins(&falling, 5), None, "too short to tell");
        assert_eq!(begins(&[4.0, 3.0, 2.0, 1.0], 1), None, "still falling");
        assert_eq!(begins(&[], 0), None);
    }

    #[test]
    fn who_stops_at_a_worse_value_is_not_quicker_to_the_same() {
        // One stage settles at 20 after 2 evaluations; two stages are at 20 halfway between their second and third, and settle at 10.
        let one = curve(&[50.0, 20.0, 20.0, 20.0, 20.0, 20.0], 1.0);
        let two = curve(&[50.0, 28.0, 12.0, 10.0, 10.0, 10.0], 1.5);
        assert_eq!(to_own(&one, &two, 2, |p| p.seconds), Some(6.0 / 2.0));
        assert_eq!(to_own(&one, &two, 3, |p| p.seconds), None);
        assert_eq!(to_same(&one, &two, |p| p.seconds), Some(3.75 / 2.0));
        assert_eq!(to_same(&one, &two, |p| p.passes), None);
        assert_eq!(of_a_step(&one, &two), Some(1.5));
    }

    #[test]
    fn the_same_value_needs_no_plateau() {
        let (one, two) = (curve(&[9.0, 7.0, 5.0], 1.0), curve(&[5.0, 4.0, 3.0], 1.5));
        assert_eq!(to_same(&one, &two, |p| p.seconds), Some(1.5 / 3.0), "crossed by the first evaluation");
        assert_eq!(to_same(&curve(&[], 1.0), &two, |p| p.seconds), None);
    }

    #[test]
    fn larger_may_be_better() {
        let mut rising = curve(&[0.1, 0.8, 0.97, 0.9, 1.0], 1.0);
        rising.smaller = false;
        assert_eq!(rising.plateau(2).map(|p| p.step), Some(3));
        assert_eq!(rising.crossing(0.45, |p| p.seconds), Some(1.5));
    }
}
