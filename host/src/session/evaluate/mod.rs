//! Figures of a run, a folder or a generator in training, against real images whose statistics are kept from one evaluation
//! to the next. What the figures are is in [`crate::metrics`].

mod against;
mod during;
mod figures;
mod images;
mod real;
mod subject;

use std::{ops::Range, path::PathBuf, time::Instant};

use serde::Serialize;
use tandem_plugin_api::Gan;
use tandem_torch_ext::{Generator, return_freed_memory};
use tch::{Device, Kind, Tensor};

pub use against::Against;
pub(super) use against::name_of;
pub(super) use during::{Evaluations, Verdict};
pub use during::{Line, Passes};
pub use images::Images;
pub use subject::Subject;

use super::{SessionError, arrays::to_array};
use crate::{
    config::TrustChoice,
    image::to_byte,
    metrics::{Collector, Extractor, ExtractorFile, Features, Figure, Metric, MetricsError, Record},
    network::{Compiled, Pass},
    run::NamedArray,
    share,
    train::{draw_latents, generate_with},
    work::Work,
};
use real::Real;

/// What to evaluate, and how.
#[derive(Debug, Clone)]
pub struct EvaluationPlan {
    /// A known extractor's name, or a file.
    pub extractor: String,
    /// The SHA-256 that its file must have.
    pub sum: Option<String>,
    /// What its file must show before it is run.
    pub trust: TrustChoice,
    /// The config whose locks hold for it.
    pub config: Option<PathBuf>,
    /// What to compute; `None` for all that the extractor allows.
    pub metrics: Option<Vec<Metric>>,
    /// Images to draw from a generator, or those that are there.
    pub samples: usize,
    /// Images that go through G and the extractor at a time; does not change a figure.
    pub batch: usize,
    /// Seed of latents and labels.
    pub seed: u64,
    /// Where real statistics are kept; `None` keeps none.
    pub cache: Option<PathBuf>,
    /// Whether features are wanted themselves.
    pub features: bool,
    /// Where to compute.
    pub device: Device,
}

/// An extractor and the real images' statistics: ready to evaluate as often as need be.
#[derive(Debug)]
pub struct Evaluator {
    extractor: Extractor,
    metrics: Vec<Metric>,
    real: Real,
    labels: Vec<u16>,
    plan: EvaluationPlan,
}

/// Seconds by what they went into.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Seconds {
    /// Real images: their sum, and their statistics from the cache, or made.
    pub real: f64,
    /// Drawing images and quantising them, or reading them from memory.
    pub images: f64,
    /// The extractor's forward passes over the generated images.
    pub extractor: f64,
    /// Moments and figures.
    pub figures: f64,
}

/// Which state of a generator is evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct State {
    /// Steps that it was trained for.
    pub step: u64,
    /// Whether its weights are the moving average.
    pub averaged: bool,
}

/// What an evaluation found.
#[derive(Debug, Serialize)]
pub struct Evaluation {
    /// Steps that the generator was trained for; `None` for images that something else made.
    pub step: Option<u64>,
    /// Which of its weights: `generator_ema` or `generator`; `None` likewise.
    pub weights: Option<String>,
    /// Generated images.
    pub n: usize,
    /// Seed of the latents; `None` for images from a folder.
    pub seed: Option<u64>,
    /// The figures, in the order of [`Metric::ALL`].
    pub figures: Vec<Figure>,
    /// What they have in common.
    pub record: Record,
    /// What a reader must know of them.
    pub warnings: Vec<String>,
    /// Where time went.
    pub seconds: Seconds,
    /// Features, logits and images, where the plan wants them.
    #[serde(skip)]
    pub arrays: Vec<NamedArray>,
}

