//! The one error type of this crate.

use std::path::PathBuf;

/// What can go wrong below the safe face.
#[derive(Debug, thiserror::Error)]
pub enum TorchError {
    /// libtorch refused an operation; the message is its own, without the C++ backtrace.
    #[error("{op} failed: {message}")]
    Op {
        /// The function of this crate that was called.
        op: &'static str,
        /// libtorch's explanation.
        message: String,
    },
    /// The directory given to [`open_cuda`](crate::open_cuda) holds no such library.
    #[error(
        "cannot open CUDA: {} does not exist; point to the `lib` directory of a libtorch built with CUDA",
        .0.display()
    )]
    NoCudaLibrary(PathBuf),
    /// The directory given to [`open_cuda`](crate::open_cuda) belongs to another libtorch.
    #[error(
        "cannot open CUDA from {}: this process runs the libtorch in {}, and two copies of libtorch cannot be mixed; \
         start the program with that libtorch, or give the directory of the one that is loaded",
        asked.display(), loaded.display()
    )]
    OtherLibtorch {
        /// The directory that was asked for.
        asked: PathBuf,
        /// The directory of the libtorch that this process runs.
        loaded: PathBuf,
    },
    /// libtorch had already settled that there is no CUDA.
    #[error(
        "cannot open CUDA: libtorch was already asked about CUDA in this process, and it keeps its first answer; \
         open CUDA before any other use of libtorch"
    )]
    CudaTooLate,
}
