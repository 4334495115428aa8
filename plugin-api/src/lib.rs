//! Declare a GAN for Tandem: its networks, its losses, its symmetry and its defaults.
//!
//! A plugin is a crate that depends on this one alone, has one function and one macro call, and builds to a small
//! `cdylib`. It never links libtorch and never sees a tensor's numbers: what it returns is a *definition*, data that the
//! host checks, prints, differentiates, trains and stores with the run.

pub mod abi;
mod build;
mod error;
mod export;
mod formula;
pub mod gan;
mod init;
pub mod manifest;
pub mod network;
pub mod opset;
pub mod options;
pub mod shape;
pub mod testing;
pub mod value;

pub use build::{Builder, Conv, ConvTranspose, Linear, Norm, Tensor, kernel};
pub use error::Error;
pub use formula::formula;
pub use gan::{Defaults, Gan, Latent, Optimizer, PenaltyAt, Scores, Stages, Symmetry, Transform};
pub use init::Init;
pub use network::Network;
pub use options::{Images, Options};

/// What most plugins need: `use tandem_plugin_api::prelude::*;`
pub mod prelude {
    pub use crate::{
        Builder, Defaults, Error, Gan, Init, Latent, Linear, Network, Norm, Optimizer, Options, PenaltyAt, Scores,
        Stages, Symmetry, Tensor, Transform, export_gan, kernel,
    };
}

pub use export::request;

/// What the export macro's expansion names; not for authors.
#[doc(hidden)]
pub mod __private {
    pub use crate::{abi, export::answer, manifest};
    pub use abi_stable;
}
