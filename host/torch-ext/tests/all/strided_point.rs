//! Convolutions of a 1x1 kernel with strides and few channels, which libtorch alone does not survive
//! (docs/decisions/0010-a-strided-point-is-a-slice.md).

use tandem_torch_ext::{Conv, Pivot, conv, grad, pivoted_conv};
use tch::{Device, Kind, Tensor};

use crate::conv::Leaves;
use crate::util::{assert_close, randn, relative_error};

struct Case {
    conv: Conv<'static>,
    input: [i64; 4],
    weight: [i64; 4],
}

const fn case(stride: &'static [i64], input: [i64; 4], weight: [i64; 4]) -> Case {
    let conv =
        Conv { stride, padding: &[0, 0], output_padding: &[0, 0], dilation: &[1, 1], groups: 1, transposed: false };
    Case { conv, input, weight }
}

const fn transposed(mut of: Case, output_padding: &'static [i64]) -> Case {
    of.conv.transposed = true;
    of.conv.output_padding = output_padding;
    of
}

/// Sizes that are multiples of the stride, that leave a rest, and that the stride is beyond.
const CASES: [Case; 8] = [
    case(&[2, 2], [3, 8, 8, 6], [5, 8, 1, 1]),
    case(&[2, 2], [3, 8, 9, 7], [5, 8, 1, 1]),
    case(&[3, 1], [3, 1, 7, 4], [4, 1, 1, 1]),
    case(&[3, 5], [3, 15, 8, 4], [2, 15, 1, 1]),
    transposed(case(&[2, 2], [3, 20, 4, 3], [20, 8, 1, 1]), &[1, 1]),
    transposed(case(&[2, 3], [3, 4, 4, 3], [4, 3, 1, 1]), &[0, 1]),
    transposed(case(&[1, 2], [3, 4, 4, 1], [4, 1, 1, 1]), &[0, 0]),
    // Another number of channels: libtorch's own, which this one must equal as well.
    case(&[2, 2], [3, 16, 8, 8], [4, 16, 1, 1]),
];

fn leaves(case: &Case, kind: Kind, channels_last: bool) -> Leaves {
    Leaves::of(&case.conv, &case.input, &case.weight, kind, channels_last)
}

fn ours(leaves: &Leaves, of: &Conv<'_>) -> Tensor {
    conv(&leaves.input, &leaves.weight, Some(&leaves.bias), of).unwrap()
}

#[test]
fn passes_equal_libtorchs() {
    for (i, case) in CASES.iter().enumerate() {
        for channels_last in [false, true] {
            let leaves = leaves(case, Kind::Double, channels_last);
            let (found, expected) = (ours(&leaves, &case.conv), leaves.plain(&case.conv));
            assert_close(&found, &expected, &format!("case {i}, forward"));
            let bare = conv(&leaves.input, &leaves.weight, None, &case.conv).unwrap();
            assert_close(&(bare + leaves.bias.view([1, -1, 1, 1])), &expected, &format!("case {i}, without a bias"));
            let delta = randn(&expected.size(), 4);
            let backward = |of: &Tensor, to: &[&Tensor]| grad(&[of], &[Some(&delta)], to, true, false).unwrap();
            let theirs = backward(&expected, &leaves.all());
            for (mine, theirs) in backward(&found, &leaves.all()).iter().zip(&theirs) {
                assert_close(mine, theirs, &format!("case {i}, a gradient"));
            }
            for (leaf, theirs) in leaves.all().iter().zip(&theirs) {
                assert_close(&backward(&found, &[leaf])[0], theirs, &format!("case {i}, a gradient alone"));
            }
        }
    }
}

/// What a gradient penalty does: the gradient at the image, differentiated by everything.
#[test]
fn second_derivatives_equal_libtorchs() {
    for (i, case) in CASES.iter().enumerate() {
        let leaves = leaves(case, Kind::Double, true);
        let penalty = |score: Tensor| {
            let slopes = grad(&[(score.square() * &score).sum(None)], &[None], &leaves.all(), true, true).unwrap();
            let sum: Tensor = slopes.iter().map(|slope| slope.square().sum(None)).sum();
            grad(&[sum], &[None], &leaves.all(), true, false).unwrap()
        };
        let (found, expected) = (penalty(ours(&leaves, &case.conv)), penalty(leaves.plain(&case.conv)));
        for (mine, theirs) in found.iter().zip(&expected) {
            assert_close(mine, theirs, &format!("case {i}"));
        }
    }
}

