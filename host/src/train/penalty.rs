//! Terms of D's alone, gradient penalties on detached fakes and weight decay: added to D's gradients, never part of γ.

use tandem_plugin_api::{
    Gan,
    gan::{GradientPenalty, PenaltyAt},
};
use tandem_torch_ext::{Generator, grad};
use tch::Tensor;

use super::{Batch, Networks, TrainError, View, backward::backward, error::In};
use crate::network::Pass;

/// Keeps the norm's derivative finite where the gradient is 0 (Gulrajani et al. leave it out and meet NaN).
const NORM_EPS: f64 = 1e-12;

/// The part of `L_D` that D's scores of this step do not decide, and when it is due.
#[derive(Debug)]
pub struct Terms {
    penalties: Vec<GradientPenalty>,
    /// Indices into D's learned tensors with their factors.
    decays: Vec<(usize, f64)>,
}

impl Terms {
    /// Whether there are none.
    pub const fn is_empty(&self) -> bool {
        self.penalties.is_empty() && self.decays.is_empty()
    }

    /// The terms of a definition whose D learns tensors of these names.
    pub fn new(gan: &Gan, learned: &[String]) -> Self {
        let decay = |(i, name): (usize, &String)| {
            let decays = gan.weight_decays.iter().filter(|d| d.is_of(name));
            decays.map(|d| (i, d.weight)).next()
        };
        Self { penalties: gan.penalties.clone(), decays: learned.iter().enumerate().filter_map(decay).collect() }
    }

    /// Which penalties are due in the step of D after `steps_taken` others.
    pub(super) fn due(&self, steps_taken: u64) -> impl Iterator<Item = bool> {
        self.penalties.iter().map(move |p| steps_taken.is_multiple_of(p.interval.unsigned_abs()))
    }

    /// Adds the terms' gradients to D's, for the step of D after `steps_taken` others; returns their sum, if any is due.
    ///
    /// A penalty that is due every k-th step has k times its weight: its mean over time is as declared. It is added to
    /// the step's gradient, so Adam needs no correction (docs/decisions/0004-lazy-penalties-join-the-step.md).
    pub fn add(
        &self,
        networks: &Networks,
        batch: &Batch,
        fakes: &Tensor,
        view: &mut View<'_>,
        steps_taken: u64,
        gradients: &mut [Tensor],
    ) -> Result<Option<Tensor>, TrainError> {
        let learned = networks.discriminator.learned();
        let mut total: Option<Tensor> = None;
        let mut count = |value: Tensor| -> Result<(), TrainError> {
            total = Some(match &total {
                Some(sum) => sum.f_add(&value)?,
                None => value,
            });
            Ok(())
        };
        let due = self.penalties.iter().zip(self.due(steps_taken)).filter(|(_, due)| *due);
        for (penalty, _) in due {
            let points = points(penalty.at, &batch.images, fakes, view.noise)?;
            let slopes = slopes(networks, &points, batch.labels.as_ref(), view)?;
            let value = value(penalty, &slopes)?;
            // A D whose slope no weight decides has a penalty that none can lower.
            if slopes.requires_grad() {
                let at_slopes = grad(&[&value], &[None], &[&slopes], true, false)?;
                let seeds: Vec<&Tensor> = at_slopes.iter().collect();
                let of_d = backward(networks.autocast(), &[&slopes], &seeds, learned, false)?;
                for (sum, more) in gradients.iter_mut().zip(&of_d) {
                    *sum = sum.f_add(more)?;
                }
            }
            count(value.f_detach()?)?;
        }
        for &(i, weight) in &self.decays {
            let w = learned[i].f_detach()?;
            gradients[i] = gradients[i].f_add(&w.f_mul_scalar(weight)?)?;
            count(w.f_square()?.f_sum(None)?.f_mul_scalar(weight / 2.0)?)?;
        }
        Ok(total)
    }
}

/// Where the gradient is taken: a leaf `[N, C, H, W]`.
fn points(at: PenaltyAt, real: &Tensor, fakes: &Tensor, noise: &mut Generator) -> Result<Tensor, TrainError> {
    let points = match at {
        PenaltyAt::Real => real.f_detach_copy()?,
        PenaltyAt::Fake => fakes.f_detach()?.f_detach_copy()?,
        PenaltyAt::Interpolated => {
            let epsilon = Tensor::f_empty([real.size()[0], 1, 1, 1], (real.kind(), real.device()))?;
            noise.uniform_(&epsilon, 0.0, 1.0)?;
            fakes.f_detach()?.f_lerp_tensor(real, &epsilon)?
        }
        PenaltyAt::Perturbed => {
            let epsilon = Tensor::f_empty([real.size()[0], 1, 1, 1], (real.kind(), real.device()))?;
            noise.uniform_(&epsilon, 0.0, 1.0)?;
            let shift = real.f_empty_like()?;
            noise.uniform_(&shift, 0.0, 0.5)?;
            real.f_add(&shift.f_mul(&epsilon)?.f_mul(&real.f_std(false)?)?)?
        }
    };
    Ok(points.f_set_requires_grad(true)?)
}

