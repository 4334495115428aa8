//! Convolutions by matrix products against libtorch's own.

use tandem_torch_ext::{Conv, Pivot, conv, grad, pivoted_conv, trace_ops};
use tch::{Device, Kind, Tensor};

use crate::util::{assert_close, randn, relative_error};

/// A convolution with the sizes of its input and weight, and which of its passes are products.
struct Case {
    conv: Conv<'static>,
    input: [i64; 4],
    weight: [i64; 4],
    forward: bool,
    /// In float64 and bfloat16; in float32 that of as few weights is where `forward` is.
    weight_gradient: bool,
}

const fn case(stride: &'static [i64], padding: &'static [i64], input: [i64; 4], weight: [i64; 4]) -> Case {
    let conv = Conv { stride, padding, output_padding: &[0, 0], dilation: &[1, 1], groups: 1, transposed: false };
    Case { conv, input, weight, forward: false, weight_gradient: true }
}

const fn transposed(mut of: Case, output_padding: &'static [i64]) -> Case {
    of.conv.transposed = true;
    of.conv.output_padding = output_padding;
    of
}

const CASES: [Case; 10] = [
    // DCGAN's last convolutions, and their mirror images in G.
    case(&[2, 2], &[1, 1], [6, 5, 8, 8], [7, 5, 4, 4]),
    Case { forward: true, ..case(&[1, 1], &[0, 0], [6, 5, 4, 4], [1, 5, 4, 4]) },
    transposed(case(&[2, 2], &[1, 1], [6, 5, 4, 4], [5, 7, 4, 4]), &[0, 0]),
    Case { forward: true, ..transposed(case(&[1, 1], &[0, 0], [6, 5, 1, 1], [5, 7, 4, 4]), &[0, 0]) },
    // One position that does not see the whole map, or sees padding.
    case(&[2, 2], &[0, 0], [6, 5, 4, 4], [7, 5, 3, 3]),
    case(&[1, 1], &[1, 1], [6, 5, 2, 2], [7, 5, 4, 4]),
    // Not square, with a rest that no window reaches, and output padding.
    case(&[3, 2], &[2, 0], [4, 3, 9, 6], [5, 3, 3, 2]),
    transposed(case(&[3, 2], &[1, 0], [4, 3, 2, 3], [3, 5, 4, 2]), &[2, 1]),
    // Too many positions, and 1x1 kernels, stay with libtorch.
    Case { weight_gradient: false, ..case(&[2, 2], &[1, 1], [2, 3, 16, 16], [4, 3, 4, 4]) },
    Case { weight_gradient: false, ..case(&[1, 1], &[0, 0], [2, 3, 4, 4], [4, 3, 1, 1]) },
];

pub(crate) struct Leaves {
    pub(crate) input: Tensor,
    pub(crate) weight: Tensor,
    pub(crate) bias: Tensor,
}

impl Leaves {
    fn new(case: &Case, kind: Kind, channels_last: bool) -> Self {
        Self::of(&case.conv, &case.input, &case.weight, kind, channels_last)
    }

    pub(crate) fn of(conv: &Conv<'_>, input: &[i64], weight: &[i64], kind: Kind, channels_last: bool) -> Self {
        let leaf = |size: &[i64], seed| {
            let tensor = randn(size, seed).to_kind(kind);
            let last = channels_last && size.len() == 4;
            let tensor = if last { tensor.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2]) } else { tensor };
            tensor.set_requires_grad(true)
        };
        let outputs = weight[usize::from(conv.transposed)];
        Self { input: leaf(input, 1), weight: leaf(weight, 2), bias: leaf(&[outputs], 3) }
    }

    pub(crate) fn all(&self) -> [&Tensor; 3] {
        [&self.input, &self.weight, &self.bias]
    }

    pub(crate) fn plain(&self, conv: &Conv<'_>) -> Tensor {
        let (stride, padding, extra) = (conv.stride, conv.padding, conv.output_padding);
        let bias = Some(&self.bias);
        self.input.convolution(&self.weight, bias, stride, padding, conv.dilation, conv.transposed, extra, conv.groups)
    }
}

#[test]
fn passes_equal_libtorchs() {
    for (i, case) in CASES.iter().enumerate() {
        for channels_last in [false, true] {
            let leaves = Leaves::new(case, Kind::Double, channels_last);
            let found = conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv).unwrap();
            let expected = leaves.plain(&case.conv);
            assert_close(&found, &expected, &format!("case {i}, forward"));
            let delta = randn(&expected.size(), 4);
            let backward = |of: &Tensor, to: &[&Tensor]| grad(&[of], &[Some(&delta)], to, true, false).unwrap();
            let (mine, theirs) = (backward(&found, &leaves.all()), backward(&expected, &leaves.all()));
            for (name, (mine, theirs)) in ["input", "weight", "bias"].iter().zip(mine.iter().zip(&theirs)) {
                assert_close(mine, theirs, &format!("case {i}, gradient of the {name}"));
            }
            assert_close(&backward(&found, &[&leaves.bias])[0], &theirs[2], &format!("case {i}, the bias alone"));
        }
    }
}

