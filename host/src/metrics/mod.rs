//! How good generated images are, as the field measures it: Fréchet distance, kernel distance, Inception Score,
//! precision and recall, density and coverage, on features that a TorchScript module extracts.
//!
//! Computed in float64 from 8-bit images. Knows no run, no configuration and no file but the extractor's; what figures
//! are called, so that unlike ones are never compared, is in [`Figure`]. `docs/metrics.md` says what exactly is computed.

mod apart;
mod error;
mod extractor;
mod features;
mod fetch;
mod figure;
mod frechet;
mod kernel;
mod legacy_random;
mod module;
mod moments;
mod neighbours;
mod score;
mod serve;

pub use apart::COMMAND;
pub use error::MetricsError;
pub use extractor::{Extractor, ExtractorFile, MNIST_CLASSIFIER};
pub use features::{Collector, Features};
pub use fetch::{INCEPTION, fetch_inception, inception_place};
pub(crate) use figure::name as figure_name;
pub use figure::{Figure, Metric, QUANTISATION, Record};
pub use frechet::{distance, distance_of_few, root};
pub use kernel::{KernelDistance, SUBSET_SIZE, SUBSETS, kernel_distance, subsets};
pub use module::Extracted;
pub use moments::Moments;
pub use neighbours::{COVERAGE_K, MANIFOLD_K, Neighbourhoods, neighbourhoods, radii};
pub use score::{SPLITS, inception_score};
pub use serve::serve;
