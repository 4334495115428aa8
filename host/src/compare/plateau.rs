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
    /// Two stages' seconds over one stage's, each to its own plateau.
    pub(super) own_seconds: Option<Average>,
    /// The same of passes.
    pub(super) own_passes: Option<Average>,
    /// Two stages' seconds over one stage's, both to the worse of the two plateaus.
    pub(super) same_seconds: Option<Average>,
    /// The same of passes.
    pub(super) same_passes: Option<Average>,
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
    fn plateau(&self, hold: usize) -> Option<usize> {
        let at = self.reach(self.best()?)?;
        (at + hold < self.points.len()).then_some(at)
    }
}

/// A row for each method on each data set; none where it is not known which values are better.
pub(super) fn rows(plan: &Plan, runs: &[Run<'_>]) -> Vec<Row> {
    let metric = plan.plateau_metric();
    let Some(smaller) = smaller_is_better(metric) else { return Vec::new() };
    let mut rows = Vec::new();
    for (data, set) in plan.data.iter().enumerate() {
        for (method, named) in plan.methods.iter().enumerate() {
            let of = |mode: Mode| {
                let done =
                    runs.iter().filter(move |r| r.job.method == method && r.job.data == data && r.job.mode == mode);
                let curve =
                    |run: &Run<'_>| Curve { points: run.curve(metric), smaller, tolerance: plan.plateau.tolerance };
                done.filter(|r| r.state == State::Done).map(|r| (r.job.seed, curve(r))).collect::<Vec<_>>()
            };
            if !runs.iter().any(|r| r.job.method == method && r.job.data == data) {
                continue;
            }
            let (one, two) = (of(Mode::One), of(Mode::Two));
            let pairs: Vec<_> =
                one.iter().filter_map(|(s, a)| Some((a, &two.iter().find(|(t, _)| t == s)?.1))).collect();
            let ratio = |at: Same, time: Time| {
                Average::of(
                    &pairs.iter().filter_map(|(a, b)| ratio((a, b), plan.plateau.hold, at, time)).collect::<Vec<_>>(),
                )
            };
            rows.push(Row {
                data: set.name.clone(),
                method: named.name.clone(),
                modes: plan
                    .stages
                    .iter()
                    .map(|&stages| own(stages, if stages == Mode::One { &one } else { &two }, plan.plateau.hold))
                    .collect(),
                own_seconds: ratio(Same::No, |p| p.seconds),
                own_passes: ratio(Same::No, |p| p.passes),
                same_seconds: ratio(Same::Value, |p| p.seconds),
                same_passes: ratio(Same::Value, |p| p.passes),
            });
        }
    }
    rows
}

/// Whether both modes are timed to the same value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Same {
    No,
    Value,
}

type Time = fn(&Point) -> Option<f64>;

fn own(stages: Mode, curves: &[(u64, Curve)], hold: usize) -> Own {
    let times = |time: Time| {
        let all: Vec<f64> = curves.iter().filter_map(|(_, c)| time(&c.points[c.plateau(hold)?])).collect();
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

/// Two stages' time over one stage's for one seed; `None` where either has no plateau.
fn ratio((one, two): (&Curve, &Curve), hold: usize, same: Same, time: Time) -> Option<f64> {
    let own = (one.plateau(hold)?, two.plateau(hold)?);
    let (at_one, at_two) = match same {
        Same::No => own,
        Same::Value => {
            let worse = if one.smaller { f64::max } else { f64::min };
            let target = worse(one.best()?, two.best()?);
            (one.reach(target)?, two.reach(target)?)
        }
    };
    let ratio = time(&two.points[at_two])? / time(&one.points[at_one])?;
    ratio.is_finite().then_some(ratio)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn curve(values: &[f64], pace: f64) -> Curve {
        let point = |(i, &value): (usize, &f64)| Point {
            step: i as u64,
            seconds: Some((i + 1) as f64 * pace),
            passes: None,
            value,
        };
        Curve { points: values.iter().enumerate().map(point).collect(), smaller: true, tolerance: 0.05 }
    }

    #[test]
    fn a_plateau_begins_near_the_best_and_is_held() {
        let falling = [100.0, 50.0, 20.0, 10.4, 11.0, 10.0, 10.2, 10.1];
        assert_eq!(curve(&falling, 1.0).plateau(3), Some(3));
        assert_eq!(curve(&falling, 1.0).plateau(4), Some(3));
        assert_eq!(curve(&falling, 1.0).plateau(5), None, "too short to tell");
        assert_eq!(curve(&[4.0, 3.0, 2.0, 1.0], 1.0).plateau(1), None, "still falling");
        assert_eq!(curve(&[], 1.0).plateau(0), None);
    }

    #[test]
    fn who_stops_at_a_worse_value_is_not_quicker_to_the_same() {
        // One stage settles at 20 after 2 evaluations; two stages pass 20 at their second and settle at 10.
        let one = curve(&[50.0, 20.0, 20.0, 20.0, 20.0, 20.0], 1.0);
        let two = curve(&[50.0, 19.0, 12.0, 10.0, 10.0, 10.0], 1.5);
        assert_eq!(ratio((&one, &two), 2, Same::No, |p| p.seconds), Some(6.0 / 2.0));
        assert_eq!(ratio((&one, &two), 2, Same::Value, |p| p.seconds), Some(3.0 / 2.0));
        assert_eq!(ratio((&one, &two), 2, Same::Value, |p| p.passes), None);
        assert_eq!(ratio((&one, &two), 3, Same::Value, |p| p.seconds), None);
    }

    #[test]
    fn larger_may_be_better() {
        let mut rising = curve(&[0.1, 0.8, 0.97, 0.9, 1.0], 1.0);
        rising.smaller = false;
        assert_eq!(rising.plateau(2), Some(2));
    }
}
