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

#[cfg(test)]
mod tests {
    use crate::{Builder, Linear, Tensor, kernel};

    fn flops(sizes: &[i64], network: impl Fn(&Tensor) -> Tensor) -> f64 {
        let g = Builder::new();
        let output = network(&g.input("x", sizes));
        g.finish(&output).unwrap().forward_flops()
    }

    #[test]
    fn convolutions_and_products_count_two_for_each_multiply_add() {
        // Each of the 8·16·16 results needs 3·4·4 multiply-adds.
        let conv = |x: &Tensor| x.conv2d("c", 8, kernel(4).stride(2).padding(1));
        assert_eq!(flops(&[3, 32, 32], conv), 2.0 * (8.0 * 16.0 * 16.0) * (3.0 * 4.0 * 4.0));
        // In two groups a result sees half of the channels.
        let grouped = |x: &Tensor| x.conv2d("c", 8, kernel(3).padding(1).groups(2));
        assert_eq!(flops(&[4, 8, 8], grouped), 2.0 * (8.0 * 8.0 * 8.0) * (2.0 * 3.0 * 3.0));
        // Transposed: each of the 16·4·4 inputs meets 8·4·4 weights.
        let up = |x: &Tensor| x.conv_transpose2d("c", 8, kernel(4).stride(2).padding(1));
        assert_eq!(flops(&[16, 4, 4], up), 2.0 * (16.0 * 4.0 * 4.0) * (8.0 * 4.0 * 4.0));
        assert_eq!(flops(&[7], |x| x.linear("fc", 5, Linear::default())), 2.0 * 7.0 * 5.0);
        let product = |x: &Tensor| x.matmul(&x.permute(&[0, 2, 1]));
        // The permutation counts one an element of its result.
        assert_eq!(flops(&[4, 6], product), 2.0 * (4.0 * 4.0) * 6.0 + 24.0);
    }

    #[test]
    fn what_only_renames_costs_nothing_and_the_rest_an_operation_an_element() {
        assert_eq!(flops(&[6], |x| x.reshape(&[2, 3]).flatten().detach()), 0.0);
        assert_eq!(flops(&[6], Tensor::relu), 6.0);
    }
}
