//! The two losses over a batch's scores, and their derivatives at the scores: the seeds of every strategy.

use std::borrow::Borrow;

use tandem_plugin_api::{Gan, Symmetry, gan::DiscriminatorLoss};
use tandem_torch_ext::{Generator, grad};
use tch::{Device, Kind, Tensor};

use super::{TrainError, error::In};
use crate::network::{Compiled, Pass, Weights};

/// `h = -g_f` must hold to this, relative to the largest seed, for a loss declared symmetric.
const SYMMETRY_TOLERANCE: f64 = 1e-6;

/// A batch's scores, as losses take them: `[N]`, or `[N, …]` for a map of scores.
#[derive(Debug, Clone, Copy)]
pub struct Scores<'a> {
    /// `D(x)`.
    pub real: &'a Tensor,
    /// `D(G(z))`.
    pub fake: &'a Tensor,
    /// Class labels `[N]`, where the data has them.
    pub labels: Option<&'a Tensor>,
}

/// The losses and their derivatives at the scores (one-stage.md: `g_r`, `g_f`, `h`), each in the scores' shape.
#[derive(Debug)]
pub struct Seeds {
    /// `∂L_D/∂s_r`.
    pub g_r: Tensor,
    /// `∂L_D/∂s_f`.
    pub g_f: Tensor,
    /// `∂L_G/∂s_f`.
    pub h: Tensor,
    /// `L_D`, a number on the device.
    pub loss_discriminator: Tensor,
    /// `L_G`, a number on the device.
    pub loss_generator: Tensor,
}

#[derive(Debug)]
enum Discriminator {
    Split(Compiled, Compiled),
    Whole(Compiled),
}

/// A loss state: one number on the device, and its update.
#[derive(Debug)]
struct State {
    name: String,
    /// How errors call it.
    place: String,
    value: Tensor,
    update: Compiled,
}

/// The compiled losses with their states.
#[derive(Debug)]
pub struct Losses {
    discriminator: Discriminator,
    generator: Compiled,
    states: Vec<State>,
    generator_reads_real: bool,
}

impl Losses {
    /// Compiles the losses of `gan` for scores of a precision on a device.
    pub fn new(gan: &Gan, kind: Kind, device: Device) -> Result<Self, TrainError> {
        // Losses own no parameters (checked with the definition), so nothing is drawn from this.
        let mut unused = Generator::new(device, 0)?;
        let mut compile = |network, name: &str| Compiled::new(network, kind, &mut unused).within(name);
        let discriminator = match &gan.loss_discriminator {
            DiscriminatorLoss::Split { real, fake } => {
                Discriminator::Split(compile(real, "loss_discriminator")?, compile(fake, "loss_discriminator")?)
            }
            DiscriminatorLoss::Whole(loss) => Discriminator::Whole(compile(loss, "loss_discriminator")?),
        };
        let states = gan.states.iter().map(|s| {
            let value = Tensor::f_full([0_i64; 0], s.initial, (kind, device))?;
            let place = format!("loss state `{}`", s.name);
            Ok(State { name: s.name.clone(), update: compile(&s.update, &place)?, place, value })
        });
        let states = states.collect::<Result<_, TrainError>>()?;
        let generator_reads_real = gan.loss_generator.input("real").is_some();
        Ok(Self {
            discriminator,
            generator: compile(&gan.loss_generator, "loss_generator")?,
            states,
            generator_reads_real,
        })
    }

    /// Whether G's loss needs the real scores, which cost two stages one more pass of D.
    pub const fn generator_reads_real(&self) -> bool {
        self.generator_reads_real
    }

    /// `L_D`, differentiable.
    pub fn discriminator(&self, scores: &Scores<'_>) -> Result<Tensor, TrainError> {
        match &self.discriminator {
            Discriminator::Split(real, fake) => {
                let real = self.evaluate(real, scores, "loss_discriminator")?;
                Ok(real.f_add(&self.evaluate(fake, scores, "loss_discriminator")?)?)
            }
            Discriminator::Whole(loss) => self.evaluate(loss, scores, "loss_discriminator"),
        }
    }

    /// `L_G`, differentiable.
    pub fn generator(&self, scores: &Scores<'_>) -> Result<Tensor, TrainError> {
        self.evaluate(&self.generator, scores, "loss_generator")
    }

    /// The seeds at these scores: two small backward passes over `[N]` vectors, for any differentiable loss.
    pub fn seeds(&self, scores: &Scores<'_>) -> Result<Seeds, TrainError> {
        let real = scores.real.f_detach()?.f_set_requires_grad(true)?;
        let fake = scores.fake.f_detach()?.f_set_requires_grad(true)?;
        let scores = Scores { real: &real, fake: &fake, labels: scores.labels };
        let (loss_discriminator, loss_generator) = (self.discriminator(&scores)?, self.generator(&scores)?);
        let mut of_d = gradients(&loss_discriminator, &[&real, &fake], false)?;
        let mut of_g = gradients(&loss_generator, &[&fake], false)?;
        let (g_f, g_r, h) = (of_d.remove(1), of_d.remove(0), of_g.remove(0));
        Ok(Seeds {
            g_r,
            g_f,
            h,
            loss_discriminator: loss_discriminator.f_detach()?,
            loss_generator: loss_generator.f_detach()?,
        })
    }

