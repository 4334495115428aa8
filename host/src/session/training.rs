//! The training loop: rounds, and between them readings, samples and checkpoints, all through the run directory.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use serde::Serialize;
use tch::Device;

use super::{
    Evaluation, Prepared, SessionError,
    batches::Batches,
    board, checkpoint,
    device::set_up,
    evaluate::{Evaluations, Line, Verdict},
    machine::Machine,
    memory,
    phases::finish,
    prepare::definition_hash,
    sample::fixed_samples,
    settings::settings,
};
use crate::{
    config::Config,
    data::SamplerState,
    image::{self, Series},
    run::{Board, Checkpoint, RunDir, TrainingRun},
    train::{GAMMA_BINS, Reading, TrainError, Trainer},
};

/// What somebody watching a run is told.
pub trait Watch {
    /// The run begins (or goes on) at `step` of `steps`, with this strategy for this reason.
    fn begin(&mut self, trainer: &Trainer, step: u64, steps: u64);
    /// A round is done.
    fn round(&mut self, step: u64);
    /// The losses were read.
    fn reading(&mut self, progress: &Progress);
    /// Figures were computed at this step.
    fn evaluated(&mut self, step: u64, evaluation: &Evaluation);
    /// A file was written.
    fn wrote(&mut self, what: &str, path: &str);
}

/// A line of `metrics.jsonl`, after the step.
#[derive(Debug, Clone, Serialize)]
pub struct Progress {
    /// The step.
    #[serde(skip)]
    pub step: u64,
    /// Mean of `L_D` since the last line.
    pub loss_discriminator: f64,
    /// Mean of `L_G` since the last line.
    pub loss_generator: f64,
    /// Mean of the penalties since the last line.
    pub penalty: f64,
    /// Mean of `D(x)` since the last line.
    pub score_real: f64,
    /// Mean of `D(G(z))` since the last line.
    pub score_fake: f64,
    /// Mean γ since the last line, in one stage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_mean: Option<f64>,
    /// Least γ since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_min: Option<f64>,
    /// Largest γ since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_max: Option<f64>,
    /// Share of fakes for which γ does not exist, since the last line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub saturated: Option<f64>,
    /// How many γ since the last line lie in each bin of [`crate::train::gamma_edges`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gamma_histogram: Option<Vec<u64>>,
    /// What the schedule multiplied both learning rates by in this step.
    pub rate_factor: f64,
    /// Steps in a second, since the last line.
    pub steps_per_second: f64,
    /// Real images in a second, since the last line.
    pub images_per_second: f64,
    /// Share of the time since the last line in which the next batch was not ready.
    pub data_wait: f64,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// All steps are done.
    Done,
    /// Somebody asked it to stop; what it had is saved.
    Interrupted,
    /// So many evaluations in a row were no better that there was no use in going on.
    Plateau,
}

/// A run ready to train.
pub struct Training<'a> {
    trainer: Trainer,
    batches: Batches,
    run: TrainingRun,
    board: Option<Board>,
    evaluations: Option<Evaluations>,
    clock: Clock,
    config: Config,
    prepared_definition: String,
    method: String,
    stop: &'a AtomicBool,
    last_grid: Option<PathBuf>,
}

