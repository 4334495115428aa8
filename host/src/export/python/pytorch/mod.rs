//! A network as a PyTorch module: a class with a layer each under its name in the definition, `forward`, and `load`.

mod operations;
mod spectral;

use std::collections::{BTreeMap, BTreeSet};

use tandem_plugin_api::{
    Network,
    network::describe,
    opset::{Op, parameters},
};

use super::{
    docstring,
    names::{Names, legal, unused},
    numbers, python_bool,
    statements::body,
    tuple,
};
use crate::export::{ExportError, Subject};

/// What every `nn.Module` has and what TorchScript's files take for words of their own, so that no layer may be called so.
const TAKEN: [&str; 63] = [
    "Ellipsis",
    "NoneType",
    "T_destination",
    "add_module",
    "apply",
    "bfloat16",
    "buffers",
    "call_super_init",
    "children",
    "compile",
    "cpu",
    "cuda",
    "double",
    "dump_patches",
    "eval",
    "extra_repr",
    "float",
    "forward",
    "get_buffer",
    "get_extra_state",
    "get_parameter",
    "get_submodule",
    "half",
    "ipu",
    "load_state_dict",
    "modules",
    "mtia",
    "named_buffers",
    "named_children",
    "named_modules",
    "named_parameters",
    "parameters",
    "register_backward_hook",
    "register_buffer",
    "register_forward_hook",
    "register_forward_pre_hook",
    "register_full_backward_hook",
    "register_full_backward_pre_hook",
    "register_load_state_dict_post_hook",
    "register_load_state_dict_pre_hook",
    "register_module",
    "register_parameter",
    "register_state_dict_post_hook",
    "register_state_dict_pre_hook",
    "requires_grad_",
    "set_extra_state",
    "set_submodule",
    "share_memory",
    "state_dict",
    "to",
    "to_empty",
    "train",
    "training",
    "type",
    "xpu",
    "zero_grad",
    "self",
    "torch",
    "nn",
    "F",
    "Path",
    "load_file",
    "load",
];

/// The dialect: what the class needs beside its layers is noted on the way.
struct PyTorch<'n> {
    network: &'n Network,
    names: Names,
    inputs: Vec<String>,
    /// The buffer's name of each constant, which no layer has.
    buffers: BTreeMap<usize, String>,
    /// The constants that are read as buffers.
    constants: BTreeSet<usize>,
}

impl<'n> PyTorch<'n> {
    fn new(network: &'n Network, inputs: Vec<String>) -> Self {
        let names = Names::nested(network, &TAKEN);
        let mut used = names.tops();
        let constants = network.nodes().iter().enumerate().filter(|(_, node)| matches!(node.op, Op::Constant { .. }));
        let buffers = constants.map(|(i, _)| (i, unused(&format!("constant{i}"), &mut used))).collect();
        Self { network, names, inputs, buffers, constants: BTreeSet::new() }
    }
}

/// The module's text.
pub(in crate::export) fn module(subject: &Subject<'_>) -> Result<String, ExportError> {
    let network = subject.network();
    let inputs: Vec<String> = network.inputs().map(|(name, _)| legal(name, &TAKEN)).collect();
    let mut dialect = PyTorch::new(network, inputs.clone());
    let forward = body(network, &mut dialect, &inputs)?;
    let layers = layers(network, &dialect.names)?;
    let constants = constants(&dialect);
    let renamed = renamed(network, &dialect.names);
    let spectral = spectral::classes(network);
    let uses = |what: &str| {
        let lines = forward.iter().chain(&layers).chain(&constants).map(String::as_str);
        lines.chain(spectral.iter().copied()).any(|line| line.contains(what))
    };

    let (class, file) = (subject.target.class(), subject.target.name());
    let mut text = head(subject);
    text += "\nfrom pathlib import Path\n\nimport torch\n";
    if uses("F.") {
        text += "import torch.nn.functional as F\n";
    }
    text += "from safetensors.torch import load_file\nfrom torch import nn\n";
    if !renamed.is_empty() {
        text += "\n# Tensors whose names in the file Python cannot spell.\nRENAMED = {\n";
        for (from, to) in &renamed {
            text += &format!("    {from:?}: {to:?},\n");
        }
        text += "}\n";
    }
    for class in &spectral {
        text += &format!("\n\n{class}");
    }
    text += &format!("\n\nclass {class}(nn.Module):\n    def __init__(self):\n        super().__init__()\n");
    for line in layers.iter().chain(&constants).flat_map(|l| l.lines()) {
        text += &format!("        {line}\n");
    }
    let arguments: Vec<String> = inputs.iter().map(|name| format!(", {name}: torch.Tensor")).collect();
    text += &format!("\n    def forward(self{}) -> torch.Tensor:\n", arguments.concat());
    for line in &forward {
        text += &format!("        {line}\n");
    }
    let state = if renamed.is_empty() {
        "load_file(path)"
    } else {
        "{RENAMED.get(name, name): tensor for name, tensor in load_file(path).items()}"
    };
    text += &format!(
        "\n\ndef load(path: str | Path = Path(__file__).with_name(\"{file}.safetensors\")) -> {class}:\n    \
         \"\"\"The {file} with its trained weights, in evaluation mode.\"\"\"\n    \
         {file} = {class}()\n    {file}.load_state_dict({state})\n    return {file}.eval()\n"
    );
    Ok(text)
}

