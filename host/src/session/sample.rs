//! Pictures from a generator: the fixed grid of a training run, and any number from a finished one.

use tandem_plugin_api::Gan;
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::{SessionError, checkpoint::tensors, export::Stored, prepare::from_json};
use crate::{
    image,
    network::{Compiled, Pass},
    run::{Part, RunDir},
    train::{draw_latents, generate_with},
};

/// Which weights to sample with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Weights {
    /// The moving average, or the raw ones where none is kept.
    Best,
    /// The moving average.
    Ema,
    /// As the last step left them.
    Raw,
}

/// A generator from a run's checkpoint, and the step that it is from. Needs the run directory alone.
#[derive(Debug)]
pub struct Sampler {
    generator: Compiled,
    gan: Gan,
    /// The checkpoint's step.
    pub step: u64,
}

impl Sampler {
    /// Opens the latest checkpoint of a run, or the one of `step`.
    pub fn open(run: &RunDir, step: Option<u64>, weights: Weights, device: Device) -> Result<Self, SessionError> {
        let gan = from_json(&run.definition()?)?;
        let Stored { step, arrays, .. } = stored(run, step, weights)?;
        let mut unused = Generator::new(device, 0)?;
        let mut generator = Compiled::new(&gan.generator, Kind::Float, &mut unused)?;
        generator.load(&tensors(&arrays)?)?;
        Ok(Self { generator, gan, step })
    }

    /// `count` images from the latents of `seed`, as a PNG grid; the latents come back too.
    pub fn grid(&self, count: usize, seed: u64) -> Result<(Vec<u8>, Samples), SessionError> {
        let samples = fixed_samples(&self.generator, &self.gan, count, seed)?;
        Ok((grid(&samples)?, samples))
    }
}

/// G's weights of a run: of the latest checkpoint, or of that of `step`.
pub(super) fn stored(run: &RunDir, step: Option<u64>, weights: Weights) -> Result<Stored, SessionError> {
    let step = latest_or(run, step)?;
    let load = |part| Ok::<_, SessionError>(run.load_part(step, part)?.map(|found| (part, found)));
    let found = match weights {
        Weights::Ema => load(Part::GeneratorEma)?,
        Weights::Raw => load(Part::Generator)?,
        Weights::Best => match load(Part::GeneratorEma)? {
            Some(found) => Some(found),
            None => load(Part::Generator)?,
        },
    };
    match found {
        Some((part, (arrays, metadata))) => Ok(Stored { step, part, arrays, metadata }),
        None if weights == Weights::Ema => {
            let path = run.path().display();
            Err(SessionError::Stored(format!(
                "{path} keeps no moving average (ema_decay = 0); use --raw (`tandem export`: --weights live)"
            )))
        }
        None => Err(lost(run, step, Part::Generator)),
    }
}

/// D's weights of a run.
pub(super) fn discriminator(run: &RunDir, step: Option<u64>) -> Result<Stored, SessionError> {
    let (step, part) = (latest_or(run, step)?, Part::Discriminator);
    let (arrays, metadata) = run.load_part(step, part)?.ok_or_else(|| lost(run, step, part))?;
    Ok(Stored { step, part, arrays, metadata })
}

fn lost(run: &RunDir, step: u64, part: Part) -> SessionError {
    let path = run.path().display();
    SessionError::Stored(format!("{path}/checkpoints/step-{step} has no {part}; take another --step"))
}

fn latest_or(run: &RunDir, step: Option<u64>) -> Result<u64, SessionError> {
    match step {
        Some(step) => Ok(step),
        None => run.latest()?.ok_or_else(|| {
            let path = run.path().display();
            SessionError::Stored(format!("{path} has no checkpoint yet; wait for its first"))
        }),
    }
}

/// A run's images as a strip of a contact sheet.
pub fn strip(label: String, images: &Tensor) -> Result<image::Strip, SessionError> {
    let (images, shape) = plain(images)?;
    Ok(image::Strip { label, images, shape })
}

/// Images with what they were made from.
#[derive(Debug)]
pub struct Samples {
    /// `[N, z]`.
    pub latents: Tensor,
    /// `[N]`, where G takes classes: they come in turn.
    pub labels: Option<Tensor>,
    classes: Option<usize>,
    /// `[N, C, H, W]` in `[-1, 1]`, on the CPU.
    pub images: Tensor,
}

/// The images of the latents that `seed` gives: the same ones at every step of a run.
pub(super) fn fixed_samples(generator: &Compiled, gan: &Gan, count: usize, seed: u64) -> Result<Samples, SessionError> {
    let _guard = tch::no_grad_guard();
    let device = generator.device();
    let mut noise = Generator::new(device, seed)?;
    let latents = draw_latents(gan.latent, [count as i64, gan.latent_size()], (generator.kind(), device), &mut noise)?;
    // Classes in turn, where G takes a class.
    let classes = gan.classes().filter(|_| gan.generator.input("labels").is_some());
    let labels = classes.map(|n| Tensor::f_arange(count as i64, (Kind::Int64, device))?.f_remainder(n)).transpose()?;
    let weights = generator.weights(false)?;
    let images = generate_with(generator, &latents, labels.as_ref(), &Pass::evaluation(&weights))?;
    let images = images.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    Ok(Samples { latents, labels, classes: classes.map(|n| n as usize), images })
}

/// The widest row of classes: more than this many are not put each into a column of their own.
const CLASS_COLUMNS: usize = 20;

/// Images as a PNG grid, about square or with a column for each class; small ones enlarged so that a person can see them.
pub(super) fn grid(samples: &Samples) -> Result<Vec<u8>, SessionError> {
    let (values, shape) = plain(&samples.images)?;
    let columns = samples
        .classes
        .filter(|n| (2..=CLASS_COLUMNS).contains(n))
        .unwrap_or_else(|| (shape[0] as f64).sqrt().ceil() as usize);
    let scale = if shape[3] < 64 { 2 } else { 1 };
    Ok(image::encode_grid(&values, shape, columns, scale)?)
}

/// A tensor's values and its four sizes.
fn plain(images: &Tensor) -> Result<(Vec<f32>, [usize; 4]), SessionError> {
    let mut values = vec![0.0_f32; images.numel()];
    images.f_copy_data(&mut values, images.numel())?;
    let size: Vec<usize> = images.size().into_iter().map(|n| n as usize).collect();
    let shape = size.try_into().map_err(|_| SessionError::Stored("a picture needs images [N, C, H, W]".into()))?;
    Ok((values, shape))
}
