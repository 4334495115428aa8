//! Evaluations while a run trains: what is written of them, which one is best, and when there is no use in going on. All of
//! it follows from the lines of `evaluations.jsonl`, so that a resumed run knows what it knew.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde::{Deserialize, Serialize};
use tch::Device;

use super::{
    super::{
        SessionError,
        data::{cache_directory, spec},
    },
    Evaluation, EvaluationPlan, Evaluator, Images, State,
    against::name_of,
};
use crate::{
    config::{Config, TrustChoice},
    data::Dataset,
    metrics::{Figure, MNIST_CLASSIFIER, Metric, Record},
    run::TrainingRun,
    text::Show as _,
    train::{Cost, Trainer, Way},
};

/// Passes of a batch through each network, as [`Cost`] counts them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Passes {
    /// Of G.
    pub generator: f64,
    /// Of D.
    pub discriminator: f64,
}

/// A line of `evaluations.jsonl`, after the step.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// The step.
    #[serde(skip_serializing)]
    pub step: u64,
    /// Real images that D has seen, each as often as it has.
    pub images: u64,
    /// Passes so far.
    pub passes: Passes,
    /// Seconds of training so far, without evaluations.
    pub seconds: f64,
    /// Which weights: `generator_ema` or `generator`.
    pub weights: String,
    /// Seed of latents and labels.
    pub seed: u64,
    /// Images drawn.
    pub n: usize,
    /// The figures.
    pub figures: Vec<Figure>,
    /// What they have in common.
    pub record: Record,
}

/// What follows from an evaluation; nothing where there was none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(in crate::session) struct Verdict {
    /// The checkpoint of this step is the best so far.
    pub(in crate::session) best: bool,
    /// There is no use in going on.
    pub(in crate::session) plateau: bool,
}

/// The evaluations of a run, past and to come.
#[derive(Debug)]
pub(in crate::session) struct Evaluations {
    evaluator: Evaluator,
    every: u64,
    keep_best: Option<Metric>,
    patience: u64,
    /// Whether the averaged weights are evaluated.
    averaged: bool,
    past: Vec<Line>,
    /// What was warned of; once is enough.
    warned: BTreeSet<String>,
    rounds: Rounds,
}

/// Images that go through G and the extractor at a time.
const BATCH: usize = 64;

impl Evaluations {
    /// What evaluates, or `None` where the configuration, which lies in `file`, wants none; `trust` says what an extractor must show. Needs no run: what is wrong with the extractor or the real
    /// images is found before there is one.
    pub(in crate::session) fn evaluator(
        config: &Config,
        file: Option<&Path>,
        trust: &TrustChoice,
        dataset: &Dataset,
        device: Device,
    ) -> Result<Option<Evaluator>, SessionError> {
        let wanted = &config.evaluate;
        if wanted.every == 0 {
            return Ok(None);
        }
        let plan = EvaluationPlan {
            extractor: wanted.extractor.clone().unwrap_or_else(|| MNIST_CLASSIFIER.to_owned()),
            sum: None,
            trust: trust.clone(),
            config: file.map(Path::to_owned),
            metrics: Some(wanted.metrics.iter().filter_map(|name| Metric::from_name(name)).collect()),
            samples: wanted.samples,
            batch: BATCH,
            // Its own stream, and the same latents each time: evaluations differ by the weights alone.
            seed: config.seed.wrapping_add(3),
            cache: cache_directory(),
            features: false,
            device,
        };
        let evaluator = Evaluator::new(plan, &Images::of(dataset, name_of(&spec(&config.data))))?;
        evaluator.rest();
        Ok(Some(evaluator))
    }

    /// Begins; takes up what a resumed run has behind it.
    pub(in crate::session) fn start(
        evaluator: Evaluator,
        config: &Config,
        run: &TrainingRun,
    ) -> Result<Self, SessionError> {
        let wanted = &config.evaluate;
        let evaluations = Self {
            evaluator,
            every: wanted.every,
            keep_best: wanted.keep_best.as_deref().and_then(Metric::from_name),
            patience: wanted.patience,
            averaged: config.ema_decay > 0.0,
            past: run.readable_evaluations()?,
            warned: BTreeSet::new(),
            rounds: Rounds::default(),
        };
        evaluations.refuse_unlike(run)?;
        evaluations.point_to_best(run)?;
        Ok(evaluations)
    }

