//! Each pivoted layer against plain autograd run sample by sample.

use tandem_torch_ext::{
    Conv, Pivot, TorchError, grad, pivoted_conv, pivoted_embedding, pivoted_group_norm, pivoted_instance_norm,
    pivoted_layer_norm, pivoted_linear, trace_ops,
};
use tch::{Device, Kind, Tensor};

use crate::util::{assert_close, randn};

/// Samples in a batch, and their factors: both signs, a zero, a one.
const FACTORS: [f64; 5] = [1.0, -0.3, 0.0, 0.7, -1.0];

/// Leaves of a layer: what it takes and what it learns.
struct Leaves {
    input: Tensor,
    params: Vec<Tensor>,
}

impl Leaves {
    fn new(input: &[i64], params: &[&[i64]]) -> Self {
        let leaf = |size: &[i64], seed| randn(size, seed).set_requires_grad(true);
        let params = (10..).zip(params).map(|(seed, size)| leaf(size, seed)).collect();
        Self { input: leaf(input, 1), params }
    }

    fn to_kind(&self, kind: Kind) -> Self {
        let params = self.params.iter().map(|p| p.detach().to_kind(kind)).collect();
        Self { input: self.input.detach().to_kind(kind), params }
    }
}

/// Compares a pivoted layer with its plain form: the forward bit for bit in both types, the gradients to 1e-12.
#[track_caller]
fn check(
    leaves: &Leaves,
    plain: impl Fn(&Tensor, &[Tensor]) -> Tensor,
    pivoted: impl Fn(&Tensor, &[Tensor], &Pivot) -> Result<Tensor, TorchError>,
) {
    let batch = FACTORS.len() as i64;
    let floats = leaves.to_kind(Kind::Float);
    let pivot = Pivot::new(batch, Kind::Float, Device::Cpu).unwrap();
    let (input, params) = (&floats.input, &floats.params);
    assert_eq!(pivoted(input, params, &pivot).unwrap(), plain(input, params), "float32 forward");

    let (input, params) = (&leaves.input, &leaves.params);
    let pivot = Pivot::new(batch, Kind::Double, Device::Cpu).unwrap();
    let (found, expected) = (pivoted(input, params, &pivot).unwrap(), plain(input, params));
    assert_eq!(found, expected, "forward");

    let delta = randn(&found.size(), 99);
    let factors = Tensor::from_slice(&FACTORS);
    pivot.fill(&factors).unwrap();
    let all: Vec<&Tensor> = std::iter::once(input).chain(params).collect();
    let found = grad(&[&found], &[Some(&delta)], &all, true, false).unwrap();
    let expected_input = grad(&[&expected], &[Some(&delta)], &[input], true, false).unwrap();
    assert_close(&found[0], &expected_input[0], "input gradient");

    for (index, param) in params.iter().enumerate() {
        let mut sum = param.zeros_like();
        for sample in 0..batch {
            let out = plain(&input.narrow(0, sample, 1), params);
            let seed = delta.narrow(0, sample, 1);
            // The input is asked for too, since libtorch 2.11's plain group norm of a channels-last input
            // crashes when only its parameters are.
            let share = grad(&[&out], &[Some(&seed)], &[input, param], false, false).unwrap();
            sum += &share[1] * FACTORS[sample as usize];
        }
        assert_close(&found[index + 1], &sum, &format!("gradient of parameter {index}"));
        // Asked for alone, it comes out the same.
        let out = pivoted(input, params, &pivot).unwrap();
        let alone = grad(&[&out], &[Some(&delta)], &[param], false, false).unwrap();
        assert_close(&alone[0], &sum, &format!("gradient of parameter {index} alone"));
    }
    let out = pivoted(input, params, &pivot).unwrap();
    let alone = grad(&[&out], &[Some(&delta)], &[input], false, false).unwrap();
    assert_close(&alone[0], &expected_input[0], "input gradient alone");
}

