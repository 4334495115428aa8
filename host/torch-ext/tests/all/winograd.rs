//! Convolutions in few multiplications against libtorch's own.

use std::process::Command;

use tandem_torch_ext::{Conv, Pivot, conv, grad, pivoted_conv, trace_ops};
use tch::{Device, Kind, Tensor};

use crate::conv::Leaves;
use crate::util::{assert_close, randn, relative_error};

struct Case {
    conv: Conv<'static>,
    input: [i64; 4],
    weight: [i64; 4],
}

const fn case(stride: &'static [i64], padding: &'static [i64], input: [i64; 4], weight: [i64; 4]) -> Case {
    let conv = Conv { stride, padding, output_padding: &[0, 0], dilation: &[1, 1], groups: 1, transposed: false };
    Case { conv, input, weight }
}

const fn transposed(mut of: Case, output_padding: &'static [i64]) -> Case {
    of.conv.transposed = true;
    of.conv.output_padding = output_padding;
    of
}

// The more positions there are, the larger the tiles.
const CASES: [Case; 17] = [
    // DCGAN's: few positions, many, and so many images that they go in parts.
    case(&[2, 2], &[1, 1], [3, 32, 12, 12], [48, 32, 4, 4]),
    case(&[2, 2], &[1, 1], [5, 32, 32, 32], [32, 32, 4, 4]),
    case(&[2, 2], &[1, 1], [150, 64, 8, 8], [32, 64, 4, 4]),
    transposed(case(&[2, 2], &[1, 1], [3, 48, 6, 6], [48, 32, 4, 4]), &[0, 0]),
    transposed(case(&[2, 2], &[1, 1], [5, 32, 16, 16], [32, 32, 4, 4]), &[0, 0]),
    transposed(case(&[2, 2], &[1, 1], [150, 32, 4, 4], [32, 64, 4, 4]), &[0, 0]),
    // ResNets'.
    case(&[1, 1], &[1, 1], [2, 48, 8, 8], [32, 48, 3, 3]),
    case(&[1, 1], &[1, 1], [4, 32, 16, 16], [32, 32, 3, 3]),
    case(&[1, 1], &[1, 1], [90, 32, 8, 8], [64, 32, 3, 3]),
    transposed(case(&[1, 1], &[1, 1], [4, 32, 15, 17], [32, 48, 3, 3]), &[0, 0]),
    // So many weights that they go in groups, with one part and with several.
    case(&[1, 1], &[1, 1], [9, 320, 8, 8], [384, 320, 3, 3]),
    case(&[2, 2], &[1, 1], [150, 176, 8, 8], [256, 176, 4, 4]),
    transposed(case(&[2, 2], &[1, 1], [150, 256, 4, 4], [256, 176, 4, 4]), &[0, 0]),
    // Sizes that no tile divides, a rest that no window reaches, and other paddings.
    case(&[2, 2], &[1, 1], [2, 32, 11, 18], [32, 32, 4, 4]),
    case(&[2, 2], &[0, 0], [7, 32, 27, 22], [32, 32, 4, 4]),
    case(&[1, 1], &[2, 2], [9, 32, 9, 7], [32, 32, 3, 3]),
    transposed(case(&[2, 2], &[2, 2], [8, 32, 13, 11], [32, 32, 4, 4]), &[1, 1]),
];

impl Case {
    fn leaves(&self, kind: Kind, channels_last: bool) -> Leaves {
        Leaves::of(&self.conv, &self.input, &self.weight, kind, channels_last)
    }
}

fn backward(of: &Tensor, delta: &Tensor, to: &[&Tensor]) -> Vec<Tensor> {
    grad(&[of], &[Some(delta)], to, true, false).unwrap()
}

#[test]
fn passes_equal_libtorchs() {
    for (i, case) in CASES.iter().enumerate() {
        let leaves = case.leaves(Kind::Double, i % 2 == 0);
        let found = conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv).unwrap();
        let expected = leaves.plain(&case.conv);
        assert_close(&found, &expected, &format!("case {i}, forward"));
        let delta = randn(&expected.size(), 4);
        let (mine, theirs) = (backward(&found, &delta, &leaves.all()), backward(&expected, &delta, &leaves.all()));
        for (name, (mine, theirs)) in ["input", "weight", "bias"].iter().zip(mine.iter().zip(&theirs)) {
            assert_close(mine, theirs, &format!("case {i}, gradient of the {name}"));
        }
    }
}

