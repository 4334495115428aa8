//! Asks a loaded plugin for its definition and believes none of it.

use tandem_plugin_api::{
    Gan, Images, abi, request,
    value::{self, Named, Value},
};

use super::{
    LoadedPlugin, PluginError,
    error::{LoadProblem, plain},
};

/// The most that a definition may hold, in bytes of names, numbers and structure.
const MAX_DEFINITION: usize = 64 << 20;

impl LoadedPlugin {
    /// The plugin's GAN for these images under these options, checked whole; `Gan::encode` gives it as data.
    pub fn declare(&self, images: Images, options: &[Named<Value>]) -> Result<Gan, PluginError> {
        let checked = ask(self, images, options).and_then(|definition| {
            let gan = Gan::decode(&definition).map_err(|e| LoadProblem::Malformed(plain(&e.to_string())))?;
            // The plugin said so itself; a plugin that was not made with the export macro may not have looked.
            gan.fits(images).map_err(|e| LoadProblem::OtherImages(plain(&e.to_string())))?;
            Ok(gan)
        });
        checked.map_err(|problem| PluginError::Load {
            name: self.manifest.name.clone(),
            path: self.path.clone(),
            problem,
        })
    }
}

/// The one call into a plugin's code. It runs in this process, so an endless loop or a crash in it is this process's.
fn ask(plugin: &LoadedPlugin, images: Images, options: &[Named<Value>]) -> Result<value::Definition, LoadProblem> {
    let answer = plugin.root.declare()(request(images, options)).into_result();
    let definition = answer.map_err(|reason| LoadProblem::Declaration(plain(&reason)))?;
    if size(&definition) > MAX_DEFINITION {
        return Err(LoadProblem::TooLarge(MAX_DEFINITION));
    }
    Ok(definition.into())
}

fn size(definition: &abi::Definition) -> usize {
    let graph = |graph: &abi::Named<abi::Graph>| -> usize {
        let nodes = graph.value.nodes.iter().map(|node| {
            size_of::<abi::Node>() + node.op.len() + 4 * node.inputs.len() + named_values(&node.attributes)
        });
        size_of_val(graph) + graph.name.len() + 4 * graph.value.outputs.len() + nodes.sum::<usize>()
    };
    definition.graphs.iter().map(graph).sum::<usize>() + named_values(&definition.metadata)
}

fn named_values(named: &[abi::Named<abi::Value>]) -> usize {
    let payload = |value: &abi::Value| match value {
        abi::Value::Bool(_) | abi::Value::Int(_) | abi::Value::Float(_) => 0,
        abi::Value::Text(text) => text.len(),
        abi::Value::Ints(list) => 8 * list.len(),
        abi::Value::Floats(list) => 8 * list.len(),
        abi::Value::Texts(list) => list.iter().map(|text| size_of_val(text) + text.len()).sum(),
    };
    named.iter().map(|n| size_of_val(n) + n.name.len() + payload(&n.value)).sum()
}
