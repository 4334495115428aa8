//! In which precision an operation computes when matrix products are narrow (PyTorch's autocast op lists).
//!
//! Operations on neither list take what they get; where kinds meet, libtorch takes the wider.

use tandem_plugin_api::opset::Op;
use tch::{Device, Kind, TchError, Tensor};

/// The inputs in the precision that the operation wants, or `None` where they are right as they are.
pub(super) fn cast(op: &Op, inputs: &[&Tensor], narrow: Kind, wide: Kind) -> Result<Option<Vec<Tensor>>, TchError> {
    // The CPU's group norm takes narrow images with wide weights, and counts in the wide kind itself.
    let mixes = matches!(op, Op::GroupNorm { .. }) && narrow == Kind::BFloat16;
    if mixes && inputs.iter().all(|x| x.device() == Device::Cpu) {
        return Ok(None);
    }
    let Some(kind) = wanted(op, narrow, wide) else { return Ok(None) };
    if inputs.iter().all(|x| x.kind() == kind) {
        return Ok(None);
    }
    inputs.iter().map(|x| x.f_to_kind(kind)).collect::<Result<_, _>>().map(Some)
}

const fn wanted(op: &Op, narrow: Kind, wide: Kind) -> Option<Kind> {
    match op {
        Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::Linear { .. } | Op::Matmul {} => Some(narrow),
        // A batch norm takes narrow images with wide statistics; these do not, or would lose what they are for.
        Op::GroupNorm { .. }
        | Op::LayerNorm { .. }
        | Op::InstanceNorm { .. }
        | Op::Softmax { .. }
        | Op::Softplus {}
        | Op::Exp {}
        | Op::Log {}
        | Op::Pow { .. }
        | Op::Sqrt {}
        | Op::Square {}
        | Op::Div {}
        | Op::Mean { .. }
        | Op::Sum { .. }
        | Op::Var { .. }
        | Op::Logsumexp { .. } => Some(wide),
        _ => None,
    }
}
