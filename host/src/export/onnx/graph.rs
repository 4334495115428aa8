//! An ONNX graph in the making: nodes and initialisers by name, as protobuf. What a network's operations become stands in
//! `operations`.

use std::collections::BTreeSet;

use tandem_plugin_api::shape::{Dim, Element, TensorType};

use super::fields::{attribute, graph, node, tensor, value};
use crate::protobuf::Message;

/// An attribute of a node.
pub(super) enum Attribute<'a> {
    Int(i64),
    Float(f64),
    Text(&'a str),
    Ints(Vec<i64>),
}

/// The message, and the names in it.
#[derive(Debug, Default)]
pub(super) struct Graph {
    nodes: Message,
    initializers: Message,
    names: BTreeSet<String>,
}

impl Graph {
    /// A node with one output of a fresh name, which it returns.
    pub(super) fn node(&mut self, op: &str, inputs: &[&str], attributes: &[(&str, Attribute<'_>)]) -> String {
        let output = self.fresh(&op.to_lowercase());
        self.named(op, inputs, &output, attributes);
        output
    }

    /// Keeps a name from being given to anything else.
    pub(super) fn reserve(&mut self, name: &str) {
        self.names.insert(name.to_owned());
    }

    /// A name that no layer can have, and that nothing has yet: there are more names with each.
    fn fresh(&mut self, what: &str) -> String {
        self.unique(format!("/{what}_{}", self.names.len()))
    }

    fn unique(&mut self, mut name: String) -> String {
        while !self.names.insert(name.clone()) {
            name.push('\'');
        }
        name
    }

    /// A node with one output of this name.
    pub(super) fn named(&mut self, op: &str, inputs: &[&str], output: &str, attributes: &[(&str, Attribute<'_>)]) {
        self.nodes.message(graph::NODE, |n| {
            for input in inputs {
                n.text(node::INPUT, input);
            }
            n.text(node::OUTPUT, output);
            n.text(node::NAME, output);
            n.text(node::OP_TYPE, op);
            for (name, value) in attributes {
                n.message(node::ATTRIBUTE, |a| encode(a, name, value));
            }
        });
    }

    /// An initialiser of real numbers; returns its name, which differs from `name` if that is taken.
    pub(super) fn floats(&mut self, name: &str, shape: &[i64], values: &[f32]) -> String {
        let name = self.unique(name.to_owned());
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        self.initializers.message(graph::INITIALIZER, |t| encode_tensor(t, &name, shape, tensor::FLOAT, &data));
        name
    }

    /// Real numbers that operations need and no layer owns.
    pub(super) fn constant(&mut self, shape: &[i64], values: &[f32]) -> String {
        let name = format!("/constant_{}", self.names.len());
        self.floats(&name, shape, values)
    }

    /// A real number that operations need.
    pub(super) fn number(&mut self, value: f64) -> String {
        self.constant(&[], &[value as f32])
    }

    /// Integers that operations need, such as axes.
    pub(super) fn ints(&mut self, values: &[i64]) -> String {
        let name = self.fresh("integers");
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        let shape = [values.len() as i64];
        self.initializers.message(graph::INITIALIZER, |t| {
            encode_tensor(t, &name, &shape, tensor::INT64, &data);
        });
        name
    }

    /// The whole graph.
    pub(super) fn finish(self, name: &str, inputs: &[(&str, &TensorType)], output: (&str, &TensorType)) -> Message {
        let mut whole = self.nodes;
        whole.text(graph::NAME, name);
        whole.append(&self.initializers);
        for &(name, kind) in inputs {
            whole.message(graph::INPUT, |v| encode_value(v, name, kind));
        }
        whole.message(graph::OUTPUT, |v| encode_value(v, output.0, output.1));
        whole
    }
}

fn encode(a: &mut Message, name: &str, value: &Attribute<'_>) {
    a.text(attribute::NAME, name);
    let kind = match value {
        Attribute::Int(v) => {
            a.integer(attribute::I, *v as u64);
            attribute::INT
        }
        Attribute::Float(v) => {
            a.float(attribute::F, *v as f32);
            attribute::FLOAT
        }
        Attribute::Text(v) => {
            a.text(attribute::S, v);
            attribute::STRING
        }
        Attribute::Ints(v) => {
            for &i in v {
                a.integer(attribute::INTS, i as u64);
            }
            attribute::LIST
        }
    };
    a.integer(attribute::TYPE, kind);
}

fn encode_tensor(t: &mut Message, name: &str, shape: &[i64], kind: u64, data: &[u8]) {
    for &n in shape {
        t.integer(tensor::DIMS, n as u64);
    }
    t.integer(tensor::DATA_TYPE, kind);
    t.text(tensor::NAME, name);
    t.bytes(tensor::RAW_DATA, data);
}

/// The batch is a dimension by name, so that any size goes.
fn encode_value(v: &mut Message, name: &str, kind: &TensorType) {
    v.text(value::NAME, name);
    v.message(value::TYPE, |t| {
        t.message(value::TENSOR_TYPE, |t| {
            t.integer(value::ELEM_TYPE, if kind.element == Element::Label { tensor::INT64 } else { tensor::FLOAT });
            t.message(value::SHAPE, |s| {
                for dim in &kind.shape.0 {
                    s.message(value::DIM, |d| match dim {
                        Dim::Batch => d.text(value::DIM_PARAM, "N"),
                        Dim::Size(n) => d.integer(value::DIM_VALUE, *n as u64),
                    });
                }
            });
        });
    });
}
