//! Real images of every kind that GANs are trained on, brought to one size, in a seeded order, as batches prepared ahead.
//! Knows nothing of tensors or training.

mod cache;
mod dataset;
mod error;
mod facts;
mod fill;
mod inspect;
mod once;
mod picture;
mod prefetch;
mod sampler;
mod source;
mod transform;

pub use cache::Description;
pub use dataset::{Dataset, Prepared, Spec};
pub use error::DataError;
pub use facts::Facts;
pub use fill::Bad;
pub use inspect::{Report, inspect};
pub use once::{OfSize, Sizes, sizes};
pub use prefetch::{HostBatch, Prefetch};
pub use sampler::{Sampler, SamplerState, flipped};
pub use source::{Source, Split};
pub use transform::{Crop, Transform};

/// More decoded images than this are read from a cache only.
const MOST_BYTES: usize = 4 << 30;
