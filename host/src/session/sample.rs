//! Pictures from a generator: the fixed grid of a training run, and any number from a finished one.

use tandem_plugin_api::Gan;
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::{
    Between, Draw, Evaluation, Evaluator, SessionError, State, checkpoint::tensors, export::Stored, prepare::from_json,
};
use crate::{
    image,
    network::{Compiled, Pass},
    run::{Part, RunDir},
    train::generate_with,
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
    pub(super) generator: Compiled,
    pub(super) gan: Gan,
    /// Whether the weights are the moving average.
    pub averaged: bool,
    /// The checkpoint's step.
    pub step: u64,
}

impl Sampler {
    /// Opens the latest checkpoint of a run, or the one of `step`.
    pub fn open(run: &RunDir, step: Option<u64>, weights: Weights, device: Device) -> Result<Self, SessionError> {
        let gan = from_json(&run.definition()?)?;
        let Stored { step, part, arrays, .. } = stored(run, step, weights)?;
        let mut unused = Generator::new(device, 0)?;
        let mut generator = Compiled::new(&gan.generator, Kind::Float, &mut unused)?;
        generator.load(&tensors(&arrays)?)?;
        Ok(Self { generator, gan, averaged: part == Part::GeneratorEma, step })
    }

    /// Figures of images from this generator.
    pub fn evaluate(&self, evaluator: &Evaluator) -> Result<Evaluation, SessionError> {
        evaluator.of_generator(&self.generator, &self.gan, State { step: self.step, averaged: self.averaged })
    }

    /// Images of these latents and classes, `batch` through G at a time, as a PNG grid; what they were made from comes back, too.
    pub fn grid(&self, draw: &Draw, batch: usize) -> Result<(Vec<u8>, Samples), SessionError> {
        let samples = samples(&self.generator, &self.gan, draw, batch)?;
        Ok((grid(&samples)?, samples))
    }

    /// Images of these latents and classes as PNG files, each given to `put` with its number as soon as its batch is done.
    pub fn files<E: From<SessionError>>(
        &self,
        draw: &Draw,
        batch: usize,
        mut put: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let (generator, gan) = (&self.generator, &self.gan);
        let latents = draw.latents(gan, generator.kind(), generator.device())?;
        let labels = draw.labels(gan, generator.device())?;
        let mut number = 0;
        generate(generator, &latents, labels.as_ref(), batch, |images| {
            let (values, [_, channels, height, width]) = plain(images)?;
            for image in values.chunks_exact(channels * height * width) {
                put(number, &image::encode_image(image, [channels, height, width]).map_err(SessionError::from)?)?;
                number += 1;
            }
            Ok(())
        })
    }

    /// Images on the way from each of these latents to the next and back to the first, `steps` for each, as `[N, C, H, W]`. A
    /// class holds to where the next latent is reached.
    pub fn path(
        &self,
        draw: &Draw,
        between: Option<Between>,
        steps: usize,
        batch: usize,
    ) -> Result<Tensor, SessionError> {
        let (generator, gan) = (&self.generator, &self.gan);
        let between = between.unwrap_or_else(|| Between::of(gan.latent));
        let latents = between.path(&draw.latents(gan, generator.kind(), generator.device())?, steps)?;
        let labels = draw.labels(gan, generator.device())?;
        let labels = labels.map(|labels| labels.f_repeat_interleave_self_int(steps as i64, 0, None)).transpose()?;
        let mut all = Vec::new();
        generate(generator, &latents, labels.as_ref(), batch, |images| {
            all.push(images.shallow_clone());
            Ok::<_, SessionError>(())
        })?;
        Ok(Tensor::f_cat(&all, 0)?)
    }
}

/// Images of a path as a PNG with a row for each latent, or an animation, by the file's ending: `png`, `apng` or `gif`.
pub fn film(images: &Tensor, steps: usize, ending: &str) -> Result<Vec<u8>, SessionError> {
    let (values, shape) = plain(images)?;
    let scale = scale(shape);
    Ok(match ending {
        "png" => image::encode_grid(&values, shape, steps, scale)?,
        "apng" => image::encode_apng(&values, shape, 2 * scale)?,
        "gif" => image::encode_gif(&values, shape, 2 * scale)?,
        other => {
            return Err(SessionError::Sample(format!(
                "a path is written as .png (a row for each latent), .apng or .gif, not as `.{other}`"
            )));
        }
    })
}

/// Runs G over latents and classes, `batch` at a time, each batch on the CPU as float32.
fn generate<E: From<SessionError>>(
    generator: &Compiled,
    latents: &Tensor,
    labels: Option<&Tensor>,
    batch: usize,
    mut put: impl FnMut(&Tensor) -> Result<(), E>,
) -> Result<(), E> {
    let _guard = tch::no_grad_guard();
    let weights = generator.weights(false).map_err(SessionError::from)?;
    let pass = Pass::evaluation(&weights);
    let count = latents.size()[0];
    for at in (0..count).step_by(batch) {
        let some = |all: &Tensor| all.f_narrow(0, at, (batch as i64).min(count - at));
        let images = || -> Result<Tensor, SessionError> {
            let labels = labels.map(some).transpose()?;
            let images = generate_with(generator, &some(latents)?, labels.as_ref(), &pass)?;
            Ok(images.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?)
        };
        put(&images()?)?;
    }
    Ok(())
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
    samples(generator, gan, &Draw { count, seed, ..Draw::default() }, count)
}

fn samples(generator: &Compiled, gan: &Gan, draw: &Draw, batch: usize) -> Result<Samples, SessionError> {
    let latents = draw.latents(gan, generator.kind(), generator.device())?;
    let labels = draw.labels(gan, generator.device())?;
    let classes = labels
        .is_some()
        .then(|| if draw.classes.is_empty() { gan.classes().unwrap_or(0) as usize } else { draw.classes.len() });
    let mut all = Vec::new();
    generate(generator, &latents, labels.as_ref(), batch, |images| {
        all.push(images.shallow_clone());
        Ok::<_, SessionError>(())
    })?;
    let images = if all.len() == 1 { all.remove(0) } else { Tensor::f_cat(&all, 0)? };
    Ok(Samples { latents, labels, classes, images })
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
    Ok(image::encode_grid(&values, shape, columns, scale(shape))?)
}

/// Small images are enlarged so that a person can see them.
const fn scale(shape: [usize; 4]) -> usize {
    if shape[3] < 64 { 2 } else { 1 }
}

/// A tensor's values and its four sizes.
fn plain(images: &Tensor) -> Result<(Vec<f32>, [usize; 4]), SessionError> {
    let mut values = vec![0.0_f32; images.numel()];
    images.f_copy_data(&mut values, images.numel())?;
    let size: Vec<usize> = images.size().into_iter().map(|n| n as usize).collect();
    let shape = size.try_into().map_err(|_| SessionError::Stored("a picture needs images [N, C, H, W]".into()))?;
    Ok((values, shape))
}
