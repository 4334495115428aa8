//! One stage against two on the user's own configuration: turn by turn in one process, on the run's own data.

use std::{collections::BTreeMap, time::Instant};

use serde::Serialize;
use tandem_plugin_api::Stages;
use tch::Device;

use super::{
    Prepared, SessionError,
    batches::Batches,
    device::set_up,
    phases::{finish, time_phases},
    settings::settings,
};
use crate::{
    data::SamplerState,
    train::{Cost, PHASES, Trainer, Way},
};

/// The longest period of lazy penalties that a turn is stretched to.
const LONGEST_PERIOD: u64 = 64;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// How often each way has its turn.
    pub rounds: u64,
    /// Steps of a turn. More are taken where lazy penalties come round less often.
    pub steps: u64,
    /// Steps of each way before the first turn.
    pub warmup: u64,
}

/// A median with its range.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Spread {
    /// The median.
    pub median: f64,
    /// The least.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    fn of(values: &[f64]) -> Self {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let middle = sorted.len() / 2;
        let median = match sorted.len() {
            0 => f64::NAN,
            n if n.is_multiple_of(2) => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        };
        let end = |value: Option<&f64>| value.copied().unwrap_or(f64::NAN);
        Self { median, min: end(sorted.first()), max: end(sorted.last()) }
    }
}

/// One way of training, predicted and measured.
#[derive(Debug, Clone, Serialize)]
pub struct Measured {
    /// What it is.
    pub name: &'static str,
    /// `T^g` of a step, predicted.
    pub generator_passes: f64,
    /// `T^d` of a step, predicted.
    pub discriminator_passes: f64,
    /// FLOPs of a step, predicted.
    pub gflop_per_step: f64,
    /// Its FLOPs over those of one stage: the ratio of times that the cost model predicts.
    pub predicted_ratio: f64,
    /// Its time over one stage's, formed round by round.
    pub measured_ratio: Spread,
    /// Seconds of a step, one value a round.
    pub seconds_per_step: Spread,
    /// Predicted FLOPs over the median time.
    pub gflop_per_second: f64,
    /// Real images seen in a second.
    pub images_per_second: f64,
    /// Seconds of a step by phase, from turns of their own; `other` is what no phase claims.
    pub phases: BTreeMap<&'static str, f64>,
}

/// A way under measurement.
struct Contestant {
    name: &'static str,
    way: Way,
    trainer: Trainer,
    seconds: Vec<f64>,
    phases: BTreeMap<&'static str, f64>,
}

impl Contestant {
    fn turn(&mut self, batches: &mut Batches, steps: u64) -> Result<f64, SessionError> {
        let device = self.trainer.settings().device;
        finish(device);
        let start = Instant::now();
        for _ in 0..steps {
            self.trainer.round(|| batches.next())?;
        }
        finish(device);
        let seconds = start.elapsed().as_secs_f64() / steps as f64;
        // Outside the clock, as in training most steps read nothing; numbers that ran away end the bench.
        self.trainer.readings().read()?;
        Ok(seconds)
    }

    fn profile(&mut self, batches: &mut Batches, steps: u64) -> Result<(), SessionError> {
        let device = self.trainer.settings().device;
        // A replayed round has no phases that the host could time.
        self.trainer.run_plainly();
        let (whole, times) = time_phases(device, || self.turn(batches, steps));
        let mut other = whole?;
        for name in PHASES {
            let seconds = times.get(name).map_or(0.0, |t| t.as_secs_f64() / steps as f64);
            self.phases.insert(name, seconds);
            other -= seconds;
        }
        self.phases.insert("other", other);
        Ok(())
    }
}