impl Evaluator {
    /// Opens the extractor, and takes the real images' statistics from the cache or computes them.
    pub fn new(plan: EvaluationPlan, images: &Images<'_>) -> Result<Self, SessionError> {
        let file = ExtractorFile::read(&plan.extractor, plan.sum.as_deref(), plan.cache.as_deref())?;
        share::allow_extractor(&file, plan.sum.is_some(), &plan.trust, plan.config.as_deref())?;
        let extractor = file.load(plan.device)?;
        let metrics: Vec<Metric> = match &plan.metrics {
            Some(asked) => Metric::ALL.into_iter().filter(|m| asked.contains(m)).collect(),
            None => Metric::ALL.into_iter().filter(|&m| m != Metric::Is || extractor.classes().is_some()).collect(),
        };
        if metrics.contains(&Metric::Is) && extractor.classes().is_none() {
            let why =
                format!("extractor {} gives features alone, no logits; take one that gives both", extractor.name());
            return Err(MetricsError::Figure { metric: Metric::Is.title(), why }.into());
        }
        for &metric in &metrics {
            metric.check_counts(plan.samples, images.len())?;
        }
        let real = Real::get(&extractor, images, &metrics, &plan)?;
        Ok(Self { extractor, metrics, real, labels: images.labels.to_vec(), plan })
    }

    /// Draws labels for a conditional G from these instead of the real images'.
    pub fn with_labels(mut self, labels: Vec<u16>) -> Self {
        self.labels = labels;
        self
    }

    /// Memory that an evaluation took, and nothing needs until the next one, goes back to the system. An extractor may take many
    /// times what a step does.
    pub fn rest(&self) {
        self.extractor.rest();
        return_freed_memory();
    }

    /// The name that this metric's figure of a generator has, with averaged weights or without.
    pub(super) fn name_of(&self, metric: Metric, averaged: bool) -> String {
        let record = self.record(&self.real.size_text(), Some(weights(averaged)));
        crate::metrics::figure_name(metric, &record, self.plan.samples, &self.subsets(self.plan.samples).1)
    }

    /// Figures of images drawn from a generator, in its evaluation mode, with latents and labels of the plan's seed.
    /// Draws from no other stream of random numbers.
    pub fn of_generator(&self, generator: &Compiled, gan: &Gan, state: State) -> Result<Evaluation, SessionError> {
        let _guard = tch::no_grad_guard();
        let (n, device) = (self.plan.samples as i64, generator.device());
        let mut noise = Generator::new(device, self.plan.seed)?;
        let latents = draw_latents(gan.latent, [n, gan.latent_size()], (generator.kind(), device), &mut noise)?;
        let labels = if gan.generator.input("labels").is_some() {
            Some(self.draw_labels(gan, device, &mut noise)?)
        } else {
            None
        };
        let all_weights = generator.weights(false)?;
        let pass = Pass::evaluation(&all_weights);
        let record = self.record(&self.real.size_text(), Some(weights(state.averaged)));
        let found = self.evaluate(self.plan.samples, record, |put| {
            self.batches(self.plan.samples).try_for_each(|range| {
                let some = |all: &Tensor| all.f_narrow(0, range.start, range.end - range.start);
                let labels = labels.as_ref().map(some).transpose()?;
                put(quantised(&generate_with(generator, &some(&latents)?, labels.as_ref(), &pass)?)?)
            })
        })?;
        Ok(Evaluation { step: Some(state.step), seed: Some(self.plan.seed), ..found })
    }

    /// Figures of given images.
    pub fn of_images(&self, images: &Images<'_>) -> Result<Evaluation, SessionError> {
        let record = self.record(&images.resize, None);
        self.evaluate(images.len(), record, |put| {
            self.batches(images.len()).try_for_each(|range| put(images.batch(&range)?))
        })
    }

    /// Figures of images that lie somewhere, decoded as they are measured.
    pub fn of_subject(&self, subject: &Subject) -> Result<Evaluation, SessionError> {
        if let Some(dataset) = &subject.cache {
            return self.of_images(&Images::of(dataset, ""));
        }
        let [channels, size] = [subject.spec.transform.channels, subject.size()].map(|n| n as i64);
        let sample = subject.spec.transform.sample_len();
        self.evaluate(subject.count(), self.record(&subject.resize, None), |put| {
            let mut batch = Vec::with_capacity(self.plan.batch * sample);
            let mut put = |batch: &mut Vec<u8>| {
                let images = Tensor::f_from_slice(batch)?.f_reshape([-1, channels, size, size])?;
                batch.clear();
                put(images)
            };
            subject.spec.stream(|planes| {
                batch.extend_from_slice(planes);
                if batch.len() < self.plan.batch * sample { Ok(()) } else { put(&mut batch) }
            })?;
            if batch.is_empty() { Ok(()) } else { put(&mut batch) }
        })
    }