#[test]
fn narrow_kinds_lose_little() {
    for (kind, bound) in [(Kind::Float, 1e-5), (Kind::BFloat16, 1e-2)] {
        for (i, case) in CASES.iter().enumerate() {
            let leaves = case.leaves(kind, true);
            let wide = case.leaves(Kind::Double, true);
            let [input, weight, bias] = wide.all();
            tch::no_grad(|| {
                for (wide, narrow) in [input, weight, bias].into_iter().zip(leaves.all()) {
                    wide.shallow_clone().copy_(narrow);
                }
            });
            let found = conv(&leaves.input, &leaves.weight, Some(&leaves.bias), &case.conv).unwrap();
            let expected = wide.plain(&case.conv);
            let delta = randn(&expected.size(), 4).to_kind(kind);
            let mine = backward(&found, &delta, &leaves.all());
            let theirs = backward(&expected, &delta.to_kind(Kind::Double), &wide.all());
            // The bias's gradient is libtorch's sum.
            for (mine, theirs) in [found].iter().chain(&mine[..2]).zip([expected].iter().chain(&theirs)) {
                let error = relative_error(&mine.to_kind(Kind::Double), theirs);
                assert!(error <= bound, "case {i}, {kind:?}: {error:e}");
            }
        }
    }
}

/// What a gradient penalty does: the gradient at the image, differentiated by the weights.
#[test]
fn second_derivatives_equal_libtorchs() {
    for (i, case) in CASES.iter().enumerate() {
        let leaves = case.leaves(Kind::Double, true);
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

/// Which passes are libtorch's, as `(forward, any gradient)`.
fn libtorchs(case: &Case, kind: Kind, pivoted: bool) -> (bool, bool) {
    let leaves = case.leaves(kind, true);
    let pivot = Pivot::new(case.input[0], kind, Device::Cpu).unwrap();
    let is = |ops: &[String], name: &str| ops.iter().any(|op| op.starts_with(name));
    let bias = Some(&leaves.bias);
    let (out, forward) = trace_ops(|| {
        if pivoted {
            pivoted_conv(&leaves.input, &leaves.weight, bias, &case.conv, &pivot)
        } else {
            conv(&leaves.input, &leaves.weight, bias, &case.conv)
        }
    })
    .unwrap();
    let out = out.unwrap();
    let delta = randn(&out.size(), 4).to_kind(kind);
    let to = [&leaves.input, &leaves.weight];
    let (gradients, backward) = trace_ops(|| grad(&[&out], &[Some(&delta)], &to, false, false)).unwrap();
    gradients.unwrap();
    (is(&forward, "aten::convolution"), is(&backward, "aten::convolution_backward"))
}

/// Else nothing here would test them.
#[test]
fn they_are_taken() {
    for case in &CASES {
        for pivoted in [false, true] {
            for kind in [Kind::Double, Kind::Float] {
                assert_eq!(libtorchs(case, kind, pivoted), (false, false), "{:?} {:?}", case.input, case.weight);
            }
        }
    }
}

#[test]
fn few_channels_and_other_kernels_stay_with_libtorch() {
    for case in [
        case(&[2, 2], &[1, 1], [2, 3, 64, 64], [64, 3, 4, 4]),
        case(&[2, 2], &[1, 1], [2, 40, 32, 32], [36, 40, 4, 4]),
        case(&[2, 2], &[1, 1], [2, 32, 32, 32], [32, 32, 3, 3]),
        case(&[1, 1], &[2, 2], [2, 32, 32, 32], [32, 32, 5, 5]),
        case(&[1, 2], &[1, 1], [2, 32, 32, 32], [32, 32, 4, 4]),
    ] {
        assert_eq!(libtorchs(&case, Kind::Float, false), (true, true), "{:?} {:?}", case.input, case.weight);
    }
}

/// The order of every sum depends on sizes alone.
#[test]
fn any_number_of_threads_gives_the_same_bytes() {
    let run = |case: &Case, threads: i32| {
        tch::set_num_threads(threads);
        let leaves = case.leaves(Kind::Float, true);
        let out = conv(&leaves.input, &leaves.weight, None, &case.conv).unwrap();
        let delta = randn(&out.size(), 4).to_kind(Kind::Float);
        let mut all = backward(&out, &delta, &[&leaves.input, &leaves.weight]);
        all.push(out);
        all
    };
    let threads = tch::get_num_threads();
    for case in &CASES {
        let (one, three) = (run(case, 1), run(case, 3));
        assert!(one.iter().zip(&three).all(|(a, b)| a == b), "{:?} {:?}", case.input, case.weight);
    }
    tch::set_num_threads(threads);
}

/// The tests above on processors with less than this one: libtorch takes the limit from the environment, and so do we.
#[test]
fn narrower_vectors_pass_the_same_tests() {
    if std::env::var_os("ATEN_CPU_CAPABILITY").is_some() || !std::arch::is_x86_feature_detected!("avx2") {
        return;
    }
    for test in ["passes_equal", "narrow_kinds", "they_are_taken"] {
        let test = format!("winograd::{test}");
        let output = Command::new(std::env::current_exe().unwrap())
            .env("ATEN_CPU_CAPABILITY", "avx2")
            .args([&test, "--test-threads=1"])
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success() && text.contains("1 passed"), "{test}: {text}");
    }
}
