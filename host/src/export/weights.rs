//! A network's tensors by name, checked against what the network owns; spectral norms divided out where asked.

use std::collections::{BTreeMap, BTreeSet};

use tandem_plugin_api::{
    Network,
    opset::{Op, Parameter, Role},
};

use super::{
    ExportError, Target,
    error::{Misfit, shown},
};
use crate::{
    run::{ArrayType, NamedArray},
    text::Show as _,
};

/// The tensors of a network, each there once, in the right shape and type.
#[derive(Debug)]
pub struct Weights<'a> {
    arrays: BTreeMap<&'a str, &'a NamedArray>,
}

impl<'a> Weights<'a> {
    /// The tensors, or every one that does not fit. `origin` says where they came from.
    pub fn check(
        network: &Network,
        target: Target,
        arrays: &'a [NamedArray],
        origin: &str,
    ) -> Result<Self, ExportError> {
        let given: BTreeMap<&str, &NamedArray> = arrays.iter().map(|a| (a.name.as_str(), a)).collect();
        let mut misfit = Misfit::default();
        let wanted = network.parameters();
        for parameter in &wanted {
            let shape: Vec<usize> = parameter.shape.iter().map(|&n| n as usize).collect();
            let dtype = if parameter.role == Role::Counter { ArrayType::I64 } else { ArrayType::F32 };
            match given.get(parameter.name.as_str()) {
                None => misfit.missing.push(format!("{} {}", parameter.name, shown(dtype, &shape))),
                Some(found) if found.shape != shape || found.dtype != dtype => misfit.mismatched.push(format!(
                    "{} must be {}, found {}",
                    parameter.name,
                    shown(dtype, &shape),
                    shown(found.dtype, &found.shape)
                )),
                Some(_) => {}
            }
        }
        let known: BTreeSet<&str> = wanted.iter().map(|p| p.name.as_str()).collect();
        let unknown = given.values().filter(|a| !known.contains(a.name.as_str()));
        misfit.unexpected = unknown.map(|a| format!("{} {}", a.name.shown(), shown(a.dtype, &a.shape))).collect();
        if misfit.is_empty() {
            return Ok(Self { arrays: given });
        }
        misfit.prefixes = prefixes(&given, &wanted);
        Err(ExportError::Misfit { origin: origin.to_owned(), network: target.name(), misfit: Box::new(misfit) })
    }

    /// A tensor's values.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.arrays.get(name).map(|a| floats(a)).unwrap_or_default()
    }

    /// A layer's weight as its operation uses it: under spectral norm `weight_orig / (uᵀ W v)`, with the stored vectors,
    /// as a pass that does not train takes it.
    pub fn folded(&self, layer: &str, op: &Op) -> Vec<f32> {
        let Some(sigma) = self.norm(op) else { return self.floats(&format!("{layer}.weight")) };
        let mut weight = self.floats(&format!("{layer}.weight_orig"));
        for w in &mut weight {
            *w = (f64::from(*w) / sigma) as f32;
        }
        weight
    }

    /// The norm `uᵀ W v` of a weight under spectral norm, with the stored vectors.
    pub fn norm(&self, op: &Op) -> Option<f64> {
        let (layer, rows) = match op {
            Op::Conv2d { name, spectral_norm: true, .. }
            | Op::Linear { name, spectral_norm: true, .. }
            | Op::Embedding { name, spectral_norm: true, .. } => (name, 0),
            Op::ConvTranspose2d { name, spectral_norm: true, .. } => (name, 1),
            _ => return None,
        };
        let name = format!("{layer}.weight_orig");
        let shape = self.arrays.get(name.as_str()).map(|a| a.shape.clone()).unwrap_or_default();
        let (u, v) = (self.floats(&format!("{layer}.weight_u")), self.floats(&format!("{layer}.weight_v")));
        Some(sigma(&self.floats(&name), &shape, rows, &u, &v))
    }
}

/// What stands before the names of all of a network's tensors, where there is more beside them: `generator.` in a file
/// that holds a discriminator, too.
fn prefixes(given: &BTreeMap<&str, &NamedArray>, wanted: &[Parameter]) -> Vec<String> {
    let own: Vec<&str> = wanted.iter().filter(|p| p.role != Role::Counter).map(|p| p.name.as_str()).collect();
    let Some(first) = own.first() else { return Vec::new() };
    let starts = given.keys().filter_map(|name| name.strip_suffix(first)).filter(|start| start.ends_with('.'));
    let whole = starts.filter(|start| own.iter().all(|name| given.contains_key(format!("{start}{name}").as_str())));
    whole.map(str::to_owned).collect()
}