/// `∇ₓ D(x)` of each sample through D's eyes, `[N, C, H, W]`, differentiable in D's parameters. Running statistics stay
/// as they are.
fn slopes(
    networks: &Networks,
    points: &Tensor,
    labels: Option<&Tensor>,
    view: &mut View<'_>,
) -> Result<Tensor, TrainError> {
    let weights = networks.discriminator.weights(false).within("discriminator")?;
    let pass = Pass { track: false, ..Pass::training(&weights) };
    let scores = networks.score(&view.of(points)?, labels, &pass)?;
    let mut slopes = grad(&[&scores.f_sum(None)?], &[None], &[points], true, true)?;
    slopes.pop().ok_or_else(|| TrainError::Refused("a gradient penalty got no gradient at the images".into()))
}

/// `interval · weight · mean((‖slope‖₂ - target)²)`.
fn value(penalty: &GradientPenalty, slopes: &Tensor) -> Result<Tensor, TrainError> {
    let squared = slopes.f_flatten(1, -1)?.f_square()?.f_sum_dim_intlist(1, false, None)?;
    // Without a target the square needs no root, whose derivative at 0 would be infinite.
    let distance = if penalty.target == 0.0 {
        squared
    } else {
        squared.f_add_scalar(NORM_EPS)?.f_sqrt()?.f_sub_scalar(penalty.target)?.f_square()?
    };
    Ok(distance.f_mean(None)?.f_mul_scalar(penalty.weight * penalty.interval as f64)?)
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::{Builder, Linear, Symmetry};
    use tch::{Device, Kind};

    use super::*;
    use crate::train::Augment;

    fn gan() -> Gan {
        let g = Builder::new();
        let generator =
            g.finish(&g.input("latent", &[3]).linear("fc", 16, Linear::default()).tanh().reshape(&[1, 4, 4]));
        let d = Builder::new();
        let hidden = d.input("image", &[1, 4, 4]).flatten().linear("fc", 8, Linear::default()).tanh();
        let discriminator = d.finish(&hidden.linear("score", 1, Linear::default().spectral_norm(true)));
        Gan::builder(generator, discriminator)
            .loss_discriminator(|s| (-s.real.mean(), s.fake.mean()))
            .loss_generator(|s| -s.fake.mean())
            .symmetry(Symmetry::Symmetric)
            .lazy_gradient_penalty(PenaltyAt::Real, 0.0, 2.0, 3)
            .weight_decay("score.weight", 0.25)
            .build()
            .unwrap()
    }

    /// The terms' sum and gradients in the step after `steps_taken`.
    fn in_step(gan: &Gan, steps_taken: u64) -> (f64, Vec<Tensor>, Networks) {
        let mut random = Generator::new(Device::Cpu, 5).unwrap();
        let networks = Networks::new(gan, Kind::Double, &mut random).unwrap();
        let images = Tensor::zeros([6, 1, 4, 4], (Kind::Double, Device::Cpu));
        random.uniform_(&images, -1.0, 1.0).unwrap();
        let batch = Batch { images: images.shallow_clone(), labels: None };
        let terms = Terms::new(gan, networks.discriminator.learned_names());
        let mut gradients: Vec<Tensor> =
            networks.discriminator.learned().iter().map(|p| p.zeros_like().detach()).collect();
        let augment = Augment::new(&gan.augmentation, Kind::Double, Device::Cpu).unwrap();
        let mut view = View::new(&augment, &mut random);
        let sum = terms.add(&networks, &batch, &images, &mut view, steps_taken, &mut gradients).unwrap();
        (sum.map_or(0.0, |s| s.double_value(&[])), gradients, networks)
    }

    #[test]
    fn a_lazy_penalty_has_its_weight_on_average() {
        let lazy = gan();
        let mut plain = lazy.clone();
        plain.penalties[0].interval = 1;
        let mut none = lazy.clone();
        none.penalties.clear();
        let (every, decay) = (in_step(&plain, 1).0, in_step(&none, 1).0);
        let three: f64 = (0..3).map(|step| in_step(&lazy, step).0 - decay).sum();
        assert!((three / 3.0 - (every - decay)).abs() < 1e-14, "{three} {every}");
        assert!((in_step(&lazy, 1).0 - decay).abs() < 1e-14);
        assert!(in_step(&lazy, 3).0 > decay + 1e-3);
    }

    #[test]
    fn weight_decay_pulls_the_stored_weight_alone() {
        let mut decayed = gan();
        decayed.penalties.clear();
        let (sum, gradients, networks) = in_step(&decayed, 0);
        let d = &networks.discriminator;
        let mut half_squares = 0.0;
        for ((name, w), gradient) in d.learned_names().iter().zip(d.learned()).zip(&gradients) {
            let wanted = if name == "score.weight_orig" { w * 0.25 } else { w.zeros_like() };
            assert_eq!((gradient - wanted).abs().max().double_value(&[]), 0.0, "{name}");
            if name == "score.weight_orig" {
                half_squares = w.square().sum(None).double_value(&[]) / 2.0;
            }
        }
        assert!(half_squares > 0.0 && (sum - 0.25 * half_squares).abs() < 1e-15);
    }
}
