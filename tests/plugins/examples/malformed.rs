//! A plugin whose definitions are wrong in the way that the option `kind` says; the boundary's types allow all of them.

use abi_stable::{
    prefix_type::PrefixTypeTrait,
    std_types::{RResult, RString, RVec},
};
use tandem_plugin_api::{
    Images,
    abi::{Definition, Named, Plugin, Plugin_Ref, Value},
    value,
};
use tandem_test_plugins::small_gan;

extern "C" fn declare(request: RVec<Named<Value>>) -> RResult<Definition, RString> {
    let kind = request.iter().find(|n| n.name == "kind").map(|n| n.value.clone());
    let Some(Value::Text(kind)) = kind else { return RResult::RErr("say a `kind`".into()) };
    let Ok(gan) = small_gan(Images { channels: 1, size: 8, classes: 0 }, 8) else {
        return RResult::RErr("the small GAN is wrong".into());
    };
    let mut definition = gan.encode();
    match kind.as_str() {
        "no generator" => definition.graphs.retain(|g| g.name != "generator"),
        "newer opset" => definition.opset += 1,
        "unknown operation" => definition.graphs[0].value.nodes[1].op = "modulated_linear".into(),
        "cycle" => definition.graphs[0].value.nodes[1].inputs = vec![1],
        "not finite" => {
            for n in definition.metadata.iter_mut().filter(|n| n.name.ends_with("learning_rate")) {
                n.value = value::Value::Float(f64::NAN);
            }
        }
        "too large" => {
            definition.metadata.push(value::Named::new("padding", value::Value::Ints(vec![0; 9 << 20])));
        }
        "other images" => {}
        "input after its use" => definition.graphs[0].value.nodes[1].inputs = vec![3],
        "no such node" => definition.graphs[1].value.nodes[1].inputs = vec![1 << 30],
        "no output" => definition.graphs[0].value.outputs.clear(),
        "missing attribute" => definition.graphs[0].value.nodes[1].attributes.clear(),
        "wrong attribute" => put(&mut definition, "out_features", &value::Value::Text("many".into())),
        "huge layer" => put(&mut definition, "out_features", &value::Value::Int(1 << 40)),
        "huge reshape" => put(&mut definition, "shape", &value::Value::Ints(vec![i64::MAX; 4])),
        "negative size" => put(&mut definition, "out_features", &value::Value::Int(-8)),
        "NaN constant" => put(&mut definition, "values", &value::Value::Floats(vec![f64::NAN])),
        "endless padding" => {
            let node = definition.graphs[0].value.nodes[0].clone();
            definition.graphs[0].value.nodes = vec![node; 200_000];
        }
        "nameless tensor" => put(&mut definition, "name", &value::Value::Text(String::new())),
        "two of one name" => put(&mut definition, "name", &value::Value::Text("hidden".into())),
        "control characters" => return RResult::RErr("red \u{1b}[31malert\nsecond line".into()),
        "long error" => return RResult::RErr("no ".repeat(10_000).into()),
        _ => return RResult::RErr("this `kind` is unknown".into()),
    }
    RResult::ROk(definition.into())
}

/// Gives every attribute of this name this value.
fn put(definition: &mut value::Definition, name: &str, value: &value::Value) {
    let nodes = definition.graphs.iter_mut().flat_map(|g| &mut g.value.nodes);
    for attribute in nodes.flat_map(|n| &mut n.attributes).filter(|a| a.name == name) {
        attribute.value = value.clone();
    }
}

fn root() -> Plugin_Ref {
    Plugin { declare }.leak_into_prefix()
}

tandem_test_plugins::export_raw!("malformed", Plugin_Ref, root);