impl<'a> Training<'a> {
    /// Begins a run in `out`, or goes on with the one there.
    pub fn start(
        prepared: Prepared,
        out: &std::path::Path,
        resume: bool,
        device: Device,
        stop: &'a AtomicBool,
    ) -> Result<Self, SessionError> {
        let config = prepared.config().clone();
        set_up(&config, device)?;
        let mut trainer = Trainer::new(&prepared.gan, settings(&config, device)).map_err(|source| {
            memory::explain(&source, config.batch_size, || "nothing has been written".into())
                .unwrap_or_else(|| SessionError::Definition { plugin: prepared.plugin.name.clone(), source })
        })?;
        let mut clock = Clock::default();
        let mut position = SamplerState { seed: config.seed, epoch: 0, offset: 0 };
        let begun = if resume {
            let run = RunDir::open_for_resume(out, &config)?;
            if run.definition()? != prepared.definition {
                return Err(SessionError::Stored(format!(
                    "plugin `{}` now declares another definition than {} was trained with; put the old plugin back \
                     (plugin.json has its SHA-256), or begin a new run with another --out",
                    prepared.plugin.name,
                    out.display()
                )));
            }
            if let Some(step) = run.latest()? {
                let checkpoint = run.load_checkpoint(step)?;
                clock.before = checkpoint.trained;
                position = checkpoint::restore(&mut trainer, &checkpoint)?;
            }
            Some(run)
        } else {
            RunDir::check_free(out)?;
            None
        };
        // Whatever can be wrong with the settings is found before a new run's directory is made: one that never began would be
        // in the way of the next try.
        let evaluator = Evaluations::evaluator(&config, &prepared.dataset, device)?;
        let batches = Batches::start(prepared.dataset, config.batch_size, position, device)?;
        let run = match begun {
            Some(run) => run,
            None => RunDir::create(out, &config, &prepared.definition, &prepared.plugin)?,
        };
        let evaluations = evaluator.map(|evaluator| Evaluations::start(evaluator, &config, &run)).transpose()?;
        run.append_session(&Machine::here(device, trainer.step()))?;
        let board = board::begin(&run, &config, trainer.step())?;
        Ok(Self {
            trainer,
            batches,
            run,
            board,
            evaluations,
            clock,
            config,
            prepared_definition: prepared.definition,
            method: prepared.plugin.name,
            stop,
            last_grid: None,
        })
    }

    /// The run directory.
    pub const fn run_dir(&self) -> &TrainingRun {
        &self.run
    }

    /// The last grid that was written.
    pub const fn last_grid(&self) -> Option<&PathBuf> {
        self.last_grid.as_ref()
    }

    /// Trains to the end, or until `stop` is set.
    pub fn train(&mut self, watch: &mut dyn Watch) -> Result<End, SessionError> {
        self.rounds(watch).map_err(|e| self.with_safe(e))
    }

    fn rounds(&mut self, watch: &mut dyn Watch) -> Result<End, SessionError> {
        watch.begin(&self.trainer, self.trainer.step(), self.config.steps);
        if self.evaluations.as_ref().is_some_and(Evaluations::is_plateau) {
            return Ok(End::Plateau);
        }
        self.clock.start();
        let grids = self.config.sample_every > 0;
        if grids && self.trainer.step() == 0 {
            self.sample(watch)?;
        }
        let mut since = self.here();
        let step = self.trainer.step();
        if self.evaluations.as_ref().is_some_and(|e| e.is_missing(step)) {
            let verdict = self.evaluate(&mut since, watch)?;
            if verdict.best {
                self.run.mark_best(Some(step))?;
            }
            if verdict.plateau && step < self.config.steps {
                self.plot(watch)?;
                return Ok(End::Plateau);
            }
        }
        while self.trainer.step() < self.config.steps {
            let batches = &mut self.batches;
            self.trainer.round(|| batches.next())?;
            let step = self.trainer.step();
            watch.round(step);
            let last = step == self.config.steps;
            let stopped = self.stop.load(Ordering::Relaxed);
            let save = last || stopped || step.is_multiple_of(self.config.checkpoint_every);
            let evaluate = self.evaluations.as_ref().is_some_and(|e| e.is_due(step));
            if save || evaluate || step.is_multiple_of(self.config.log_every) {
                // Before anything is saved: a step that went wrong must not replace one that was right.
                self.read(&mut since, watch)?;
            }
            if save || evaluate {
                self.trainer.check_weights()?;
            }
            if grids && (last || step.is_multiple_of(self.config.sample_every)) {
                self.sample(watch)?;
            }
            if save {
                // Before the evaluation, which may fail or be killed: the steps up to here are not to be lost with it. A run that
                // goes on from this checkpoint makes the evaluation up for it.
                self.save(watch)?;
            }
            let verdict = if evaluate { self.evaluate(&mut since, watch)? } else { Verdict::default() };
            if (verdict.best || verdict.plateau) && !save {
                self.save(watch)?;
            }
            if verdict.best {
                self.run.mark_best(Some(step))?;
            }
            if verdict.plateau && !last {
                self.plot(watch)?;
                return Ok(End::Plateau);
            }
            if stopped && !last {
                return Ok(End::Interrupted);
            }
        }
        self.plot(watch)?;
        Ok(End::Done)
    }

