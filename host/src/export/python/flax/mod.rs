//! A network as a Flax (linen) module that loads the same safetensors as the PyTorch one.
//!
//! Linen, because a module there is a pure function of its variables, which `load` makes of the file. Images are
//! `[N, C, H, W]` outside, as everywhere here, and `[N, H, W, C]` inside, as Flax's layers and accelerators want them.

mod layouts;
mod operations;

use std::collections::BTreeSet;

use tandem_plugin_api::{
    Network,
    network::{TypedNode, name},
    opset::{Interpolation, Op},
    shape::TensorType,
};

use super::{
    docstring,
    names::{Names, legal},
    numbers,
    statements::body,
    tuple,
};
use crate::export::{ExportError, Subject};

/// What every linen module has, and the collections that its variables lie in, so that no layer may be called so; and the
/// program's own names.
const TAKEN: [&str; 38] = [
    "apply",
    "batch_stats",
    "bind",
    "clone",
    "copy",
    "get_variable",
    "has_rng",
    "has_variable",
    "init",
    "init_with_output",
    "is_initializing",
    "is_mutable_collection",
    "lazy_init",
    "make_rng",
    "module_paths",
    "name",
    "param",
    "params",
    "parent",
    "path",
    "perturb",
    "put_variable",
    "reset",
    "scope",
    "setup",
    "sow",
    "tabulate",
    "unbind",
    "variable",
    "variables",
    "self",
    "jax",
    "jnp",
    "nn",
    "np",
    "Path",
    "load",
    "load_file",
];

/// Whether an operation needs a function, and the function.
type Helper = (fn(&Op) -> bool, &'static str);

/// Functions of the program, each with the operations that need it.
const HELPERS: [Helper; 3] = [
    (
        |op| matches!(op, Op::PixelShuffle { .. }),
        "def pixel_shuffle(x, r):\n    n, h, w, c = x.shape\n    x = x.reshape(n, h, w, c // r**2, r, r)\n    \
         return x.transpose(0, 1, 4, 2, 5, 3).reshape(n, h * r, w * r, c // r**2)\n",
    ),
    (
        |op| matches!(op, Op::Upsample { mode: Interpolation::Bilinear, .. }),
        "def upsample_bilinear(x, factor):\n    n, h, w, c = x.shape\n    \
         return jax.image.resize(x, (n, h * factor, w * factor, c), \"bilinear\")\n",
    ),
    (
        is_grouped_transpose,
        "class GroupedConvTranspose(nn.Module):\n    \
         \"\"\"A transposed convolution in groups, which Flax has not: each group of channels has its own.\"\"\"\n\n    \
         groups: int\n    conv: Callable\n\n    @nn.compact\n    def __call__(self, x):\n        \
         parts = jnp.split(x, self.groups, axis=-1)\n        \
         return jnp.concatenate([self.conv(name=f\"group{i}\")(part) for i, part in enumerate(parts)], axis=-1)\n",
    ),
];

const fn is_grouped_transpose(op: &Op) -> bool {
    matches!(op, Op::ConvTranspose2d { groups: 2.., .. })
}

/// What `load` is made of: the name, its text, and the names that it needs in turn.
const LOADERS: [(&str, &str, &[&str]); 8] = [
    (
        "weight",
        "def weight(tensors, layer, rows=0):\n    \
         \"\"\"A layer's weight; under spectral norm, the stored one divided by the norm that its vectors u and v tell.\"\"\"\n    \
         if f\"{layer}.weight\" in tensors:\n        return tensors[f\"{layer}.weight\"]\n    \
         w = tensors[f\"{layer}.weight_orig\"]\n    \
         matrix = np.moveaxis(w, rows, 0).reshape(w.shape[rows], -1)\n    \
         return w / (tensors[f\"{layer}.weight_u\"] @ matrix @ tensors[f\"{layer}.weight_v\"])\n",
        &[],
    ),
    (
        "with_bias",
        "def with_bias(tensors, layer, kernel):\n    bias = tensors.get(f\"{layer}.bias\")\n    \
         return {\"kernel\": kernel} if bias is None else {\"kernel\": kernel, \"bias\": bias}\n",
        &[],
    ),
    (
        "conv",
        "def conv(tensors, layer):\n    \
         kernel = weight(tensors, layer).transpose(2, 3, 1, 0)  # [out, in, h, w] to [h, w, in, out]\n    \
         return with_bias(tensors, layer, kernel)\n",
        &["weight", "with_bias"],
    ),
    (
        "conv_transpose",
        "def conv_transpose(tensors, layer):\n    \
         kernel = weight(tensors, layer, rows=1).transpose(2, 3, 1, 0)  # [in, out, h, w] to [h, w, out, in]\n    \
         return with_bias(tensors, layer, kernel)\n",
        &["weight", "with_bias"],
    ),
    (
        "grouped_conv_transpose",
        "def grouped_conv_transpose(tensors, layer, groups):\n    \
         kernel = weight(tensors, layer, rows=1).transpose(2, 3, 1, 0)\n    \
         parts = [{\"kernel\": part} for part in np.split(kernel, groups, axis=-1)]\n    \
         if f\"{layer}.bias\" in tensors:\n        \
         for part, bias in zip(parts, np.split(tensors[f\"{layer}.bias\"], groups)):\n            part[\"bias\"] = bias\n    \
         return {f\"group{i}\": part for i, part in enumerate(parts)}\n",
        &["weight"],
    ),
    (
        "linear",
        "def linear(tensors, layer):\n    return with_bias(tensors, layer, weight(tensors, layer).T)\n",
        &["weight", "with_bias"],
    ),
    (
        "norm",
        "def norm(tensors, layer):\n    \
         return {\"scale\": tensors[f\"{layer}.weight\"], \"bias\": tensors[f\"{layer}.bias\"]}\n",
        &[],
    ),
    (
        "statistics",
        "def statistics(tensors, layer):\n    \
         return {\"mean\": tensors[f\"{layer}.running_mean\"], \"var\": tensors[f\"{layer}.running_var\"]}\n",
        &[],
    ),
];

/// The dialect: what the program needs beside its layers is noted on the way.
struct Flax<'n> {
    network: &'n Network,
    names: Names,
    inputs: Vec<String>,
    constants: BTreeSet<usize>,
    /// Which values are `[N, H, W, C]`.
    last: Vec<bool>,
}

