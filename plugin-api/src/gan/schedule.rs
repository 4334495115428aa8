//! Hyper-parameters that change over a run: pure functions of the step, so that a run can stop and go on anywhere.

use std::f64::consts::PI;

use crate::Error;

/// What both learning rates are multiplied by, for the step after `step` others (PyTorch's schedulers, stepped once a step).
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Schedule {
    /// 1 throughout.
    #[default]
    Constant,
    /// Times `gamma` from each milestone on: `MultiStepLR`.
    MultiStep {
        /// Steps, ascending.
        milestones: Vec<i64>,
        /// The factor of each.
        gamma: f64,
    },
    /// 1 until `start`, then down a line to `factor` at `end`: `LinearLR`.
    Linear(Span),
    /// 1 until `start`, then down half a cosine to `factor` at `end`: `CosineAnnealingLR` (Loshchilov & Hutter 2017,
    /// equation 5, without restarts).
    Cosine(Span),
}

/// From where to where a rate falls.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Span {
    /// The first step of the fall.
    pub start: i64,
    /// The step at which it is over; `None` is the run's last.
    pub end: Option<i64>,
    /// What is left then, from 0 to 1.
    pub factor: f64,
}

impl Span {
    /// How much of the fall is behind after `step` steps, from 0 to 1.
    #[expect(clippy::cast_precision_loss, reason = "steps are far below 2^52")]
    fn share(&self, step: u64) -> f64 {
        let start = self.start.max(0) as f64;
        let length = self.end.map_or(f64::INFINITY, |end| end as f64 - start);
        ((step as f64 - start) / length).clamp(0.0, 1.0)
    }
}

impl Schedule {
    /// The factor for the step after `step` others. A span without an end never falls: the host sets it.
    pub fn factor(&self, step: u64) -> f64 {
        match self {
            Self::Constant => 1.0,
            Self::MultiStep { milestones, gamma } => {
                let passed = milestones.iter().filter(|m| u64::try_from(**m).is_ok_and(|m| m <= step)).count();
                (0..passed).fold(1.0, |factor, _| factor * gamma)
            }
            Self::Linear(span) => 1.0 + (span.factor - 1.0) * span.share(step),
            Self::Cosine(span) => span.factor + (1.0 - span.factor) * (1.0 + (PI * span.share(step)).cos()) / 2.0,
        }
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        match self {
            Self::Constant => Ok(()),
            Self::MultiStep { milestones, gamma } => {
                let ascending =
                    milestones.first().is_some_and(|m| *m > 0) && milestones.windows(2).all(|w| w[0] < w[1]);
                if !ascending || milestones.len() > 1000 {
                    return Err(Error::new(format!(
                        "schedule: milestones must be 1 to 1000 ascending steps above 0, found {milestones:?}"
                    )));
                }
                fraction("gamma", *gamma)
            }
            Self::Linear(span) | Self::Cosine(span) => {
                if span.start < 0 || span.end.is_some_and(|end| end <= span.start) {
                    let end = span.end.map_or_else(|| "the last step".to_owned(), |e| e.to_string());
                    let start = span.start;
                    return Err(Error::new(format!(
                        "schedule: a rate must fall from a step of at least 0 to a later one, found {start} to {end}"
                    )));
                }
                fraction("factor", span.factor)
            }
        }
    }
}

fn fraction(what: &str, value: f64) -> Result<(), Error> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(Error::new(format!("schedule: {what} must be from 0 to 1, found {value}")))
}

/// More steps of D in some rounds: in the first ones and now and then (the authors' code of Arjovsky et al. 2017, which takes
/// 100 in the first 25 rounds and in every 500th).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CriticBoost {
    /// D's steps in such a round.
    pub n_critic: i64,
    /// How many rounds at first.
    pub first: i64,
    /// Every how many rounds later; 0 for never.
    pub every: i64,
}

impl CriticBoost {
    /// Whether the round after `round` others has more steps of D.
    pub fn is_due(&self, round: u64) -> bool {
        let (first, every) = (self.first.max(0).unsigned_abs(), self.every.max(0).unsigned_abs());
        round < first || (every > 0 && round.is_multiple_of(every))
    }

