//! The trainer: one definition, two networks, their optimizers, and a round of steps at a time.
//!
//! It knows no files and prints nothing. What a round needs (batches) is handed in; what it found out is read from
//! [`Trainer::readings`].

use tandem_plugin_api::{
    Gan, Stages,
    gan::{CriticBoost, Schedule},
};
use tandem_torch_ext::{CudaGraph, Generator, all_finite, clamp_all, cuda_graphs_are_open, ema_update};
use tch::{Device, Kind, Tensor};

use super::{
    Augment, Batch, Choice, Losses, Networks, Optimizer, OptimizerSettings, Readings, Scores, Strategy, TrainError,
    View, choose,
    error::In,
    one_stage,
    penalty::Terms,
    phase,
    readings::DiscriminatorReport,
    replay::{Plan, Replay},
    two_stage,
};
use crate::network::Compiled;

/// Everything that decides what a step does.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// One stage or two.
    pub stages: Stages,
    /// A forced strategy for one stage.
    pub strategy: Option<Strategy>,
    /// Two stages: whether G's step takes the fakes of D's step.
    pub reuse_fakes: bool,
    /// D's steps in a round.
    pub n_critic: u64,
    /// G's steps in a round.
    pub n_generator: u64,
    /// Rounds with more steps of D.
    pub critic_boost: Option<CriticBoost>,
    /// What both learning rates are multiplied by.
    pub schedule: Schedule,
    /// G's optimizer.
    pub generator: OptimizerSettings,
    /// D's optimizer.
    pub discriminator: OptimizerSettings,
    /// Decay of G's moving average; 0 keeps none.
    pub ema_decay: f64,
    /// Seed of first values and latents.
    pub seed: u64,
    /// Precision.
    pub kind: Kind,
    /// A narrower precision for matrix products.
    pub autocast: Option<Kind>,
    /// Where it runs.
    pub device: Device,
    /// Whether rounds are recorded and replayed, where that can be done: on CUDA, with the add-on.
    pub cuda_graph: bool,
}

impl Settings {
    /// D's steps in the round after `round` others.
    pub fn steps_of_d(&self, round: u64) -> u64 {
        let boost = self.critic_boost.filter(|boost| boost.is_due(round));
        boost.map_or(self.n_critic, |boost| boost.n_critic.unsigned_abs())
    }
}

/// A GAN in training.
#[derive(Debug)]
pub struct Trainer {
    pub(super) networks: Networks,
    pub(super) losses: Losses,
    pub(super) generator_optimizer: Optimizer,
    pub(super) discriminator_optimizer: Optimizer,
    pub(super) ema: Option<Compiled>,
    pub(super) noise: Generator,
    pub(super) augment: Augment,
    pub(super) step: u64,
    terms: Terms,
    readings: Readings,
    replay: Option<Replay>,
    choice: Choice,
    settings: Settings,
    gan: Gan,
}

impl Trainer {
    /// Checks the symmetry, chooses the strategy and makes everything with its first values.
    pub fn new(gan: &Gan, settings: Settings) -> Result<Self, TrainError> {
        super::check_symmetry(gan)?;
        let choice = choose(gan, settings.strategy)?;
        // libtorch's own generator serves dropout alone; everything else draws from `noise`.
        tch::manual_seed(settings.seed as i64);
        let mut first_values = Generator::new(settings.device, settings.seed)?;
        let mut networks = Networks::new(gan, settings.kind, &mut first_values)?;
        networks.set_autocast(settings.autocast);
        let ema = (settings.ema_decay > 0.0).then(|| copy_of(&networks.generator, gan, &settings)).transpose()?;
        Ok(Self {
            augment: Augment::new(&gan.augmentation, settings.kind, settings.device)?,
            losses: Losses::new(gan, settings.kind, settings.device)?,
            generator_optimizer: Optimizer::new(settings.generator, networks.generator.learned())?,
            discriminator_optimizer: Optimizer::new(settings.discriminator, networks.discriminator.learned())?,
            noise: Generator::new(settings.device, settings.seed.wrapping_add(1))?,
            terms: Terms::new(gan, networks.discriminator.learned_names()),
            networks,
            ema,
            step: 0,
            readings: Readings::default(),
            replay: replays(&settings).then(Replay::default),
            choice,
            settings,
            gan: gan.clone(),
        })
    }

