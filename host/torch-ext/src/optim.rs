//! Optimiser steps and other updates over whole lists of tensors, in place and without autograd.
//!
//! Each function takes parallel lists: element `k` of every list belongs to parameter `k` and has its
//! shape, type and device. State starts at zero. Nothing here waits for the device.

use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, Out, refs};

/// Hyper-parameters of [`fused_adam`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of the gradients.
    pub beta1: f64,
    /// Decay of the mean of their squares.
    pub beta2: f64,
    /// Added to the denominator.
    pub eps: f64,
    /// Weight decay: L2 in Adam, `p *= 1 - lr * weight_decay` if `decoupled`.
    pub weight_decay: f64,
    /// Whether the decay is decoupled from the moments (AdamW).
    pub decoupled: bool,
}

/// One step of `torch.optim.Adam` or `AdamW` by libtorch's fused kernel.
///
/// `steps` holds one 0-dim float32 tensor for each parameter, on its device; this function adds 1 to each
/// before it is used.
pub fn fused_adam(
    params: &[Tensor],
    grads: &[Tensor],
    exp_avgs: &[Tensor],
    exp_avg_sqs: &[Tensor],
    steps: &[Tensor],
    options: &Adam,
) -> Result<(), TorchError> {
    ffi::tandem_ext_fused_adam(
        (&refs(params)).into(),
        (&refs(grads)).into(),
        (&refs(exp_avgs)).into(),
        (&refs(exp_avg_sqs)).into(),
        (&refs(steps)).into(),
        options,
    )
    .check("fused_adam")
}

/// Hyper-parameters of [`rmsprop`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RmsProp {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the mean of squared gradients.
    pub alpha: f64,
    /// Added to the denominator, after the root.
    pub eps: f64,
    /// L2 weight decay.
    pub weight_decay: f64,
}

/// One step of `torch.optim.RMSprop` (not centred, no momentum):
/// `v = α v + (1-α) g²`, `p -= lr g / (√v + eps)`.
pub fn rmsprop(
    params: &[Tensor],
    grads: &[Tensor],
    square_avgs: &[Tensor],
    options: &RmsProp,
) -> Result<(), TorchError> {
    ffi::tandem_ext_rmsprop((&refs(params)).into(), (&refs(grads)).into(), (&refs(square_avgs)).into(), options)
        .check("rmsprop")
}

/// Hyper-parameters of [`sgd`].
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// Momentum; 0 for none.
    pub momentum: f64,
    /// L2 weight decay.
    pub weight_decay: f64,
    /// Nesterov's look-ahead; needs a momentum.
    pub nesterov: bool,
}

/// One step of `torch.optim.SGD` (no dampening) by libtorch's fused kernel.
///
/// `momentum_buffers` is ignored, and may be empty, when the momentum is 0. On the `first_step` the buffers
/// are set to the gradients whatever they held.
pub fn sgd(
    params: &[Tensor],
    grads: &[Tensor],
    momentum_buffers: &[Tensor],
    first_step: bool,
    options: &Sgd,
) -> Result<(), TorchError> {
    ffi::tandem_ext_sgd(
        (&refs(params)).into(),
        (&refs(grads)).into(),
        (&refs(momentum_buffers)).into(),
        first_step,
        options,
    )
    .check("sgd")
}

/// `target = target + (1 - decay) (source - target)` for floating-point tensors; tensors of integers (a batch
/// counter) are copied.
///
/// This is libtorch's `lerp`; from `1 - decay >= 0.5` on it computes the same value as
/// `source - decay (source - target)`, so that `decay = 0` copies exactly.
pub fn ema_update(targets: &[Tensor], sources: &[Tensor], decay: f64) -> Result<(), TorchError> {
    ffi::tandem_ext_ema_update((&refs(targets)).into(), (&refs(sources)).into(), decay).check("ema_update")
}

/// Limits every element of every tensor to `[lo, hi]`. NaN stays NaN.
pub fn clamp_all(tensors: &[Tensor], lo: f64, hi: f64) -> Result<(), TorchError> {
    ffi::tandem_ext_clamp_all((&refs(tensors)).into(), lo, hi).check("clamp_all")
}

/// Whether every element is finite, as a 0-dim boolean tensor on the tensors' device; reading it is what waits
/// for the device. Tensors of integers are skipped; an empty list is finite.
pub fn all_finite(tensors: &[Tensor]) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_all_finite((&refs(tensors)).into(), &mut out).check("all_finite")?;
    Ok(out.take())
}