    pub(super) fn check(&self) -> Result<(), Error> {
        if (1..=10_000).contains(&self.n_critic) && self.first >= 0 && self.every >= 0 {
            return Ok(());
        }
        Err(Error::new(format!(
            "critic_boost: n_critic must be from 1 to 10000, first and every 0 or more, found {}, {} and {}",
            self.n_critic, self.first, self.every
        )))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn factors(schedule: &Schedule, steps: &[u64]) -> Vec<f64> {
        steps.iter().map(|s| schedule.factor(*s)).collect()
    }

    fn near(found: &[f64], wanted: &[f64]) {
        assert_eq!(found.len(), wanted.len());
        for (a, b) in found.iter().zip(wanted) {
            assert!((a - b).abs() < 1e-12, "{found:?} {wanted:?}");
        }
    }

    /// Numbers of torch 2.11's schedulers over a rate of 1 (`tests/python/schedules.py`).
    #[test]
    fn factors_are_pytorchs() {
        let steps = GOLDEN.0;
        let multi = Schedule::MultiStep { milestones: vec![3, 7], gamma: 0.1 };
        near(&factors(&multi, &steps), &GOLDEN.1);
        let span = |start, factor| Span { start, end: Some(8), factor };
        near(&factors(&Schedule::Linear(span(0, 0.25)), &steps), &GOLDEN.2);
        near(&factors(&Schedule::Cosine(span(0, 0.1)), &steps), &GOLDEN.3);
    }

    #[expect(clippy::unreadable_literal, reason = "as Python prints them")]
    const GOLDEN: ([u64; 5], [f64; 5], [f64; 5], [f64; 5]) = include!("schedule_golden.in");

    #[test]
    fn a_fall_may_start_late_and_ends_for_good() {
        let linear = Schedule::Linear(Span { start: 4, end: Some(8), factor: 0.0 });
        near(&factors(&linear, &[0, 4, 6, 8, 99]), &[1.0, 1.0, 0.5, 0.0, 0.0]);
        let cosine = Schedule::Cosine(Span { start: 4, end: Some(8), factor: 0.5 });
        near(&factors(&cosine, &[0, 4, 6, 8, 99]), &[1.0, 1.0, 0.75, 0.5, 0.5]);
    }

    #[test]
    fn a_boost_is_due_at_first_and_now_and_then() {
        let boost = CriticBoost { n_critic: 100, first: 2, every: 5 };
        let due: Vec<u64> = (0..12).filter(|r| boost.is_due(*r)).collect();
        assert_eq!(due, [0, 1, 5, 10]);
        let once = CriticBoost { n_critic: 100, first: 1, every: 0 };
        assert!(once.is_due(0) && !(1..1000).any(|r| once.is_due(r)));
    }

    #[test]
    fn what_makes_no_sense_is_said() {
        let message = |s: Schedule| s.check().unwrap_err().to_string();
        assert_eq!(
            message(Schedule::MultiStep { milestones: vec![5, 5], gamma: 0.1 }),
            "schedule: milestones must be 1 to 1000 ascending steps above 0, found [5, 5]"
        );
        assert_eq!(
            message(Schedule::Linear(Span { start: 9, end: Some(9), factor: 0.0 })),
            "schedule: a rate must fall from a step of at least 0 to a later one, found 9 to 9"
        );
        assert_eq!(
            message(Schedule::Cosine(Span { start: 0, end: None, factor: 1.5 })),
            "schedule: factor must be from 0 to 1, found 1.5"
        );
        let boost = CriticBoost { n_critic: 0, first: 1, every: 1 };
        assert!(boost.check().unwrap_err().to_string().starts_with("critic_boost: n_critic must be from 1"));
    }

    proptest! {
        #[test]
        fn falls_never_rise_and_never_leave_their_range(
            start in 0_i64..50, length in 1_i64..100, factor in 0.0..=1.0, step in 0_u64..200, cosine in any::<bool>()
        ) {
            let span = Span { start, end: Some(start + length), factor };
            let schedule = if cosine { Schedule::Cosine(span) } else { Schedule::Linear(span) };
            let (now, next) = (schedule.factor(step), schedule.factor(step + 1));
            prop_assert!(next <= now + 1e-15 && (factor - 1e-12..=1.0 + 1e-12).contains(&now), "{now} {next}");
        }
    }
}
