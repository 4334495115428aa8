//! What `tch` lacks, over the same libtorch: gradients with seeds, pivoted layers, quicker convolutions, fused
//! optimisers, private random generators and CUDA opened at run time.
//!
//! The C++ lives in `cpp/`, the declarations and every `unsafe` line in `ffi`; the other modules are
//! safe Rust. Nothing here knows what a GAN is, and nothing that `tch` already offers is repeated.

mod activation;
mod autograd;
mod conv;
mod cuda;
mod cuda_graph;
mod error;
mod ffi;
mod generator;
mod norm;
mod op_trace;
mod optim;
mod pivot;

pub use activation::{elu, leaky_relu, softplus};
pub use autograd::grad;
pub use conv::{Conv, conv};
pub use cuda::{keep_freed_memory, open_cuda, return_freed_memory, tell_bad_alloc, use_deterministic};
pub use cuda_graph::{CudaGraph, cuda_graphs_are_built, cuda_graphs_are_open, cuda_peak_bytes};
pub use error::TorchError;
pub use generator::{Generator, generator_state, set_generator_state};
pub use norm::group_norm;
pub use op_trace::trace_ops;
pub use optim::{Adam, RmsProp, Sgd, all_finite, clamp_all, ema_update, fused_adam, rmsprop, sgd};
pub use pivot::{
    Pivot, pivoted_conv, pivoted_embedding, pivoted_group_norm, pivoted_instance_norm, pivoted_layer_norm,
    pivoted_linear,
};
