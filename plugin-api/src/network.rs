//! A graph whose operations are typed and whose shapes are known: networks, losses and state updates alike.
//!
//! [`Network::decode`] is the one gate between data from a plugin and the rest of the program: whatever comes out of
//! it is acyclic, has known operations with the right inputs, finite numbers, bounded sizes and unique names.

use std::collections::BTreeSet;

use crate::{
    Error,
    opset::{self, Arity, Op, Parameter, Role},
    shape::{Element, TensorType},
    value::{Graph, Node},
};

/// More nodes than any network needs; a bound for hostile definitions.
const MAX_NODES: usize = 100_000;
const MAX_NAME: usize = 128;

/// An operation, what it is applied to, and the type of its result.
#[derive(Debug, Clone, PartialEq)]
pub struct TypedNode {
    /// The operation.
    pub op: Op,
    /// Indices of earlier nodes.
    pub inputs: Vec<usize>,
    /// The result's shape and element.
    pub output: TensorType,
}

/// A checked graph with one output.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Network {
    nodes: Vec<TypedNode>,
    output: usize,
}

impl Network {
    /// The nodes, in an order in which they can be computed.
    pub fn nodes(&self) -> &[TypedNode] {
        &self.nodes
    }

    /// The index of the output's node.
    pub const fn output(&self) -> usize {
        self.output
    }

    /// The type of the output.
    pub fn output_type(&self) -> &TensorType {
        &self.nodes[self.output].output
    }

    /// The types of a node's inputs.
    pub fn input_types(&self, node: &TypedNode) -> Vec<TensorType> {
        node.inputs.iter().map(|&i| self.nodes[i].output.clone()).collect()
    }

    /// The named inputs with their types.
    pub fn inputs(&self) -> impl Iterator<Item = (&str, &TensorType)> {
        self.nodes
            .iter()
            .filter_map(|n| if let Op::Input { name, .. } = &n.op { Some((name.as_str(), &n.output)) } else { None })
    }

    /// The type of a named input, if the graph has it.
    pub fn input(&self, name: &str) -> Option<&TensorType> {
        self.inputs().find(|(n, _)| *n == name).map(|(_, t)| t)
    }

