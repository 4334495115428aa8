//! Activations whose parameters `tch` does not pass on.

use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, Out};

/// `x` if positive, else `slope * x`; `in_place` writes over `input` and returns it.
pub fn leaky_relu(input: &Tensor, slope: f64, in_place: bool) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_leaky_relu(input.into(), slope, in_place, &mut out).check("leaky_relu")?;
    Ok(out.take())
}

/// `x` if positive, else `alpha * (e^x - 1)`.
pub fn elu(input: &Tensor, alpha: f64) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_elu(input.into(), alpha, &mut out).check("elu")?;
    Ok(out.take())
}

/// `log(1 + e^x)`; `x` itself above `threshold`.
pub fn softplus(input: &Tensor, threshold: f64) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_softplus(input.into(), threshold, &mut out).check("softplus")?;
    Ok(out.take())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(tensor: &Tensor) -> Vec<f64> {
        tensor.try_into().unwrap()
    }

    #[test]
    fn each_takes_its_parameter() {
        let x = Tensor::from_slice(&[-2.0, 0.5]);
        assert_eq!(values(&leaky_relu(&x, 0.2, false).unwrap()), [-0.4, 0.5]);
        assert_eq!(values(&elu(&x, 2.0).unwrap()), [2.0 * (-2.0_f64).exp_m1(), 0.5]);
        assert_eq!(values(&softplus(&Tensor::from_slice(&[-50.0, 35.0, 1e9]), 40.0).unwrap())[2], 1e9);
    }

    #[test]
    fn in_place_writes_over_its_input() {
        let x = Tensor::from_slice(&[-2.0]);
        let y = leaky_relu(&x, 0.5, true).unwrap();
        assert_eq!((values(&x), values(&y)), (vec![-1.0], vec![-1.0]));
    }
}
