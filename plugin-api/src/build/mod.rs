//! Saying a network or a loss in Rust that reads like PyTorch.
//!
//! A [`Tensor`] is a handle to a node of a graph under construction. Shapes are inferred at once. The first mistake is
//! kept and everything after it is carried along untouched, so a definition needs no `?` after every layer; the
//! mistake comes out where the graph is finished, with the layer's name, the shapes and the rule.

mod arithmetic;
mod conditional;
mod layers;

use std::{cell::RefCell, rc::Rc};

pub use layers::{Conv, ConvTranspose, Linear, Norm, kernel};

use crate::{
    Error,
    network::Network,
    opset::Op,
    shape::{Shape, TensorType},
};

#[derive(Debug, Default)]
struct Construction {
    network: Network,
    mistake: Option<Error>,
}

/// A graph under construction: a place for inputs and constants to come from.
#[derive(Debug, Clone, Default)]
pub struct Builder(Rc<RefCell<Construction>>);

impl Builder {
    /// An empty graph.
    pub fn new() -> Self {
        Self::default()
    }

    /// A named input `[N, sizes…]`.
    pub fn input(&self, name: &str, sizes: &[i64]) -> Tensor {
        self.push(Op::Input { name: name.into(), batched: true, shape: sizes.to_vec(), labels: false }, &[])
    }

    /// The class labels `[N]`, named `labels`.
    pub fn labels(&self) -> Tensor {
        self.push(Op::Input { name: "labels".into(), batched: true, shape: Vec::new(), labels: true }, &[])
    }

    /// A named input that is one number for the whole batch.
    pub fn scalar(&self, name: &str) -> Tensor {
        self.push(Op::Input { name: name.into(), batched: false, shape: Vec::new(), labels: false }, &[])
    }

    /// A constant tensor; `values` in row-major order.
    pub fn constant(&self, shape: &[i64], values: &[f64]) -> Tensor {
        self.push(Op::Constant { shape: shape.to_vec(), values: values.to_vec() }, &[])
    }

    /// A learned tensor without an input.
    pub fn parameter(&self, name: &str, shape: &[i64], init: crate::Init) -> Tensor {
        self.push(Op::Parameter { name: name.into(), shape: shape.to_vec(), init }, &[])
    }

    /// The graph with `output` as its result, or the first mistake in it.
    pub fn finish(&self, output: &Tensor) -> Result<Network, Error> {
        if !Rc::ptr_eq(&self.0, &output.graph.0) {
            return Err(Error::new("the output belongs to another graph"));
        }
        let construction = self.0.borrow();
        match (&construction.mistake, output.node) {
            (Some(mistake), _) => Err(mistake.clone()),
            (None, None) => Err(Error::new("the output was never computed")),
            (None, Some(node)) => {
                let mut network = construction.network.clone();
                network.set_output(node);
                let network = network.pruned().finish()?;
                network.check_meaning()?;
                Ok(network)
            }
        }
    }

    fn push(&self, op: Op, inputs: &[&Tensor]) -> Tensor {
        let node = self.try_push(op, inputs);
        Tensor { graph: self.clone(), node }
    }

    fn try_push(&self, op: Op, inputs: &[&Tensor]) -> Option<usize> {
        if inputs.iter().any(|t| !Rc::ptr_eq(&self.0, &t.graph.0)) {
            self.fail(Error::new("an input belongs to another graph").within(op.name()));
        }
        let nodes = inputs.iter().map(|t| t.node).collect::<Option<Vec<_>>>()?;
        let mut construction = self.0.borrow_mut();
        if construction.mistake.is_some() {
            return None;
        }
        // Asking twice for the same input (a loss state, the labels) gives the same tensor.
        if matches!(op, Op::Input { .. })
            && let Some(same) = construction.network.nodes().iter().position(|n| n.op == op)
        {
            return Some(same);
        }
        match construction.network.push(op, nodes) {
            Ok(node) => Some(node),
            Err(mistake) => {
                construction.mistake = Some(mistake);
                None
            }
        }
    }

    fn fail(&self, mistake: Error) {
        self.0.borrow_mut().mistake.get_or_insert(mistake);
    }
}

/// A symbolic tensor: what a layer returns and the next one takes. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Tensor {
    graph: Builder,
    node: Option<usize>,
}

impl Tensor {
    /// Its shape and element; `None` after a mistake, which [`Builder::finish`] reports.
    pub fn output_type(&self) -> Option<TensorType> {
        self.node.map(|i| self.graph.0.borrow().network.nodes()[i].output.clone())
    }

    /// Its shape; `[]` after a mistake.
    pub fn shape(&self) -> Shape {
        self.output_type().map(|t| t.shape).unwrap_or_default()
    }

    fn apply(&self, op: Op) -> Self {
        self.graph.push(op, &[self])
    }

    fn apply_with(&self, op: Op, other: &Self) -> Self {
        self.graph.push(op, &[self, other])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_names_the_layer_both_shapes_and_the_rule_however_much_follows_it() {
        let g = Builder::new();
        let x = g.input("image", &[3, 8, 8]);
        let y = x.conv2d("conv1", 16, kernel(4).stride(2).padding(1)).relu().conv2d("conv2", 32, kernel(7)).relu();
        let z = (y.flatten() * 2.0).linear("score", 1, Linear::default());
        assert_eq!(
            g.finish(&z).unwrap_err().to_string(),
            "layer `conv2` (conv2d): a window of 7 does not fit into 4 pixels with padding 0 (input [N, 16, 4, 4])"
        );
    }

    #[test]
    fn names_are_unique_in_a_network() {
        let g = Builder::new();
        let y = g.input("x", &[4]).linear("fc", 4, Linear::default()).linear("fc", 4, Linear::default());
        assert_eq!(
            g.finish(&y).unwrap_err().to_string(),
            "layer `fc` (linear): another layer has this name; names must be unique in a network"
        );
    }

    #[test]
    fn tensors_of_two_graphs_do_not_mix() {
        let (a, b) = (Builder::new(), Builder::new());
        let y = a.input("x", &[4]) + b.input("x", &[4]);
        assert_eq!(a.finish(&y).unwrap_err().to_string(), "add: an input belongs to another graph");
    }

    #[test]
    fn a_network_survives_the_way_to_data_and_back() {
        let g = Builder::new();
        let x = g.input("latent", &[16]);
        let y = x.reshape(&[16, 1, 1]).conv_transpose2d("up", 8, kernel(4)).batch_norm("norm", Norm::default()).relu();
        let network = g.finish(&y).unwrap();
        assert_eq!(Network::decode(&network.encode()).unwrap(), network);
        assert_eq!(network.batch_coupling().map(Op::name), Some("batch_norm"));
        let names: Vec<String> = network.parameters().into_iter().map(|p| p.name).collect();
        assert_eq!(
            names,
            [
                "up.weight",
                "up.bias",
                "norm.weight",
                "norm.bias",
                "norm.running_mean",
                "norm.running_var",
                "norm.num_batches_tracked"
            ]
        );
    }
}
