//! What keeps a network from being exported or imported, each time with the layer or tensor and what to do.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use crate::{
    run::{ArrayType, RunError},
    text::{Show as _, is_silent, sentence},
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
    #[error(
        "the {network} takes {bytes} bytes with its weights, more than an ONNX file holds (2 GiB); use another `--to`"
    )]
    TooLarge {
        /// `generator` or `discriminator`.
        network: &'static str,
        /// What it takes.
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
    /// What `torch.save` wrote.
    #[error(
        "{} is what `torch.save` wrote, expected safetensors; convert its state_dict in Python, and name its key where it lies in \
         another dictionary than these:\n  \
         import torch; from safetensors.torch import save_file\n  \
         found = torch.load({}, map_location=\"cpu\", weights_only=True)\n  \
         found = next((found[key] for key in (\"state_dict\", \"model_state_dict\", \"model\") if key in found), found)\n  \
         save_file({{name: tensor.contiguous().clone() for name, tensor in found.items()}}, \"state_dict.safetensors\")",
        path.shown(), python_text(path)
    )]
    Pickled {
        /// The file.
        path: PathBuf,
    },
    /// Another kind of file.
    #[error("{} is {what}, expected a state_dict in a safetensors file", path.shown())]
    NoStateDict {
        /// The file.
        path: PathBuf,
        /// What it is.
        what: String,
    },
    /// A file could not be written.
    #[error(transparent)]
    Run(#[from] RunError),
}

fn lines(all: &[String]) -> String {
    all.iter().fold(String::new(), |text, line| text + "\n  " + &sentence(line))
}

/// How many tensors of a kind a message lists.
const LISTED: usize = 200;

/// How tensors differ from those that a network owns.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Misfit {
    /// Tensors that the network owns and the file lacks: `conv1.weight [64, 1, 4, 4]`.
    pub missing: Vec<String>,
    /// Tensors that the file has and the network does not know.
    pub unexpected: Vec<String>,
    /// Tensors of another shape or type.
    pub mismatched: Vec<String>,
    /// What stands before the network's names in a file of more than it: `generator.`.
    pub prefixes: Vec<String>,
}

impl Misfit {
    /// Whether there is no difference.
    pub const fn is_empty(&self) -> bool {
        self.missing.is_empty() && self.unexpected.is_empty() && self.mismatched.is_empty()
    }
}

impl fmt::Display for Misfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(first) = self.prefixes.first() {
            let of = if self.prefixes.len() == 1 { "" } else { "each of " };
            let names: Vec<String> = self.prefixes.iter().map(|prefix| format!("`{}`", prefix.shown())).collect();
            let prefix = python_text(Path::new(first));
            return write!(
                f,
                " its tensors stand under {of}{} beside others; save them alone, without that: {{name.removeprefix({prefix}): tensor \
                 for name, tensor in state_dict.items() if name.startswith({prefix})}}",
                names.join(", ")
            );
        }
        let lists = [("missing", &self.missing), ("unexpected", &self.unexpected), ("different", &self.mismatched)];
        for (what, tensors) in lists {
            for tensor in tensors.iter().take(LISTED) {
                write!(f, "\n  {what}: {}", tensor.shown())?;
            }
            if tensors.len() > LISTED {
                write!(f, "\n  {what}: {} more", tensors.len() - LISTED)?;
            }
        }
        write!(f, "\nits tensors must have the names and shapes that `tandem export --to safetensors` gives")?;
        // Lists begin with the name, which a space ends.
        let any = |list: &[String], ends: &[&str]| {
            list.iter().filter_map(|line| line.split(' ').next()).any(|name| ends.iter().any(|end| name.ends_with(end)))
        };
        if any(&self.missing, &[".weight_orig"]) {
            write!(
                f,
                "; a weight under spectral norm is stored as `torch.nn.utils.spectral_norm` or \
                 `torch.nn.utils.parametrizations.spectral_norm` does"
            )?;
        } else if any(
            &self.unexpected,
            &[".weight_orig", ".parametrizations.weight.original", ".parametrizations.weight.0._u"],
        ) {
            write!(
                f,
                "; a layer of the file is under spectral norm, and the network has none there: choose options that give it one"
            )?;
        } else if any(&self.unexpected, &[".weight_g", ".parametrizations.weight.original0"]) {
            write!(
                f,
                "; a layer of the file is under weight norm, which no network has here: take it off before saving, with `remove_weight_norm` or `remove_parametrizations`"
            )?;
        }
        Ok(())
    }
}

/// A path or a name as Python writes a text, with nothing in it that a terminal would not show.
fn python_text(path: &Path) -> String {
    let escaped = path.to_string_lossy().chars().fold(String::new(), |text, c| match c {
        '\\' | '"' => text + &format!("\\{c}"),
        c if is_silent(c) => text + &format!("\\U{:08x}", u32::from(c)),
        c => text + c.encode_utf8(&mut [0; 4]),
    });
    format!("\"{escaped}\"")
}

/// `F32 [64, 1, 4, 4]`.
pub(super) fn shown(dtype: ArrayType, shape: &[usize]) -> String {
    format!("{dtype} {}", format!("{shape:?}").shown())
}
