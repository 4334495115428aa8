//! A network as an ONNX model: one graph with its weights in it, spectral norms folded, batch norms on their running
//! statistics, a batch of any size.
//!
//! Little of onnx.proto is needed, so its messages are written by hand, as TensorBoard's are.

mod fields;
mod graph;
mod layers;
mod operations;

use tandem_plugin_api::{
    network::{TypedNode, describe},
    opset::Op,
    shape::TensorType,
};

use super::{ExportError, Subject, weights::Weights};
use crate::protobuf::Message;
use fields::model;
use graph::Graph;

/// The version of ONNX's operators: the first with layer norm, and read by every runtime since 2022.
pub const OPSET: u64 = 17;
/// The version of the file format that came with it.
const IR_VERSION: u64 = 8;

/// A network on its way into a graph.
struct Translation<'a> {
    subject: &'a Subject<'a>,
    graph: Graph,
    /// The name of each node's value.
    values: Vec<String>,
}

/// The model's bytes.
pub(super) fn model(subject: &Subject<'_>) -> Result<Vec<u8>, ExportError> {
    let network = subject.network();
    let fits = |bytes: usize| {
        let too_large = ExportError::TooLarge { network: subject.target.name(), bytes };
        if bytes < i32::MAX as usize { Ok(()) } else { Err(too_large) }
    };
    fits(network.parameters().iter().map(|p| 4 * p.shape.iter().product::<i64>() as usize).sum())?;
    let mut translation = Translation { subject, graph: Graph::default(), values: Vec::new() };
    let output = subject.target.output();
    network.inputs().map(|(name, _)| name).chain([output]).for_each(|name| translation.graph.reserve(name));
    for node in network.nodes() {
        let value = translation.add(node).map_err(|why| ExportError::Unsupported {
            place: describe(&node.op),
            framework: "onnx",
            why,
        })?;
        translation.values.push(value);
    }
    let Translation { mut graph, values, .. } = translation;
    // The output's name is for the user, whatever computes it.
    graph.named("Identity", &[values.get(network.output()).map_or("", String::as_str)], output, &[]);
    let inputs: Vec<(&str, &TensorType)> = network.inputs().collect();
    let graph = graph.finish(subject.target.name(), &inputs, (output, network.output_type()));
    let mut whole = Message::default();
    whole.integer(model::IR_VERSION, IR_VERSION);
    whole.text(model::PRODUCER_NAME, "tandem");
    whole.text(model::PRODUCER_VERSION, env!("CARGO_PKG_VERSION"));
    whole.text(model::DOC_STRING, &format!("{}: {}", subject.target.class(), subject.title()));
    whole.bytes(model::GRAPH, graph.encoded());
    whole.message(model::OPSET_IMPORT, |o| {
        o.text(model::DOMAIN, "");
        o.integer(model::VERSION, OPSET);
    });
    // Constants and names take their part, too.
    fits(whole.encoded().len())?;
    Ok(whole.encoded().to_vec())
}

impl Translation<'_> {
    const fn weights(&self) -> &Weights<'_> {
        self.subject.weights
    }

    /// The name of a node's `k`-th input.
    fn input(&self, node: &TypedNode, k: usize) -> String {
        self.values[node.inputs[k]].clone()
    }

    /// The type of a node's `k`-th input.
    fn input_type(&self, node: &TypedNode, k: usize) -> &TensorType {
        &self.subject.network().nodes()[node.inputs[k]].output
    }

    /// A stored tensor as an initialiser of its own name.
    fn stored(&mut self, name: &str, shape: &[i64]) -> String {
        let values = self.weights().floats(name);
        self.graph.floats(name, shape, &values)
    }

    /// A layer's weight as an initialiser, its spectral norm folded.
    fn weight(&mut self, layer: &str, op: &Op, shape: &[i64]) -> String {
        let values = self.weights().folded(layer, op);
        self.graph.floats(&format!("{layer}.weight"), shape, &values)
    }
}
