//! A trained network for other frameworks: safetensors, ONNX, a PyTorch module, a Flax module, and the page that goes
//! with them. `docs/export.md` describes the folders for users.
//!
//! Made from the definition's graph and the weights alone; what a run is, and which of its weights to take, is
//! `session`'s. Each framework's translation is a `match` over the whole opset without a rest, so that a new operation
//! does not compile until it is exported.

mod card;
mod error;
mod folder;
mod license;
mod markup;
mod onnx;
mod python;
mod weights;

pub use card::Card;
pub use error::{ExportError, Misfit};
pub use folder::{File, check_target, write};
pub use license::UNKNOWN;
pub use markup::{block, code, plain};
pub use onnx::OPSET as ONNX_OPSET;
pub use weights::Weights;

use tandem_plugin_api::{Gan, Network};

/// A number as frameworks keep it that compute in float32, where the host has float64: what would become zero or infinite is
/// no longer the same network.
fn float32(what: &str, value: f64) -> Result<f32, String> {
    let narrow = value as f32;
    if narrow.is_finite() && (narrow.is_normal() || value == 0.0) {
        return Ok(narrow);
    }
    Err(format!("it keeps `{what}` as a float32, which cannot hold {value:e}"))
}

/// Which of a GAN's networks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// G.
    Generator,
    /// D.
    Discriminator,
}

impl Target {
    /// `generator` or `discriminator`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generator => "generator",
            Self::Discriminator => "discriminator",
        }
    }

    /// The name of the exported class.
    pub const fn class(self) -> &'static str {
        match self {
            Self::Generator => "Generator",
            Self::Discriminator => "Discriminator",
        }
    }

    /// What its output is called.
    pub const fn output(self) -> &'static str {
        match self {
            Self::Generator => "images",
            Self::Discriminator => "scores",
        }
    }

    /// The network.
    pub const fn of(self, gan: &Gan) -> &Network {
        match self {
            Self::Generator => &gan.generator,
            Self::Discriminator => &gan.discriminator,
        }
    }
}

/// What to export to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Weights alone, in PyTorch's layout.
    Safetensors,
    /// An ONNX model.
    Onnx,
    /// A PyTorch module and its weights.
    PyTorch,
    /// A Flax module and the same weights.
    Flax,
}

impl Format {
    /// As `--to` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Onnx => "onnx",
            Self::PyTorch => "pytorch",
            Self::Flax => "flax",
        }
    }
}

/// What the translation needs to know of a network.
#[derive(Debug)]
pub struct Subject<'a> {
    /// The GAN.
    pub gan: &'a Gan,
    /// Which of its networks.
    pub target: Target,
    /// The network's tensors.
    pub weights: &'a Weights<'a>,
    /// The plugin's name.
    pub method: &'a str,
    /// The options that choose what the method is: `loss = hinge, network = resnet`; or nothing.
    pub variant: String,
    /// The step that the weights are of.
    pub step: u64,
}

impl Subject<'_> {
    /// The network.
    pub const fn network(&self) -> &Network {
        self.target.of(self.gan)
    }

    /// What it is, as a sentence's subject: ``the generator of `lsgan` (norm = group) at step 3000``.
    fn title(&self) -> String {
        let variant = if self.variant.is_empty() { String::new() } else { format!(" ({})", self.variant) };
        format!("the {} of `{}`{variant} at step {}", self.target.name(), self.method, self.step)
    }

    /// The file that holds the program or the model in a format, if there is one beside the weights.
    pub fn program(&self, format: Format) -> Result<Option<File>, ExportError> {
        let name = self.target.name();
        Ok(match format {
            Format::Safetensors => None,
            Format::Onnx => Some(File::new(format!("{name}.onnx"), onnx::model(self)?)),
            Format::PyTorch => Some(File::new(format!("{name}.py"), python::pytorch(self)?)),
            Format::Flax => Some(File::new(format!("{name}.py"), python::flax(self)?)),
        })
    }
}
