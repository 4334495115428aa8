//! Numbers that no network can have come to: what a file holds in their place was not trained, or was written wrongly.

use tandem_plugin_api::{
    Network,
    opset::{Parameter, Role},
};

use crate::{export::Weights, run::NamedArray};

/// How far from 1 the length of a spectral norm's vector may be: half precision rounds each of its numbers.
const ROUNDING: f64 = 0.05;

/// Buffers that hold what their operation never writes: a negative variance, a direction without length, a count below 0.
pub(super) fn impossible(arrays: &[NamedArray], parameters: &[Parameter]) -> Vec<String> {
    let found = parameters.iter().filter(|p| p.role != Role::Learned).filter_map(|p| {
        let array = arrays.iter().find(|array| array.name == p.name)?;
        let why = if p.role == Role::Counter { negative_count(array) } else { buffer(array) };
        Some(format!("{} {}", p.name, why?))
    });
    found.collect()
}

fn negative_count(array: &NamedArray) -> Option<String> {
    let count = i64::from_le_bytes(*array.data.first_chunk()?);
    (count < 0).then(|| format!("counts {count} batches: it must be 0 or more"))
}

fn buffer(array: &NamedArray) -> Option<String> {
    let numbers = || array.data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes));
    if array.name.ends_with(".running_var") {
        let negative = numbers().filter(|v| *v < 0.0).count();
        let (at, first) = numbers().enumerate().find(|(_, v)| *v < 0.0)?;
        let all = array.shape.iter().product::<usize>();
        return Some(format!(
            "holds negative variances ({negative} of {all}, {first} at [{at}]): each must be 0 or more"
        ));
    }
    if array.name.ends_with(".weight_u") || array.name.ends_with(".weight_v") {
        let length = numbers().map(|v| f64::from(v).powi(2)).sum::<f64>().sqrt();
        return ((length - 1.0).abs() > ROUNDING)
            .then(|| format!("has length {length:.3}: a spectral norm's vectors are directions, of length 1"));
    }
    None
}

/// Layers whose weight cannot be divided by its norm.
pub(super) fn without_norm(weights: &Weights<'_>, network: &Network) -> Vec<String> {
    let nodes = network.nodes().iter();
    let norms = nodes.filter_map(|node| Some((tandem_plugin_api::network::name(&node.op)?, weights.norm(&node.op)?)));
    let zero = norms.filter(|(_, norm)| *norm == 0.0 || !norm.is_finite());
    let said = zero.map(|(layer, norm)| {
        let size = norm.abs();
        format!(
            "{layer}.weight_orig has the spectral norm {size}, as {layer}.weight_u and {layer}.weight_v tell it, by which it is \
             divided: it must be another number"
        )
    });
    said.collect()
}