#[test]
fn pivoted_gradients_are_those_of_scaled_seeds() {
    for (i, case) in CASES.iter().enumerate() {
        let leaves = leaves(case, Kind::Double, true);
        let pivot = Pivot::new(case.input[0], Kind::Double, Device::Cpu).unwrap();
        let found = pivoted_conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv, &pivot).unwrap();
        assert_eq!(found, ours(&leaves, &case.conv), "case {i}, forward");
        let factors = randn(&case.input[..1], 5);
        pivot.fill(&factors).unwrap();
        let delta = randn(&found.size(), 4);
        let backward = |seed: &Tensor| {
            let plain = leaves.plain(&case.conv);
            grad(&[&plain], &[Some(seed)], &leaves.all(), false, false).unwrap()
        };
        let (of_input, of_parameters) = (backward(&delta), backward(&(&delta * factors.view([-1, 1, 1, 1]))));
        let mine = grad(&[&found], &[Some(&delta)], &leaves.all(), false, false).unwrap();
        assert_close(&mine[0], &of_input[0], &format!("case {i}, at the input"));
        assert_close(&mine[1], &of_parameters[1], &format!("case {i}, of the weight"));
        assert_close(&mine[2], &of_parameters[2], &format!("case {i}, of the bias"));
    }
}

#[test]
fn the_output_may_be_overwritten() {
    for case in &CASES {
        let leaves = leaves(case, Kind::Double, true);
        let pivot = Pivot::new(case.input[0], Kind::Double, Device::Cpu).unwrap();
        let bare = || conv(&leaves.input, &leaves.weight, None, &case.conv).unwrap();
        let pivoted = || pivoted_conv(&leaves.input, &leaves.weight, None, &case.conv, &pivot).unwrap();
        let expected = grad(&[bare().relu().sum(None)], &[None], &[&leaves.weight], false, false).unwrap();
        for mut out in [bare(), pivoted()] {
            let found = grad(&[out.relu_().sum(None)], &[None], &[&leaves.weight], false, false).unwrap();
            assert_close(&found[0], &expected[0], "after relu_");
        }
    }
}

/// What the sweep found: each of these ended the process, or wrote past its memory, or gave wrong numbers, depending on
/// the processor. Repeated, since what was written over shows when it is freed.
#[test]
fn what_libtorch_does_not_survive() {
    let found = [
        case(&[2, 2], [4, 8, 64, 64], [8, 8, 1, 1]),
        case(&[2, 2], [4, 4, 32, 32], [8, 4, 1, 1]),
        case(&[2, 2], [2, 15, 96, 96], [4, 15, 1, 1]),
        case(&[3, 3], [3, 15, 96, 96], [4, 15, 1, 1]),
        case(&[1, 2], [2, 3, 64, 64], [8, 3, 1, 1]),
        transposed(case(&[2, 2], [2, 48, 32, 32], [48, 12, 1, 1]), &[1, 1]),
        transposed(case(&[2, 1], [2, 48, 33, 33], [48, 12, 1, 1]), &[1, 0]),
    ];
    for (kind, bound) in [(Kind::Float, 1e-5), (Kind::BFloat16, 2e-2)] {
        for (i, case) in found.iter().enumerate() {
            let leaves = leaves(case, kind, true);
            let wide = |leaf: &Tensor| leaf.detach().to_kind(Kind::Double).contiguous().set_requires_grad(true);
            let wide = Leaves { input: wide(&leaves.input), weight: wide(&leaves.weight), bias: wide(&leaves.bias) };
            let expected = wide.plain(&case.conv);
            let delta = randn(&expected.size(), 4).to_kind(kind);
            let seed = delta.to_kind(Kind::Double);
            let right = grad(&[&expected], &[Some(&seed)], &wide.all(), false, false).unwrap();
            let pivot = Pivot::new(case.input[0], Kind::Float, Device::Cpu).unwrap();
            for turn in 0..8 {
                let out = if turn % 2 == 0 {
                    ours(&leaves, &case.conv)
                } else {
                    pivoted_conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv, &pivot).unwrap()
                };
                let mine = grad(&[&out], &[Some(&delta)], &leaves.all(), false, false).unwrap();
                for (mine, right) in mine.iter().zip(&right) {
                    let error = relative_error(&mine.to_kind(Kind::Double), right);
                    assert!(error <= bound, "case {i}, {kind:?}: {error:e}");
                }
            }
        }
    }
}
