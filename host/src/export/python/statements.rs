//! A graph as lines of Python, as a person would write them: `x = F.relu(self.norm(self.conv(x)))`.
//!
//! What is read once goes into the expression that reads it, until that gets long or another layer with weights begins;
//! what is read more often gets a variable. A variable's name is free again after its last reader.

use tandem_plugin_api::{
    Network,
    network::{TypedNode, describe},
    opset::Op,
    shape::Shape,
};

use crate::export::ExportError;

/// Characters that an expression may have.
const WIDTH: usize = 84;
/// Variables, in the order in which they are taken.
const VARIABLES: [&str; 4] = ["x", "h", "y", "s"];

/// How tightly an expression binds, so that only needed brackets are written.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub(super) enum Binding {
    Sum,
    Product,
    Unary,
    Atom,
}

/// An expression.
pub(super) type Expression = (String, Binding);

/// A call, a name or a literal.
pub(super) fn atom(text: impl Into<String>) -> Expression {
    (text.into(), Binding::Atom)
}

/// What an operation is applied to.
#[derive(Debug, Clone)]
pub(super) struct Operand {
    text: String,
    binding: Binding,
    /// The node that it is the value of.
    pub(super) node: usize,
}

impl Operand {
    /// As an argument.
    pub(super) fn argument(&self) -> &str {
        &self.text
    }

    /// In brackets unless it binds at least so tightly.
    pub(super) fn at_least(&self, binding: Binding) -> String {
        if self.binding < binding { format!("({})", self.text) } else { self.text.clone() }
    }

    /// How tightly it binds.
    pub(super) const fn binding(&self) -> Binding {
        self.binding
    }

    /// As that on which a method is called.
    pub(super) fn object(&self) -> String {
        self.at_least(Binding::Atom)
    }

    /// The same value, said in another way.
    pub(super) fn replaced(&self, (text, binding): Expression) -> Self {
        Self { text, binding, node: self.node }
    }
}

/// A framework's way to say each operation.
pub(super) trait Dialect {
    /// The framework's name, for messages.
    const NAME: &'static str;

    /// What stands for a value that needs no computation wherever it is read: inputs, constants, most parameters.
    fn source(&mut self, index: usize, op: &Op) -> Option<String>;

    /// An operation on these operands, or why the framework lacks it.
    fn expression(&mut self, index: usize, node: &TypedNode, operands: &[Operand]) -> Result<Expression, String>;

    /// A value's shape where it lies, for the comment beside its variable.
    fn shown(&self, index: usize, shape: &Shape) -> String {
        let _ = index;
        shape.to_string()
    }

    /// The last word on the output.
    fn output(&mut self, index: usize, expression: Expression) -> Expression {
        let _ = index;
        expression
    }
}

/// A value on its way through the program.
#[derive(Debug)]
struct Value {
    operand: Operand,
    /// The variables that its text reads, as often as it does.
    reads: Vec<usize>,
    /// Whether it is more than a name.
    compound: bool,
    /// Whether it applies a layer with weights.
    weighty: bool,
}

struct Program<'n, D> {
    network: &'n Network,
    dialect: &'n mut D,
    values: Vec<Option<Value>>,
    /// Readers that are not written yet.
    readers: Vec<usize>,
    /// The variable of each node that has one.
    variables: Vec<Option<String>>,
    taken: Vec<String>,
    lines: Vec<String>,
}

/// The body of a function that computes the network's output from its inputs; `taken` are names that no variable may have.
pub(super) fn body<D: Dialect>(
    network: &Network,
    dialect: &mut D,
    taken: &[String],
) -> Result<Vec<String>, ExportError> {
    let nodes = network.nodes();
    let mut readers = vec![0; nodes.len()];
    nodes.iter().flat_map(|n| &n.inputs).for_each(|&i| readers[i] += 1);
    let mut program = Program {
        network,
        dialect,
        values: (0..nodes.len()).map(|_| None).collect(),
        variables: vec![None; nodes.len()],
        readers,
        taken: taken.to_vec(),
        lines: Vec::new(),
    };
    for (i, node) in nodes.iter().enumerate() {
        program.add(i, node)?;
    }
    Ok(program.finish())
}

