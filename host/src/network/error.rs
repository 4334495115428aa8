//! What can go wrong between a checked definition and numbers.

use tandem_torch_ext::TorchError;
use tch::TchError;

/// An error of a compiled network.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// libtorch refused an operation.
    #[error("{place} failed on inputs {shapes}: {cause}")]
    Operation {
        /// The layer, as definitions name it.
        place: String,
        /// The shapes that came in.
        shapes: String,
        /// libtorch's words.
        cause: String,
    },
    /// The caller did not give an input that the graph has.
    #[error("the graph needs an input `{name}`, given: {given}")]
    MissingInput {
        /// The input's name.
        name: String,
        /// What was given.
        given: String,
    },
    /// Stored tensors do not fit the network.
    #[error("{0}")]
    Load(String),
    /// libtorch refused something outside of any layer.
    #[error(transparent)]
    Torch(#[from] TorchError),
}

impl From<TchError> for NetworkError {
    fn from(error: TchError) -> Self {
        Self::Load(first_line(&error.to_string()))
    }
}

/// libtorch's messages carry a C++ backtrace after the first line.
pub(super) fn first_line(text: &str) -> String {
    text.lines().next().unwrap_or(text).to_owned()
}