    /// All tensors that the network owns, in the order of its layers.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.nodes.iter().flat_map(|n| opset::parameters(&n.op, &self.input_types(n))).collect()
    }

    /// How many learned numbers the network has.
    pub fn learned_count(&self) -> i64 {
        self.parameters().iter().filter(|p| p.role == Role::Learned).map(|p| p.shape.iter().product::<i64>()).sum()
    }

    /// FLOPs of one sample's forward pass: the cost model's `T`.
    pub fn forward_flops(&self) -> f64 {
        self.nodes.iter().map(|n| opset::forward_flops(&n.op, &self.input_types(n), &n.output)).sum()
    }

    /// The first operation that mixes the samples of a batch, if there is one; without one the network is *per
    /// sample*, which the strategies `scaled` and `pivoted` need.
    pub fn batch_coupling(&self) -> Option<&Op> {
        self.nodes.iter().find(|n| opset::couples_batch(&n.op, &self.input_types(n))).map(|n| &n.op)
    }

    /// Adds a node, or says which rule it breaks. `place` names the node in messages.
    pub(crate) fn push(&mut self, op: Op, inputs: Vec<usize>) -> Result<usize, Error> {
        let place = describe(&op);
        let wrong = |message: String| Error::new(message).within(&place);
        if self.nodes.len() >= MAX_NODES {
            return Err(wrong(format!("a graph holds at most {MAX_NODES} operations")));
        }
        let arity = opset::info(&op).arity;
        let fits = match arity {
            Arity::Exactly(n) => inputs.len() == n,
            Arity::AtLeast(n) => inputs.len() >= n && inputs.len() <= MAX_NODES,
        };
        if !fits {
            return Err(wrong(format!("takes {arity} inputs, found {}", inputs.len())));
        }
        if let Some(i) = inputs.iter().find(|&&i| i >= self.nodes.len()) {
            return Err(wrong(format!("input {i} is not an earlier node; this is node {}", self.nodes.len())));
        }
        let types: Vec<TensorType> = inputs.iter().map(|&i| self.nodes[i].output.clone()).collect();
        let output = opset::infer(&op, &types).map_err(|rule| {
            let given: Vec<String> = types.iter().map(|t| t.shape.to_string()).collect();
            wrong(if given.is_empty() { rule } else { format!("{rule} (input {})", given.join(", ")) })
        })?;
        self.nodes.push(TypedNode { op, inputs, output });
        self.output = self.nodes.len() - 1;
        Ok(self.output)
    }

    pub(crate) fn set_output(&mut self, node: usize) {
        self.output = node;
    }

    /// The graph without the nodes that its output does not need.
    pub(crate) fn pruned(&self) -> Self {
        let mut needed = vec![false; self.nodes.len()];
        needed[self.output] = true;
        for i in (0..=self.output).rev() {
            if needed[i] {
                self.nodes[i].inputs.iter().for_each(|&k| needed[k] = true);
            }
        }
        let kept: Vec<usize> = (0..needed.len()).filter(|&i| needed[i]).collect();
        let renumbered = |old: usize| kept.partition_point(|&k| k < old);
        let nodes = kept.iter().map(|&i| {
            let node = &self.nodes[i];
            TypedNode { inputs: node.inputs.iter().map(|&k| renumbered(k)).collect(), ..node.clone() }
        });
        Self { nodes: nodes.collect(), output: renumbered(self.output) }
    }

    /// Checks what only the whole graph shows: names that are unique and can be file keys, and a real-valued output.
    pub(crate) fn finish(self) -> Result<Self, Error> {
        if self.nodes.is_empty() {
            return Err(Error::new("the graph is empty"));
        }
        let mut names = BTreeSet::new();
        for node in &self.nodes {
            let Some(name) = name(&node.op) else { continue };
            if !is_legal_name(name) {
                return Err(Error::new(format!(
                    "the name {name:?} must be 1 to {MAX_NAME} letters, digits, `_`, `-` or `.`"
                ))
                .within(node.op.name()));
            }
            if !names.insert(name) {
                return Err(Error::new("another layer has this name; names must be unique in a network")
                    .within(describe(&node.op)));
            }
        }
        let mut tensors = BTreeSet::new();
        if let Some(twice) = self.parameters().into_iter().find(|p| !tensors.insert(p.name.clone())) {
            return Err(Error::new(format!("two layers own a tensor `{}`; rename one of them", twice.name)));
        }
        if self.output_type().element == Element::Label {
            return Err(Error::new("the output holds labels; it must hold real numbers"));
        }
        Ok(self)
    }

    /// That each operation's result depends on its input; stored definitions are not asked that.
    pub(crate) fn check_meaning(&self) -> Result<(), Error> {
        self.nodes.iter().try_for_each(|node| {
            let meaningful = opset::meaningful(&node.op, &self.input_types(node));
            meaningful.map_err(|rule| Error::new(rule).within(describe(&node.op)))
        })
    }

    /// As data.
    pub fn encode(&self) -> Graph {
        let nodes = self.nodes.iter().map(|n| Node {
            op: n.op.name().to_owned(),
            inputs: n.inputs.iter().map(|&i| i as u32).collect(),
            attributes: n.op.encode(),
        });
        Graph { nodes: nodes.collect(), outputs: vec![self.output as u32] }
    }

    /// From data, checked whole; the message names the node and the rule.
    pub fn decode(graph: &Graph) -> Result<Self, Error> {
        let mut network = Self::default();
        for (i, node) in graph.nodes.iter().enumerate() {
            let op = Op::decode(&node.op, &node.attributes)
                .map_err(|e| Error::new(e).within(format_args!("node {i} ({})", node.op)))?;
            network
                .push(op, node.inputs.iter().map(|&i| i as usize).collect())
                .map_err(|e| e.within(format_args!("node {i}")))?;
        }
        match graph.outputs[..] {
            [output] if (output as usize) < network.nodes.len() => network.set_output(output as usize),
            _ => {
                return Err(Error::new(format!(
                    "needs one output among {} nodes, found {:?}",
                    graph.nodes.len(),
                    graph.outputs
                )));
            }
        }
        // As a builder's graph: an input that the output does not need is no input.
        network.pruned().finish()
    }
}

/// The name of a layer or an input.
pub fn name(op: &Op) -> Option<&str> {
    match op {
        Op::Input { name, .. }
        | Op::Parameter { name, .. }
        | Op::Conv2d { name, .. }
        | Op::ConvTranspose2d { name, .. }
        | Op::Linear { name, .. }
        | Op::Embedding { name, .. }
        | Op::BatchNorm { name, .. }
        | Op::GroupNorm { name, .. }
        | Op::InstanceNorm { name, .. }
        | Op::LayerNorm { name, .. } => Some(name),
        _ => None,
    }
}

/// Whether a name can stand in files, on command lines and in messages as it is.
pub fn is_legal_name(name: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    !name.is_empty() && name.len() <= MAX_NAME && name.chars().all(legal)
}

/// An operation as messages name it: ``layer `conv1` (conv2d)`` or `leaky_relu`.
pub fn describe(op: &Op) -> String {
    match name(op) {
        Some(name) if matches!(op, Op::Input { .. }) => format!("input `{name}`"),
        Some(name) => format!("layer `{name}` ({})", op.name()),
        None => op.name().to_owned(),
    }
}