/// Measures one stage, two stages that use D's fakes again, and two stages with new fakes.
///
/// All three start from the same weights and take the same settings, those of the configuration.
pub fn bench(
    prepared: Prepared,
    plan: Plan,
    device: Device,
    mut after_round: impl FnMut(u64) -> Result<(), SessionError>,
) -> Result<Vec<Measured>, SessionError> {
    let config = prepared.config().clone();
    set_up(&config, device)?;
    let mut contestants = contestants(&prepared, device)?;
    let gan = prepared.gan;
    let start = SamplerState { seed: config.seed, epoch: 0, offset: 0 };
    let mut batches = Batches::start(prepared.dataset, config.batch_size, start, device)?;
    let steps = stretched(plan.steps, gan.penalties.iter().map(|p| p.interval.unsigned_abs()));
    for contestant in &mut contestants {
        contestant.turn(&mut batches, plan.warmup.max(1))?;
    }
    for round in 1..=plan.rounds {
        for contestant in &mut contestants {
            let seconds = contestant.turn(&mut batches, steps)?;
            contestant.seconds.push(seconds);
        }
        after_round(round)?;
    }
    for contestant in &mut contestants {
        contestant.profile(&mut batches, steps)?;
    }
    let images = (config.batch_size as u64 * u64::from(config.n_critic)) as f64;
    let cost = |way| Cost::of_round(&gan, way, config.n_critic.into(), config.n_generator.into());
    let samples = config.batch_size as f64;
    let one = cost(contestants[0].way).flops(&gan);
    let reference = contestants[0].seconds.clone();
    let measured = contestants.into_iter().map(|c| {
        let cost = cost(c.way);
        let gflop_per_step = cost.flops(&gan) * samples / 1e9;
        let seconds_per_step = Spread::of(&c.seconds);
        let ratios: Vec<f64> = c.seconds.iter().zip(&reference).map(|(mine, one)| mine / one).collect();
        Measured {
            name: c.name,
            generator_passes: cost.generator,
            discriminator_passes: cost.discriminator,
            gflop_per_step,
            predicted_ratio: cost.flops(&gan) / one,
            measured_ratio: Spread::of(&ratios),
            seconds_per_step,
            gflop_per_second: gflop_per_step / seconds_per_step.median,
            images_per_second: images / seconds_per_step.median,
            phases: c.phases,
        }
    });
    Ok(measured.collect())
}

fn contestants(prepared: &Prepared, device: Device) -> Result<[Contestant; 3], SessionError> {
    // A boosted round is no measure of the others.
    let base = crate::train::Settings { critic_boost: None, ..settings(prepared.config(), device) };
    let contestant = |name, stages, reuse_fakes| -> Result<Contestant, SessionError> {
        let settings = crate::train::Settings { stages, reuse_fakes, ..base.clone() };
        let trainer = Trainer::new(&prepared.gan, settings)
            .map_err(|source| SessionError::Definition { plugin: prepared.plugin.name.clone(), source })?;
        let way = match stages {
            Stages::One => Way::OneStage(trainer.choice().strategy),
            Stages::Two => Way::TwoStages { reuse_fakes },
        };
        Ok(Contestant { name, way, trainer, seconds: Vec::new(), phases: BTreeMap::new() })
    };
    Ok([
        contestant("one stage", Stages::One, false)?,
        contestant("two stages, D's fakes used again", Stages::Two, true)?,
        contestant("two stages, new fakes", Stages::Two, false)?,
    ])
}

/// `steps`, or the next multiple of the penalties' common period, so that every turn has its share of them.
fn stretched(steps: u64, intervals: impl Iterator<Item = u64>) -> u64 {
    let gcd = |mut a: u64, mut b: u64| {
        while b != 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    let period = intervals.fold(1, |a, b| (a / gcd(a, b)).saturating_mul(b)).min(LONGEST_PERIOD);
    steps.max(1).next_multiple_of(period)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_turn_holds_whole_periods_of_lazy_penalties() {
        assert_eq!(stretched(5, [].into_iter()), 5);
        assert_eq!(stretched(5, [1].into_iter()), 5);
        assert_eq!(stretched(5, [16].into_iter()), 16);
        assert_eq!(stretched(5, [4, 6].into_iter()), 12);
        assert_eq!(stretched(0, [1].into_iter()), 1);
        assert_eq!(stretched(1, [1000, 999].into_iter()), LONGEST_PERIOD);
    }

    #[test]
    fn the_middle_of_an_even_number_is_between_two() {
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0]), Spread { median: 2.0, min: 1.0, max: 4.0 });
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).median, 2.5);
    }
}
