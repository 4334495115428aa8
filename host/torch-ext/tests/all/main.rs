//! Tests of the safe face against plain autograd and against PyTorch's numbers. CUDA is in `tests/cuda.rs`.

mod generator;
mod golden;
mod grad;
mod optim;
mod pivot;
mod pivot_net;
mod util;
