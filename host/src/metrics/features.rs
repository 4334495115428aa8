//! Images in, batch by batch; their features out, as moments and, where a metric looks at each sample, as rows.

use std::time::{Duration, Instant};

use tch::{Cuda, Device, Kind, Tensor};

use super::{Extracted, Extractor, MetricsError, Moments};

/// Features of a set of images.
#[derive(Debug)]
pub struct Features {
    /// Mean and covariance.
    pub moments: Moments,
    /// `[n, d]`, float32, on the CPU; where they were to be kept.
    pub rows: Option<Tensor>,
    /// `[n, classes]`, float32, on the CPU; where they were to be kept and the extractor gives them.
    pub logits: Option<Tensor>,
    /// The extractor's own time.
    pub seconds: f64,
}

/// Gathers features of `total` images.
#[derive(Debug)]
pub struct Collector<'a> {
    extractor: &'a Extractor,
    moments: Moments,
    rows: Option<Tensor>,
    logits: Option<Tensor>,
    time: Duration,
    at: i64,
}

impl<'a> Collector<'a> {
    /// Keeps rows where `rows`, or where there are too few samples for their covariance to say it all; logits where
    /// `logits`.
    pub fn new(extractor: &'a Extractor, total: usize, rows: bool, logits: bool) -> Result<Self, MetricsError> {
        let n = total as i64;
        let room = |width: i64| Tensor::f_empty([n, width], (Kind::Float, Device::Cpu));
        let rows = rows || n <= extractor.width();
        Ok(Self {
            extractor,
            moments: Moments::new(extractor.width(), extractor.device())?,
            rows: rows.then(|| room(extractor.width())).transpose()?,
            logits: extractor.classes().filter(|_| logits).map(room).transpose()?,
            time: Duration::ZERO,
            at: 0,
        })
    }

    /// Takes in `[n, c, h, w]`, 8-bit.
    pub fn add(&mut self, images: &Tensor) -> Result<(), MetricsError> {
        let start = Instant::now();
        let Extracted { features, logits } = self.extractor.extract(images)?;
        if let Device::Cuda(n) = self.extractor.device() {
            Cuda::synchronize(n as i64);
        }
        self.time += start.elapsed();
        if features.f_isfinite()?.f_all()?.f_int64_value(&[])? == 0 {
            let what = format!("gives features that are not finite, for one of the images {} and on", self.at);
            return Err(MetricsError::Extractor { name: self.extractor.name().to_owned(), what });
        }
        self.moments.add(&features)?;
        let n = images.size()[0];
        for (all, some) in [(&self.rows, Some(&features)), (&self.logits, logits.as_ref())] {
            if let (Some(all), Some(some)) = (all, some) {
                all.f_narrow(0, self.at, n)?.f_copy_(some)?;
            }
        }
        self.at += n;
        Ok(())
    }

    /// What all images so far gave, which may be fewer than the total.
    pub fn finish(self) -> Result<Features, MetricsError> {
        let so_far = |all: Option<Tensor>| all.map(|all| all.f_narrow(0, 0, self.at)).transpose();
        let (rows, logits) = (so_far(self.rows)?, so_far(self.logits)?);
        Ok(Features { moments: self.moments, rows, logits, seconds: self.time.as_secs_f64() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::{ExtractorFile, MNIST_CLASSIFIER};

    #[test]
    fn batches_do_not_show_and_what_is_not_needed_is_not_kept() {
        let extractor = ExtractorFile::read(MNIST_CLASSIFIER, None, None).unwrap().load(Device::Cpu).unwrap();
        let digits = crate::data::Dataset::digits(32).unwrap();
        let images = Tensor::from_slice(&digits.pixels()[..200 * 1024]).reshape([200, 1, 32, 32]);
        let gather = |batch, keep| {
            let mut collector = Collector::new(&extractor, 200, keep, keep).unwrap();
            images.split(batch, 0).iter().for_each(|some| collector.add(some).unwrap());
            collector.finish().unwrap()
        };
        let (some, many) = (gather(7, true), gather(200, true));
        let error = |a: &Tensor, b: &Tensor| (a - b).abs().max().double_value(&[]);
        assert!(error(&some.rows.unwrap(), many.rows.as_ref().unwrap()) < 1e-4);
        assert!(error(&some.moments.covariance().unwrap(), &many.moments.covariance().unwrap()) < 1e-5);
        assert_eq!(many.logits.unwrap().size(), [200, 10]);
        let lean = gather(200, false);
        assert!(lean.rows.is_none() && lean.logits.is_none() && lean.seconds > 0.0);
        // Fewer than were announced, as where damaged ones are left out.
        let mut collector = Collector::new(&extractor, 300, true, true).unwrap();
        collector.add(&images).unwrap();
        let fewer = collector.finish().unwrap();
        assert_eq!((fewer.rows.unwrap().size()[0], fewer.logits.unwrap().size()[0]), (200, 200));
    }

    #[test]
    fn features_that_are_not_finite_are_refused() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/extractors/not-finite.pt");
        let extractor = ExtractorFile::read(file, None, None).unwrap().load_inside(Device::Cpu).unwrap();
        let mut collector = Collector::new(&extractor, 2, false, false).unwrap();
        let image = |value: u8| Tensor::from_slice(&[value; 4]).reshape([1, 1, 2, 2]);
        collector.add(&image(9)).unwrap();
        let message = collector.add(&image(0)).unwrap_err().to_string();
        assert!(message.contains("not-finite") && message.ends_with("one of the images 1 and on"), "{message}");
    }
}
