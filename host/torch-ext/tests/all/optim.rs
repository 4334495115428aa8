//! Optimisers and list updates, against ten steps of PyTorch's (`golden.rs`).

use tandem_torch_ext::{Adam, RmsProp, Sgd, all_finite, clamp_all, ema_update, fused_adam, rmsprop, sgd};
use tch::{Device, Kind, Tensor};

use crate::golden;

const SHAPES: [&[i64]; 2] = [&[3, 2], &[5]];
const STEPS: i64 = 10;

/// `rule(i)` for element `i` over all tensors in turn.
fn tensors(rule: impl Fn(i64) -> f64, kind: Kind) -> Vec<Tensor> {
    let mut next = 0;
    SHAPES
        .iter()
        .map(|&shape| {
            let len = shape.iter().product::<i64>();
            let values: Vec<f64> = (next..next + len).map(&rule).collect();
            next += len;
            Tensor::from_slice(&values).view(shape).to_kind(kind)
        })
        .collect()
}

fn zeros(kind: Kind) -> Vec<Tensor> {
    tensors(|_| 0.0, kind)
}

/// Ten steps from the parameters of the golden script; `update(step, params, grads)`.
#[track_caller]
fn check(
    kind: Kind,
    expected: &[f64],
    mut update: impl FnMut(i64, &[Tensor], &[Tensor]) -> Result<(), tandem_torch_ext::TorchError>,
) {
    let params = tensors(|i| ((5 * i) % 13 - 6) as f64 / 4.0, kind);
    for step in 0..STEPS {
        let grads = tensors(|i| ((7 * i + 3 * step) % 11 - 5) as f64 / 8.0, kind);
        update(step, &params, &grads).unwrap();
    }
    let found: Vec<f64> =
        params.iter().flat_map(|p| Vec::<f64>::try_from(p.to_kind(Kind::Double).flatten(0, -1)).unwrap()).collect();
    let tolerance = if kind == Kind::Double { 1e-14 } else { 2e-6 };
    for (found, expected) in found.iter().zip(expected) {
        assert!((found - expected).abs() <= tolerance, "found {found}, expected {expected}");
    }
}

#[track_caller]
fn check_adam(options: Adam, f64s: &[f64], f32s: &[f64]) {
    for (kind, expected) in [(Kind::Double, f64s), (Kind::Float, f32s)] {
        let (m, v) = (zeros(kind), zeros(kind));
        let steps: Vec<Tensor> = (0..2).map(|_| Tensor::zeros([], (Kind::Float, Device::Cpu))).collect();
        check(kind, expected, |_, p, g| fused_adam(p, g, &m, &v, &steps, &options));
        assert_eq!(steps[1].double_value(&[]), STEPS as f64);
    }
}

#[test]
fn adam() {
    let plain = Adam { lr: 2e-3, beta1: 0.5, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false };
    check_adam(plain, &golden::ADAM_F64, &golden::ADAM_F32);
    let decay = Adam { lr: 1e-2, beta1: 0.9, beta2: 0.99, eps: 1e-6, weight_decay: 0.1, decoupled: false };
    check_adam(decay, &golden::ADAM_DECAY_F64, &golden::ADAM_DECAY_F32);
    let adamw = Adam { lr: 1e-2, beta1: 0.0, beta2: 0.9, eps: 1e-8, weight_decay: 0.1, decoupled: true };
    check_adam(adamw, &golden::ADAMW_F64, &golden::ADAMW_F32);
}

#[test]
fn rms_prop() {
    let plain = RmsProp { lr: 1e-2, alpha: 0.99, eps: 1e-8, weight_decay: 0.0 };
    let decay = RmsProp { lr: 5e-3, alpha: 0.9, eps: 1e-6, weight_decay: 0.1 };
    for (options, kind, expected) in [
        (plain, Kind::Double, &golden::RMSPROP_F64),
        (plain, Kind::Float, &golden::RMSPROP_F32),
        (decay, Kind::Double, &golden::RMSPROP_DECAY_F64),
        (decay, Kind::Float, &golden::RMSPROP_DECAY_F32),
    ] {
        let v = zeros(kind);
        check(kind, expected, |_, p, g| rmsprop(p, g, &v, &options));
    }
}

