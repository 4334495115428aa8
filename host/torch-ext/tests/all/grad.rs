//! `grad`: seeds, unused inputs, errors, and that nothing unneeded is computed.

use tandem_torch_ext::{TorchError, grad, trace_ops};
use tch::Tensor;

use crate::util::{F64, assert_close, randn};

/// Two outputs with seeds of their own: `y = x W^T` and `z = x * x`.
#[test]
fn seeds_weigh_outputs() {
    let x = randn(&[4, 3], 1).set_requires_grad(true);
    let w = randn(&[2, 3], 2).set_requires_grad(true);
    let (y, z) = (x.linear(&w, None::<Tensor>), &x * &x);
    let (u, v) = (randn(&[4, 2], 3), randn(&[4, 3], 4));
    let grads = grad(&[&y, &z], &[Some(&u), Some(&v)], &[&x, &w], false, false).unwrap();
    assert_close(&grads[0], &(u.matmul(&w) + &v * 2.0 * &x), "x");
    assert_close(&grads[1], &u.tr().matmul(&x), "w");
    assert!(!x.grad().defined(), "nothing may be accumulated");
}

#[test]
fn a_scalar_needs_no_seed() {
    let x = randn(&[3], 1).set_requires_grad(true);
    let loss = (&x * &x).sum(None);
    let grads = grad(&[&loss], &[None], &[&x], false, false).unwrap();
    assert_close(&grads[0], &(&x * 2.0), "x");
}

#[test]
fn an_unused_input_gets_zeros() {
    let x = randn(&[3], 1).set_requires_grad(true);
    let unused = randn(&[2, 2], 2).set_requires_grad(true);
    let grads = grad(&[x.sum(None)], &[None], &[&x, &unused], false, false).unwrap();
    assert_eq!(grads[1], Tensor::zeros([2, 2], F64));
}

#[test]
fn the_graph_is_kept_on_request() {
    let x = randn(&[3], 1).set_requires_grad(true);
    let y = (&x * &x).sum(None);
    grad(&[&y], &[None], &[&x], true, false).unwrap();
    grad(&[&y], &[None], &[&x], false, false).unwrap();
    let error = grad(&[&y], &[None], &[&x], false, false).unwrap_err();
    assert!(error.to_string().contains("backward through the graph a second time"), "{error}");
}

/// The gradient penalty of `y = x^3`: the norm of `3 x^2` has the derivative `6 x * 3 x^2 * 2`.
#[test]
fn create_graph_makes_the_result_differentiable() {
    let x = randn(&[5], 1).set_requires_grad(true);
    let y = (&x * &x * &x).sum(None);
    let first = grad(&[&y], &[None], &[&x], false, true).unwrap();
    let penalty = (&first[0] * &first[0]).sum(None);
    let second = grad(&[&penalty], &[None], &[&x], false, false).unwrap();
    assert_close(&second[0], &(&x * &x * &x * 36.0), "x");
}

/// Counts the output masks of convolutions and the products of linear layers that a backward pass runs.
#[test]
fn only_what_the_inputs_need_is_computed() {
    let image = randn(&[2, 3, 6, 6], 1).set_requires_grad(true);
    let kernel = randn(&[4, 3, 3, 3], 2).set_requires_grad(true);
    let w = randn(&[1, 64], 3).set_requires_grad(true);
    let score =
        image.conv2d(&kernel, None::<Tensor>, [1, 1], [0, 0], [1, 1], 1).flatten(1, -1).linear(&w, None::<Tensor>);
    let seed = randn(&[2, 1], 4);
    let count = |inputs: &[&Tensor]| {
        let (grads, ops) = trace_ops(|| grad(&[&score], &[Some(&seed)], inputs, true, false)).unwrap();
        grads.unwrap();
        let convs: Vec<String> =
            ops.iter().filter(|op| op.starts_with("aten::convolution_backward")).cloned().collect();
        (convs, ops.iter().filter(|op| *op == "aten::mm").count())
    };
    assert_eq!(count(&[&image]), (vec!["aten::convolution_backward[1,0,0]".to_owned()], 1));
    assert_eq!(count(&[&kernel, &w]), (vec!["aten::convolution_backward[0,1,0]".to_owned()], 2));
    assert_eq!(count(&[&w]), (vec![], 1));
}

#[test]
fn errors_are_readable() {
    let x = randn(&[3], 1).set_requires_grad(true);
    let y = &x * 2.0;
    let message = |result: Result<Vec<Tensor>, TorchError>| {
        let message = result.unwrap_err().to_string();
        assert!(!message.contains("frame #"), "{message}");
        assert!(message.starts_with("grad failed: "), "{message}");
        message
    };
    let seed = randn(&[2], 2);
    assert!(message(grad(&[&y], &[Some(&seed)], &[&x], true, false)).contains("[2]"));
    assert!(message(grad(&[&y], &[], &[&x], true, false)).contains("one seed"));
    assert!(message(grad(&[&y], &[None], &[&x], true, false)).contains("scalar"));
    let constant = randn(&[1], 3);
    assert!(message(grad(&[y.sum(None)], &[None], &[&constant], true, false)).contains("require"));
}
