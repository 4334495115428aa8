//! Layers whose backward scales each sample's share of the *parameter* gradients and leaves the input
//! gradient alone.
//!
//! With `δ_i` the gradient that reaches sample `i`'s output, a plain layer gives `J_i^T δ_i` to its
//! input and `Σ_i (∂y_i/∂w)^T δ_i` to a parameter. A pivoted one gives the same to its input and
//! `Σ_i a_i (∂y_i/∂w)^T δ_i` to the parameter. One backward pass then carries two gradients: seeded
//! with `u_i`, it yields `∇_w` for the seeds `a_i u_i` and `∇_x` for the seeds `u_i`.
//!
//! The forward is the plain layer's, bit for bit (of a convolution, [`conv`](crate::conv)'s). Layers that mix samples have no pivoted form. There
//! is no second derivative: a backward with `create_graph` through a pivoted layer is an error.

use tch::{Device, Kind, Tensor};

use crate::ffi::{self, Out};
use crate::{Conv, TorchError};

/// The factors `a` (shape `[B]`, one a sample) that every layer of one forward pass shares.
///
/// Made before the forward and filled before the backward: the layers read it when they run
/// backwards. Until it is filled the factors are 1 and the layers behave as plain ones.
#[derive(Debug)]
pub struct Pivot {
    factors: Tensor,
}

impl Pivot {
    /// Factors for a batch of `batch` samples, all 1. `kind` and `device` are the layers' own; for layers in bfloat16 or
    /// float16 `kind` is float32.
    pub fn new(batch: i64, kind: Kind, device: Device) -> Result<Self, TorchError> {
        let factors = Tensor::f_ones([batch], (kind, device))
            .map_err(|error| TorchError::Op { op: "Pivot::new", message: error.to_string() })?;
        Ok(Self { factors })
    }

    /// Copies `factors` (shape `[B]`; converted to this pivot's type and device) into place.
    pub fn fill(&self, factors: &Tensor) -> Result<(), TorchError> {
        ffi::tandem_ext_pivot_fill((&self.factors).into(), factors.into()).check("Pivot::fill")
    }

    /// The factors themselves, shape `[B]`.
    pub fn factors(&self) -> &Tensor {
        &self.factors
    }
}

/// Convolution of `input` `[B, C, *]` with `weight` `[O, C/groups, *]` (`[C, O/groups, *]` if transposed)
/// and `bias` `[O]`.
pub fn pivoted_conv(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    conv: &Conv<'_>,
    pivot: &Pivot,
) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_pivoted_conv(
        input.into(),
        weight.into(),
        bias.into(),
        &conv.shape(),
        pivot.factors().into(),
        &mut out,
    )
    .check("pivoted_conv")?;
    Ok(out.take())
}

/// `input weight^T + bias`, with `input` `[B, *, in]`, `weight` `[out, in]`, `bias` `[out]`.
pub fn pivoted_linear(
    input: &Tensor,
    weight: &Tensor,
    bias: Option<&Tensor>,
    pivot: &Pivot,
) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_pivoted_linear(input.into(), weight.into(), bias.into(), pivot.factors().into(), &mut out)
        .check("pivoted_linear")?;
    Ok(out.take())
}

/// Group norm of `input` `[B, C, *]` in `groups` groups of channels; `weight` and `bias` are `[C]`.
pub fn pivoted_group_norm(
    input: &Tensor,
    groups: i64,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
    pivot: &Pivot,
) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_pivoted_group_norm(
        input.into(),
        groups,
        weight.into(),
        bias.into(),
        eps,
        pivot.factors().into(),
        &mut out,
    )
    .check("pivoted_group_norm")?;
    Ok(out.take())
}

/// Layer norm of `input` `[B, *]` over its last dimensions, whose sizes are `normalized_shape`; `weight`
/// and `bias` have that shape. The batch dimension cannot be among them.
pub fn pivoted_layer_norm(
    input: &Tensor,
    normalized_shape: &[i64],
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
    pivot: &Pivot,
) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_pivoted_layer_norm(
        input.into(),
        normalized_shape.into(),
        weight.into(),
        bias.into(),
        eps,
        pivot.factors().into(),
        &mut out,
    )
    .check("pivoted_layer_norm")?;
    Ok(out.take())
}

/// Instance norm of `input` `[B, C, *]` with its own statistics; `weight` and `bias` are `[C]`.
///
/// Equal bit for bit to PyTorch's `instance_norm`, which is a batch norm over `B * C` channels and may
/// differ from a group norm with `C` groups in the last bit.
pub fn pivoted_instance_norm(
    input: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
    pivot: &Pivot,
) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_pivoted_instance_norm(
        input.into(),
        weight.into(),
        bias.into(),
        eps,
        pivot.factors().into(),
        &mut out,
    )
    .check("pivoted_instance_norm")?;
    Ok(out.take())
}

/// Rows of `weight` `[N, E]` chosen by `indices` `[B, *]` (int64), giving `[B, *, E]`.
pub fn pivoted_embedding(indices: &Tensor, weight: &Tensor, pivot: &Pivot) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_pivoted_embedding(indices.into(), weight.into(), pivot.factors().into(), &mut out)
        .check("pivoted_embedding")?;
    Ok(out.take())
}
