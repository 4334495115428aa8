//! Exact small inputs and comparisons.

use tch::{Device, Kind, Tensor};

/// Float64 on the CPU.
pub(crate) const F64: (Kind, Device) = (Kind::Double, Device::Cpu);

/// Reproducible normal draws in float64.
pub(crate) fn randn(size: &[i64], seed: u64) -> Tensor {
    let mut generator = tandem_torch_ext::Generator::new(Device::Cpu, seed).unwrap();
    generator.randn(size, Kind::Double).unwrap()
}

/// The largest difference, relative to the largest value.
pub(crate) fn relative_error(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let scale = expected.abs().max().double_value(&[]).max(f64::MIN_POSITIVE);
    (found - expected).abs().max().double_value(&[]) / scale
}

/// Asserts equality to 1e-12 of the largest value.
#[track_caller]
pub(crate) fn assert_close(found: &Tensor, expected: &Tensor, what: &str) {
    let error = relative_error(found, expected);
    assert!(error <= 1e-12, "{what}: relative error {error:e}");
}