    fn here(&self) -> Since {
        Since { at: Instant::now(), step: self.trainer.step(), waited: self.batches.waited() }
    }

    fn read(&mut self, since: &mut Since, watch: &mut dyn Watch) -> Result<(), SessionError> {
        let readings = self.trainer.readings().read()?;
        let now = self.here();
        let settings = self.trainer.settings();
        let batches: u64 = (since.step..now.step).map(|round| settings.steps_of_d(round)).sum();
        let images = batches * self.config.batch_size as u64;
        let elapsed = now.at - since.at;
        if let Some(mut progress) = summary(&readings, elapsed, images) {
            progress.data_wait =
                (now.waited.as_secs_f64() - since.waited.as_secs_f64()) / elapsed.as_secs_f64().max(1e-9);
            progress.rate_factor = settings.schedule.factor(progress.step.saturating_sub(1));
            self.run.append_metrics(progress.step, &progress)?;
            if let Some(board) = &mut self.board {
                board::add(board, &progress)?;
            }
            watch.reading(&progress);
        }
        *since = now;
        Ok(())
    }

    /// Evaluates and writes it down; says whether this is the best so far, and whether to go on has no use.
    fn evaluate(&mut self, since: &mut Since, watch: &mut dyn Watch) -> Result<Verdict, SessionError> {
        let Some(evaluations) = &mut self.evaluations else { return Ok(Verdict::default()) };
        finish(self.trainer.settings().device);
        self.clock.stop();
        let step = self.trainer.step();
        let (found, images, passes) = match evaluations.evaluate(&self.trainer, &self.config) {
            Ok(found) => found,
            Err(source) => {
                return Err(SessionError::Evaluating { step, source: Box::new(source), safe: self.last_good() });
            }
        };
        watch.evaluated(step, &found);
        if let Some(board) = &mut self.board {
            board::add_figures(board, step, &found.figures)?;
        }
        let line = Line {
            step,
            images,
            passes,
            seconds: self.clock.total().as_secs_f64(),
            weights: found.weights.unwrap_or_default(),
            seed: found.seed.unwrap_or_default(),
            n: found.n,
            figures: found.figures,
            record: found.record,
        };
        self.run.append_evaluation(step, &line)?;
        let verdict = evaluations.push(line);
        self.clock.start();
        // The next line's speed is that of training.
        *since = self.here();
        Ok(verdict)
    }

    fn sample(&mut self, watch: &mut dyn Watch) -> Result<(), SessionError> {
        let generator = self.trainer.ema().unwrap_or(&self.trainer.networks().generator);
        // Its own stream: looking at a run must not change it.
        let seed = self.config.seed.wrapping_add(2);
        let samples = fixed_samples(generator, self.trainer.gan(), self.config.sample_count, seed)?;
        let png = samples.grid()?;
        let path = self.run.write_sample(self.trainer.step(), &png)?;
        if let Some(board) = &mut self.board {
            board::add_grid(board, self.trainer.step(), &png)?;
        }
        watch.wrote("sample grid", &path.display().to_string());
        self.last_grid = Some(path);
        Ok(())
    }

    fn save(&mut self, watch: &mut dyn Watch) -> Result<(), SessionError> {
        let step = self.trainer.step();
        let parts = checkpoint::parts(&self.trainer, self.batches.position())?;
        let definition = definition_hash(&self.prepared_definition);
        let mut checkpoint = Checkpoint::new(step, parts, &self.method, &self.config.hash()?, &definition);
        checkpoint.trained = self.clock.total();
        self.run.save_checkpoint(&checkpoint, self.config.keep_checkpoints)?;
        watch.wrote("checkpoint", &format!("{}/checkpoints/step-{step}", self.run.path().display()));
        Ok(())
    }

