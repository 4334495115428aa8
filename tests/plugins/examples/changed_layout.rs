//! A plugin built against a plugin-api whose frozen types somebody changed without a new version: a graph has a name.

#![expect(missing_docs, non_camel_case_types, reason = "a copy of the boundary's types, with one field more")]
#![expect(clippy::expl_impl_clone_on_copy, reason = "the derive's")]

use abi_stable::{
    StableAbi,
    library::RootModule,
    package_version_strings,
    prefix_type::PrefixTypeTrait,
    sabi_types::VersionStrings,
    std_types::{RResult, RString, RVec},
};
use tandem_plugin_api::abi::{Named, Node, Value};

#[repr(C)]
#[derive(StableAbi)]
pub struct Graph {
    pub nodes: RVec<Node>,
    pub outputs: RVec<u32>,
    pub title: RString,
}

#[repr(C)]
#[derive(StableAbi)]
pub struct Definition {
    pub opset: u32,
    pub graphs: RVec<Named<Graph>>,
    pub metadata: RVec<Named<Value>>,
}

#[repr(C)]
#[derive(StableAbi)]
#[sabi(kind(Prefix(prefix_ref = Plugin_Ref)))]
pub struct Plugin {
    #[sabi(last_prefix_field)]
    pub declare: extern "C" fn(request: RVec<Named<Value>>) -> RResult<Definition, RString>,
}

impl RootModule for Plugin_Ref {
    abi_stable::declare_root_module_statics! {Plugin_Ref}
    const BASE_NAME: &'static str = "tandem_plugin";
    const NAME: &'static str = "tandem_plugin";
    const VERSION_STRINGS: VersionStrings = package_version_strings!();
}

extern "C" fn declare(_: RVec<Named<Value>>) -> RResult<Definition, RString> {
    RResult::RErr("a host must never get here".into())
}

fn root() -> Plugin_Ref {
    Plugin { declare }.leak_into_prefix()
}

tandem_test_plugins::export_raw!("changed-layout", Plugin_Ref, root);
