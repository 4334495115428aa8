//! abi_stable's report of a layout that does not fit, hundreds of lines, as its one deepest cause in words.

use std::fmt::Debug;

use abi_stable::{
    StableAbi,
    abi_stability::abi_checking::{AbiInstability, AbiInstabilityErrors, check_layout_compatibility},
    type_layout::{TLFieldOrFunction, TypeLayout},
};
use tandem_plugin_api::abi::Plugin_Ref;

use super::error::plain;

/// Whether a plugin's root module can be read as this host's.
///
/// abi_stable asks it one way: the plugin as new as the host or newer. The other way is as good for what is frozen, so
/// one of the two is enough.
pub(super) fn check(plugin: &'static TypeLayout) -> Result<(), String> {
    compare(<Plugin_Ref as StableAbi>::LAYOUT, plugin)
}

fn compare(host: &'static TypeLayout, plugin: &'static TypeLayout) -> Result<(), String> {
    check_layout_compatibility(host, plugin)
        .or_else(|errors| check_layout_compatibility(plugin, host).map_err(|_| deepest_cause(&errors)))
}

fn deepest_cause(errors: &AbiInstabilityErrors) -> String {
    let Some(deepest) = errors.errors.iter().filter(|e| !e.errs.is_empty()).max_by_key(|e| e.stack_trace.len()) else {
        return "the layouts differ".into();
    };
    // A type's size follows from what it is made of, so it is named only when nothing else is.
    let cause =
        deepest.errs.iter().max_by_key(|e| !matches!(e, AbiInstability::Size(_) | AbiInstability::Alignment(_)));
    let place = match deepest.stack_trace.last().map(|frame| frame.expected) {
        Some(TLFieldOrFunction::Field(field)) => format!("type `{}`", field.full_type().name()),
        Some(TLFieldOrFunction::Function(_)) => "the signature of `declare`".to_owned(),
        None => format!("type `{}`", errors.interface.name()),
    };
    format!("{place} {}", cause.map_or_else(|| "differs".into(), in_words))
}

fn in_words(cause: &AbiInstability) -> String {
    use AbiInstability as AI;
    match cause {
        AI::Name(v) => differs("is", format!("`{}`", v.expected.name()), format!("`{}`", v.found.name())),
        AI::Package(v) => differs("comes from crate", v.expected, v.found),
        AI::PackageVersion(v) => differs("comes from version", v.expected, v.found),
        AI::Size(v) => differs("has a size of", v.expected, v.found),
        AI::Alignment(v) => differs("has an alignment of", v.expected, v.found),
        AI::FieldCountMismatch(v) => differs("has so many fields:", v.expected, v.found),
        AI::TooManyVariants(v) => differs("has so many variants:", v.expected, v.found),
        AI::UnexpectedField(v) => {
            differs("has the field", format!("`{}`", v.expected.name()), format!("`{}`", v.found.name()))
        }
        AI::UnexpectedVariant(v) => differs("has the variant", v.expected, v.found),
        AI::MismatchedPrimitive(v) => differs("is", debug(&v.expected), debug(&v.found)),
        AI::TLDataDiscriminant(v) => differs("is of kind", debug(&v.expected), debug(&v.found)),
        AI::MismatchedPrefixSize(v) => differs("has a fixed part of", v.expected, v.found),
        other => format!("differs: {}", plain(&debug(other)).chars().take(120).collect::<String>()),
    }
}

fn debug(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn differs(what: &str, host: impl std::fmt::Display, plugin: impl std::fmt::Display) -> String {
    format!("{what} {host} in this tandem and {plugin} in the plugin")
}

#[cfg(test)]
#[expect(unreachable_pub, reason = "the derive needs public types")]
mod tests {
    use super::*;

    macro_rules! version {
        ($name:ident { $($definition:tt)+ }) => {
            pub mod $name {
                use abi_stable::{StableAbi, std_types::RVec};

                #[repr(C)]
                #[derive(StableAbi)]
                pub struct Root {
                    pub parts: RVec<Part>,
                }

                #[repr(C)]
                #[derive(StableAbi)]
                $($definition)+
            }
        };
    }

    version! { one { pub struct Part { pub a: u32, pub b: u32 } } }
    version! { longer { pub struct Part { pub a: u32, pub b: u32, pub c: u64 } } }
    version! { renamed { pub struct Part { pub a: u32, pub z: u32 } } }
    version! { retyped { pub struct Part { pub a: u32, pub b: i32 } } }

    fn against(other: &'static TypeLayout) -> Result<(), String> {
        compare(<one::Root as StableAbi>::LAYOUT, other)
    }

    #[test]
    fn the_cause_is_named_where_it_lies() {
        assert_eq!(against(<one::Root as StableAbi>::LAYOUT), Ok(()));
        assert_eq!(
            against(<longer::Root as StableAbi>::LAYOUT).unwrap_err(),
            "type `Part` has so many fields: 2 in this tandem and 3 in the plugin"
        );
        assert_eq!(
            against(<renamed::Root as StableAbi>::LAYOUT).unwrap_err(),
            "type `Part` has the field `b` in this tandem and `z` in the plugin"
        );
        assert_eq!(
            against(<retyped::Root as StableAbi>::LAYOUT).unwrap_err(),
            "type `u32` is `u32` in this tandem and `i32` in the plugin"
        );
    }
}