    /// Rounds done.
    pub const fn step(&self) -> u64 {
        self.step
    }

    /// The one-stage strategy and why.
    pub const fn choice(&self) -> &Choice {
        &self.choice
    }

    /// The settings.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// The definition.
    pub const fn gan(&self) -> &Gan {
        &self.gan
    }

    /// The networks.
    pub const fn networks(&self) -> &Networks {
        &self.networks
    }

    /// G's moving average, if one is kept.
    pub const fn ema(&self) -> Option<&Compiled> {
        self.ema.as_ref()
    }

    /// What the steps since the last reading found out.
    pub const fn readings(&mut self) -> &mut Readings {
        &mut self.readings
    }

    /// Runs every round plainly from now on, for a look into it.
    pub fn run_plainly(&mut self) {
        self.replay = None;
    }

    /// One round: `n_critic` steps of D and `n_generator` of G. In one stage as many as there are of both are joint, then
    /// come the others alone (as TF-GAN's joint hooks).
    ///
    /// `next_batch` is asked for a fresh batch for every step.
    pub fn round<E: From<TrainError>>(&mut self, mut next_batch: impl FnMut() -> Result<Batch, E>) -> Result<(), E> {
        let plan = self.plan();
        self.generator_optimizer.set_rate_factor(plan.rate_factor);
        self.discriminator_optimizer.set_rate_factor(plan.rate_factor);
        let averages = self.ema.is_some();
        let replay = self.replay.take_if(|replay| replay.takes(&plan, averages));
        let row = if let Some(mut replay) = replay {
            let batches = (0..plan.batches).map(|_| next_batch()).collect::<Result<Vec<_>, E>>()?;
            let row = self.replayed(&mut replay, &plan, &batches)?;
            self.replay = Some(replay);
            row
        } else {
            self.steps(plan.steps, true, &mut next_batch)?
        };
        self.readings.push(self.step + 1, row);
        self.step += 1;
        Ok(())
    }

    /// What this round will do.
    fn plan(&self) -> Plan {
        let (of_d, of_g) = (self.settings.steps_of_d(self.step), self.settings.n_generator);
        let taken = self.discriminator_optimizer.steps_taken();
        let due = |k| self.terms.due(taken + k).chain([self.augment.is_due(taken + k + 1)]).collect();
        Plan {
            steps: (of_d, of_g),
            batches: match self.settings.stages {
                Stages::One => of_d.max(of_g),
                // G's first step takes D's last batch.
                Stages::Two if of_d > 0 => of_d + of_g.saturating_sub(1),
                Stages::Two => of_g,
            },
            rate_factor: self.settings.schedule.factor(self.step),
            due: (0..of_d).map(due).collect(),
        }
    }

    /// The round on these batches by a recording, made now if there is none of this plan.
    fn replayed(&mut self, replay: &mut Replay, plan: &Plan, batches: &[Batch]) -> Result<Tensor, TrainError> {
        replay.fill(batches)?;
        let row = if let Some(row) = replay.again(plan)? {
            self.discriminator_optimizer.count_steps(plan.steps.0);
            self.generator_optimizer.count_steps(plan.steps.1);
            row
        } else {
            let mut graph = CudaGraph::new(self.settings.device)?;
            graph.register(&self.noise)?;
            let mut inputs = replay.inputs();
            let missing = || TrainError::Refused("a recorded round asked for more batches than it has".into());
            let mut next = || inputs.next().ok_or_else(missing);
            let row = graph.record(replay.first(), || self.steps(plan.steps, false, &mut next))?;
            // Recording does nothing yet, but the steps were counted in it.
            replay.keep(plan.clone(), graph, row);
            replay.again(plan)?.ok_or_else(missing)?
        };
        self.average()?;
        Ok(row)
    }

