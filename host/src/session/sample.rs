//! Pictures from a generator: the fixed grid of a training run, and any number from a finished one.

use tandem_plugin_api::Gan;
use tandem_torch_ext::Generator;
use tch::{Device, Kind, Tensor};

use super::{
    Between, Draw, Evaluation, Evaluator, SessionError, State, checkpoint::tensors, export::Stored, prepare::from_json,
};
use crate::{
    image::{self, Grid},
    network::{Compiled, Pass},
    run::{Metadata, Part, RunDir},
    text::Show as _,
    train::generate_with,
    work::Work,
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
    metadata: Metadata,
}

impl Sampler {
    /// Opens the latest checkpoint of a run, or the one of `step`.
    pub fn open(run: &RunDir, step: Option<u64>, weights: Weights, device: Device) -> Result<Self, SessionError> {
        let gan = from_json(&run.definition()?)?;
        let Stored { step, part, arrays, metadata } = stored(run, step, weights)?;
        let mut unused = Generator::new(device, 0)?;
        let mut generator = Compiled::new(&gan.generator, Kind::Float, &mut unused)?;
        generator.load(&tensors(&arrays)?)?;
        Ok(Self { generator, gan, averaged: part == Part::GeneratorEma, step, metadata })
    }

    /// Refuses a run whose `config.toml` is not the one that led to this checkpoint.
    pub fn check_config(&self, run: &RunDir) -> Result<(), SessionError> {
        Ok(run.check_config(self.step, &self.metadata)?)
    }

    /// Figures of images from this generator.
    pub fn evaluate(&self, evaluator: &Evaluator) -> Result<Evaluation, SessionError> {
        evaluator.of_generator(&self.generator, &self.gan, State { step: self.step, averaged: self.averaged })
    }

    /// Images of these latents and classes, `batch` through G at a time, as a PNG grid. Only its bytes are held.
    pub fn grid(&self, draw: &Draw, batch: usize) -> Result<Vec<u8>, SessionError> {
        let drawn = drawn(&self.generator, &self.gan, draw)?;
        let shape = self.shape(draw.count)?;
        let mut grid = Grid::new(shape, columns(draw.count, drawn.classes), scale(shape))?;
        self.each(&drawn.latents, drawn.labels.as_ref(), batch, |image| Ok::<_, SessionError>(grid.put(image)?))?;
        Ok(grid.encode()?)
    }

    /// Images of these latents and classes, `batch` through G at a time, with what they were made from.
    pub fn samples(&self, draw: &Draw, batch: usize) -> Result<Samples, SessionError> {
        samples(&self.generator, &self.gan, draw, batch)
    }

    /// Images of these latents and classes as PNG files, each given to `put` with its number as soon as its batch is done.
    pub fn files<E: From<SessionError>>(
        &self,
        draw: &Draw,
        batch: usize,
        mut put: impl FnMut(usize, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let drawn = drawn(&self.generator, &self.gan, draw)?;
        let [_, channels, height, width] = self.shape(draw.count)?;
        let mut number = 0;
        self.each(&drawn.latents, drawn.labels.as_ref(), batch, |image| {
            put(number, &image::encode_image(image, [channels, height, width]).map_err(SessionError::from)?)?;
            number += 1;
            Ok(())
        })
    }

    /// Images on the way from each of these latents to the next and back to the first, `steps` for each. A class holds to where
    /// the next latent is reached.
    pub fn film(
        &self,
        draw: &Draw,
        (between, steps): (Option<Between>, usize),
        batch: usize,
        film: Film,
    ) -> Result<Vec<u8>, SessionError> {
        let drawn = drawn(&self.generator, &self.gan, draw)?;
        let between = between.unwrap_or_else(|| Between::of(self.gan.latent));
        let latents = between.path(&drawn.latents, steps)?;
        let labels =
            drawn.labels.map(|labels| labels.f_repeat_interleave_self_int(steps as i64, 0, None)).transpose()?;
        let shape = self.shape(draw.count * steps)?;
        let [count, channels, height, width] = shape;
        let (image, scale) = ([channels, height, width], scale(shape));
        let frames =
            |put: &mut dyn FnMut(&[f32]) -> Result<(), SessionError>| self.each(&latents, labels.as_ref(), batch, put);
        match film {
            Film::Png => {
                let mut grid = Grid::new(shape, steps, scale)?;
                frames(&mut |image| Ok(grid.put(image)?))?;
                Ok(grid.encode()?)
            }
            Film::Apng => image::encode_apng(image, count, 2 * scale, frames),
            Film::Gif => image::encode_gif(image, 2 * scale, frames),
        }
    }

    /// The shape of so many images.
    fn shape(&self, count: usize) -> Result<[usize; 4], SessionError> {
        let sizes = self.gan.generator.output_type().shape.sample().unwrap_or_default();
        match sizes[..] {
            [channels, height, width] => Ok([count, channels as usize, height as usize, width as usize]),
            _ => Err(no_images()),
        }
    }

    /// Each image of these latents and classes, in turn.
    fn each<E: From<SessionError>>(
        &self,
        latents: &Tensor,
        labels: Option<&Tensor>,
        batch: usize,
        mut put: impl FnMut(&[f32]) -> Result<(), E>,
    ) -> Result<(), E> {
        let work = Work::of("drawing", latents.size()[0] as u64, "images");
        generate(&self.generator, latents, labels, batch, |images| {
            work.more(images.size()[0] as u64).map_err(SessionError::from)?;
            let (values, [_, channels, height, width]) = plain(images)?;
            values.chunks_exact(channels * height * width).try_for_each(&mut put)
        })
    }
}

/// What a path is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Film {
    /// A picture with a row for each latent.
    Png,
    /// An animated PNG.
    Apng,
    /// An animated GIF.
    Gif,
}