/// `conv2d` or `conv_transpose2d` with the bias when there are two parameters.
fn check_conv2d(leaves: &Leaves, conv: &Conv<'_>) {
    check(
        leaves,
        |x, p| {
            if conv.transposed {
                let (stride, padding, extra) = (conv.stride, conv.padding, conv.output_padding);
                x.conv_transpose2d(&p[0], p.get(1), stride, padding, extra, conv.groups, conv.dilation)
            } else {
                x.conv2d(&p[0], p.get(1), conv.stride, conv.padding, conv.dilation, conv.groups)
            }
        },
        |x, p, pivot| pivoted_conv(x, &p[0], p.get(1), conv, pivot),
    );
}

const PLAIN: Conv<'_> = Conv {
    stride: &[1, 1],
    padding: &[0, 0],
    output_padding: &[0, 0],
    dilation: &[1, 1],
    groups: 1,
    transposed: false,
};

#[test]
fn conv() {
    // Fewer outputs than inputs, then more: the weight's gradient scales the smaller of the two.
    let strided = Conv { stride: &[2, 2], padding: &[1, 1], ..PLAIN };
    check_conv2d(&Leaves::new(&[5, 3, 8, 8], &[&[4, 3, 4, 4], &[4]]), &strided);
    check_conv2d(&Leaves::new(&[5, 3, 12, 12], &[&[4, 3, 4, 4], &[4]]), &strided);
    check_conv2d(&Leaves::new(&[5, 2, 5, 5], &[&[8, 2, 3, 3], &[8]]), &PLAIN);
    check_conv2d(&Leaves::new(&[5, 2, 5, 5], &[&[8, 2, 3, 3]]), &PLAIN);
    let odd = Conv { stride: &[2, 1], padding: &[0, 2], dilation: &[1, 2], groups: 2, ..PLAIN };
    check_conv2d(&Leaves::new(&[5, 4, 7, 6], &[&[6, 2, 3, 2], &[6]]), &odd);
}

#[test]
fn transposed_conv() {
    let conv =
        Conv { stride: &[2, 2], padding: &[1, 0], output_padding: &[1, 0], groups: 2, transposed: true, ..PLAIN };
    check_conv2d(&Leaves::new(&[5, 4, 3, 4], &[&[4, 3, 3, 3], &[6]]), &conv);
    check_conv2d(&Leaves::new(&[5, 4, 3, 4], &[&[4, 3, 3, 3]]), &conv);
}

#[test]
fn one_dimensional_conv() {
    let conv = Conv { stride: &[2], padding: &[1], output_padding: &[0], dilation: &[1], groups: 1, transposed: false };
    check(
        &Leaves::new(&[5, 3, 9], &[&[4, 3, 3], &[4]]),
        |x, p| x.conv1d(&p[0], Some(&p[1]), 2, 1, 1, 1),
        |x, p, pivot| pivoted_conv(x, &p[0], Some(&p[1]), &conv, pivot),
    );
}

#[test]
fn linear() {
    for input in [&[5, 3][..], &[5, 2, 3], &[5, 2, 4, 3]] {
        for params in [&[&[2, 3][..], &[2]][..], &[&[7, 3], &[7]], &[&[7, 3]]] {
            check(
                &Leaves::new(input, params),
                |x, p| x.linear(&p[0], p.get(1)),
                |x, p, pivot| pivoted_linear(x, &p[0], p.get(1), pivot),
            );
        }
    }
}

#[test]
fn group_norm() {
    for input in [&[5, 6, 4, 3][..], &[5, 6, 4], &[5, 6]] {
        for params in [&[&[6][..], &[6]][..], &[&[6]], &[]] {
            check(
                &Leaves::new(input, params),
                |x, p| x.group_norm(3, p.first(), p.get(1), 1e-5, false),
                |x, p, pivot| pivoted_group_norm(x, 3, p.first(), p.get(1), 1e-5, pivot),
            );
        }
    }
}