    /// The steps of a round, each update of G followed by the moving average's unless that comes after the round.
    fn steps<E: From<TrainError>>(
        &mut self,
        (of_d, of_g): (u64, u64),
        average: bool,
        next_batch: &mut impl FnMut() -> Result<Batch, E>,
    ) -> Result<Tensor, E> {
        match self.settings.stages {
            Stages::One => {
                let joint = of_d.min(of_g);
                for _ in 0..joint {
                    self.joint_step(&next_batch()?)?;
                    self.average_if(average)?;
                }
                for _ in joint..of_d {
                    self.discriminator_step(&next_batch()?, None)?;
                }
                for _ in joint..of_g {
                    self.generator_step(&next_batch()?, None)?;
                    self.average_if(average)?;
                }
            }
            Stages::Two => {
                let mut last = None;
                for i in 0..of_d {
                    let batch = next_batch()?;
                    let keep = self.settings.reuse_fakes && i + 1 == of_d;
                    let fakes = if keep { Some(self.fakes(&batch)?) } else { None };
                    self.discriminator_step(&batch, fakes.as_ref())?;
                    last = Some((batch, fakes));
                }
                for i in 0..of_g {
                    match last.take() {
                        Some((batch, fakes)) if i == 0 => self.generator_step(&batch, fakes.as_ref())?,
                        _ => self.generator_step(&next_batch()?, None)?,
                    }
                    self.average_if(average)?;
                }
            }
        }
        Ok(self.readings.close(self.settings.device)?)
    }

    /// That all weights are finite: a step's last update can overflow after its losses and gradients were well.
    ///
    /// Waits for the device; for before a checkpoint.
    pub fn check_weights(&self) -> Result<(), TrainError> {
        let networks = [
            ("generator's weights", Some(&self.networks.generator)),
            ("discriminator's weights", Some(&self.networks.discriminator)),
            ("generator_ema's weights", self.ema.as_ref()),
        ];
        for (term, network) in networks {
            let tensors: Vec<Tensor> = network.iter().flat_map(|n| n.state()).map(|(_, t)| t.shallow_clone()).collect();
            if all_finite(&tensors)?.f_int64_value(&[])? == 0 {
                return Err(TrainError::NotFinite { step: self.step, term, value: f64::NAN });
            }
        }
        Ok(())
    }

    fn fakes(&mut self, batch: &Batch) -> Result<Tensor, TrainError> {
        let latents = self.networks.draw_latents(batch.len(), &mut self.noise)?;
        two_stage::fakes(&self.networks, batch, &latents)
    }

    /// Both gradients at the same parameters, then both updates.
    fn joint_step(&mut self, batch: &Batch) -> Result<(), TrainError> {
        let latents = self.networks.draw_latents(batch.len(), &mut self.noise)?;
        let mut step = one_stage::gradients(
            &self.networks,
            &self.losses,
            batch,
            &latents,
            self.choice.strategy,
            &mut View::new(&self.augment, &mut self.noise),
        )?;
        let terms = self.add_terms(batch, &step.fakes, &mut step.discriminator)?;
        self.update_discriminator(&step.discriminator)?;
        self.losses.update_states(&Scores {
            real: &step.real_scores,
            fake: &step.fake_scores,
            labels: batch.labels.as_ref(),
        })?;
        self.augment.observe(&step.real_scores, self.discriminator_optimizer.steps_taken())?;
        self.update_generator(&step.generator)?;
        self.readings.discriminator(&DiscriminatorReport {
            loss: &step.seeds.loss_discriminator,
            penalty: terms.as_ref(),
            gradients: &step.discriminator,
            real_scores: &step.real_scores,
            fake_scores: &step.fake_scores,
            seeds: Some(&step.seeds),
        })?;
        self.readings.generator(&step.seeds.loss_generator, &step.generator)
    }

    fn discriminator_step(&mut self, batch: &Batch, fakes: Option<&Tensor>) -> Result<(), TrainError> {
        let fresh = if fakes.is_none() {
            let latents = self.networks.draw_latents(batch.len(), &mut self.noise)?;
            Some(two_stage::detached_fakes(&self.networks, batch, &latents)?)
        } else {
            None
        };
        let Some(fakes) = fakes.or(fresh.as_ref()) else { return Ok(()) };
        let mut step = two_stage::discriminator(
            &self.networks,
            &self.losses,
            batch,
            fakes,
            &mut View::new(&self.augment, &mut self.noise),
        )?;
        let terms = self.add_terms(batch, fakes, &mut step.gradients)?;
        self.update_discriminator(&step.gradients)?;
        self.losses.update_states(&Scores {
            real: &step.real_scores,
            fake: &step.fake_scores,
            labels: batch.labels.as_ref(),
        })?;
        self.augment.observe(&step.real_scores, self.discriminator_optimizer.steps_taken())?;
        self.readings.discriminator(&DiscriminatorReport {
            loss: &step.loss,
            penalty: terms.as_ref(),
            gradients: &step.gradients,
            real_scores: &step.real_scores,
            fake_scores: &step.fake_scores,
            seeds: None,
        })
    }