/// `uᵀ W v`, where `W` is the weight as a matrix whose rows are dimension `rows` (0 or 1) of it.
fn sigma(weight: &[f32], shape: &[usize], rows: usize, u: &[f32], v: &[f32]) -> f64 {
    let area: usize = shape.iter().skip(2).product();
    let columns = shape.get(1).copied().unwrap_or(1);
    let product = weight.iter().enumerate().map(|(i, &w)| {
        let (first, second, pixel) = (i / (columns * area), i / area % columns, i % area);
        let (row, column) = if rows == 0 { (first, second * area + pixel) } else { (second, first * area + pixel) };
        f64::from(w) * f64::from(u[row]) * f64::from(v[column])
    });
    product.sum()
}

/// The values of an array of float32, which all real tensors here are.
fn floats(array: &NamedArray) -> Vec<f32> {
    array.data.as_chunks::<4>().0.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect()
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::{Builder, Linear};

    use super::*;

    fn array(name: &str, shape: &[usize], values: &[f32]) -> NamedArray {
        let data = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        NamedArray { name: name.into(), dtype: ArrayType::F32, shape: shape.to_vec(), data }
    }

    fn network(spectral: bool) -> Network {
        let b = Builder::new();
        b.finish(&b.input("image", &[2]).linear("score", 3, Linear::default().spectral_norm(spectral))).unwrap()
    }

    #[test]
    fn every_tensor_that_does_not_fit_is_listed() {
        let arrays = [array("score.weight", &[2, 3], &[0.0; 6]), array("score.scale", &[3], &[0.0; 3])];
        let message = Weights::check(&network(false), Target::Discriminator, &arrays, "d.safetensors").unwrap_err();
        assert_eq!(
            message.to_string(),
            "d.safetensors does not fit the discriminator:\n  missing: score.bias F32 [3]\n  unexpected: score.scale F32 \
             [3]\n  different: score.weight must be F32 [3, 2], found F32 [2, 3]\nits tensors must have the names and \
             shapes that `tandem export --to safetensors` gives"
        );
    }

    #[test]
    fn a_file_of_two_networks_is_said_to_be_one() {
        let arrays = |before: &str| {
            [
                array(&format!("{before}score.weight"), &[3, 2], &[0.0; 6]),
                array(&format!("{before}score.bias"), &[3], &[0.0; 3]),
            ]
        };
        let said = |arrays: &[NamedArray]| {
            Weights::check(&network(false), Target::Discriminator, arrays, "d").unwrap_err().to_string()
        };
        let both = said(&[arrays("d."), arrays("d_old.")].concat());
        assert!(both.contains("each of `d.`, `d_old.`") && both.contains("startswith(\"d.\")"), "{both}");
        assert!(!both.contains("missing"), "{both}");
        let [weight, _] = arrays("d.");
        let [_, bias] = arrays("");
        assert!(said(&[weight, bias]).contains("unexpected: d.score.weight"));
    }

    #[test]
    fn what_other_norms_and_wrappers_leave_is_told() {
        let said = |spectral: bool, names: &[&str]| {
            let arrays: Vec<NamedArray> = names.iter().map(|name| array(name, &[1], &[0.0])).collect();
            Weights::check(&network(spectral), Target::Discriminator, &arrays, "d").unwrap_err().to_string()
        };
        let stored = "stored as `torch.nn.utils.spectral_norm`";
        assert!(said(true, &["score.weight", "score.bias"]).contains(stored));
        let todays = ["score.parametrizations.weight.original", "score.bias"];
        assert!(said(false, &todays).contains("the network has none there"));
        assert!(said(false, &["score.weight_orig", "score.bias"]).contains("the network has none there"));
        assert!(said(false, &["score.weight_g", "score.weight_v"]).contains("weight norm"));
        assert!(!said(false, &["score.weight"]).contains("norm"));
    }

    #[test]
    fn spectral_norm_divides_by_u_w_v() {
        let op = Op::Linear {
            name: "score".into(),
            out_features: 3,
            bias: false,
            spectral_norm: true,
            weight_init: tandem_plugin_api::Init::FanIn,
            bias_init: tandem_plugin_api::Init::FanIn,
        };
        let arrays = [
            array("score.weight_orig", &[3, 2], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]),
            array("score.bias", &[3], &[0.0; 3]),
            array("score.weight_u", &[3], &[0.0, 1.0, 0.0]),
            array("score.weight_v", &[2], &[0.0, 0.5]),
        ];
        let weights = Weights::check(&network(true), Target::Discriminator, &arrays, "d").unwrap();
        // Row 1, column 1 is 4, times 0.5.
        assert_eq!(weights.folded("score", &op), [0.5, 1.0, 1.5, 2.0, 2.5, 3.0]);
    }

    #[test]
    fn the_rows_of_a_transposed_convolution_are_its_second_dimension() {
        // [in 2, out 2, 1, 2]; u picks output 1; v runs over (input, pixel).
        let weight: Vec<f32> = (0..8).map(|i| i as f32).collect();
        assert_eq!(sigma(&weight, &[2, 2, 1, 2], 1, &[0.0, 1.0], &[0.0, 0.0, 1.0, 0.0]), 6.0);
    }
}