    fn plot(&self, watch: &mut dyn Watch) -> Result<(), SessionError> {
        let lines = self.run.metrics()?;
        let series = ["loss_discriminator", "loss_generator"].map(|name| Series {
            name: name.replace('_', " "),
            points: lines.iter().filter_map(|l| Some((l.get("step")?.as_f64()?, l.get(name)?.as_f64()?))).collect(),
        });
        let path = self.run.write_plot(&image::encode_curves(&format!("{} losses", self.method), &series)?)?;
        watch.wrote("loss curves", &path.display().to_string());
        Ok(())
    }

    /// A step's error with the checkpoint that is still good; other errors say it themselves.
    fn with_safe(&self, error: SessionError) -> SessionError {
        match error {
            SessionError::Train(source @ TrainError::NotFinite { .. }) => {
                SessionError::Step { source, safe: self.last_good() }
            }
            other => memory::explain(&other, self.config.batch_size, || self.last_good()).unwrap_or(other),
        }
    }

    fn last_good(&self) -> String {
        match self.run.latest() {
            Ok(Some(step)) => {
                format!("the last good checkpoint is {}/checkpoints/step-{step}", self.run.path().display())
            }
            _ => "no checkpoint was saved before it".into(),
        }
    }
}

/// Where a line of `metrics.jsonl` begins.
#[derive(Debug, Clone, Copy)]
struct Since {
    at: Instant,
    step: u64,
    /// For batches, since the process began.
    waited: Duration,
}

/// Time spent training, over all processes of a run.
#[derive(Debug, Default)]
struct Clock {
    before: Duration,
    running: Option<Instant>,
}

impl Clock {
    fn start(&mut self) {
        self.running = Some(Instant::now());
    }

    fn stop(&mut self) {
        self.before = self.total();
        self.running = None;
    }

    fn total(&self) -> Duration {
        self.before + self.running.map_or(Duration::ZERO, |since| since.elapsed())
    }
}

/// The readings since the last line, as one; `None` if there are none.
fn summary(readings: &[Reading], elapsed: Duration, images: u64) -> Option<Progress> {
    let last = readings.last()?;
    let mean = |f: fn(&Reading) -> f64| readings.iter().map(f).sum::<f64>() / readings.len() as f64;
    let gammas: Vec<_> = readings.iter().filter_map(|r| r.gamma).collect();
    let gamma = |fold: fn(f64, f64) -> f64, of: fn(&crate::train::Gamma) -> f64| gammas.iter().map(of).reduce(fold);
    let finite: Vec<f64> = gammas.iter().map(|g| g.mean).filter(|m| m.is_finite()).collect();
    let per_second = |count: f64| count / elapsed.as_secs_f64().max(1e-9);
    Some(Progress {
        step: last.step,
        loss_discriminator: mean(|r| r.loss_discriminator),
        loss_generator: mean(|r| r.loss_generator),
        penalty: mean(|r| r.penalty),
        score_real: mean(|r| r.score_real),
        score_fake: mean(|r| r.score_fake),
        gamma_mean: (!finite.is_empty()).then(|| finite.iter().sum::<f64>() / finite.len() as f64),
        gamma_min: gamma(f64::min, |g| g.min).filter(|g| g.is_finite()),
        gamma_max: gamma(f64::max, |g| g.max).filter(|g| g.is_finite()),
        saturated: (!gammas.is_empty()).then(|| gammas.iter().map(|g| g.saturated).sum::<f64>() / gammas.len() as f64),
        gamma_histogram: (!gammas.is_empty()).then(|| {
            let count = |bin: usize| gammas.iter().map(|g| u64::from(g.histogram[bin])).sum();
            (0..GAMMA_BINS).map(count).collect()
        }),
        rate_factor: 1.0,
        steps_per_second: per_second(readings.len() as f64),
        images_per_second: per_second(images as f64),
        data_wait: 0.0,
    })
}