    /// Past figures under another name must not decide which checkpoint is best.
    fn refuse_unlike(&self, run: &TrainingRun) -> Result<(), SessionError> {
        let Some(metric) = self.keep_best else { return Ok(()) };
        let now = self.evaluator.name_of(metric, self.averaged);
        let unlike = self.past.iter().filter_map(|line| figure(line, metric)).find(|then| then.name != now);
        let of = &self.evaluator.real.sha256;
        if let Some(line) = self.past.iter().find(|line| line.record.real_sha256 != *of) {
            return Err(SessionError::Evaluation(format!(
                "key `evaluate.keep_best` cannot compare figures against the real images at hand (SHA-256 {of}) with those of step {} in \
                 {}, which were against others of the same name (SHA-256 {}); go on with the images as they were, or without `keep_best`",
                line.step,
                run.path().join("evaluations.jsonl").shown(),
                line.record.real_sha256.shown()
            )));
        }
        unlike.map_or(Ok(()), |then| {
            Err(SessionError::Evaluation(format!(
                "key `evaluate.keep_best` cannot compare `{now}` with `{}`, which {} has; go on with the [evaluate] table as \
                 it was, or without `keep_best`",
                then.name,
                run.path().join("evaluations.jsonl").shown()
            )))
        })
    }

    /// `best` again names the best of the checkpoints that are there: a crash may have come between the two, or the run was
    /// taken back.
    fn point_to_best(&self, run: &TrainingRun) -> Result<(), SessionError> {
        if let Some(metric) = self.keep_best {
            let there = run.checkpoints()?;
            let lines = self.past.iter().filter(|line| there.contains(&line.step));
            let best = best(lines, metric);
            let said = run.best().unwrap_or_else(|error| {
                tracing::warn!("{error}; it is written again, by evaluations.jsonl");
                None
            });
            if said != best.map(|line| line.step) {
                run.mark_best(best.map(|line| line.step))?;
            }
        }
        Ok(())
    }

    pub(in crate::session) const fn is_due(&self, step: u64) -> bool {
        step.is_multiple_of(self.every)
    }

    /// Whether a run that goes on from `step` lacks its evaluation: the process before saved its checkpoint, and ended before
    /// the evaluation did.
    pub(in crate::session) fn is_missing(&self, step: u64) -> bool {
        step > 0 && self.is_due(step) && !self.past.iter().any(|line| line.step == step)
    }

    /// Figures of the trainer's generator, and what it has cost so far: a line without its time.
    pub(in crate::session) fn evaluate(
        &mut self,
        trainer: &Trainer,
        config: &Config,
    ) -> Result<(Evaluation, u64, Passes), SessionError> {
        let step = trainer.step();
        let (generator, averaged) = match trainer.ema() {
            Some(ema) => (ema, true),
            None => (&trainer.networks().generator, false),
        };
        let found = self.evaluator.of_generator(generator, trainer.gan(), State { step, averaged });
        self.evaluator.rest();
        let mut found = found?;
        found.warnings.retain(|warning| self.warned.insert(warning.clone()));
        let (images, passes) = self.rounds.done(trainer, config, step);
        Ok((found, images, passes))
    }

    /// Takes in a line that was written.
    pub(in crate::session) fn push(&mut self, line: Line) -> Verdict {
        self.past.push(line);
        Verdict { best: self.since_best() == Some(0), plateau: self.is_plateau() }
    }

    /// Whether so many evaluations were no better that training should end.
    pub(in crate::session) fn is_plateau(&self) -> bool {
        self.patience > 0 && self.since_best().is_some_and(|since| since as u64 >= self.patience)
    }

    /// Evaluations since the best.
    fn since_best(&self) -> Option<usize> {
        let best = best(self.past.iter(), self.keep_best?)?;
        Some(self.past.iter().filter(|line| line.step > best.step).count())
    }
}

fn figure(line: &Line, metric: Metric) -> Option<&Figure> {
    line.figures.iter().find(|figure| figure.metric == metric)
}