fn head(subject: &Subject<'_>) -> String {
    let (class, file, network) = (subject.target.class(), subject.target.name(), subject.network());
    let input = |name: &str, types: &tandem_plugin_api::shape::TensorType| {
        format!("{name} {}{}", types.shape, if name == "labels" { ", int64" } else { "" })
    };
    let inputs: Vec<String> = network.inputs().map(|(name, types)| input(name, types)).collect();
    let output = network.output_type().shape.to_string();
    let range = if file == "generator" { " in [-1, 1]" } else { ", raw" };
    format!(
        "\"\"\"{class}: {}, in PyTorch.\n\nTakes {}; gives {} {output}{range}.\n\n    from {file} import load\n\n    \
         {file} = load()  # the weights in {file}.safetensors, beside this file\n\"\"\"\n",
        docstring(&subject.title()),
        inputs.join(" and "),
        subject.target.output(),
    )
}

/// A line for each layer, and one for each module that only holds others.
fn layers(network: &Network, names: &Names) -> Result<Vec<String>, ExportError> {
    let (mut lines, mut holders) = (Vec::new(), BTreeSet::new());
    for node in network.nodes() {
        let Some(made) = layer(&node.op, network, node).map_err(|why| ExportError::Unsupported {
            place: describe(&node.op),
            framework: "pytorch",
            why,
        })?
        else {
            continue;
        };
        let path = names.get(tandem_plugin_api::network::name(&node.op).unwrap_or_default());
        for (dot, _) in path.match_indices('.') {
            if holders.insert(path[..dot].to_owned()) {
                lines.push(format!("self.{} = nn.Module()", &path[..dot]));
            }
        }
        lines.push(format!("self.{path} = {made}"));
    }
    Ok(lines)
}

/// The constructor of a layer; `None` for what owns nothing. That no operation is forgotten, `operations` sees to.
fn layer(op: &Op, network: &Network, node: &tandem_plugin_api::network::TypedNode) -> Result<Option<String>, String> {
    let inputs = network.input_types(node);
    let size = |i: usize| inputs[0].shape.0.get(i).map(ToString::to_string).unwrap_or_default();
    let kind = |spectral: bool, name: &str| if spectral { format!("Spectral{name}") } else { format!("nn.{name}") };
    Ok(Some(match op {
        Op::Parameter { shape, .. } => format!("nn.Parameter(torch.zeros({}))", tuple(shape)),
        Op::Conv2d { out_channels, kernel_size, stride, padding, dilation, groups, bias, spectral_norm, .. } => {
            let class = kind(*spectral_norm, "Conv2d");
            let mut made = format!("{class}({}, {out_channels}, {}", size(1), pair(kernel_size));
            window(&mut made, stride, padding, [0, 0], dilation, *groups, *bias);
            made + ")"
        }
        Op::ConvTranspose2d {
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding,
            dilation,
            groups,
            bias,
            spectral_norm,
            ..
        } => {
            let class = kind(*spectral_norm, "ConvTranspose2d");
            let mut made = format!("{class}({}, {out_channels}, {}", size(1), pair(kernel_size));
            window(&mut made, stride, padding, *output_padding, dilation, *groups, *bias);
            made + ")"
        }
        Op::Linear { out_features, bias, spectral_norm, .. } => {
            let bias = if *bias { "" } else { ", bias=False" };
            format!("{}({}, {out_features}{bias})", kind(*spectral_norm, "Linear"), size(inputs[0].shape.rank() - 1))
        }
        Op::Embedding { num_embeddings, embedding_dim, spectral_norm, .. } => {
            format!("{}({num_embeddings}, {embedding_dim})", kind(*spectral_norm, "Embedding"))
        }
        Op::BatchNorm { eps, momentum, affine, .. } => {
            let dimensions = match inputs[0].shape.rank() {
                2 | 3 => "1d",
                4 => "2d",
                5 => "3d",
                rank => return Err(format!("its batch norms take 2 to 5 dimensions, found {rank}")),
            };
            let momentum = if *momentum == 0.1 { String::new() } else { format!(", momentum={momentum:?}") };
            format!("nn.BatchNorm{dimensions}({}{}{momentum}{})", size(1), eps_of(*eps), affine_of(*affine, true))
        }
        Op::GroupNorm { num_groups, eps, affine, .. } => {
            format!("nn.GroupNorm({num_groups}, {}{}{})", size(1), eps_of(*eps), affine_of(*affine, true))
        }
        Op::InstanceNorm { eps, affine, .. } => {
            format!("nn.InstanceNorm2d({}{}{})", size(1), eps_of(*eps), affine_of(*affine, false))
        }
        Op::LayerNorm { normalized_shape, eps, affine, .. } => {
            let affine = if *affine { "" } else { ", elementwise_affine=False" };
            format!("nn.LayerNorm({}{}{affine})", tuple(normalized_shape), eps_of(*eps))
        }
        _ => return Ok(None),
    }))
}

