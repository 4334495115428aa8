//! What an operation costs: floating-point operations of one sample's forward pass.

use super::{Op, parameters};
use crate::shape::{Dim, TensorType};

/// FLOPs of the forward pass for one sample: 2 for each multiply-add of convolutions and matrix products; for the
/// rest, which a step hardly notices, one for each element of the result.
///
/// A backward pass to the input costs as much again, and one to the weights too: the cost model's `T` is this number.
pub fn forward_flops(op: &Op, inputs: &[TensorType], output: &TensorType) -> f64 {
    let elements = output.shape.elements_per_sample() as f64;
    match op {
        Op::Conv2d { .. } | Op::Linear { .. } => 2.0 * elements * weight_fan(op, inputs),
        // Every input element meets the whole kernel: `weight / in_channels` multiply-adds.
        Op::ConvTranspose2d { .. } => 2.0 * inputs[0].shape.elements_per_sample() as f64 * weight_fan(op, inputs),
        Op::Matmul {} => match inputs[0].shape.0.last() {
            Some(Dim::Size(k)) => 2.0 * elements * *k as f64,
            _ => 0.0,
        },
        Op::Input { .. }
        | Op::Constant { .. }
        | Op::Parameter { .. }
        | Op::Reshape { .. }
        | Op::Flatten { .. }
        | Op::Detach {} => 0.0,
        _ => elements,
    }
}

/// Elements of the weight for each entry of its first dimension.
fn weight_fan(op: &Op, inputs: &[TensorType]) -> f64 {
    parameters(op, inputs).first().map_or(0.0, |w| w.shape[1..].iter().product::<i64>() as f64)
}