/// The best line, the first of equals.
fn best<'a>(lines: impl Iterator<Item = &'a Line>, metric: Metric) -> Option<&'a Line> {
    lines.filter(|line| figure(line, metric).is_some()).reduce(|best, line| {
        let better = match (figure(line, metric), figure(best, metric)) {
            // Unlike ones were refused when the run began; none is better than what it cannot be compared with.
            (Some(new), Some(old)) => new.is_better(&line.record, old, &best.record).unwrap_or(false),
            _ => false,
        };
        if better { line } else { best }
    })
}

/// How many rounds there were with so many steps of D, which are two numbers at most; counted on from one evaluation to the next.
#[derive(Debug, Default)]
struct Rounds {
    upto: u64,
    by_steps_of_d: BTreeMap<u64, u64>,
}

impl Rounds {
    fn count_to(&mut self, step: u64, steps_of_d: impl Fn(u64) -> u64) {
        for round in self.upto..step {
            *self.by_steps_of_d.entry(steps_of_d(round)).or_default() += 1;
        }
        self.upto = self.upto.max(step);
    }

    /// What a run has done after `step` steps: real images seen, and passes.
    fn done(&mut self, trainer: &Trainer, config: &Config, step: u64) -> (u64, Passes) {
        let settings = trainer.settings();
        let way = match settings.stages {
            tandem_plugin_api::Stages::One => Way::OneStage(trainer.choice().strategy),
            tandem_plugin_api::Stages::Two => Way::TwoStages { reuse_fakes: settings.reuse_fakes },
        };
        self.count_to(step, |round| settings.steps_of_d(round));
        let (mut images, mut passes) = (0, Passes { generator: 0.0, discriminator: 0.0 });
        for (&of_d, &count) in &self.by_steps_of_d {
            let cost = Cost::of_round(trainer.gan(), way, of_d, settings.n_generator);
            images += count * of_d * config.batch_size as u64;
            passes.generator += cost.generator * count as f64;
            passes.discriminator += cost.discriminator * count as f64;
        }
        (images, passes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        serde_json::from_value(serde_json::json!({
            "extractor": "e", "extractor_sha256": "", "width": 4, "real": "r", "real_count": 9, "real_sha256": "",
            "resize": "", "quantisation": "uint8", "weights": "generator"
        }))
        .unwrap()
    }

    fn lines(values: &[f64]) -> Vec<Line> {
        let line = |(i, &value): (usize, &f64)| Line {
            step: 10 * (i as u64 + 1),
            images: 0,
            passes: Passes { generator: 0.0, discriminator: 0.0 },
            seconds: 0.0,
            weights: "generator".into(),
            seed: 3,
            n: 100,
            figures: vec![Figure::new(Metric::Fid, (value, None), &record(), 100, "")],
            record: record(),
        };
        values.iter().enumerate().map(line).collect()
    }

    #[test]
    fn the_best_is_the_first_of_the_least() {
        let of = |values: &[f64]| best(lines(values).iter(), Metric::Fid).map(|line| line.step);
        assert_eq!(of(&[]), None);
        assert_eq!(of(&[3.0, 1.0, 2.0, 1.0]), Some(20));
        assert_eq!(best(lines(&[1.0]).iter(), Metric::Kid), None);
    }

    #[test]
    fn rounds_are_counted_once_and_add_up() {
        let asked = std::cell::Cell::new(0);
        let steps_of_d = |round: u64| {
            asked.set(asked.get() + 1);
            if round.is_multiple_of(3) { 5 } else { 1 }
        };
        let mut rounds = Rounds::default();
        for step in [2, 4, 6, 6, 10] {
            rounds.count_to(step, steps_of_d);
        }
        assert_eq!(rounds.by_steps_of_d, BTreeMap::from([(1, 6), (5, 4)]));
        assert_eq!(asked.get(), 10, "each round is looked at once");
    }

    #[test]
    fn a_line_reads_back_as_it_was_written() {
        let line = lines(&[1.5]).remove(0);
        let mut written = serde_json::to_value(&line).unwrap();
        assert!(written.get("step").is_none(), "the run writes it");
        written["step"] = 10.into();
        assert_eq!(serde_json::from_value::<Line>(written).unwrap(), line);
    }
}