impl<D: Dialect> Program<'_, D> {
    fn add(&mut self, index: usize, node: &TypedNode) -> Result<(), ExportError> {
        if let Some(text) = self.dialect.source(index, &node.op) {
            let operand = Operand { text, binding: Binding::Atom, node: index };
            self.values[index] = Some(Value { operand, reads: Vec::new(), compound: false, weighty: false });
            return Ok(());
        }
        if is_weighty(&node.op) {
            // A new layer begins a line, but an activation alone may stay in its brackets.
            for &i in &node.inputs {
                let activation = is_activation(&self.network.nodes()[i].op);
                if self.values[i].as_ref().is_some_and(|v| v.compound && (v.weighty || !activation)) {
                    self.assign(i);
                }
            }
        }
        let mut expression = self.expression(index, node)?;
        while expression.0.chars().count() > WIDTH {
            let longest = node.inputs.iter().copied().filter(|&i| self.compound(i)).max_by_key(|&i| self.width(i));
            let Some(longest) = longest else { break };
            self.assign(longest);
            expression = self.expression(index, node)?;
        }
        let of_inputs = || node.inputs.iter().filter_map(|&i| self.values[i].as_ref());
        let reads = of_inputs().flat_map(|v| v.reads.iter().copied()).collect();
        let weighty = is_weighty(&node.op) || of_inputs().any(|v| v.compound && v.weighty);
        let operand = Operand { text: expression.0, binding: expression.1, node: index };
        self.values[index] = Some(Value { operand, reads, compound: true, weighty });
        if index != self.network.output() && self.readers[index] != 1 {
            self.assign(index);
        }
        Ok(())
    }

    fn expression(&mut self, index: usize, node: &TypedNode) -> Result<Expression, ExportError> {
        let operands: Vec<Operand> = (0..node.inputs.len()).filter_map(|k| self.operand(node, k)).collect();
        self.dialect.expression(index, node, &operands).map_err(|why| ExportError::Unsupported {
            place: describe(&node.op),
            framework: D::NAME,
            why,
        })
    }

    /// The `k`-th operand; a number where a constant of one value meets a tensor in arithmetic.
    fn operand(&self, node: &TypedNode, k: usize) -> Option<Operand> {
        let input = node.inputs[k];
        let operand = self.values[input].as_ref().map(|v| v.operand.clone())?;
        Some(match literal(self.network, node, k) {
            Some(number) => {
                let binding = if number < 0.0 { Binding::Unary } else { Binding::Atom };
                operand.replaced((format!("{number:?}"), binding))
            }
            None => operand,
        })
    }

    fn compound(&self, index: usize) -> bool {
        self.values[index].as_ref().is_some_and(|v| v.compound)
    }

    fn width(&self, index: usize) -> usize {
        self.values[index].as_ref().map_or(0, |v| v.operand.text.len())
    }

    /// Writes a value's expression into a variable, which stands for it from then on.
    fn assign(&mut self, index: usize) {
        let Some(value) = self.values[index].take() else { return };
        for &read in &value.reads {
            self.readers[read] = self.readers[read].saturating_sub(1);
            if self.readers[read] == 0 {
                self.variables[read] = None;
            }
        }
        let name = self.free_name();
        self.lines.push(format!(
            "{name} = {}  # {}",
            value.operand.text,
            self.dialect.shown(index, &self.network.nodes()[index].output.shape)
        ));
        self.variables[index] = Some(name.clone());
        let operand = Operand { text: name, binding: Binding::Atom, node: index };
        self.values[index] = Some(Value { operand, reads: vec![index], compound: false, weighty: false });
    }

    fn free_name(&self) -> String {
        let numbered = (1..).map(|i| format!("x{i}"));
        let mut names = VARIABLES.iter().map(|&n| n.to_owned()).chain(numbered);
        let held = |name: &String| self.taken.contains(name) || self.variables.iter().flatten().any(|v| v == name);
        // The numbered ones do not end.
        names.find(|name| !held(name)).unwrap_or_default()
    }

    fn finish(mut self) -> Vec<String> {
        let output = self.network.output();
        let Some(value) = self.values[output].take() else { return self.lines };
        let (text, _) = self.dialect.output(output, (value.operand.text, value.operand.binding));
        self.lines.push(format!("return {text}  # {}", self.network.output_type().shape));
        self.lines
    }
}

/// The value of a constant that arithmetic may take as a number: the other operand is a tensor of no fewer dimensions.
pub(super) fn literal(network: &Network, node: &TypedNode, k: usize) -> Option<f64> {
    if !matches!(node.op, Op::Add {} | Op::Sub {} | Op::Mul {} | Op::Div {}) {
        return None;
    }
    let at = |k: usize| &network.nodes()[node.inputs[k]];
    match (&at(k).op, at(1 - k)) {
        (Op::Constant { shape, values }, other) if values.len() == 1 && !matches!(other.op, Op::Constant { .. }) => {
            (shape.len() <= other.output.shape.rank()).then(|| values[0])
        }
        _ => None,
    }
}

/// Layers whose weights reach every feature.
const fn is_weighty(op: &Op) -> bool {
    matches!(op, Op::Conv2d { .. } | Op::ConvTranspose2d { .. } | Op::Linear { .. } | Op::Embedding { .. })
}

const fn is_activation(op: &Op) -> bool {
    matches!(
        op,
        Op::Relu {} | Op::LeakyRelu { .. } | Op::Elu { .. } | Op::Gelu {} | Op::Silu {} | Op::Tanh {} | Op::Sigmoid {}
    )
}
