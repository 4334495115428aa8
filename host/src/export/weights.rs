//! A network's tensors by name, checked against what the network owns; spectral norms divided out where asked.

use std::collections::BTreeMap;

use tandem_plugin_api::{
    Network,
    opset::{Op, Role},
};

use super::{
    ExportError, Target,
    error::{Misfit, shown},
};
use crate::run::{ArrayType, NamedArray};

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
        let unknown = given.values().filter(|a| !wanted.iter().any(|p| p.name == a.name));
        misfit.unexpected = unknown.map(|a| format!("{} {}", a.name, shown(a.dtype, &a.shape))).collect();
        misfit.prefix = prefix(&given, |name| wanted.iter().any(|p| p.name == name));
        if misfit.is_empty() {
            return Ok(Self { arrays: given });
        }
        Err(ExportError::Misfit { origin: origin.to_owned(), network: target.name(), misfit: Box::new(misfit) })
    }

    /// A tensor's values.
    pub fn floats(&self, name: &str) -> Vec<f32> {
        self.arrays.get(name).map(|a| floats(a)).unwrap_or_default()
    }

    /// A layer's weight as its operation uses it: under spectral norm `weight_orig / (uᵀ W v)`, with the stored vectors,
    /// as a pass that does not train takes it.
    pub fn folded(&self, layer: &str, op: &Op) -> Vec<f32> {
        let rows_dim = match op {
            Op::Conv2d { spectral_norm: true, .. }
            | Op::Linear { spectral_norm: true, .. }
            | Op::Embedding { spectral_norm: true, .. } => 0,
            Op::ConvTranspose2d { spectral_norm: true, .. } => 1,
            _ => return self.floats(&format!("{layer}.weight")),
        };
        let name = format!("{layer}.weight_orig");
        let mut weight = self.floats(&name);
        let shape = self.arrays.get(name.as_str()).map(|a| a.shape.clone()).unwrap_or_default();
        let (u, v) = (self.floats(&format!("{layer}.weight_u")), self.floats(&format!("{layer}.weight_v")));
        let sigma = sigma(&weight, &shape, rows_dim, &u, &v);
        for w in &mut weight {
            *w = (f64::from(*w) / sigma) as f32;
        }
        weight
    }
}

/// What stands before every name, if none is known with it and some are without: `module.`, `_orig_mod.`.
fn prefix(given: &BTreeMap<&str, &NamedArray>, known: impl Fn(&str) -> bool) -> Option<String> {
    let (first, _) = given.first_key_value()?;
    let ends = first.match_indices('.').map(|(dot, _)| &first[..=dot]);
    let shared = |start: &&str| given.keys().all(|name| name.starts_with(start) && !known(name));
    let hides = |start: &&str| given.keys().any(|name| name.strip_prefix(start).is_some_and(&known));
    ends.filter(shared).find(hides).map(str::to_owned)
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
    fn a_prefix_of_all_names_is_named_in_place_of_the_lists() {
        let arrays = |before: &str| {
            [
                array(&format!("{before}score.weight"), &[3, 2], &[0.0; 6]),
                array(&format!("{before}score.bias"), &[3], &[0.0; 3]),
            ]
        };
        let said = |arrays: &[NamedArray]| {
            Weights::check(&network(false), Target::Discriminator, arrays, "d").unwrap_err().to_string()
        };
        for before in ["module.", "module._orig_mod."] {
            let message = said(&arrays(before));
            assert!(message.contains(&format!("names begin with `{before}`")), "{message}");
            assert!(!message.contains("missing"), "{message}");
        }
        let [weight, _] = arrays("module.");
        let [_, bias] = arrays("");
        assert!(said(&[weight, bias]).contains("unexpected: module.score.weight"));
        assert!(said(&[array("other.weight", &[1], &[0.0])]).contains("unexpected: other.weight"));
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