/// What a convolution has beyond PyTorch's defaults.
fn window(
    made: &mut String,
    stride: &[i64; 2],
    padding: &[i64; 2],
    output_padding: [i64; 2],
    dilation: &[i64; 2],
    groups: i64,
    bias: bool,
) {
    let pairs = [
        ("stride", *stride, [1, 1]),
        ("padding", *padding, [0, 0]),
        ("output_padding", output_padding, [0, 0]),
        ("dilation", *dilation, [1, 1]),
    ];
    for (name, value, default) in pairs {
        if value != default {
            *made += &format!(", {name}={}", pair(&value));
        }
    }
    if groups != 1 {
        *made += &format!(", groups={groups}");
    }
    if !bias {
        *made += ", bias=False";
    }
}

/// One number where both are the same.
fn pair(sizes: &[i64; 2]) -> String {
    if sizes[0] == sizes[1] { sizes[0].to_string() } else { tuple(sizes) }
}

fn eps_of(eps: f64) -> String {
    if eps == 1e-5 { String::new() } else { format!(", eps={eps:?}") }
}

fn affine_of(affine: bool, default: bool) -> String {
    if affine == default { String::new() } else { format!(", affine={}", python_bool(affine)) }
}

/// The constants that do not stand in the text as numbers: buffers that no file holds.
fn constants(dialect: &PyTorch<'_>) -> Vec<String> {
    let constant = |&i: &usize| {
        let Op::Constant { shape, values } = &dialect.network.nodes()[i].op else { return String::new() };
        let (sizes, name) = (tuple(shape), dialect.buffers.get(&i).map_or("", String::as_str));
        format!(
            "self.register_buffer(\"{name}\", torch.tensor({}).reshape({sizes}), persistent=False)",
            numbers(values)
        )
    };
    dialect.constants.iter().map(constant).collect()
}

/// Tensors whose names in the file are not those in the module.
fn renamed(network: &Network, names: &Names) -> Vec<(String, String)> {
    let mut all = Vec::new();
    for node in network.nodes() {
        let Some(layer) = tandem_plugin_api::network::name(&node.op) else { continue };
        let path = names.get(layer);
        if path == layer {
            continue;
        }
        let own = parameters(&node.op, &network.input_types(node)).into_iter();
        all.extend(own.map(|p| {
            let renamed = format!("{path}{}", p.name.strip_prefix(layer).unwrap_or_default());
            (p.name, renamed)
        }));
    }
    all
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::{Builder, kernel};

    use super::*;

    #[test]
    fn a_constant_takes_no_layers_name() {
        let b = Builder::new();
        // Nodes 0 to 3: the image, the layer, the constant, their product.
        let x = b.input("image", &[2, 4, 4]).conv2d("constant2", 2, kernel(1));
        let gains = b.constant(&[2, 1, 1], &[0.5, 2.0]);
        let network = b.finish(&(&x * &gains)).unwrap();
        let mut dialect = PyTorch::new(&network, vec!["image".into()]);
        let forward = body(&network, &mut dialect, &[]).unwrap();
        assert_eq!(forward, ["return self.constant2(image) * self.constant2_  # [N, 2, 4, 4]"]);
        let made = constants(&dialect);
        assert!(made.len() == 1 && made[0].starts_with("self.register_buffer(\"constant2_\", "), "{made:?}");
    }
}
