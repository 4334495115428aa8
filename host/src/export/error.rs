//! What keeps a network from being exported or imported, each time with the layer or tensor and what to do.

use std::{fmt, io, path::PathBuf};

use crate::{
    run::{ArrayType, RunError},
    text::{Show as _, sentence},
};

/// An error of an export or an import.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A framework has no such operation.
    #[error(
        "{place} cannot be exported to {framework}: {why}; export with `--to safetensors` and write this part by hand"
    )]
    Unsupported {
        /// The layer, as definitions name it.
        place: String,
        /// The framework.
        framework: &'static str,
        /// What it lacks.
        why: String,
    },
    /// Tensors that are not the network's.
    #[error("{origin} does not fit the {network}:{misfit}")]
    Misfit {
        /// Where the tensors came from.
        origin: String,
        /// `generator` or `discriminator`.
        network: &'static str,
        /// Every tensor that is wrong.
        misfit: Box<Misfit>,
    },
    /// The format cannot hold that much.
    #[error("the {network} has {bytes} bytes of weights, more than an ONNX file holds (2 GiB); use another `--to`")]
    TooLarge {
        /// `generator` or `discriminator`.
        network: &'static str,
        /// What its weights take.
        bytes: usize,
    },
    /// An argument that makes no sense.
    #[error("--{flag}: {why}")]
    Argument {
        /// The flag.
        flag: &'static str,
        /// What was found and expected.
        why: String,
    },
    /// The target is there already.
    #[error("{} is there already; choose another folder with `--out`, or replace it with `--force`", path.shown())]
    Exists {
        /// The folder.
        path: PathBuf,
    },
    /// The target holds something that no export wrote.
    #[error("{} holds `{}`, which no export wrote, so `--force` does not replace it; choose another folder with `--out`", path.shown(), found.shown())]
    Foreign {
        /// The folder.
        path: PathBuf,
        /// One of the things in it.
        found: String,
    },
    /// What is in the target cannot be told.
    #[error("cannot see what is in {}, so `--force` does not replace it: {source}", path.shown())]
    Unlisted {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// Numbers that no network should have.
    #[error("{origin} cannot be imported into the {network}:{}", lines(wrong))]
    Values {
        /// The file.
        origin: String,
        /// `generator` or `discriminator`.
        network: &'static str,
        /// Every tensor with such numbers, and what is wrong with them.
        wrong: Vec<String>,
    },
    /// Another kind of file.
    #[error(
        "{} is what `torch.save` wrote, expected safetensors; convert its state_dict in Python:\n  \
         from safetensors.torch import save_file; save_file(torch.load({:?}, weights_only=True), \"state_dict.safetensors\")",
        path.shown(), path
    )]
    Pickled {
        /// The file.
        path: PathBuf,
    },
    /// A file could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

fn lines(all: &[String]) -> String {
    all.iter().fold(String::new(), |text, line| text + "\n  " + &sentence(line))
}

/// How tensors differ from those that a network owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Tensors that the network owns and the file lacks: `conv1.weight [64, 1, 4, 4]`.
    pub missing: Vec<String>,
    /// Tensors that the file has and the network does not know.
    pub unexpected: Vec<String>,
    /// Tensors of another shape or type.
    pub mismatched: Vec<String>,
    /// What stands before all names of the file and hides that they are the network's: `module.`.
    pub prefix: Option<String>,
}

impl Misfit {
    /// Whether there is no difference.
    pub const fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(prefix) = &self.prefix {
            return write!(
                f,
                " all its tensors' names begin with `{}`, which a wrapper such as torch.nn.DataParallel put there; save it \
                 without: {{name.removeprefix({prefix:?}): tensor for name, tensor in state_dict.items()}}",
                prefix.shown()
            );
        }
        let lists = [("missing", &self.missing), ("unexpected", &self.unexpected), ("different", &self.mismatched)];
        for (what, tensors) in lists {
            for tensor in tensors {
                write!(f, "\n  {what}: {}", tensor.shown())?;
            }
        }
        write!(f, "\nits tensors must have the names and shapes that `tandem export --to safetensors` gives")?;
        let spectral = |names: &[String]| names.iter().any(|n| n.contains(".weight_orig "));
        if spectral(&self.missing) {
            write!(f, "; a weight under spectral norm is stored as `torch.nn.utils.spectral_norm` does")?;
        }
        Ok(())
    }
}

/// `F32 [64, 1, 4, 4]`.
pub(super) fn shown(dtype: ArrayType, shape: &[usize]) -> String {
    format!("{dtype} {shape:?}")
}
