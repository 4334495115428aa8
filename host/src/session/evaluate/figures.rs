//! From features to figures: what each metric takes of them, and what a reader must know of the result.

use super::{Evaluator, SessionError};
use crate::metrics::{
    COVERAGE_K, Features, Figure, MANIFOLD_K, Metric, MetricsError, QUANTISATION, Record, SPLITS, SUBSET_SIZE, SUBSETS,
    distance, distance_of_few, inception_score, kernel_distance, neighbourhoods, radii, subsets,
};

impl Evaluator {
    pub(super) fn record(&self, resize: &str, weights: Option<&str>) -> Record {
        Record {
            extractor: self.extractor.name().to_owned(),
            extractor_sha256: self.extractor.sha256().to_owned(),
            width: self.extractor.width(),
            real: self.real.name.clone(),
            real_count: self.real.count,
            real_sha256: self.real.sha256.clone(),
            resize: resize.to_owned(),
            quantisation: QUANTISATION.to_owned(),
            weights: weights.map(str::to_owned),
        }
    }

    /// KID's subset size for `n` images, and how the name tells it.
    pub(super) fn subsets(&self, n: usize) -> (usize, String) {
        let size = SUBSET_SIZE.min(n).min(self.real.count);
        (size, format!("{SUBSETS}x{size}"))
    }

    pub(super) fn figures(
        &self,
        of: &Features,
        record: &Record,
        n: usize,
    ) -> Result<(Vec<Figure>, Vec<String>), SessionError> {
        let (mut figures, mut warnings) = (Vec::new(), Vec::new());
        let (subset, subset_text) = self.subsets(n);
        let mut push = |metric, value: (f64, Option<f64>)| {
            if !value.0.is_finite() {
                let why = format!("its value is {}", value.0);
                return Err(MetricsError::Figure { metric: Metric::title(metric), why });
            }
            figures.push(Figure::new(metric, value, record, n, &subset_text));
            Ok(())
        };
        let has = |metric| self.metrics.contains(&metric);
        if has(Metric::Fid) {
            warnings.extend(too_few(n, self.extractor.width(), "generated images"));
            warnings.extend(too_few(self.real.count, self.extractor.width(), "real images"));
            push(Metric::Fid, (self.frechet(of)?, None))?;
        }
        let rows = || of.rows.as_ref().zip(self.real.rows.as_ref());
        if let Some((generated, real)) = rows().filter(|_| has(Metric::Kid)) {
            let subsets = subsets(n, self.real.count, SUBSETS, subset);
            let found = kernel_distance(generated, real, &subsets, self.extractor.device())?;
            push(Metric::Kid, (found.mean, Some(found.std)))?;
        }
        if let Some(logits) = of.logits.as_ref().filter(|_| has(Metric::Is)) {
            let (mean, std) = inception_score(logits, SPLITS, true)?;
            push(Metric::Is, (mean, Some(std)))?;
        }
        let neighbours: Vec<Metric> = self.metrics.iter().copied().filter(|m| m.counts_neighbours()).collect();
        if let (Some((generated, real)), Some([of_real, of_coverage])) =
            (rows().filter(|_| !neighbours.is_empty()), &self.real.radii)
        {
            let device = self.extractor.device();
            let of_generated = radii(generated, &[MANIFOLD_K], device)?.remove(0);
            let found = neighbourhoods(real, generated, [of_real, &of_generated], (COVERAGE_K, of_coverage), device)?;
            for metric in neighbours {
                let value = match metric {
                    Metric::Precision => found.precision,
                    Metric::Recall => found.recall,
                    Metric::Density => found.density,
                    _ => found.coverage,
                };
                push(metric, (value, None))?;
            }
        }
        Ok((figures, warnings))
    }

    fn frechet(&self, of: &Features) -> Result<f64, SessionError> {
        let n = of.moments.count();
        if n < 2 {
            let why = format!("{n} images have no covariance; take at least 2");
            return Err(MetricsError::Figure { metric: Metric::Fid.title(), why }.into());
        }
        let (Some(moments), Some(root)) = (&self.real.moments, &self.real.root) else {
            let why = "the real images' moments are missing".into();
            return Err(MetricsError::Figure { metric: Metric::Fid.title(), why }.into());
        };
        Ok(match &of.rows {
            Some(rows) if n <= of.moments.width() => {
                distance_of_few(moments, &of.moments, &rows.f_to_device(self.extractor.device())?)?
            }
            _ => distance(moments, root, &of.moments)?,
        })
    }
}

/// What an FID of so few images is worth.
fn too_few(n: usize, width: i64, of: &str) -> Option<String> {
    (n as i64 <= width).then(|| {
        format!(
            "FID from {n} {of} in {width} dimensions: their covariance has a rank of {} at most, so the figure is mostly \
             bias; it may tell which of two generators is better at the same n, and says nothing of how good either is: compare it \
             with no other n and no published number, or take more than {width}, or KID, which has no such bias",
            n.saturating_sub(1)
        )
    })
}
