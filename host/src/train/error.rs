//! What can stop a training step.

use tandem_torch_ext::TorchError;
use tch::TchError;

use crate::network::NetworkError;

/// An error of the trainer.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A network failed; the text says which.
    #[error("{network}: {source}")]
    Network {
        /// `generator`, `discriminator`, a loss's name or a loss state's.
        network: String,
        /// Its error.
        source: NetworkError,
    },
    /// libtorch refused something.
    #[error(transparent)]
    Torch(#[from] TorchError),
    /// The definition and what was asked of it do not go together.
    #[error("{0}")]
    Refused(String),
    /// A loss, a gradient or a weight stopped being a number.
    #[error("step {step}: {term} is not finite ({value}); lower the learning rates, or choose another loss or norm")]
    NotFinite {
        /// The first bad step.
        step: u64,
        /// The loss, the gradient or whose weights.
        term: &'static str,
        /// What it was.
        value: f64,
    },
}

impl From<TchError> for TrainError {
    fn from(error: TchError) -> Self {
        Self::Refused(error.to_string().lines().next().unwrap_or("libtorch failed").to_owned())
    }
}

/// Names the network in its error.
pub(super) trait In<T> {
    fn within(self, network: &str) -> Result<T, TrainError>;
}

impl<T> In<T> for Result<T, NetworkError> {
    fn within(self, network: &str) -> Result<T, TrainError> {
        self.map_err(|source| TrainError::Network { network: network.to_owned(), source })
    }
}