    /// What the loss states will be after a step of D with these scores; all updates see the states of before.
    pub fn next_states(&self, scores: &Scores<'_>) -> Result<Vec<Tensor>, TrainError> {
        self.states.iter().map(|s| self.evaluate(&s.update, scores, &s.place)).collect()
    }

    /// Moves the loss states on, from the scores of D's step.
    pub fn update_states(&mut self, scores: &Scores<'_>) -> Result<(), TrainError> {
        if self.states.is_empty() {
            return Ok(());
        }
        let _guard = tch::no_grad_guard();
        let next = self.next_states(scores)?;
        // In place: a recorded round reads and writes the same memory each time. Copied first: a state may become another.
        let next = next.iter().map(Tensor::f_detach_copy).collect::<Result<Vec<_>, _>>()?;
        for (state, value) in self.states.iter_mut().zip(next) {
            state.value.f_copy_(&value)?;
        }
        Ok(())
    }

    /// The states by name, for checkpoints.
    pub fn states(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.states.iter().map(|s| (s.name.as_str(), &s.value))
    }

    /// Sets a state, as a checkpoint has it; `false` if there is none of that name.
    pub fn set_state(&mut self, name: &str, value: &Tensor) -> Result<bool, TrainError> {
        let Some(state) = self.states.iter_mut().find(|s| s.name == name) else { return Ok(false) };
        state.value.f_copy_(value)?;
        Ok(true)
    }

    fn evaluate(&self, loss: &Compiled, scores: &Scores<'_>, name: &str) -> Result<Tensor, TrainError> {
        let mut inputs = vec![("real", scores.real), ("fake", scores.fake)];
        inputs.extend(scores.labels.map(|l| ("labels", l)));
        inputs.extend(self.states.iter().map(|s| (s.name.as_str(), &s.value)));
        loss.forward(&inputs, &Pass::training(&Weights::default())).within(name)
    }
}

/// `∂loss/∂inputs`; zeros where a loss does not depend on an input at all, as one that counts steps or is penalties alone.
/// `keep` leaves the graph for another pass.
pub(crate) fn gradients(loss: &Tensor, inputs: &[impl Borrow<Tensor>], keep: bool) -> Result<Vec<Tensor>, TrainError> {
    if !loss.requires_grad() {
        return inputs.iter().map(|t| Ok(t.borrow().f_zeros_like()?.f_detach()?)).collect();
    }
    Ok(grad(&[loss], &[None], inputs, keep, false)?)
}

/// Checks a declared symmetry on random scores, in float64: `h = -g_f`.
pub fn check_symmetry(gan: &Gan) -> Result<(), TrainError> {
    if gan.symmetry == Symmetry::Asymmetric {
        return Ok(());
    }
    let losses = Losses::new(gan, Kind::Double, Device::Cpu)?;
    let mut generator = Generator::new(Device::Cpu, 20_210_300)?;
    let size = gan.score_shape().with_batch(64);
    let draw = |generator: &mut Generator| -> Result<Tensor, TrainError> {
        let scores = Tensor::f_zeros(&size[..], (Kind::Double, Device::Cpu))?;
        generator.normal_(&scores, 0.0, 2.0)?;
        Ok(scores)
    };
    let (real, fake) = (draw(&mut generator)?, draw(&mut generator)?);
    let labels = Tensor::f_zeros([size[0]], (Kind::Int64, Device::Cpu))?;
    let seeds = losses.seeds(&Scores { real: &real, fake: &fake, labels: Some(&labels) })?;
    let off = seeds.h.f_add(&seeds.g_f)?.f_abs()?;
    let scale = seeds.h.f_abs()?.f_maximum(&seeds.g_f.f_abs()?)?.f_max()?.f_double_value(&[])?;
    let worst = off.f_max()?.f_double_value(&[])?;
    if worst <= SYMMETRY_TOLERANCE * scale {
        return Ok(());
    }
    let at = off.f_flatten(0, -1)?.f_argmax(None, false)?.f_int64_value(&[])?;
    let value = |t: &Tensor| -> Result<f64, TrainError> { Ok(t.f_flatten(0, -1)?.f_double_value(&[at])?) };
    Err(TrainError::Refused(format!(
        "it declares Symmetry::Symmetric, but at fake score {:.4} ∂L_G/∂s = {:.6e} and -∂L_D/∂s = {:.6e}; \
         declare Symmetry::Asymmetric or correct a loss",
        value(&fake)?,
        value(&seeds.h)?,
        -value(&seeds.g_f)?
    )))
}
