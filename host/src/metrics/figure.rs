//! What a figure is called: everything that changes its value is in its name or its record, so that unlike numbers are told
//! apart by a machine and by a person.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{COVERAGE_K, MANIFOLD_K, MetricsError, SPLITS};

/// How floats became 8-bit images, by the function that writes PNGs: `floor((x + 1) / 2 * 255 + 0.5)`, clamped.
pub const QUANTISATION: &str = "uint8";

/// A measure of generated images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Metric {
    /// Fréchet distance of features.
    Fid,
    /// Kernel distance of features.
    Kid,
    /// Inception Score.
    Is,
    /// Share of generated samples among the real ones.
    Precision,
    /// Share of real samples among the generated ones.
    Recall,
    /// How densely real samples surround generated ones.
    Density,
    /// Share of real samples with a generated one near.
    Coverage,
}

impl Metric {
    /// All, in the order in which they are told.
    pub const ALL: [Self; 7] =
        [Self::Fid, Self::Kid, Self::Is, Self::Precision, Self::Recall, Self::Density, Self::Coverage];

    /// The name in configurations and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fid => "fid",
            Self::Kid => "kid",
            Self::Is => "is",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Density => "density",
            Self::Coverage => "coverage",
        }
    }

    /// The metric of this name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|metric| metric.name() == name)
    }

    /// What a person reads.
    pub const fn title(self) -> &'static str {
        match self {
            Self::Fid => "FID",
            Self::Kid => "KID",
            Self::Is => "IS",
            Self::Precision => "precision",
            Self::Recall => "recall",
            Self::Density => "density",
            Self::Coverage => "coverage",
        }
    }

    /// Whether a smaller value is a better one.
    pub const fn lower_is_better(self) -> bool {
        matches!(self, Self::Fid | Self::Kid)
    }

    /// Whether it looks at each sample's features, rather than at their moments alone or at classes.
    pub const fn needs_rows(self) -> bool {
        !matches!(self, Self::Fid | Self::Is)
    }

    /// The fewest generated images, and the fewest real ones, that it can be computed from.
    pub const fn least(self) -> [usize; 2] {
        match self {
            // A covariance, and pairs within each set.
            Self::Fid | Self::Kid => [2, 2],
            Self::Is => [SPLITS, 1],
            // Each image has so many others; the real ones' radii are computed for both numbers of neighbours.
            Self::Precision | Self::Recall | Self::Density | Self::Coverage => {
                [MANIFOLD_K as usize + 1, COVERAGE_K as usize + 1]
            }
        }
    }

    /// Refuses numbers of images that it cannot be computed from.
    pub fn check_counts(self, generated: usize, real: usize) -> Result<(), MetricsError> {
        let [least_generated, least_real] = self.least();
        for (of, found, least) in [("generated", generated, least_generated), ("real", real, least_real)] {
            if found < least {
                let why = format!(
                    "it needs at least {least} {of} images, found {found}; take more, or leave `{}` out of the metrics",
                    self.name()
                );
                return Err(MetricsError::Figure { metric: self.title(), why });
            }
        }
        Ok(())
    }

    /// Whether it counts neighbours.
    pub const fn counts_neighbours(self) -> bool {
        matches!(self, Self::Precision | Self::Recall | Self::Density | Self::Coverage)
    }
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.title())
    }
}

/// What figures of one evaluation have in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The extractor's name.
    pub extractor: String,
    /// SHA-256 of its file, in hex.
    pub extractor_sha256: String,
    /// Features of a sample.
    pub width: i64,
    /// The real images: data set and split.
    pub real: String,
    /// How many there are.
    pub real_count: usize,
    /// SHA-256 over them, in hex.
    pub real_sha256: String,
    /// The images' size, and who brought them to the extractor's.
    pub resize: String,
    /// How images were made 8-bit ones.
    pub quantisation: String,
    /// Which of a generator's weights made the images: `generator_ema`, their moving average, or `generator`, those of the last
    /// step. Nothing for images that something else made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weights: Option<String>,
}

impl Record {
    /// Whether the images are from weights that are not averaged.
    fn is_live(&self) -> bool {
        self.weights.as_deref() == Some("generator")
    }
}

/// One number with its full name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Figure {
    /// What it measures.
    pub metric: Metric,
    /// Its name with everything that it depends on: figures of different names are never compared.
    pub name: String,
    /// The value.
    pub value: f64,
    /// Its spread: KID's over subsets, IS's over splits.
    pub std: Option<f64>,
}

impl Figure {
    /// A figure of `n` generated samples. `subsets` are KID's, as `100x1000`.
    pub fn new(metric: Metric, (value, std): (f64, Option<f64>), record: &Record, n: usize, subsets: &str) -> Self {
        Self { metric, name: name(metric, record, n, subsets), value, std }
    }

