//! A checked definition's graph, compiled to libtorch: resolved once, run many times.
//!
//! Knows nothing of training: who draws latents, which gradients are taken and what an optimizer does is `train`'s.

mod autocast;
mod compiled;
mod error;
mod initialise;
mod run;
mod weights;

pub use compiled::{Compiled, Variable};
pub use error::NetworkError;
pub use run::Pass;
pub use weights::Weights;