    /// So many images, some at a time.
    fn batches(&self, n: usize) -> impl Iterator<Item = Range<i64>> + use<> {
        let (n, batch) = (n as i64, self.plan.batch);
        (0..n).step_by(batch).map(move |at| at..(at + batch as i64).min(n))
    }

    /// Labels as often as the real images have them.
    fn draw_labels(&self, gan: &Gan, device: Device, noise: &mut Generator) -> Result<Tensor, SessionError> {
        if self.labels.is_empty() {
            let why = format!("its generator takes classes, and {} has no labels to draw them from", self.real.name);
            return Err(SessionError::Evaluation(why));
        }
        let known: Vec<i64> = self.labels.iter().map(|&l| i64::from(l)).collect();
        let most = known.iter().copied().max().unwrap_or(0);
        if gan.classes().is_some_and(|classes| most >= classes) {
            let why =
                format!("{} has a label {most}, and its generator knows {:?} classes", self.real.name, gan.classes());
            return Err(SessionError::Evaluation(why));
        }
        let which = Tensor::f_empty([self.plan.samples as i64], (Kind::Int64, device))?;
        noise.randint_(&which, 0, known.len() as i64)?;
        Ok(Tensor::f_from_slice(&known)?.f_to_device(device)?.f_index_select(0, &which)?)
    }

    /// Figures of at most `most` images, which `feed` gives batch by batch to what it is given.
    fn evaluate(
        &self,
        most: usize,
        record: Record,
        feed: impl FnOnce(&mut dyn FnMut(Tensor) -> Result<(), SessionError>) -> Result<(), SessionError>,
    ) -> Result<Evaluation, SessionError> {
        let start = Instant::now();
        let rows = self.plan.features || self.metrics.iter().any(|m| m.needs_rows());
        let logits = self.plan.features || self.metrics.contains(&Metric::Is);
        let mut collector = Collector::new(&self.extractor, most, rows, logits)?;
        let (mut collecting, mut kept) = (0.0, Vec::new());
        let work = Work::of("evaluating", most as u64, "images");
        feed(&mut |images| {
            work.more(images.size()[0] as u64)?;
            let begin = Instant::now();
            collector.add(&images)?;
            if self.plan.features {
                kept.push(images);
            }
            collecting += begin.elapsed().as_secs_f64();
            Ok(())
        })?;
        let images = start.elapsed().as_secs_f64() - collecting;
        let features = collector.finish()?;
        drop(work);
        let _work = Work::begin("computing figures");
        let n = features.moments.count() as usize;
        let (figures, warnings) = self.figures(&features, &record, n)?;
        let seconds = Seconds {
            real: self.real.seconds,
            images,
            extractor: features.seconds,
            figures: start.elapsed().as_secs_f64() - images - features.seconds,
        };
        let arrays = if self.plan.features { self.arrays(&features, &kept)? } else { Vec::new() };
        let weights = record.weights.clone();
        Ok(Evaluation { step: None, weights, n, seed: None, figures, record, warnings, seconds, arrays })
    }

    fn arrays(&self, features: &Features, images: &[Tensor]) -> Result<Vec<NamedArray>, SessionError> {
        let mut arrays = vec![to_array("generated_images", &Tensor::f_cat(images, 0)?)?];
        let named = [
            ("generated_features", features.rows.as_ref()),
            ("generated_logits", features.logits.as_ref()),
            ("real_features", self.real.rows.as_ref()),
        ];
        for (name, tensor) in named {
            arrays.extend(tensor.map(|tensor| to_array(name, tensor)).transpose()?);
        }
        Ok(arrays)
    }
}

/// Which of a generator's weights, as run directories call them.
const fn weights(averaged: bool) -> &'static str {
    if averaged { "generator_ema" } else { "generator" }
}

