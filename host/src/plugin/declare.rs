//! Asks a plugin for its definition and believes none of it.

use tandem_plugin_api::{
    Gan, Images,
    abi::{self, Plugin_Ref},
    request,
    value::{self, Named, Value},
};

use super::{
    LoadedPlugin, PluginError, PluginFile, child,
    error::{LoadProblem, plain},
    load,
};
use crate::confined;

/// Has plugins declare in this process.
const IN_PROCESS: &str = "TANDEM_PLUGIN_IN_PROCESS";

/// The most that a definition may hold, in bytes of names, numbers and structure; a shipped one has 31 KB of JSON at most.
pub(super) const MAX_DEFINITION: usize = 16 << 20;

impl PluginFile {
    /// The plugin's GAN for these images under these options, checked whole; `Gan::encode` gives it as data.
    ///
    /// Its code runs in a confined process of this binary, which must run [`super::serve`] for [`super::COMMAND`]; with
    /// `TANDEM_PLUGIN_IN_PROCESS=1`, for debugging, in this process.
    pub fn declare(&self, images: Images, options: &[Named<Value>]) -> Result<Gan, PluginError> {
        if std::env::var_os(IN_PROCESS).is_some_and(|value| value == "1") {
            return load(self)?.declare(images, options);
        }
        let tandem = confined::this_program().map_err(LoadProblem::Child);
        tandem
            .and_then(|tandem| child::declare(&tandem, self, images, options))
            .and_then(|definition| checked(&definition, images))
            .map_err(|problem| self.error(problem))
    }
}

impl LoadedPlugin {
    /// As [`PluginFile::declare`], in this process: an endless loop or a crash of the plugin's is this process's.
    pub fn declare(&self, images: Images, options: &[Named<Value>]) -> Result<Gan, PluginError> {
        let gan = ask(self.root, images, options).and_then(|definition| checked(&definition, images));
        gan.map_err(|problem| PluginError::Load { name: self.manifest.name.clone(), path: self.path.clone(), problem })
    }
}

fn checked(definition: &value::Definition, images: Images) -> Result<Gan, LoadProblem> {
    let malformed = |e: tandem_plugin_api::Error| LoadProblem::Malformed(plain(&e.to_string()));
    let gan = Gan::decode(definition).map_err(malformed)?;
    gan.check_meaning().map_err(malformed)?;
    // The plugin said so itself; a plugin that was not made with the export macro may not have looked.
    gan.fits(images).map_err(|e| LoadProblem::OtherImages(plain(&e.to_string())))?;
    Ok(gan)
}

/// The one call into a plugin's code.
pub(super) fn ask(
    root: Plugin_Ref,
    images: Images,
    options: &[Named<Value>],
) -> Result<value::Definition, LoadProblem> {
    let answer = root.declare()(request(images, options)).into_result();
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