/// The module's text.
pub(in crate::export) fn module(subject: &Subject<'_>) -> Result<String, ExportError> {
    let network = subject.network();
    let inputs: Vec<String> = network.inputs().map(|(name, _)| legal(name, &TAKEN)).collect();
    let mut dialect = Flax {
        network,
        names: Names::flat(network, &TAKEN),
        inputs: inputs.clone(),
        constants: BTreeSet::new(),
        last: vec![false; network.nodes().len()],
    };
    let call = body(network, &mut dialect, &inputs)?;
    let (setup, params, statistics) = layers(network, &dialect.names);
    let loaders = loaders(&params, &statistics);
    let uses = |what: &str| call.iter().chain(&setup).any(|line| line.contains(what));

    let (class, file) = (subject.target.class(), subject.target.name());
    let has = |is: fn(&Op) -> bool| network.nodes().iter().any(|node| is(&node.op));
    let helpers: Vec<&str> = HELPERS.iter().filter(|(is, _)| has(*is)).map(|(_, text)| *text).collect();
    let mut text = head(subject) + "\n";
    if has(is_grouped_transpose) {
        text += "from collections.abc import Callable\nfrom functools import partial\n";
    }
    text += "from pathlib import Path\n\n";
    if uses("jax.") || helpers.iter().any(|h| h.contains("jax.")) {
        text += "import jax\n";
    }
    if uses("jnp.") || helpers.iter().any(|h| h.contains("jnp.")) {
        text += "import jax.numpy as jnp\n";
    }
    if !dialect.constants.is_empty() || loaders.iter().any(|l| l.contains("np.")) {
        text += "import numpy as np\n";
    }
    text += "from flax import linen as nn\nfrom safetensors.numpy import load_file\n";
    for &i in &dialect.constants {
        if let Op::Constant { shape, values } = &network.nodes()[i].op {
            let (values, sizes) = (numbers(values), tuple(shape));
            text += &format!("\nCONSTANT{i} = np.array({values}, np.float32).reshape({sizes})\n");
        }
    }
    for helper in &helpers {
        text += &format!("\n\n{helper}");
    }
    text += &format!("\n\nclass {class}(nn.Module):\n");
    if !setup.is_empty() {
        text += "    def setup(self):\n";
        for line in &setup {
            text += &format!("        {line}\n");
        }
        text += "\n";
    }
    text += &format!("    def __call__(self, {}):\n", inputs.join(", "));
    for line in &call {
        text += &format!("        {line}\n");
    }
    text += &format!(
        "\n\ndef load(path: str | Path = Path(__file__).with_name(\"{file}.safetensors\")) -> dict:\n    \
         \"\"\"The variables of the trained {file}, from tensors in PyTorch's layout.\"\"\"\n    \
         tensors = load_file(path)\n"
    );
    text += &dictionary("params", &params);
    text += &dictionary("batch_stats", &statistics);
    let returned = if statistics.is_empty() { "" } else { ", \"batch_stats\": batch_stats" };
    text += &format!("    return {{\"params\": params{returned}}}\n");
    for loader in &loaders {
        text += &format!("\n\n{loader}");
    }
    Ok(text)
}

