//! The training loop: rounds, and between them readings, samples and checkpoints, all through the run directory.

use std::{path::PathBuf, time::Instant};

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
    progress::{Clock, Progress, Since, summary},
    resume::restore,
    sample::fixed_samples,
    settings::settings,
};
use crate::{
    config::Config,
    data::{Facts, SamplerState},
    image::{self, Series},
    run::{Board, Checkpoint, RunDir, TrainingRun},
    text::Show as _,
    train::{TrainError, Trainer},
    work::{self, Held, Hold, Interrupted},
};

/// While steps are made that no checkpoint holds.
const TRAINS: Held = Held { words: "stopping after this step; Ctrl-C again to leave without saving", patience: 2 };

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

/// How a run begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Start {
    /// In a directory without a run.
    New,
    /// From what another process left of it.
    Resume,
    /// From what another process left of it if one did, else in a directory without a run.
    Either,
}

/// A run ready to train.
pub struct Training {
    trainer: Trainer,
    batches: Batches,
    run: TrainingRun,
    board: Option<Board>,
    evaluations: Option<Evaluations>,
    clock: Clock,
    config: Config,
    prepared_definition: String,
    /// What the images are, as every checkpoint keeps it.
    data: String,
    method: String,
    last_grid: Option<PathBuf>,
    /// While there are steps that no checkpoint holds.
    hold: Option<Hold>,
}

impl Training {
    /// Begins a run in `out`, or goes on with the one there.
    pub fn start(
        prepared: Prepared,
        out: &std::path::Path,
        start: Start,
        device: Device,
    ) -> Result<Self, SessionError> {
        let config = prepared.config().clone();
        set_up(&config, device)?;
        let mut trainer = Trainer::new(&prepared.gan, settings(&config, device)).map_err(|source| {
            memory::explain(&source, config.batch_size, || "nothing has been written".into())
                .unwrap_or_else(|| SessionError::Definition { plugin: prepared.plugin.name.clone(), source })
        })?;
        let facts = Facts::of(&prepared.dataset);
        let resume = match start {
            Start::New => false,
            Start::Resume => true,
            // What a crash left of a run that never began is no run, and in nobody's way.
            Start::Either => RunDir::open(out).is_ok(),
        };
        let begun = if resume {
            Some(RunDir::open_for_resume(out, &config)?)
        } else {
            RunDir::check_free(out)?;
            None
        };
        let mut clock = Clock::default();
        let mut position = SamplerState { seed: config.seed, epoch: 0, offset: 0 };
        if let Some(run) = &begun {
            let found = restore(run, &prepared, &facts, &mut trainer)?;
            (clock.before, position) = (found.trained, found.data);
        }
        // Whatever can be wrong with the settings is found before a new run's directory is made, and before anything of a stored
        // one is changed: one that never began would be in the way of the next try.
        let evaluator =
            Evaluations::evaluator(&config, prepared.file.as_deref(), &prepared.trust, &prepared.dataset, device)?;
        let batches = Batches::start(prepared.dataset, config.batch_size, position, device)?;
        let run = match begun {
            Some(run) => run.begin()?,
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
            data: facts.to_json(),
            method: prepared.plugin.name,
            last_grid: None,
            hold: None,
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

    /// Trains to the end, or until somebody asks for it.
    pub fn train(&mut self, watch: &mut dyn Watch) -> Result<End, SessionError> {
        self.hold = Some(work::hold(TRAINS));
        let end = self.rounds(watch).map_err(|e| self.with_safe(e));
        self.hold = None;
        end
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
            let Some(verdict) = self.evaluate(true, &mut since, watch)? else { return Ok(End::Interrupted) };
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
            let stopped = work::asked() > 0;
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
            if stopped && !last {
                // A due evaluation is made up for by whoever goes on.
                return Ok(End::Interrupted);
            }
            let verdict = match evaluate.then(|| self.evaluate(save, &mut since, watch)).transpose()? {
                Some(None) => return Ok(End::Interrupted),
                Some(Some(verdict)) => verdict,
                None => Verdict::default(),
            };
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
        if let Some(progress) = summary(&readings, *since, now, images, |round| settings.schedule.factor(round)) {
            self.run.append_metrics(progress.step, &progress)?;
            if let Some(board) = &mut self.board {
                board::add(board, &progress)?;
            }
            watch.reading(&progress);
        }
        *since = now;
        Ok(())
    }

    /// Evaluates and writes it down; says whether this is the best so far, and whether to go on has no use. `None` where somebody
    /// asked for the end first: the steps up to here are saved, and whoever goes on makes the evaluation up. `saved` says whether
    /// they are already.
    fn evaluate(
        &mut self,
        saved: bool,
        since: &mut Since,
        watch: &mut dyn Watch,
    ) -> Result<Option<Verdict>, SessionError> {
        let Some(evaluations) = &mut self.evaluations else { return Ok(Some(Verdict::default())) };
        if saved {
            // Nothing is lost with it but what is made up for.
            self.hold = None;
        }
        finish(self.trainer.settings().device);
        self.clock.stop();
        let step = self.trainer.step();
        let found = evaluations.evaluate(&self.trainer, &self.config);
        self.hold = self.hold.take().or_else(|| Some(work::hold(TRAINS)));
        let (found, images, passes) = match found {
            Ok(found) => found,
            Err(source) if Interrupted::caused(&source) => {
                if !saved {
                    self.save(watch)?;
                }
                return Ok(None);
            }
            Err(source) => {
                // The weights are no worse for it, unless they are the reason: a run that goes on from here makes the evaluation up.
                // If saving fails, too, the older checkpoint is the good one, and the evaluation's error the one to tell.
                let good = !matches!(source, SessionError::NotFiniteImages);
                if good && self.run.latest().ok().flatten() != Some(step) {
                    let _ = self.save(watch);
                }
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
        Ok(Some(verdict))
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
        watch.wrote("sample grid", &path.shown().to_string());
        self.last_grid = Some(path);
        Ok(())
    }

    fn save(&mut self, watch: &mut dyn Watch) -> Result<(), SessionError> {
        let step = self.trainer.step();
        let parts = checkpoint::parts(&self.trainer, self.batches.position())?;
        let definition = definition_hash(&self.prepared_definition);
        let mut checkpoint = Checkpoint::new(step, parts, &self.method, &self.config.hash()?, &definition);
        checkpoint.trained = self.clock.total();
        checkpoint.config = Some(self.config.to_toml()?);
        checkpoint.data = Some(self.data.clone());
        self.run.save_checkpoint(&checkpoint, self.config.keep_checkpoints)?;
        watch.wrote("checkpoint", &format!("{}/checkpoints/step-{step}", self.run.path().shown()));
        Ok(())
    }

    fn plot(&self, watch: &mut dyn Watch) -> Result<(), SessionError> {
        let lines = self.run.readable_metrics()?;
        let series = ["loss_discriminator", "loss_generator"].map(|name| Series {
            name: name.replace('_', " "),
            points: lines.iter().filter_map(|l| Some((l.get("step")?.as_f64()?, l.get(name)?.as_f64()?))).collect(),
        });
        let path = self.run.write_plot(&image::encode_curves(&format!("{} losses", self.method), &series)?)?;
        watch.wrote("loss curves", &path.shown().to_string());
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
                format!("the last good checkpoint is {}/checkpoints/step-{step}", self.run.path().shown())
            }
            _ => "no checkpoint was saved before it".into(),
        }
    }
}
