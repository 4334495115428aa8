//! How PyTorch says each operation. The match has no rest: a new operation does not compile until it is said here.

use tandem_plugin_api::{
    network::TypedNode,
    opset::{Interpolation, Op},
};

use super::{
    super::{
        python_bool, reduced, sizes,
        statements::{Binding, Dialect, Expression, Operand, atom},
        tuple,
    },
    PyTorch, pair,
};

impl Dialect for PyTorch<'_> {
    const NAME: &'static str = "pytorch";

    fn source(&mut self, index: usize, op: &Op) -> Option<String> {
        match op {
            Op::Input { .. } => {
                let earlier = self.network.nodes()[..index].iter().filter(|n| matches!(n.op, Op::Input { .. }));
                self.inputs.get(earlier.count()).cloned()
            }
            // Where it stands in the text as a number, the buffer is not read and not made.
            Op::Constant { .. } => self.buffers.get(&index).map(|name| format!("self.{name}")),
            Op::Parameter { name, .. } => Some(format!("self.{}", self.names.get(name))),
            _ => None,
        }
    }

    fn expression(&mut self, _: usize, node: &TypedNode, x: &[Operand]) -> Result<Expression, String> {
        for (k, operand) in x.iter().enumerate() {
            let buffer = self.buffers.get(&node.inputs[k]);
            if buffer.is_some_and(|name| operand.argument() == format!("self.{name}")) {
                self.constants.insert(operand.node);
            }
        }
        let rank = |k: usize| self.network.nodes()[node.inputs[k]].output.shape.rank();
        let layer = |name: &str| Ok(atom(format!("self.{}({})", self.names.get(name), x[0].argument())));
        let call = |function: &str, more: String| Ok(atom(format!("{function}({}{more})", x[0].argument())));
        let method = |name: &str, arguments: String| Ok(atom(format!("{}.{name}({arguments})", x[0].object())));
        let infix = |sign: &str, binding, left, right| {
            Ok((format!("{} {sign} {}", x[0].at_least(left), x[1].at_least(right)), binding))
        };
        let reduction = |name: &str, dims: &[i64], keepdim: bool, more: &str| {
            let keep = if keepdim { ", keepdim=True" } else { "" };
            method(name, format!("dim={}{more}{keep}", tuple(&reduced(dims, rank(0)))))
        };
        match &node.op {
            Op::Input { .. } | Op::Constant { .. } | Op::Parameter { .. } => Err("it is no source here".into()),
            Op::Conv2d { name, .. }
            | Op::ConvTranspose2d { name, .. }
            | Op::Linear { name, .. }
            | Op::Embedding { name, .. }
            | Op::BatchNorm { name, .. }
            | Op::GroupNorm { name, .. }
            | Op::InstanceNorm { name, .. }
            | Op::LayerNorm { name, .. } => layer(name),
            Op::Dropout { p } => call("F.dropout", format!(", {p:?}, self.training")),
            Op::Relu {} => call("F.relu", String::new()),
            Op::LeakyRelu { negative_slope } => call("F.leaky_relu", format!(", {negative_slope:?}")),
            Op::Elu { alpha } => call("F.elu", format!(", {alpha:?}")),
            Op::Gelu {} => call("F.gelu", String::new()),
            Op::Silu {} => call("F.silu", String::new()),
            Op::Sigmoid {} => call("torch.sigmoid", String::new()),
            Op::Tanh {} => call("torch.tanh", String::new()),
            Op::Softplus {} => call("F.softplus", String::new()),
            Op::Softmax { dim } => method("softmax", format!("dim={dim}")),
            Op::Neg {} => Ok((format!("-{}", x[0].at_least(Binding::Unary)), Binding::Unary)),
            Op::Abs {} => method("abs", String::new()),
            Op::Square {} => method("square", String::new()),
            Op::Sqrt {} => method("sqrt", String::new()),
            Op::Exp {} => method("exp", String::new()),
            Op::Log {} => method("log", String::new()),
            Op::Pow { exponent } => method("pow", format!("{exponent:?}")),
            Op::Clamp { min, max } => method("clamp", format!("{min:?}, {max:?}")),
            Op::Detach {} => method("detach", String::new()),
            Op::Add {} => infix("+", Binding::Sum, Binding::Sum, Binding::Product),
            Op::Sub {} => infix("-", Binding::Sum, Binding::Sum, Binding::Product),
            Op::Mul {} => infix("*", Binding::Product, Binding::Product, Binding::Unary),
            Op::Div {} => infix("/", Binding::Product, Binding::Product, Binding::Unary),
            Op::Matmul {} => infix("@", Binding::Product, Binding::Product, Binding::Unary),
            Op::Minimum {} => call("torch.minimum", format!(", {}", x[1].argument())),
            Op::Maximum {} => call("torch.maximum", format!(", {}", x[1].argument())),
            Op::Concat { dim } => {
                let all: Vec<&str> = x.iter().map(Operand::argument).collect();
                Ok(atom(format!("torch.cat([{}], dim={dim})", all.join(", "))))
            }
            Op::Reshape { .. } => match sizes(&node.output.shape) {
                sizes if sizes.is_empty() => method("reshape", "()".into()),
                sizes => method("reshape", sizes.join(", ")),
            },
            Op::Flatten { start_dim } => method("flatten", start_dim.to_string()),
            Op::Permute { dims } => {
                let dims: Vec<String> = dims.iter().map(ToString::to_string).collect();
                method("permute", if dims.is_empty() { "()".into() } else { dims.join(", ") })
            }
            Op::Slice { dim, start, end, step } => {
                let before = ":, ".repeat(dim.rem_euclid(rank(0) as i64) as usize);
                let step = if *step == 1 { String::new() } else { format!(":{step}") };
                Ok(atom(format!("{}[{before}{start}:{end}{step}]", x[0].object())))
            }
            Op::Mean { dims, keepdim } => reduction("mean", dims, *keepdim, ""),
            Op::Sum { dims, keepdim } => reduction("sum", dims, *keepdim, ""),
            Op::Logsumexp { dims, keepdim } => reduction("logsumexp", dims, *keepdim, ""),
            Op::Var { dims, unbiased, keepdim } => {
                reduction("var", dims, *keepdim, &format!(", unbiased={}", python_bool(*unbiased)))
            }
            Op::OneHot { num_classes } => Ok(atom(format!("F.one_hot({}, {num_classes}).float()", x[0].argument()))),
            Op::MaxPool2d { kernel_size, stride, padding } => call("F.max_pool2d", pool(kernel_size, stride, padding)),
            Op::AvgPool2d { kernel_size, stride, padding } => call("F.avg_pool2d", pool(kernel_size, stride, padding)),
            // A real number, as torch.jit.script takes no other.
            Op::Upsample { scale_factor, mode } => call(
                "F.interpolate",
                match mode {
                    Interpolation::Nearest => format!(", scale_factor={scale_factor}.0"),
                    Interpolation::Bilinear => format!(", scale_factor={scale_factor}.0, mode=\"bilinear\""),
                },
            ),
            Op::PixelShuffle { upscale_factor } => call("F.pixel_shuffle", format!(", {upscale_factor}")),
        }
    }
}

fn pool(kernel: &[i64; 2], stride: &[i64; 2], padding: &[i64; 2]) -> String {
    let stride = if stride == kernel { String::new() } else { format!(", stride={}", pair(stride)) };
    let padding = if *padding == [0, 0] { String::new() } else { format!(", padding={}", pair(padding)) };
    format!(", {}{stride}{padding}", pair(kernel))
}
