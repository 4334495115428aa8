//! Tests of the safe face against plain autograd and against PyTorch's numbers. CUDA is in `tests/cuda.rs`.
#![expect(clippy::unwrap_used, reason = "a panic is the report")]

mod conv;
mod generator;
mod golden;
mod grad;
mod memory;
mod norm;
mod optim;
mod pivot;
mod pivot_net;
mod strided_point;
mod util;
mod winograd;