    fn generator_step(&mut self, batch: &Batch, fakes: Option<&Tensor>) -> Result<(), TrainError> {
        let fresh = if fakes.is_none() { Some(self.fakes(batch)?) } else { None };
        let Some(fakes) = fakes.or(fresh.as_ref()) else { return Ok(()) };
        let step = two_stage::generator(
            &self.networks,
            &self.losses,
            batch,
            fakes,
            &mut View::new(&self.augment, &mut self.noise),
        )?;
        self.update_generator(&step.gradients)?;
        self.readings.generator(&step.loss, &step.gradients)
    }

    fn add_terms(
        &mut self,
        batch: &Batch,
        fakes: &Tensor,
        gradients: &mut [Tensor],
    ) -> Result<Option<Tensor>, TrainError> {
        let _phase = phase!("penalties");
        let steps_taken = self.discriminator_optimizer.steps_taken();
        let mut view = View::new(&self.augment, &mut self.noise);
        self.terms.add(&self.networks, batch, fakes, &mut view, steps_taken, gradients)
    }

    fn update_discriminator(&mut self, gradients: &[Tensor]) -> Result<(), TrainError> {
        let _phase = phase!("optimizer");
        let learned = self.networks.discriminator.learned();
        self.discriminator_optimizer.step(learned, gradients)?;
        if let Some(limit) = self.gan.weight_clip {
            let _guard = tch::no_grad_guard();
            clamp_all(learned, -limit, limit)?;
        }
        Ok(())
    }

    fn update_generator(&mut self, gradients: &[Tensor]) -> Result<(), TrainError> {
        let _phase = phase!("optimizer");
        self.generator_optimizer.step(self.networks.generator.learned(), gradients)
    }

    fn average_if(&self, now: bool) -> Result<(), TrainError> {
        if now { self.average() } else { Ok(()) }
    }

    /// Takes G's new weights into their moving average.
    fn average(&self) -> Result<(), TrainError> {
        let Some(ema) = &self.ema else { return Ok(()) };
        let _phase = phase!("optimizer");
        let _guard = tch::no_grad_guard();
        let generator = &self.networks.generator;
        ema_update(
            ema.learned(),
            generator.learned(),
            ema_decay(self.settings.ema_decay, self.generator_optimizer.steps_taken()),
        )?;
        // Running statistics are averages already: the copy takes them as they are.
        for (to, from) in ema.buffers().iter().zip(generator.buffers()) {
            to.tensor.shallow_clone().f_copy_(&from.tensor)?;
        }
        Ok(())
    }
}

/// Whether rounds can be recorded here, and shall be.
fn replays(settings: &Settings) -> bool {
    settings.cuda_graph && matches!(settings.device, Device::Cuda(_)) && cuda_graphs_are_open()
}

/// The decay after `steps` steps of G: short at first, so that the average leaves the first values behind quickly
/// (`min(decay, (1 + t) / (10 + t))`, TensorFlow's `ExponentialMovingAverage` with `num_updates`).
fn ema_decay(decay: f64, steps: u64) -> f64 {
    decay.min((1.0 + steps as f64) / (10.0 + steps as f64))
}

/// A second G with the same values.
fn copy_of(generator: &Compiled, gan: &Gan, settings: &Settings) -> Result<Compiled, TrainError> {
    let mut unused = Generator::new(settings.device, settings.seed)?;
    let mut copy = Compiled::new(&gan.generator, settings.kind, &mut unused).within("generator_ema")?;
    let values = generator.state().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
    copy.load(&values).within("generator_ema")?;
    Ok(copy)
}