fn dictionary(name: &str, entries: &[String]) -> String {
    match (entries, name) {
        ([], "params") => "    params = {}\n".into(),
        ([], _) => String::new(),
        _ => format!("    {name} = {{\n        {},\n    }}\n", entries.join(",\n        ")),
    }
}

fn head(subject: &Subject<'_>) -> String {
    let (class, file, network) = (subject.target.class(), subject.target.name(), subject.network());
    let input = |name: &str, types: &TensorType| {
        format!("{name} {}{}", types.shape, if name == "labels" { ", integers" } else { "" })
    };
    let inputs: Vec<String> = network.inputs().map(|(name, types)| input(name, types)).collect();
    let names: Vec<String> = network.inputs().map(|(name, _)| legal(name, &TAKEN)).collect();
    let output = &network.output_type().shape;
    let (images, range) = (subject.target.output(), if file == "generator" { " in [-1, 1]" } else { ", raw" });
    let inside = if network.nodes().iter().any(|n| n.output.shape.rank() == 4) {
        " Inside, images are [N, H, W, C]."
    } else {
        ""
    };
    format!(
        "\"\"\"{class}: {}, in Flax.\n\nTakes {}; gives {images} {output}{range}.{inside}\n\n    from {file} import {class}, \
         load\n\n    variables = load()  # the weights in {file}.safetensors, beside this file\n    {images} = \
         {class}().apply(variables, {})\n\nIt is for use, not for training: batch norms take their running statistics.\n\"\"\"\n",
        docstring(&subject.title()),
        inputs.join(" and "),
        names.join(", "),
    )
}

/// The texts that `load` calls for, with what they call in turn, in their order.
fn loaders(params: &[String], statistics: &[String]) -> Vec<&'static str> {
    let called = |name: &str| params.iter().chain(statistics).any(|line| line.contains(&format!(": {name}(")));
    let needed = |name: &str| called(name) || LOADERS.iter().any(|(n, _, needs)| called(n) && needs.contains(&name));
    LOADERS.iter().filter(|(name, ..)| needed(name)).map(|(_, text, _)| *text).collect()
}

/// The lines of `setup`, of the parameters and of the running statistics.
fn layers(network: &Network, names: &Names) -> (Vec<String>, Vec<String>, Vec<String>) {
    let (mut setup, mut params, mut statistics) = (Vec::new(), Vec::new(), Vec::new());
    for node in network.nodes() {
        let Some(layer) = name(&node.op) else { continue };
        let own = names.get(layer);
        let Some(made) = constructor(node, own) else { continue };
        setup.push(format!("self.{own} = {made}"));
        let entry = |loader: &str| format!("\"{own}\": {loader}(tensors, \"{layer}\")");
        match &node.op {
            Op::Parameter { .. } => params.push(format!("\"{own}\": tensors[\"{layer}\"]")),
            Op::Conv2d { .. } => params.push(entry("conv")),
            Op::ConvTranspose2d { groups: 1, .. } => params.push(entry("conv_transpose")),
            Op::ConvTranspose2d { groups, .. } => {
                params.push(format!("\"{own}\": grouped_conv_transpose(tensors, \"{layer}\", {groups})"));
            }
            Op::Linear { .. } => params.push(entry("linear")),
            Op::Embedding { .. } => {
                params.push(format!("\"{own}\": {{\"embedding\": weight(tensors, \"{layer}\")}}"));
            }
            Op::BatchNorm { affine: true, .. }
            | Op::GroupNorm { affine: true, .. }
            | Op::InstanceNorm { affine: true, .. }
            | Op::LayerNorm { affine: true, .. } => params.push(entry("norm")),
            _ => {}
        }
        if matches!(node.op, Op::BatchNorm { .. }) {
            statistics.push(entry("statistics"));
        }
    }
    (setup, params, statistics)
}