#[test]
fn stochastic_gradient_descent() {
    let options = |momentum, weight_decay, nesterov| Sgd { lr: 0.1, momentum, weight_decay, nesterov };
    for (options, f64s, f32s) in [
        (options(0.0, 0.0, false), &golden::SGD_F64, &golden::SGD_F32),
        (options(0.0, 0.1, false), &golden::SGD_DECAY_F64, &golden::SGD_DECAY_F32),
        (options(0.9, 0.1, false), &golden::SGD_MOMENTUM_F64, &golden::SGD_MOMENTUM_F32),
        (options(0.9, 0.0, true), &golden::SGD_NESTEROV_F64, &golden::SGD_NESTEROV_F32),
    ] {
        for (kind, expected) in [(Kind::Double, f64s), (Kind::Float, f32s)] {
            let buffers = if options.momentum == 0.0 { vec![] } else { zeros(kind) };
            check(kind, expected, |step, p, g| sgd(p, g, &buffers, step == 0, &options));
        }
    }
}

/// The gradient of a transposed convolution may come in another layout than its weight.
#[test]
fn gradients_of_another_layout_are_taken_by_position() {
    let params = [Tensor::zeros([2, 3], (Kind::Float, Device::Cpu))];
    let grads = [Tensor::arange(6, (Kind::Float, Device::Cpu)).view([3, 2]).tr()];
    let options = Sgd { lr: 1.0, momentum: 0.0, weight_decay: 0.0, nesterov: false };
    sgd(&params, &grads, &[], true, &options).unwrap();
    assert_eq!(params[0], -&grads[0]);
}

#[test]
fn ema_moves_floats_and_copies_counters() {
    let cpu = |kind| (kind, Device::Cpu);
    let targets = [Tensor::ones([2], cpu(Kind::Double)), Tensor::zeros([], cpu(Kind::Int64))];
    let sources = [Tensor::full([2], 5.0, cpu(Kind::Double)), Tensor::full([], 7, cpu(Kind::Int64))];
    ema_update(&targets, &sources, 0.75).unwrap();
    assert_eq!(Vec::<f64>::try_from(&targets[0]).unwrap(), [2.0, 2.0]);
    assert_eq!(targets[1].int64_value(&[]), 7);
    ema_update(&targets, &sources, 0.0).unwrap();
    assert_eq!(targets[0], sources[0]);
}

#[test]
fn clamping_leaves_nan() {
    let tensors = [Tensor::from_slice(&[-3.0, 0.5, f64::NAN, 9.0]).set_requires_grad(true)];
    clamp_all(&tensors, -1.0, 2.0).unwrap();
    let found = Vec::<f64>::try_from(tensors[0].detach()).unwrap();
    assert_eq!((found[0], found[1], found[3]), (-1.0, 0.5, 2.0));
    assert!(found[2].is_nan());
    assert!(clamp_all(&tensors, 1.0, -1.0).unwrap_err().to_string().contains("above"));
}

#[test]
fn finiteness_is_told_without_overflow() {
    let huge = Tensor::full([4, 4], 3e38, (Kind::Float, Device::Cpu));
    let counter = Tensor::zeros([], (Kind::Int64, Device::Cpu));
    let finite = |extra: f64| {
        let tensors = [huge.shallow_clone(), counter.shallow_clone(), Tensor::from_slice(&[1.0, extra])];
        bool::try_from(all_finite(&tensors).unwrap()).unwrap()
    };
    assert!(finite(-2.0));
    assert!(!finite(f64::NAN));
    assert!(!finite(f64::NEG_INFINITY));
    assert!(!finite(f64::INFINITY));
    for size in [3, 1000, 100_001] {
        let tensor = Tensor::zeros([size], (Kind::Float, Device::Cpu));
        let _ = tensor.get(size / 2).fill_(f64::NAN);
        assert!(!bool::try_from(all_finite(&[tensor]).unwrap()).unwrap(), "size {size}");
    }
    assert!(bool::try_from(all_finite(&[]).unwrap()).unwrap());
}

#[test]
fn mismatched_lists_are_named() {
    let p = zeros(Kind::Float);
    let options = RmsProp { lr: 1.0, alpha: 0.9, eps: 1e-8, weight_decay: 0.0 };
    let short = rmsprop(&p, &p[..1], &p, &options).unwrap_err().to_string();
    assert!(short.contains("expected 2 gradients"), "{short}");
    let other = rmsprop(&p, &zeros(Kind::Double), &p, &options).unwrap_err().to_string();
    assert!(other.contains("gradients 0 is Double [3, 2]"), "{other}");
}
