//! A norm that libtorch alone would crash on.

use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, Out};

/// Group norm of `input` `[B, C, *]` in `groups` groups of channels; `weight` and `bias` are `[C]`. The gradients of the
/// parameters alone may be asked for, which libtorch's own does not survive on a channels-last map.
pub fn group_norm(
    input: &Tensor,
    groups: i64,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_group_norm(input.into(), groups, weight.into(), bias.into(), eps, &mut out).check("group_norm")?;
    Ok(out.take())
}
