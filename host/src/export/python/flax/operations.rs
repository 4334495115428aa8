//! How JAX says each operation. The match has no rest: a new operation does not compile until it is said here.

use tandem_plugin_api::{
    network::TypedNode,
    opset::{Interpolation, Op},
    shape::Shape,
};

use super::{
    super::{
        reduced, sizes,
        statements::{Binding, Dialect, Expression, Operand, atom, literal},
        tuple,
    },
    Flax,
};
use crate::export::float32;

impl Dialect for Flax<'_> {
    const NAME: &'static str = "flax";

    fn source(&mut self, index: usize, op: &Op) -> Option<String> {
        match op {
            Op::Input { .. } => {
                let earlier = self.network.nodes()[..index].iter().filter(|n| matches!(n.op, Op::Input { .. }));
                self.inputs.get(earlier.count()).cloned()
            }
            // Where it stands in the text as a number, the array is not read and not made.
            Op::Constant { .. } => Some(format!("CONSTANT{index}")),
            Op::Parameter { name, .. } => Some(format!("self.{}", self.names.get(name))),
            _ => None,
        }
    }

    fn shown(&self, index: usize, shape: &Shape) -> String {
        match &shape.0[..] {
            [n, c, h, w] if self.last[index] => format!("[{n}, {h}, {w}, {c}]"),
            _ => shape.to_string(),
        }
    }

    fn output(&mut self, index: usize, expression: Expression) -> Expression {
        if !self.last[index] {
            return expression;
        }
        let (text, binding) = expression;
        let object = if binding == Binding::Atom { text } else { format!("({text})") };
        atom(format!("{object}.transpose(0, 3, 1, 2)"))
    }

    fn expression(&mut self, index: usize, node: &TypedNode, x: &[Operand]) -> Result<Expression, String> {
        for k in 0..x.len() {
            let is_constant = matches!(self.network.nodes()[node.inputs[k]].op, Op::Constant { .. });
            if is_constant && literal(self.network, node, k).is_none() {
                self.constants.insert(node.inputs[k]);
            }
        }
        let (expression, last) = self.said(index, node, x)?;
        self.last[index] = last;
        Ok(expression)
    }
}

/// An expression, and whether its value is `[N, H, W, C]`.
type Said = Result<(Expression, bool), String>;