/// The constructor of a layer; `None` for what owns nothing. That no operation is forgotten, `operations` sees to.
fn constructor(node: &TypedNode, own: &str) -> Option<String> {
    let norm = |kind: &str, first: &str, eps: f64, affine: bool, exact: bool| {
        let mut arguments = Vec::new();
        if !first.is_empty() {
            arguments.push(first.to_owned());
        }
        arguments.push(format!("epsilon={eps:?}"));
        if !affine {
            arguments.push("use_scale=False, use_bias=False".into());
        }
        if exact {
            arguments.push("use_fast_variance=False".into());
        }
        format!("nn.{kind}({})", arguments.join(", "))
    };
    Some(match &node.op {
        Op::Parameter { shape, .. } => format!("self.param(\"{own}\", nn.initializers.zeros, {})", tuple(shape)),
        Op::Conv2d { out_channels, kernel_size, stride, padding, dilation, groups, bias, .. } => {
            let mut made = format!("nn.Conv({out_channels}, {}", tuple(kernel_size));
            window(&mut made, *stride, padding.map(|p| [p, p]), *dilation);
            if *groups != 1 {
                made += &format!(", feature_group_count={groups}");
            }
            made + use_bias(*bias) + ")"
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
            ..
        } => {
            // JAX counts what surrounds the spread input, PyTorch what is cut off the result.
            let around = std::array::from_fn(|i| {
                let before = dilation[i] * (kernel_size[i] - 1) - padding[i];
                [before, before + output_padding[i]]
            });
            let mut made = format!("nn.ConvTranspose({}, {}", out_channels / groups, tuple(kernel_size));
            window(&mut made, *stride, around, *dilation);
            made += &format!(", transpose_kernel=True{}", use_bias(*bias));
            if *groups == 1 {
                made + ")"
            } else {
                let made = made.replacen('(', ", ", 1);
                format!("GroupedConvTranspose({groups}, partial({made}))")
            }
        }
        Op::Linear { out_features, bias, .. } => format!("nn.Dense({out_features}{})", use_bias(*bias)),
        Op::Embedding { num_embeddings, embedding_dim, .. } => format!("nn.Embed({num_embeddings}, {embedding_dim})"),
        Op::BatchNorm { eps, affine, .. } => norm("BatchNorm", "use_running_average=True", *eps, *affine, false),
        Op::GroupNorm { num_groups, eps, affine, .. } => {
            norm("GroupNorm", &num_groups.to_string(), *eps, *affine, true)
        }
        Op::InstanceNorm { eps, affine, .. } => norm("InstanceNorm", "", *eps, *affine, true),
        Op::LayerNorm { normalized_shape, eps, affine, .. } => {
            let axes: Vec<i64> = (-(normalized_shape.len() as i64)..0).collect();
            let axes = tuple(&axes);
            let over = format!("reduction_axes={axes}, feature_axes={axes}");
            norm("LayerNorm", if normalized_shape.len() == 1 { "" } else { &over }, *eps, *affine, true)
        }
        _ => return None,
    })
}

fn window(made: &mut String, stride: [i64; 2], padding: [[i64; 2]; 2], dilation: [i64; 2]) {
    if stride != [1, 1] {
        *made += &format!(", strides={}", tuple(&stride));
    }
    *made += &format!(", padding=({}, {})", tuple(&padding[0]), tuple(&padding[1]));
    if dilation != [1, 1] {
        *made += &format!(", kernel_dilation={}", tuple(&dilation));
    }
}

fn use_bias(bias: bool) -> &'static str {
    if bias { "" } else { ", use_bias=False" }
}

#[cfg(test)]
mod tests {
    use tandem_plugin_api::{Builder, Linear, kernel};

    use super::*;

    #[test]
    fn comments_say_how_a_value_lies() {
        let b = Builder::new();
        let x = b.input("latent", &[8]).linear("fc", 48, Linear::default()).reshape(&[3, 4, 4]);
        let x = x.conv2d("conv", 2, kernel(1));
        let x = &x + &x.relu();
        let network = b.finish(&x.flatten().linear("score", 1, Linear::default())).unwrap();
        let mut dialect = Flax {
            network: &network,
            names: Names::flat(&network, &TAKEN),
            inputs: vec!["latent".into()],
            constants: BTreeSet::new(),
            last: vec![false; network.nodes().len()],
        };
        let lines = body(&network, &mut dialect, &["latent".into()]).unwrap();
        assert_eq!(
            lines,
            [
                "x = self.fc(latent).reshape(-1, 3, 4, 4).transpose(0, 2, 3, 1)  # [N, 4, 4, 3]",
                "x = self.conv(x)  # [N, 4, 4, 2]",
                "x = (x + nn.relu(x)).transpose(0, 3, 1, 2).reshape(-1, 32)  # [N, 32]",
                "return self.score(x)  # [N, 1]",
            ]
        );
    }
}
