//! Real images in memory, in a seeded order, as batches prepared ahead. Knows nothing of tensors or training.

mod dataset;
mod error;
mod folder;
pub mod idx;
mod prefetch;
mod sampler;

pub use dataset::Dataset;
pub use error::DataError;
pub use prefetch::{HostBatch, Prefetch};
pub use sampler::{Sampler, SamplerState};