/// Images in [-1, 1] as 8-bit ones, on the CPU, as a PNG of them would hold them.
fn quantised(images: &Tensor) -> Result<Tensor, SessionError> {
    let images = images.f_to_device(Device::Cpu)?.f_to_kind(Kind::Float)?.f_contiguous()?;
    let mut values = vec![0.0_f32; images.numel()];
    images.f_copy_data(&mut values, images.numel())?;
    if values.iter().any(|v| !v.is_finite()) {
        return Err(SessionError::NotFiniteImages);
    }
    let bytes: Vec<u8> = values.into_iter().map(to_byte).collect();
    Ok(Tensor::f_from_slice(&bytes)?.f_reshape(images.size())?)
}

#[cfg(test)]
mod tests {
    use super::{images::Pixels, *};
    use crate::{
        data::Dataset,
        metrics::{MNIST_CLASSIFIER, distance},
    };

    fn plan(cache: Option<PathBuf>) -> EvaluationPlan {
        EvaluationPlan {
            extractor: MNIST_CLASSIFIER.into(),
            sum: None,
            trust: TrustChoice::default(),
            config: None,
            metrics: None,
            samples: 64,
            batch: 50,
            seed: 0,
            cache,
            features: false,
            device: Device::Cpu,
        }
    }

    /// A few hundred digits of the shipped ones.
    fn some(digits: &Dataset, range: Range<usize>) -> Images<'_> {
        Images {
            pixels: Pixels::Slice(&digits.pixels()[range.start * 1024..range.end * 1024]),
            labels: &digits.labels()[range],
            ..Images::of(digits, "digits")
        }
    }

    #[test]
    fn real_digits_are_like_themselves_and_noise_is_not() {
        let digits = Dataset::digits(32).unwrap();
        let evaluator = Evaluator::new(plan(None), &some(&digits, 0..600)).unwrap();
        let of = |images: &Images<'_>| {
            let found = evaluator.of_images(images).unwrap();
            let names: Vec<&str> = found.figures.iter().map(|f| f.metric.name()).collect();
            assert_eq!(names, ["fid", "kid", "is", "precision", "recall", "density", "coverage"]);
            found.figures.iter().map(|f| f.value).collect::<Vec<_>>()
        };
        let same = of(&some(&digits, 0..600));
        assert!(same[0].abs() < 1e-6 && same[1].abs() < 0.01 && same[2] > 6.5, "{same:?}");
        assert_eq!((same[3], same[4], same[6]), (1.0, 1.0, 1.0));
        let other = of(&some(&digits, 600..1200));
        assert!(other[0] > 0.0 && other[1].abs() < 0.05 && other[3] > 0.5 && other[4] > 0.5, "{other:?}");
        let noise: Vec<u8> = (0..600 * 1024_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let bad = of(&Images { pixels: Pixels::Slice(&noise), ..some(&digits, 0..600) });
        assert!(bad[0] > 10.0 * other[0] && bad[1] > 0.1 && bad[3] == 0.0 && bad[6] == 0.0, "{bad:?}");
    }

    #[test]
    fn the_cache_gives_the_same_figures_and_is_made_again_where_it_is_damaged() {
        let digits = Dataset::digits(32).unwrap();
        let cache = tempfile::tempdir().unwrap();
        let images = some(&digits, 0..300);
        let figures = || {
            let evaluator = Evaluator::new(plan(Some(cache.path().to_owned())), &images).unwrap();
            evaluator.of_images(&some(&digits, 300..600)).unwrap().figures
        };
        let made = figures();
        let files = || std::fs::read_dir(cache.path().join("statistics")).unwrap().map(|e| e.unwrap().path());
        assert_eq!(files().count(), 3);
        assert_eq!(figures(), made);
        for file in files() {
            std::fs::write(file, "no arrays").unwrap();
        }
        assert_eq!(figures(), made);
        // Other images have statistics of their own.
        Evaluator::new(plan(Some(cache.path().to_owned())), &some(&digits, 1..301)).unwrap();
        assert_eq!(files().count(), 6);
    }

    #[test]
    fn few_images_are_warned_of_with_what_the_figure_is_worth() {
        let digits = Dataset::digits(32).unwrap();
        let evaluator = Evaluator::new(plan(None), &some(&digits, 0..200)).unwrap();
        let found = evaluator.of_images(&some(&digits, 200..300)).unwrap();
        assert_eq!(found.warnings.len(), 1);
        assert!(
            found.warnings[0]
                .starts_with("FID from 100 generated images in 128 dimensions: their covariance has a rank of 99")
        );
        // As exact as through the covariance.
        let whole = {
            let a = evaluator.real.moments.as_ref().unwrap();
            let mut collector = Collector::new(&evaluator.extractor, 100, true, false).unwrap();
            collector.add(&some(&digits, 200..300).batch(&(0..100)).unwrap()).unwrap();
            distance(a, evaluator.real.root.as_ref().unwrap(), &collector.finish().unwrap().moments).unwrap()
        };
        assert!((found.figures[0].value - whole).abs() < 1e-6 * whole, "{} {whole}", found.figures[0].value);
    }

    #[test]
    fn what_no_figure_can_come_of_is_refused_before_anything_is_computed() {
        let digits = Dataset::digits(32).unwrap();
        let said = |samples, real, metric| {
            let plan = EvaluationPlan { samples, metrics: Some(vec![metric]), ..plan(None) };
            Evaluator::new(plan, &some(&digits, 0..real)).map(drop).map_err(|e| e.to_string())
        };
        assert_eq!(
            said(9, 600, Metric::Is).unwrap_err(),
            "IS cannot be computed: it needs at least 10 generated images, found 9; take more, or leave `is` out of the metrics"
        );
        assert!(said(10, 600, Metric::Is).is_ok());
        assert!(said(3, 600, Metric::Precision).unwrap_err().contains("at least 4 generated images, found 3"));
        assert!(said(4, 5, Metric::Coverage).unwrap_err().contains("at least 6 real images, found 5"));
        assert!(said(4, 6, Metric::Coverage).is_ok());
        assert!(said(2, 1, Metric::Fid).unwrap_err().contains("at least 2 real images, found 1"));
        assert!(said(1, 9, Metric::Kid).unwrap_err().contains("at least 2 generated images, found 1"));
    }

    #[test]
    fn images_that_are_decoded_as_they_are_measured_give_the_same_figures() {
        let digits = Dataset::digits(32).unwrap();
        let here = tempfile::tempdir().unwrap();
        for i in 0..130 {
            let pixels = digits.pixels()[i * 1024..(i + 1) * 1024].to_vec();
            let image = ::image::GrayImage::from_raw(32, 32, pixels).unwrap();
            image.save(here.path().join(format!("{i:03}.png"))).unwrap();
        }
        std::fs::write(here.path().join("100x.png"), "damaged").unwrap();
        let subject = Subject::open(here.path(), None).unwrap();
        assert_eq!((subject.count(), subject.size()), (131, 32));
        let evaluator = Evaluator::new(plan(None), &some(&digits, 500..1100)).unwrap();
        let found = evaluator.of_subject(&subject).unwrap();
        let expected = evaluator.of_images(&some(&digits, 0..130)).unwrap();
        assert_eq!((found.n, found.step, &found.weights), (130, None, &None));
        for (found, expected) in found.figures.iter().zip(&expected.figures) {
            assert_eq!(found.name, expected.name);
            assert!((found.value - expected.value).abs() <= 1e-6 * expected.value.abs().max(1.0), "{found:?}");
        }
    }

    #[test]
    fn quantisation_is_that_of_pngs() {
        let values: Vec<f32> = (0..2000).map(|i| i as f32 / 800.0 - 1.2).collect();
        let found = Vec::<u8>::try_from(quantised(&Tensor::from_slice(&values)).unwrap()).unwrap();
        assert!(found.iter().zip(&values).all(|(&byte, &v)| byte == to_byte(v)));
        assert!(quantised(&Tensor::from_slice(&[f32::NAN])).is_err());
    }
}