    /// Whether it is better than `other`, both with their records.
    ///
    /// # Errors
    /// The two are unlike: another metric, extractor, number of samples, data set or preparation.
    pub fn is_better(&self, record: &Record, other: &Self, other_record: &Record) -> Result<bool, MetricsError> {
        let unlike = |why: String| MetricsError::Unlike { one: self.name.clone(), other: other.name.clone(), why };
        if self.name != other.name {
            return Err(unlike("their names differ".into()));
        }
        let files = [
            ("extractor", &record.extractor_sha256, &other_record.extractor_sha256),
            ("real images", &record.real_sha256, &other_record.real_sha256),
        ];
        for (what, one, two) in files {
            if one != two {
                return Err(unlike(format!("the {what} of the first have the SHA-256 {one}, of the second {two}")));
            }
        }
        let (low, high) = if self.metric.lower_is_better() { (self, other) } else { (other, self) };
        Ok(low.value < high.value)
    }
}

/// The name that a figure of `n` samples under this record has.
pub(crate) fn name(metric: Metric, record: &Record, n: usize, subsets: &str) -> String {
    let Record { extractor, real, real_count, resize, quantisation, .. } = record;
    let own = match metric {
        Metric::Fid => String::new(),
        Metric::Kid => format!(", {subsets}"),
        Metric::Is => format!(", {SPLITS} splits"),
        Metric::Precision | Metric::Recall => format!(", k={MANIFOLD_K}"),
        Metric::Density | Metric::Coverage => format!(", k={COVERAGE_K}"),
    };
    // The Inception Score sees no real images.
    let against = if metric == Metric::Is { String::new() } else { format!(" against {real_count} of {real}") };
    // The moving average is what a generator is measured by, and needs no words.
    let of = if record.is_live() { " from live weights" } else { "" };
    format!("{} ({extractor}, n={n}{of}{against}{own}, {resize}, {quantisation})", metric.title())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            extractor: "mnist-classifier-v1".into(),
            extractor_sha256: "aa".into(),
            width: 128,
            real: "digits".into(),
            real_count: 10_000,
            real_sha256: "bb".into(),
            resize: "32x32, resized by the extractor".into(),
            quantisation: QUANTISATION.into(),
            weights: Some("generator_ema".into()),
        }
    }

    fn figure(metric: Metric, value: f64, n: usize) -> Figure {
        Figure::new(metric, (value, None), &record(), n, "100x1000")
    }

    #[test]
    fn names_hold_all_that_a_value_depends_on() {
        assert_eq!(
            figure(Metric::Fid, 1.0, 5000).name,
            "FID (mnist-classifier-v1, n=5000 against 10000 of digits, 32x32, resized by the extractor, uint8)"
        );
        assert!(figure(Metric::Kid, 1.0, 5000).name.contains(", 100x1000, "));
        assert!(figure(Metric::Is, 1.0, 5000).name.starts_with("IS (mnist-classifier-v1, n=5000, 10 splits, 32x32"));
        assert!(figure(Metric::Recall, 1.0, 5000).name.contains("k=3"));
        assert!(figure(Metric::Density, 1.0, 5000).name.contains("k=5"));
        let live = Record { weights: Some("generator".into()), real: "photos, crop none, rgb".into(), ..record() };
        assert_eq!(
            name(Metric::Fid, &live, 50, ""),
            "FID (mnist-classifier-v1, n=50 from live weights against 10000 of photos, crop none, rgb, 32x32, resized by the \
             extractor, uint8)"
        );
        assert!(
            name(Metric::Is, &live, 50, "").starts_with("IS (mnist-classifier-v1, n=50 from live weights, 10 splits")
        );
    }

    #[test]
    fn like_figures_are_compared_by_what_is_better() {
        let better =
            |metric, a, b| figure(metric, a, 10).is_better(&record(), &figure(metric, b, 10), &record()).unwrap();
        assert!(better(Metric::Fid, 1.0, 2.0) && !better(Metric::Fid, 2.0, 1.0));
        assert!(better(Metric::Recall, 0.5, 0.25) && !better(Metric::Recall, 0.5, 0.5));
    }

    #[test]
    fn unlike_figures_are_not_compared() {
        let one = figure(Metric::Fid, 1.0, 10);
        let said = |other: &Figure, of: &Record| one.is_better(&record(), other, of).unwrap_err().to_string();
        let message = said(&figure(Metric::Fid, 1.0, 20), &record());
        assert!(message.ends_with("are unlike figures and cannot be compared: their names differ"), "{message}");
        assert!(message.contains("n=10") && message.contains("n=20"), "{message}");
        let other = Record { real_sha256: "cc".into(), ..record() };
        let message = said(&figure(Metric::Fid, 1.0, 10), &other);
        assert!(message.ends_with("the real images of the first have the SHA-256 bb, of the second cc"), "{message}");
    }

    #[test]
    fn names_in_files_are_the_metrics_own() {
        for metric in Metric::ALL {
            assert_eq!(serde_json::to_value(metric).unwrap(), metric.name());
            assert_eq!(Metric::from_name(metric.name()), Some(metric));
        }
    }
}
