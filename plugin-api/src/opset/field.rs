//! Attribute types: how each goes into a [`Value`] and comes back, with a message when it does not.

use crate::{
    init::Init,
    value::{Named, Value},
};

/// A type that an operation's attribute can have.
pub trait Field: Sized {
    /// What it is, for messages and the reference: "an integer", "two integers".
    const KIND: &'static str;
    /// As data.
    fn encode(&self) -> Value;
    /// From data, or `None` if the data is of another kind or out of bounds.
    fn decode(value: &Value) -> Option<Self>;
}

impl Field for bool {
    const KIND: &'static str = "a boolean";
    fn encode(&self) -> Value {
        Value::Bool(*self)
    }
    fn decode(value: &Value) -> Option<Self> {
        if let Value::Bool(v) = value { Some(*v) } else { None }
    }
}

impl Field for i64 {
    const KIND: &'static str = "an integer";
    fn encode(&self) -> Value {
        Value::Int(*self)
    }
    fn decode(value: &Value) -> Option<Self> {
        if let Value::Int(v) = value { Some(*v) } else { None }
    }
}

impl Field for f64 {
    const KIND: &'static str = "a finite number";
    fn encode(&self) -> Value {
        Value::Float(*self)
    }
    fn decode(value: &Value) -> Option<Self> {
        if let Value::Float(v) = value { v.is_finite().then_some(*v) } else { None }
    }
}

impl Field for String {
    const KIND: &'static str = "a text";
    fn encode(&self) -> Value {
        Value::Text(self.clone())
    }
    fn decode(value: &Value) -> Option<Self> {
        if let Value::Text(v) = value { Some(v.clone()) } else { None }
    }
}

impl Field for Vec<i64> {
    const KIND: &'static str = "a list of integers";
    fn encode(&self) -> Value {
        Value::Ints(self.clone())
    }
    fn decode(value: &Value) -> Option<Self> {
        if let Value::Ints(v) = value { Some(v.clone()) } else { None }
    }
}

impl Field for [i64; 2] {
    const KIND: &'static str = "two integers";
    fn encode(&self) -> Value {
        Value::Ints(self.to_vec())
    }
    fn decode(value: &Value) -> Option<Self> {
        if let Value::Ints(v) = value { v.as_slice().try_into().ok() } else { None }
    }
}

impl Field for Vec<f64> {
    const KIND: &'static str = "a list of finite numbers";
    fn encode(&self) -> Value {
        Value::Floats(self.clone())
    }
    fn decode(value: &Value) -> Option<Self> {
        match value {
            Value::Floats(v) if v.iter().all(|x| x.is_finite()) => Some(v.clone()),
            _ => None,
        }
    }
}

impl Field for Init {
    const KIND: &'static str = "an initialiser such as `normal(0.0, 0.02)`";
    fn encode(&self) -> Value {
        Value::Text(self.to_string())
    }
    fn decode(value: &Value) -> Option<Self> {
        if let Value::Text(v) = value { v.parse().ok() } else { None }
    }
}

/// How `upsample` fills the new pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Interpolation {
    /// Repeats each pixel.
    Nearest,
    /// Bilinear, `align_corners = False` as PyTorch's default.
    Bilinear,
}

impl Field for Interpolation {
    const KIND: &'static str = "\"nearest\" or \"bilinear\"";
    fn encode(&self) -> Value {
        Value::Text(if *self == Self::Nearest { "nearest" } else { "bilinear" }.into())
    }
    fn decode(value: &Value) -> Option<Self> {
        match value {
            Value::Text(t) if t == "nearest" => Some(Self::Nearest),
            Value::Text(t) if t == "bilinear" => Some(Self::Bilinear),
            _ => None,
        }
    }
}

/// More than any operation takes; it bounds the search for duplicates in data from outside.
const MAX_ATTRIBUTES: usize = 64;

/// The attributes of one node while they are being read; whatever is left at the end is unknown.
pub(super) struct Attributes<'a>(Vec<&'a Named<Value>>);

impl<'a> Attributes<'a> {
    /// All attributes of a node; a name given twice is refused.
    pub(super) fn new(all: &'a [Named<Value>]) -> Result<Self, String> {
        if all.len() > MAX_ATTRIBUTES {
            return Err(format!("has {} attributes; no operation takes more than {MAX_ATTRIBUTES}", all.len()));
        }
        for (i, a) in all.iter().enumerate() {
            if all[..i].iter().any(|b| b.name == a.name) {
                return Err(format!("attribute `{}` is given twice", a.name));
            }
        }
        Ok(Self(all.iter().collect()))
    }

    /// Takes one attribute; `None` as default means that it must be there.
    pub(super) fn take<T: Field>(&mut self, name: &str, default: Option<T>) -> Result<T, String> {
        match self.0.iter().position(|a| a.name == name) {
            Some(i) => {
                let given = self.0.swap_remove(i);
                T::decode(&given.value).ok_or_else(|| {
                    format!("attribute `{name}` must be {}, found {} ({})", T::KIND, given.value.kind(), given.value)
                })
            }
            None => default.ok_or_else(|| format!("attribute `{name}` ({}) is missing", T::KIND)),
        }
    }

    /// An error if an attribute was not taken: a name that this opset does not know.
    pub(super) fn finish(self) -> Result<(), String> {
        match self.0.first() {
            Some(a) => Err(format!("attribute `{}` is unknown in opset {}", a.name, super::OPSET)),
            None => Ok(()),
        }
    }
}
