//! The frozen boundary: the few `StableAbi` types that cross between a plugin and the host, and nothing else.
//!
//! These types never change (docs/plugin-abi.md): what grows is the vocabulary, which is data. No `abi_stable` type
//! is used outside this module, the export macro and the host's `plugin` module; here they turn into [`crate::value`].

#![expect(
    missing_docs,
    reason = "the native twins in `value` carry the documentation; the derive adds public items of its own"
)]
#![expect(clippy::expl_impl_clone_on_copy, reason = "the derive writes both for `Plugin_Ref`")]
#![expect(non_camel_case_types, reason = "the derive names the prefix type's pointer `Plugin_Ref`")]

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings,
    sabi_types::VersionStrings,
    std_types::{RResult, RString, RVec},
};

use crate::value;

/// An attribute value.
#[repr(u8)]
#[derive(StableAbi, Debug, Clone, PartialEq)]
pub enum Value {
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(RString),
    Ints(RVec<i64>),
    Floats(RVec<f64>),
    Texts(RVec<RString>),
}

/// `name = value`.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, PartialEq)]
pub struct Named<T> {
    pub name: RString,
    pub value: T,
}

/// An operation applied to earlier nodes.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, PartialEq)]
pub struct Node {
    pub op: RString,
    pub inputs: RVec<u32>,
    pub attributes: RVec<Named<Value>>,
}

/// Nodes in order, and the outputs among them.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, PartialEq)]
pub struct Graph {
    pub nodes: RVec<Node>,
    pub outputs: RVec<u32>,
}

/// A whole definition.
#[repr(C)]
#[derive(StableAbi, Debug, Clone, PartialEq)]
pub struct Definition {
    pub opset: u32,
    pub graphs: RVec<Named<Graph>>,
    pub metadata: RVec<Named<Value>>,
}

/// The root module: one function, and room after it that no version has used.
#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = Plugin_Ref)))]
pub struct Plugin {
    /// The request (options and the data's facts) to a definition, or a sentence that says why there is none.
    #[sabi(last_prefix_field)]
    pub declare: extern "C" fn(request: RVec<Named<Value>>) -> RResult<Definition, RString>,
}

impl RootModule for Plugin_Ref {
    abi_stable::declare_root_module_statics! {Plugin_Ref}
    const BASE_NAME: &'static str = "tandem_plugin";
    const NAME: &'static str = "tandem_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

macro_rules! both_ways {
    ($($variant:ident: $text:ident => $to:expr, $from:expr;)+) => {
        impl From<value::Value> for Value {
            fn from(v: value::Value) -> Self { match v { $( value::Value::$variant($text) => Self::$variant($to), )+ } }
        }
        impl From<Value> for value::Value {
            fn from(v: Value) -> Self { match v { $( Value::$variant($text) => Self::$variant($from), )+ } }
        }
    };
}

both_ways! {
    Bool: v => v, v;
    Int: v => v, v;
    Float: v => v, v;
    Text: v => v.into(), v.into();
    Ints: v => v.into(), v.into();
    Floats: v => v.into(), v.into();
    Texts: v => v.into_iter().map(Into::into).collect(), v.into_iter().map(Into::into).collect();
}

impl<A, B: From<A>> From<value::Named<A>> for Named<B> {
    fn from(n: value::Named<A>) -> Self {
        Self { name: n.name.into(), value: n.value.into() }
    }
}

impl<A, B: From<A>> From<Named<A>> for value::Named<B> {
    fn from(n: Named<A>) -> Self {
        Self { name: n.name.into(), value: n.value.into() }
    }
}

macro_rules! structs {
    ($($from:ty => $to:ty { $($field:ident: $how:ident),+ };)+) => {
        $( impl From<$from> for $to { fn from(v: $from) -> Self { Self { $( $field: structs!(@$how v.$field) ),+ } } } )+
    };
    (@each $e:expr) => { $e.into_iter().map(Into::into).collect() };
    (@into $e:expr) => { $e.into() };
}

structs! {
    value::Node => Node { op: into, inputs: into, attributes: each };
    Node => value::Node { op: into, inputs: into, attributes: each };
    value::Graph => Graph { nodes: each, outputs: into };
    Graph => value::Graph { nodes: each, outputs: into };
    value::Definition => Definition { opset: into, graphs: each, metadata: each };
    Definition => value::Definition { opset: into, graphs: each, metadata: each };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_definition_crosses_unchanged() {
        let native = value::Definition {
            opset: 1,
            graphs: vec![value::Named::new(
                "g",
                value::Graph {
                    nodes: vec![value::Node {
                        op: "relu".into(),
                        inputs: vec![0],
                        attributes: vec![value::Named::new("a", value::Value::Floats(vec![1.0]))],
                    }],
                    outputs: vec![0],
                },
            )],
            metadata: vec![value::Named::new("t", value::Value::Texts(vec!["x".into()]))],
        };
        let stable = Definition::from(native.clone());
        assert_eq!(value::Definition::from(stable), native);
    }
}