impl Flax<'_> {
    fn said(&self, index: usize, node: &TypedNode, x: &[Operand]) -> Said {
        // Element by element, in whichever order the value lies.
        let each = |function: &str, more: String| {
            Ok((atom(format!("{function}({}{more})", x[0].argument())), self.last[x[0].node]))
        };
        let infix = |sign: &str, binding, left, right| {
            let (x, last) = self.alike(node, x);
            Ok(((format!("{} {sign} {}", x[0].at_least(left), x[1].at_least(right)), binding), last))
        };
        let both = |function: &str| {
            let (x, last) = self.alike(node, x);
            Ok((atom(format!("{function}({}, {})", x[0].argument(), x[1].argument())), last))
        };
        if let Op::BatchNorm { eps, .. }
        | Op::GroupNorm { eps, .. }
        | Op::InstanceNorm { eps, .. }
        | Op::LayerNorm { eps, .. } = &node.op
        {
            float32("eps", *eps)?;
        }
        let declared = |k: usize| self.as_declared(&x[k]);
        let image = || self.channels_last(&x[0]);
        match &node.op {
            Op::Input { .. } | Op::Constant { .. } | Op::Parameter { .. } => Err("it is no source here".into()),
            Op::Conv2d { name, .. } | Op::ConvTranspose2d { name, .. } | Op::InstanceNorm { name, .. } => {
                Ok((self.layer(name, &image()), true))
            }
            Op::BatchNorm { name, .. } | Op::GroupNorm { name, .. } => Ok(self.norm(name, &x[0])),
            Op::Linear { name, .. } | Op::Embedding { name, .. } | Op::LayerNorm { name, .. } => {
                Ok((self.layer(name, &declared(0)), false))
            }
            // The module is for use, where a dropout does nothing.
            Op::Dropout { .. } => Ok(((x[0].argument().to_owned(), x[0].binding()), self.last[x[0].node])),
            Op::Relu {} => each("nn.relu", String::new()),
            Op::LeakyRelu { negative_slope } => each("nn.leaky_relu", format!(", {negative_slope:?}")),
            Op::Elu { alpha } => each("nn.elu", format!(", {alpha:?}")),
            Op::Gelu {} => each("nn.gelu", ", approximate=False".into()),
            Op::Silu {} => each("nn.silu", String::new()),
            Op::Sigmoid {} => each("nn.sigmoid", String::new()),
            Op::Tanh {} => each("jnp.tanh", String::new()),
            Op::Softplus {} => each("nn.softplus", String::new()),
            Op::Softmax { dim } => each("nn.softmax", format!(", axis={}", self.axis(&x[0], *dim))),
            Op::Neg {} => Ok(((format!("-{}", x[0].at_least(Binding::Unary)), Binding::Unary), self.last[x[0].node])),
            Op::Abs {} => each("jnp.abs", String::new()),
            Op::Square {} => each("jnp.square", String::new()),
            Op::Sqrt {} => each("jnp.sqrt", String::new()),
            Op::Exp {} => each("jnp.exp", String::new()),
            Op::Log {} => each("jnp.log", String::new()),
            Op::Pow { exponent } => each("jnp.power", format!(", {exponent:?}")),
            Op::Clamp { min, max } => each("jnp.clip", format!(", {min:?}, {max:?}")),
            Op::Detach {} => each("jax.lax.stop_gradient", String::new()),
            Op::Add {} => infix("+", Binding::Sum, Binding::Sum, Binding::Product),
            Op::Sub {} => infix("-", Binding::Sum, Binding::Sum, Binding::Product),
            Op::Mul {} => infix("*", Binding::Product, Binding::Product, Binding::Unary),
            Op::Div {} => infix("/", Binding::Product, Binding::Product, Binding::Unary),
            Op::Minimum {} => both("jnp.minimum"),
            Op::Maximum {} => both("jnp.maximum"),
            Op::Matmul {} => {
                let text = [declared(0).at_least(Binding::Product), declared(1).at_least(Binding::Unary)].join(" @ ");
                Ok(((text, Binding::Product), false))
            }
            Op::Concat { dim } => {
                let (all, last) = self.alike(node, x);
                let dim = dim.rem_euclid(node.output.shape.rank() as i64);
                let axis = if last { [0, 3, 1, 2][dim as usize] } else { dim };
                let all: Vec<&str> = all.iter().map(Operand::argument).collect();
                Ok((atom(format!("jnp.concatenate([{}], axis={axis})", all.join(", "))), last))
            }
            Op::Reshape { .. } | Op::Flatten { .. } => Ok(self.reshape(index, node, &x[0])),
            // A number has no dimensions to reorder.
            Op::Permute { dims } if dims.is_empty() => Ok(((x[0].argument().to_owned(), x[0].binding()), false)),
            Op::Permute { dims } => {
                let turned = format!("{}.transpose({})", declared(0).object(), tuple(dims));
                Ok(self.turned(index, turned))
            }
            Op::Slice { dim, start, end, step } => {
                let before = ":, ".repeat(self.axis(&x[0], *dim) as usize);
                let step = if *step == 1 { String::new() } else { format!(":{step}") };
                Ok((atom(format!("{}[{before}{start}:{end}{step}]", x[0].object())), self.last[x[0].node]))
            }
            Op::Mean { dims, keepdim } => Ok(self.reduction("jnp.mean", &x[0], dims, *keepdim, "")),
            Op::Sum { dims, keepdim } => Ok(self.reduction("jnp.sum", &x[0], dims, *keepdim, "")),
            Op::Logsumexp { dims, keepdim } => Ok(self.reduction("nn.logsumexp", &x[0], dims, *keepdim, "")),
            Op::Var { dims, unbiased, keepdim } => {
                Ok(self.reduction("jnp.var", &x[0], dims, *keepdim, if *unbiased { ", ddof=1" } else { "" }))
            }
            Op::OneHot { num_classes } => Ok((atom(format!("nn.one_hot({}, {num_classes})", x[0].argument())), false)),
            Op::MaxPool2d { kernel_size, stride, padding } => {
                Ok((pool("nn.max_pool", &image(), kernel_size, stride, padding), true))
            }
            Op::AvgPool2d { kernel_size, stride, padding } => {
                Ok((pool("nn.avg_pool", &image(), kernel_size, stride, padding), true))
            }
            Op::Upsample { scale_factor: s, mode: Interpolation::Nearest } => {
                Ok((atom(format!("{}.repeat({s}, axis=1).repeat({s}, axis=2)", image().object())), true))
            }
            Op::Upsample { scale_factor, mode: Interpolation::Bilinear } => {
                Ok((atom(format!("upsample_bilinear({}, {scale_factor})", image().argument())), true))
            }
            Op::PixelShuffle { upscale_factor } => {
                Ok((atom(format!("pixel_shuffle({}, {upscale_factor})", image().argument())), true))
            }
        }
    }

    fn layer(&self, name: &str, x: &Operand) -> Expression {
        atom(format!("self.{}({})", self.names.get(name), x.argument()))
    }

    /// A norm over `[N, C, …]`, whose channels Flax wants last.
    fn norm(&self, name: &str, x: &Operand) -> (Expression, bool) {
        match self.rank(x.node) {
            4 => (self.layer(name, &self.channels_last(x)), true),
            2 => (self.layer(name, x), false),
            _ => {
                let moved = x.replaced(atom(format!("jnp.moveaxis({}, 1, -1)", x.argument())));
                let (text, _) = self.layer(name, &moved);
                (atom(format!("jnp.moveaxis({text}, -1, 1)")), false)
            }
        }
    }

    fn reshape(&self, index: usize, node: &TypedNode, x: &Operand) -> (Expression, bool) {
        // One pixel is the same in both orders.
        let from = if self.single_pixel(x.node).is_some() { x.clone() } else { self.as_declared(x) };
        if let Some(channels) = self.single_pixel(index) {
            return (atom(format!("{}.reshape(-1, 1, 1, {channels})", from.object())), true);
        }
        let sizes = sizes(&node.output.shape);
        let to = if sizes.is_empty() { "()".into() } else { sizes.join(", ") };
        self.turned(index, format!("{}.reshape({to})", from.object()))
    }

    /// A value as declared, turned at once where it is an image.
    fn turned(&self, index: usize, text: String) -> (Expression, bool) {
        if self.is_image(index) { (atom(text + ".transpose(0, 2, 3, 1)"), true) } else { (atom(text), false) }
    }

    fn reduction(&self, function: &str, x: &Operand, dims: &[i64], keepdim: bool, more: &str) -> (Expression, bool) {
        let dims = reduced(dims, self.rank(x.node));
        let in_place = self.reduces_in_place(x, &dims, keepdim);
        let (value, last) = if in_place { (x.clone(), self.last[x.node]) } else { (self.as_declared(x), false) };
        let mut axes: Vec<i64> = if last { dims.iter().map(|&d| self.axis(x, d)).collect() } else { dims };
        axes.sort_unstable();
        let keep = if keepdim { ", keepdims=True" } else { "" };
        let text = format!("{function}({}, axis={}{more}{keep})", value.argument(), tuple(&axes));
        (atom(text), last && keepdim)
    }
}

fn pool(function: &str, x: &Operand, kernel: &[i64; 2], stride: &[i64; 2], padding: &[i64; 2]) -> Expression {
    let padding = if *padding == [0, 0] {
        String::new()
    } else {
        let around: Vec<String> = padding.iter().map(|p| tuple(&[p, p])).collect();
        format!(", padding={}", tuple(&around))
    };
    atom(format!("{function}({}, {}, strides={}{padding})", x.argument(), tuple(kernel), tuple(stride)))
}
