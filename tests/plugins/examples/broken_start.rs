//! A plugin that panics before it can be asked for anything.

use tandem_plugin_api::abi::Plugin_Ref;

fn root() -> Plugin_Ref {
    panic!("not today")
}

tandem_test_plugins::export_raw!("broken-start", Plugin_Ref, root);