#[test]
fn group_norm_of_channels_last() {
    let leaves = Leaves::new(&[5, 4, 3, 6], &[&[6], &[6]]);
    let last = |x: &Tensor| x.permute([0, 3, 1, 2]);
    check(
        &leaves,
        |x, p| last(x).group_norm(2, Some(&p[0]), Some(&p[1]), 1e-5, false),
        |x, p, pivot| pivoted_group_norm(&last(x), 2, Some(&p[0]), Some(&p[1]), 1e-5, pivot),
    );
}

#[test]
fn layer_norm() {
    for params in [&[&[3, 4][..], &[3, 4]][..], &[&[3, 4]], &[]] {
        check(
            &Leaves::new(&[5, 2, 3, 4], params),
            |x, p| x.layer_norm([3, 4], p.first(), p.get(1), 1e-5, false),
            |x, p, pivot| pivoted_layer_norm(x, &[3, 4], p.first(), p.get(1), 1e-5, pivot),
        );
    }
}

#[test]
fn instance_norm() {
    let none = None::<Tensor>;
    for params in [&[&[3][..], &[3]][..], &[&[3]], &[]] {
        check(
            &Leaves::new(&[5, 3, 4, 2], params),
            |x, p| {
                let (weight, bias) = (p.first(), p.get(1));
                x.instance_norm(weight, bias, none.as_ref(), none.as_ref(), true, 0.1, 1e-5, true)
            },
            |x, p, pivot| pivoted_instance_norm(x, p.first(), p.get(1), 1e-5, pivot),
        );
    }
}

#[test]
fn embedding() {
    // Rows shared between samples and within one.
    let indices = Tensor::from_slice(&[0_i64, 2, 2, 2, 1, 0, 3, 3, 0, 1]).view([5, 2]);
    let weight = randn(&[4, 3], 1).set_requires_grad(true);
    let pivot = Pivot::new(5, Kind::Double, Device::Cpu).unwrap();
    let out = pivoted_embedding(&indices, &weight, &pivot).unwrap();
    let plain = Tensor::embedding(&weight, &indices, -1, false, false);
    assert_eq!(out, plain);
    let factors = Tensor::from_slice(&FACTORS);
    pivot.fill(&factors).unwrap();
    let delta = randn(&[5, 2, 3], 2);
    let found = grad(&[&out], &[Some(&delta)], &[&weight], false, false).unwrap();
    let scaled = &delta * factors.view([5, 1, 1]);
    let expected = grad(&[&plain], &[Some(&scaled)], &[&weight], false, false).unwrap();
    assert_close(&found[0], &expected[0], "weight");
}

/// A weight that is itself computed (spectral norm) passes its gradient on.
#[test]
fn a_computed_weight_gets_its_gradient() {
    let x = randn(&[5, 3], 1);
    let raw = randn(&[2, 3], 2).set_requires_grad(true);
    let weight = &raw / raw.norm();
    let pivot = Pivot::new(5, Kind::Double, Device::Cpu).unwrap();
    let out = pivoted_linear(&x, &weight, None, &pivot).unwrap();
    let factors = Tensor::from_slice(&FACTORS);
    pivot.fill(&factors).unwrap();
    let delta = randn(&[5, 2], 3);
    let found = grad(&[&out], &[Some(&delta)], &[&raw], true, false).unwrap();
    let scaled = &delta * factors.view([5, 1]);
    let plain = x.linear(&weight, None::<Tensor>);
    let expected = grad(&[&plain], &[Some(&scaled)], &[&raw], false, false).unwrap();
    assert_close(&found[0], &expected[0], "raw weight");
}