impl Film {
    /// By the file's ending: `png`, `apng` or `gif`.
    pub fn of(ending: &str) -> Result<Self, SessionError> {
        match ending {
            "png" => Ok(Self::Png),
            "apng" => Ok(Self::Apng),
            "gif" => Ok(Self::Gif),
            other => Err(SessionError::Sample(format!(
                "a path is written as .png (a row for each latent), .apng or .gif, not as `.{other}`"
            ))),
        }
    }
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
        Some((part, (arrays, metadata))) => {
            run.check_definition(step, &metadata)?;
            Ok(Stored { step, part, arrays, metadata })
        }
        None if weights == Weights::Ema => {
            let path = run.path().shown();
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
    run.check_definition(step, &metadata)?;
    Ok(Stored { step, part, arrays, metadata })
}

fn lost(run: &RunDir, step: u64, part: Part) -> SessionError {
    let path = run.path().shown();
    SessionError::Stored(format!("{path}/checkpoints/step-{step} has no {part}; take another --step"))
}

fn latest_or(run: &RunDir, step: Option<u64>) -> Result<u64, SessionError> {
    match step {
        Some(step) => Ok(step),
        None => run.latest()?.ok_or_else(|| {
            let path = run.path().shown();
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
    let Drawn { latents, labels, classes } = drawn(generator, gan, draw)?;
    let mut all = Vec::new();
    generate(generator, &latents, labels.as_ref(), batch, |images| {
        all.push(images.shallow_clone());
        Ok::<_, SessionError>(())
    })?;
    let images = if all.len() == 1 { all.remove(0) } else { Tensor::f_cat(&all, 0)? };
    Ok(Samples { latents, labels, classes, images })
}

/// What images are made from, and in how many classes.
struct Drawn {
    latents: Tensor,
    labels: Option<Tensor>,
    classes: Option<usize>,
}

fn drawn(generator: &Compiled, gan: &Gan, draw: &Draw) -> Result<Drawn, SessionError> {
    let latents = draw.latents(gan, generator.kind(), generator.device())?;
    let labels = draw.labels(gan, generator.device())?;
    let classes = labels
        .is_some()
        .then(|| if draw.classes.is_empty() { gan.classes().unwrap_or(0) as usize } else { draw.classes.len() });
    Ok(Drawn { latents, labels, classes })
}

/// The widest row of classes: more than this many are not put each into a column of their own.
const CLASS_COLUMNS: usize = 20;

/// Columns that make a grid about square, or one for each class.
fn columns(count: usize, classes: Option<usize>) -> usize {
    classes.filter(|n| (2..=CLASS_COLUMNS).contains(n)).unwrap_or_else(|| (count as f64).sqrt().ceil() as usize)
}

impl Samples {
    /// The images as a PNG grid, about square or with a column for each class; small ones enlarged so that a person can see them.
    pub fn grid(&self) -> Result<Vec<u8>, SessionError> {
        let (values, shape) = plain(&self.images)?;
        Ok(image::encode_grid(&values, shape, columns(shape[0], self.classes), scale(shape))?)
    }
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
    Ok((values, size.try_into().map_err(|_| no_images())?))
}

fn no_images() -> SessionError {
    SessionError::Stored("a picture needs images [N, C, H, W]".into())
}