#[test]
fn narrow_kinds_lose_no_more_than_libtorchs() {
    for (kind, bound) in [(Kind::Float, 1e-5), (Kind::BFloat16, 2e-2)] {
        for (i, case) in CASES.iter().enumerate() {
            let leaves = Leaves::new(case, kind, true);
            let found = conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv).unwrap();
            let expected = leaves.plain(&case.conv);
            let delta = randn(&expected.size(), 4).to_kind(kind);
            let mine = grad(&[&found], &[Some(&delta)], &leaves.all(), false, false).unwrap();
            let theirs = grad(&[&expected], &[Some(&delta)], &leaves.all(), false, false).unwrap();
            for (mine, theirs) in [found].iter().chain(&mine).zip([expected].iter().chain(&theirs)) {
                let error = relative_error(&mine.to_kind(Kind::Double), &theirs.to_kind(Kind::Double));
                assert!(error <= bound, "case {i}, {kind:?}: {error:e}");
            }
        }
    }
}

/// What a gradient penalty does: the gradient at the image, differentiated by the weights.
#[test]
fn second_derivatives_equal_libtorchs() {
    for (i, case) in CASES.iter().enumerate() {
        let leaves = Leaves::new(case, Kind::Double, true);
        let penalty = |score: Tensor| {
            let slopes = grad(&[score.square().sum(None)], &[None], &[&leaves.input], true, true).unwrap();
            grad(&[slopes[0].square().sum(None)], &[None], &leaves.all(), true, false).unwrap()
        };
        let found = penalty(conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv).unwrap());
        let expected = penalty(leaves.plain(&case.conv));
        for (mine, theirs) in found.iter().zip(&expected) {
            assert_close(mine, theirs, &format!("case {i}"));
        }
    }
}

/// The quick passes are taken where they should be, pivoted or not: else nothing here would test them.
#[test]
fn small_maps_are_products() {
    for (i, case) in CASES.iter().enumerate() {
        let leaves = Leaves::new(case, Kind::Double, true);
        let pivot = Pivot::new(case.input[0], Kind::Double, Device::Cpu).unwrap();
        for pivot in [None, Some(&pivot)] {
            let forward = || match pivot {
                Some(pivot) => pivoted_conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv, pivot),
                None => conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv),
            };
            let (out, ops) = trace_ops(forward).unwrap();
            let out = out.unwrap();
            assert_eq!(ops.iter().any(|op| op.starts_with("aten::mm")), case.forward, "case {i}: {ops:?}");
            let delta = randn(&out.size(), 4);
            let backward = || grad(&[&out], &[Some(&delta)], &[&leaves.weight], false, false);
            let (gradients, ops) = trace_ops(backward).unwrap();
            gradients.unwrap();
            assert_eq!(ops.iter().any(|op| op.starts_with("aten::mm")), case.weight_gradient, "case {i}: {ops:?}");
        }
    }
}

/// In-place activations follow convolutions.
#[test]
fn the_output_may_be_overwritten() {
    for case in &CASES {
        let leaves = Leaves::new(case, Kind::Double, true);
        let out = conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv).unwrap();
        let found = grad(&[out.shallow_clone().relu_().sum(None)], &[None], &leaves.all(), false, false).unwrap();
        let expected = leaves.plain(&case.conv).relu().sum(None);
        let expected = grad(&[expected], &[None], &leaves.all(), false, false).unwrap();
        for (mine, theirs) in found.iter().zip(&expected) {
            assert_close(mine, theirs, "after relu_");
        }
    }
}

#[test]
fn wrong_sizes_are_libtorchs_to_refuse() {
    let conv_of =
        |x: &[i64], w: &[i64]| conv(&randn(x, 1), &randn(w, 2), None, &CASES[0].conv).unwrap_err().to_string();
    let channels = conv_of(&[2, 3, 8, 8], &[4, 5, 4, 4]);
    assert!(channels.contains("expected input[2, 3, 8, 8] to have 5 channels"), "{channels}");
    let small = conv_of(&[2, 3, 1, 1], &[4, 3, 4, 4]);
    assert!(small.contains("Kernel size can't be greater than actual input size"), "{small}");
}