/// The image alone costs one pass: no weight gradient, and no scaled copy.
#[test]
fn only_what_is_needed_is_computed() {
    let leaves = Leaves::new(&[5, 3, 8, 8], &[&[4, 3, 3, 3], &[4], &[4], &[4]]);
    let (x, p) = (&leaves.input, &leaves.params);
    let pivot = Pivot::new(5, Kind::Double, Device::Cpu).unwrap();
    let y = pivoted_conv(x, &p[0], Some(&p[1]), &PLAIN, &pivot).unwrap();
    let y = pivoted_group_norm(&y, 2, Some(&p[2]), Some(&p[3]), 1e-5, &pivot).unwrap();
    let delta = randn(&y.size(), 3);
    let ops = |inputs: &[&Tensor], prefix: &str| {
        let (grads, ops) = trace_ops(|| grad(&[&y], &[Some(&delta)], inputs, true, false)).unwrap();
        grads.unwrap();
        ops.into_iter().filter(|op| op.starts_with(prefix)).collect::<Vec<_>>()
    };
    let conv = "aten::convolution_backward";
    let norm = "aten::native_group_norm_backward";
    assert_eq!(ops(&[x], conv), [format!("{conv}[1,0,0]")]);
    assert_eq!(ops(&[x], norm), [format!("{norm}[1,0,0]")]);
    assert!(ops(&[x], "aten::mul").is_empty());
    assert_eq!(ops(&[&p[0], &p[1]], conv), [format!("{conv}[0,1,1]")]);
    assert_eq!(ops(&[&p[2]], norm), [format!("{norm}[0,1,0]")]);
    assert!(ops(&[&p[2]], conv).is_empty());
    assert_eq!(ops(&[x, &p[2], &p[3]], norm), [format!("{norm}[1,1,1]")], "one pass for all");
}

#[test]
fn a_second_derivative_is_refused() {
    let leaves = Leaves::new(&[5, 4, 3, 3], &[&[4], &[4]]);
    let (x, p) = (&leaves.input, &leaves.params);
    let pivot = Pivot::new(5, Kind::Double, Device::Cpu).unwrap();
    let y = pivoted_group_norm(x, 2, Some(&p[0]), Some(&p[1]), 1e-5, &pivot).unwrap();
    let error = grad(&[y.sum(None)], &[None], &[x], false, true).unwrap_err().to_string();
    assert!(error.contains("group norm has no second derivative"), "{error}");
}

#[test]
fn errors_name_layer_and_shapes() {
    let pivot = Pivot::new(4, Kind::Double, Device::Cpu).unwrap();
    let (x, w) = (randn(&[5, 3], 1), randn(&[2, 3], 2));
    let message = |result: Result<Tensor, TorchError>| result.unwrap_err().to_string();

    let batch = message(pivoted_linear(&x, &w, None, &pivot));
    assert!(batch.contains("the pivot holds 4 factors, but the input is [5, 3]"), "{batch}");
    let four = randn(&[4, 3], 1);
    let kind = message(pivoted_linear(&four.to_kind(Kind::Float), &w, None, &pivot));
    assert!(kind.contains("the pivot is Double"), "{kind}");
    let shape = message(pivoted_linear(&four, &randn(&[2, 7], 2), None, &pivot));
    assert!(shape.starts_with("pivoted_linear failed: ") && shape.contains("4x3"), "{shape}");
    let image = randn(&[4, 6, 2, 2], 1);
    let groups = message(pivoted_group_norm(&image, 4, None, None, 1e-5, &pivot));
    assert!(groups.contains("cannot split 6 channels into 4"), "{groups}");
    let whole = message(pivoted_layer_norm(&four, &[4, 3], None, None, 1e-5, &pivot));
    assert!(whole.contains("the batch"), "{whole}");
    let fill = pivot.fill(&randn(&[5], 1)).unwrap_err().to_string();
    assert!(fill.contains("expected factors [4], found [5]"), "{fill}");
    for text in [batch, kind, shape, groups, whole, fill] {
        assert!(!text.contains("frame #"), "{text}");
    }
}
