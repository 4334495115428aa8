//! The proof that `tandem plugin check` runs: that a definition's one-stage gradients are its separate gradients.
//!
//! Everything is float64: each strategy against plain autograd of each loss alone, at random scores and at
//! the scores where ratios break; the losses' derivatives and the penalties against finite differences.

mod differences;
mod dump;
mod gradients;

pub use differences::Derivatives;
pub use dump::dump;
pub use gradients::{StrategyError, relative_error};

use serde::Serialize;
use tandem_plugin_api::{Gan, Symmetry, network::describe};
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use crate::train::{Augment, Batch, Losses, Networks, Strategy, TrainError, check_symmetry, choose, obstacle};

/// One-stage gradients must equal separate ones to this, relative, in float64.
pub const GRADIENT_TOLERANCE: f64 = 1e-10;

/// Derivatives must equal finite differences to this, relative: what a central difference in float64 can show.
pub const DIFFERENCE_TOLERANCE: f64 = 1e-5;

/// Enough for uᵀWv to be near the largest singular value of random weights.
const POWER_ITERATIONS: usize = 10;

/// What one definition's check found.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// `symmetric` or `asymmetric`, as declared; checked.
    pub symmetry: &'static str,
    /// Whether D treats the samples of a batch independently, and if not, what couples them.
    pub coupled_by: Option<String>,
    /// The strategy that the trainer would take.
    pub strategy: &'static str,
    /// Why.
    pub reason: String,
    /// Strategies that cannot be used, with the reason.
    pub excluded: Vec<Excluded>,
    /// Errors of each strategy at each kind of scores.
    pub gradients: Vec<StrategyError>,
    /// Errors of the derivatives against finite differences.
    pub derivatives: Derivatives,
    /// The largest of the gradients' errors.
    pub max_relative_error: f64,
    /// Whether all errors are within their tolerances.
    pub passed: bool,
}

/// A strategy that a definition rules out.
#[derive(Debug, Clone, Serialize)]
pub struct Excluded {
    /// Its name.
    pub strategy: &'static str,
    /// Why.
    pub reason: String,
}

/// A definition with random weights and a random batch, in float64.
pub(super) struct Subject {
    pub(super) networks: Networks,
    pub(super) losses: Losses,
    pub(super) batch: Batch,
    pub(super) latents: Tensor,
    pub(super) augment: Augment,
}

/// Which random step a definition is checked on.
#[derive(Debug, Clone, Copy)]
pub struct Draw {
    /// Samples in the batch.
    pub samples: i64,
    /// Seed of weights, latents and images.
    pub seed: u64,
    /// Where everything is computed.
    pub device: Device,
}

impl Subject {
    fn new(gan: &Gan, &Draw { samples, seed, device }: &Draw) -> Result<Self, TrainError> {
        tch::manual_seed(seed as i64);
        let mut generator = Generator::new(device, seed)?;
        let networks = Networks::new(gan, Kind::Double, &mut generator)?;
        for compiled in [&networks.generator, &networks.discriminator] {
            enliven(compiled.learned(), &mut generator)?;
        }
        // A spectral norm divides by uᵀWv: with u and v of other weights that is nearly 0, and every score saturated.
        for _ in 0..POWER_ITERATIONS {
            networks.weights(true)?;
        }
        let image = gan.discriminator.input("image").map(|t| t.shape.with_batch(samples)).unwrap_or_default();
        let images = Tensor::f_zeros(&image[..], (Kind::Double, device))?;
        generator.uniform_(&images, -1.0, 1.0)?;
        let classes = gan.classes().unwrap_or(1);
        let labels = Tensor::f_arange(samples, (Kind::Int64, device))?.f_remainder(classes)?;
        let latents = networks.draw_latents(samples, &mut generator)?;
        let mut losses = Losses::new(gan, Kind::Double, device)?;
        // Away from first values, where some terms vanish: Fisher's λ = 1 has its pole at -1 and its γ = 1 at -2.
        for state in &gan.states {
            let moved = Tensor::f_full([0_i64; 0], state.initial + 1.0, (Kind::Double, device))?;
            losses.set_state(&state.name, &moved)?;
        }
        let mut augment = Augment::new(&gan.augmentation, Kind::Double, device)?;
        // An adaptive augmentation starts with none: some samples must be transformed here, and some not.
        augment.set_probability(0.5)?;
        Ok(Self { networks, losses, batch: Batch { images, labels: Some(labels) }, latents, augment })
    }

    /// The stream of a pass's transforms: the same in every pass.
    pub(super) fn noise(draw: &Draw) -> Result<Generator, TrainError> {
        Ok(Generator::new(draw.device, draw.seed.wrapping_add(3))?)
    }
}

/// Draws weights at which signals neither vanish nor explode, and biases and scales away from 0 and 1.
///
/// At usual first values (`N(0, 0.02²)`) a deep D without norms gives scores and slopes near 0, in which a finite
/// difference drowns, and no bias or scale would be put to the test.
fn enliven(learned: &[Tensor], generator: &mut Generator) -> Result<(), TrainError> {
    let _guard = tch::no_grad_guard();
    for tensor in learned {
        let size = tensor.size();
        let fan_in: i64 = size.iter().skip(1).product();
        if size.len() > 1 {
            generator.normal_(tensor, 0.0, (fan_in as f64).sqrt().recip())?;
        } else {
            let shift = tensor.f_empty_like()?.f_detach()?;
            generator.normal_(&shift, 0.0, 0.1)?;
            let _ = tensor.shallow_clone().f_add_(&shift)?;
        }
    }
    Ok(())
}

/// Checks a definition on one random step.
///
/// # Errors
/// A definition that cannot run at all, or whose declared symmetry is wrong; a failed comparison is in the report.
pub fn check(gan: &Gan, draw: &Draw) -> Result<Report, TrainError> {
    check_symmetry(gan)?;
    let subject = Subject::new(gan, draw)?;
    let choice = choose(gan, None)?;
    let excluded = Strategy::ALL
        .into_iter()
        .filter_map(|s| obstacle(gan, s).map(|reason| Excluded { strategy: s.name(), reason }));
    let gradients = gradients::compare(gan, &subject, draw)?;
    let derivatives = differences::compare(gan, &subject, draw)?;
    let max_relative_error = gradients.iter().map(|g| g.discriminator.max(g.generator)).fold(0.0, worse);
    let passed = max_relative_error <= GRADIENT_TOLERANCE && derivatives.worst() <= DIFFERENCE_TOLERANCE;
    Ok(Report {
        symmetry: if gan.symmetry == Symmetry::Symmetric { "symmetric" } else { "asymmetric" },
        coupled_by: gan.discriminator.batch_coupling().map(describe),
        strategy: choice.strategy.name(),
        reason: choice.reason,
        excluded: excluded.collect(),
        gradients,
        derivatives,
        max_relative_error,
        passed,
    })
}

/// The larger of two errors, where NaN is the largest of all.
pub fn worse(a: f64, b: f64) -> f64 {
    if a.is_nan() || b.is_nan() { f64::NAN } else { a.max(b) }
}
