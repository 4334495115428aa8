//! The tensors that an operation owns: names as in a PyTorch state_dict, shapes, first values.

use super::{Op, infer::image};
use crate::{
    init::Init,
    shape::{Dim, TensorType},
};

/// What a tensor of an operation is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Learned by the optimizer.
    Learned,
    /// State that the forward pass keeps, such as running statistics.
    Buffer,
    /// The number of batches that a norm has seen: a 64-bit integer without dimensions.
    Counter,
}

/// One tensor of an operation.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// Full name, for example `conv1.weight`.
    pub name: String,
    /// Its sizes.
    pub shape: Vec<i64>,
    /// First values.
    pub init: Init,
    /// Inputs that reach one output, for `FanIn` and its kind.
    pub fan_in: i64,
    /// Outputs that one input reaches.
    pub fan_out: i64,
    /// What it is for.
    pub role: Role,
}

/// The tensors that `op` owns, given its inputs' types (already accepted by [`super::infer`]).
///
/// A weight under spectral norm is stored as `torch.nn.utils.spectral_norm` does: `weight_orig`, with the power
/// iteration's vectors `weight_u` and `weight_v` as buffers.
pub fn parameters(op: &Op, inputs: &[TensorType]) -> Vec<Parameter> {
    match op {
        Op::Parameter { name, shape, init } => {
            vec![tensor(name, None, shape, *init, 1, Role::Learned)]
        }
        Op::Conv2d { name, out_channels, kernel_size, groups, bias, spectral_norm, weight_init, bias_init, .. } => {
            let channels = image(&inputs[0].shape).map_or(0, |(c, _, _)| c);
            let shape = [*out_channels, channels / groups, kernel_size[0], kernel_size[1]];
            layer(
                name,
                &shape,
                (*spectral_norm).then_some(0),
                *weight_init,
                bias.then_some((*out_channels, *bias_init)),
            )
        }
        Op::ConvTranspose2d {
            name,
            out_channels,
            kernel_size,
            groups,
            bias,
            spectral_norm,
            weight_init,
            bias_init,
            ..
        } => {
            let channels = image(&inputs[0].shape).map_or(0, |(c, _, _)| c);
            let shape = [channels, out_channels / groups, kernel_size[0], kernel_size[1]];
            // PyTorch takes the matrix of a transposed convolution along its output channels, dimension 1.
            layer(
                name,
                &shape,
                (*spectral_norm).then_some(1),
                *weight_init,
                bias.then_some((*out_channels, *bias_init)),
            )
        }
        Op::Linear { name, out_features, bias, spectral_norm, weight_init, bias_init } => {
            let features = match inputs[0].shape.0.last() {
                Some(Dim::Size(n)) => *n,
                _ => 0,
            };
            layer(
                name,
                &[*out_features, features],
                (*spectral_norm).then_some(0),
                *weight_init,
                bias.then_some((*out_features, *bias_init)),
            )
        }
        Op::Embedding { name, num_embeddings, embedding_dim, spectral_norm, weight_init } => {
            layer(name, &[*num_embeddings, *embedding_dim], (*spectral_norm).then_some(0), *weight_init, None)
        }
        Op::BatchNorm { name, affine, weight_init, bias_init, .. } => {
            let c = [channels(&inputs[0])];
            let mut all = affine_pair(name, &c, *affine, *weight_init, *bias_init);
            all.push(tensor(name, Some("running_mean"), &c, Init::ZEROS, 1, Role::Buffer));
            all.push(tensor(name, Some("running_var"), &c, Init::ONES, 1, Role::Buffer));
            all.push(tensor(name, Some("num_batches_tracked"), &[], Init::ZEROS, 1, Role::Counter));
            all
        }
        Op::GroupNorm { name, affine, weight_init, bias_init, .. }
        | Op::InstanceNorm { name, affine, weight_init, bias_init, .. } => {
            affine_pair(name, &[channels(&inputs[0])], *affine, *weight_init, *bias_init)
        }
        Op::LayerNorm { name, normalized_shape, affine, weight_init, bias_init, .. } => {
            affine_pair(name, normalized_shape, *affine, *weight_init, *bias_init)
        }
        _ => Vec::new(),
    }
}

fn channels(input: &TensorType) -> i64 {
    match input.shape.0.get(1) {
        Some(Dim::Size(c)) => *c,
        _ => 0,
    }
}

fn tensor(layer: &str, suffix: Option<&str>, shape: &[i64], init: Init, fan_in: i64, role: Role) -> Parameter {
    let name = suffix.map_or_else(|| layer.to_owned(), |s| format!("{layer}.{s}"));
    Parameter { name, shape: shape.to_vec(), init, fan_in, fan_out: 1, role }
}

fn affine_pair(name: &str, shape: &[i64], affine: bool, weight: Init, bias: Init) -> Vec<Parameter> {
    if !affine {
        return Vec::new();
    }
    vec![
        tensor(name, Some("weight"), shape, weight, 1, Role::Learned),
        tensor(name, Some("bias"), shape, bias, 1, Role::Learned),
    ]
}

/// Weight and bias; fans as `torch.nn.init._calculate_fan_in_and_fan_out` counts them: `size(1)` and `size(0)` times
/// the kernel's area, for transposed convolutions too.
fn layer(name: &str, shape: &[i64], spectral: Option<usize>, init: Init, bias: Option<(i64, Init)>) -> Vec<Parameter> {
    let area: i64 = shape[2..].iter().product();
    let (fan_in, fan_out) = (shape[1] * area, shape[0] * area);
    let suffix = if spectral.is_some() { "weight_orig" } else { "weight" };
    let mut all = vec![Parameter { fan_out, ..tensor(name, Some(suffix), shape, init, fan_in, Role::Learned) }];
    if let Some((width, init)) = bias {
        all.push(tensor(name, Some("bias"), &[width], init, fan_in, Role::Learned));
    }
    if let Some(dim) = spectral {
        let (rows, total) = (shape[dim], shape.iter().product::<i64>());
        let direction = Init::normal(0.0, 1.0);
        all.push(tensor(name, Some("weight_u"), &[rows], direction, 1, Role::Buffer));
        all.push(tensor(name, Some("weight_v"), &[total / rows.max(1)], direction, 1, Role::Buffer));
    }
    all
}
