//! Plain attribute values and graphs: the definition as data, before anything is known about its meaning.
//!
//! These are the native twins of the frozen types in [`crate::abi`]; the host, its run directory and its tools see only
//! these. What the values mean is the opset's matter ([`crate::opset`]).

use std::fmt;

/// One attribute value. The set is closed for ever: a new operation says what it needs with these.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
pub enum Value {
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// A real number; must be finite to pass validation.
    Float(f64),
    /// A text.
    Text(String),
    /// A list of whole numbers, for example a kernel size.
    Ints(Vec<i64>),
    /// A list of real numbers, for example a constant tensor.
    Floats(Vec<f64>),
    /// A list of texts, for example an option's choices.
    Texts(Vec<String>),
}

impl Value {
    /// The kind's name as error messages use it.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Bool(_) => "a boolean",
            Self::Int(_) => "an integer",
            Self::Float(_) => "a number",
            Self::Text(_) => "a text",
            Self::Ints(_) => "a list of integers",
            Self::Floats(_) => "a list of numbers",
            Self::Texts(_) => "a list of texts",
        }
    }
}

macro_rules! from {
    ($($ty:ty => $variant:ident),+) => {
        $( impl From<$ty> for Value { fn from(v: $ty) -> Self { Self::$variant(v.into()) } } )+
    };
}

from!(bool => Bool, i64 => Int, f64 => Float, &str => Text, String => Text);

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(v) => write!(f, "{v}"),
            Self::Int(v) => write!(f, "{v}"),
            Self::Float(v) => write!(f, "{v:?}"),
            Self::Text(v) => write!(f, "{v:?}"),
            Self::Ints(v) => write!(f, "{v:?}"),
            Self::Floats(v) => write!(f, "{v:?}"),
            Self::Texts(v) => write!(f, "{v:?}"),
        }
    }
}

/// `name = value`, in the order in which the author gave them.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Named<T> {
    /// The name.
    pub name: String,
    /// The value.
    pub value: T,
}

impl<T> Named<T> {
    /// Pairs a name with a value.
    pub fn new(name: impl Into<String>, value: T) -> Self {
        Self { name: name.into(), value }
    }
}

/// One operation applied to earlier nodes of the same graph.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Node {
    /// The operation's name in the opset, for example `conv2d`.
    pub op: String,
    /// Indices of earlier nodes; each is below this node's own index, so a graph cannot have a cycle.
    pub inputs: Vec<u32>,
    /// The operation's attributes.
    pub attributes: Vec<Named<Value>>,
}

/// Nodes in an order in which they can be computed, and which of them are the result.
#[derive(Debug, Clone, PartialEq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Graph {
    /// The nodes.
    pub nodes: Vec<Node>,
    /// Indices of the nodes that are the graph's outputs.
    pub outputs: Vec<u32>,
}

/// A whole GAN as data: what a plugin returns, what a run directory keeps.
#[derive(Debug, Clone, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Definition {
    /// The vocabulary it was written in, see [`crate::opset::OPSET`].
    pub opset: u32,
    /// The networks, losses and state updates, by name.
    pub graphs: Vec<Named<Graph>>,
    /// Everything that is not a graph, by dotted name: symmetry, penalties, defaults, options.
    pub metadata: Vec<Named<Value>>,
}
