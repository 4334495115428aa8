//! Group norm against libtorch's own, and where that would crash.

use tandem_torch_ext::{grad, group_norm};
use tch::{Kind, Tensor};

use crate::util::{assert_close, randn};

/// Channels last, as convolutions leave a map.
fn map(kind: Kind) -> Tensor {
    randn(&[4, 6, 6, 8], 1).to_kind(kind).permute([0, 3, 1, 2])
}

fn parameters(kind: Kind) -> [Tensor; 2] {
    [2, 3].map(|seed| randn(&[8], seed).to_kind(kind).set_requires_grad(true))
}

fn ours(x: &Tensor, parameters: &[Tensor; 2]) -> Tensor {
    group_norm(x, 4, Some(&parameters[0]), Some(&parameters[1]), 1e-5).unwrap()
}

/// Without the way round it libtorch 2.11 ends the process at the first of these.
#[test]
fn gradients_of_parameters_alone_survive_channels_last() {
    for kind in [Kind::Double, Kind::Float] {
        let parameters = parameters(kind);
        let delta = randn(&[4, 8, 6, 6], 4).to_kind(kind);
        let leaf = map(kind).set_requires_grad(true);
        let all = [&leaf, &parameters[0], &parameters[1]];
        let plain = leaf.group_norm(4, Some(&parameters[0]), Some(&parameters[1]), 1e-5, true);
        let expected = grad(&[&plain], &[Some(&delta)], &all, false, false).unwrap();
        for input in [map(kind), leaf.shallow_clone(), leaf.neg().neg()] {
            let out = ours(&input, &parameters);
            assert_eq!(out, plain);
            let both = grad(&[&out], &[Some(&delta)], &parameters, true, false).unwrap();
            assert_eq!(both[..], expected[1..], "{kind:?}");
            let bias = grad(&[&out], &[Some(&delta)], &parameters[1..], false, false).unwrap();
            assert_eq!(bias[0], expected[2], "{kind:?}");
        }
        let out = ours(&leaf, &parameters);
        assert_eq!(grad(&[&out], &[Some(&delta)], &all, false, false).unwrap(), expected, "{kind:?}");
    }
}

#[test]
fn second_derivatives_equal_libtorchs() {
    let (leaf, parameters) = (map(Kind::Double).set_requires_grad(true), parameters(Kind::Double));
    let penalty = |out: Tensor| {
        let slopes = grad(&[(out.square() * &out).sum(None)], &[None], &[&leaf], true, true).unwrap();
        grad(&[slopes[0].square().sum(None)], &[None], &[&leaf, &parameters[0]], false, false).unwrap()
    };
    let found = penalty(ours(&leaf, &parameters));
    let expected = penalty(leaf.group_norm(4, Some(&parameters[0]), Some(&parameters[1]), 1e-5, true));
    for (mine, theirs) in found.iter().zip(&expected) {
        assert_close(mine, theirs, "of a penalty");
    }
}
