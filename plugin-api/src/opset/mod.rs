//! The vocabulary: every operation that a definition may use, written down once.
//!
//! The table below makes the typed [`Op`], its encoding to and from data, and the reference in `docs/opset.md`. What an
//! operation means for shapes, parameters, cost and the batch stands in the modules beside it. Authors, the host, the
//! cost model and the exporters all read this one table. Names, arguments and defaults are PyTorch's.

mod cost;
mod field;
mod infer;
mod parameters;
mod reference;

pub use cost::forward_flops;
pub use field::{Field, Interpolation};
pub use infer::{couples_batch, infer, meaningful};
pub use parameters::{Parameter, Role, parameters};
pub use reference::reference;

use crate::{
    init::Init,
    value::{Named, Value},
};
use field::Attributes;

/// The version of this vocabulary. A definition of a newer one is refused with what it needs.
pub const OPSET: u32 = 1;

/// How many inputs an operation takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arity {
    /// Just so many.
    Exactly(usize),
    /// So many or more.
    AtLeast(usize),
}

impl std::fmt::Display for Arity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Exactly(n) => write!(f, "{n}"),
            Self::AtLeast(n) => write!(f, "{n} or more"),
        }
    }
}

/// One attribute in the table.
#[derive(Debug, Clone, Copy)]
pub struct FieldInfo {
    /// Its name.
    pub name: &'static str,
    /// What it must be.
    pub kind: &'static str,
    /// What it is when absent; `None` if it must be there.
    pub default: Option<fn() -> Value>,
}

/// One operation in the table.
#[derive(Debug, Clone, Copy)]
pub struct OpInfo {
    /// Its name.
    pub name: &'static str,
    /// The first opset that has it.
    pub since: u32,
    /// How many inputs it takes.
    pub arity: Arity,
    /// What it does.
    pub doc: &'static str,
    /// Its attributes.
    pub fields: &'static [FieldInfo],
}

macro_rules! opset {
    (@default) => { None };
    (@default $default:expr) => { Some($default) };
    (@shown $ty:ty) => { None };
    (@shown $ty:ty, $default:expr) => { Some(|| <$ty as Field>::encode(&$default)) };
    ($( $(#[doc = $doc:literal])+ $variant:ident = $name:literal, since $since:literal, $arity:expr, {
        $( $field:ident : $ty:ty $(= $default:expr)? ),* $(,)?
    } )+) => {
        /// An operation with its attributes, typed. One variant a row of the table.
        #[derive(Debug, Clone, PartialEq)]
        #[expect(missing_docs, reason = "the attributes carry PyTorch's argument names; docs/opset.md lists them")]
        pub enum Op { $( $(#[doc = $doc])+ $variant { $( $field: $ty ),* } ),+ }

        /// The table as data, for the reference, for messages and for the tools.
        pub const TABLE: &[OpInfo] = &[ $( OpInfo {
            name: $name, since: $since, arity: $arity, doc: concat!($($doc, "\n"),+),
            fields: &[ $( FieldInfo {
                name: stringify!($field), kind: <$ty as Field>::KIND, default: opset!(@shown $ty $(, $default)?),
            } ),* ],
        } ),+ ];

        impl Op {
            /// Its name in the opset.
            pub const fn name(&self) -> &'static str {
                match self { $( Self::$variant { .. } => $name ),+ }
            }

            /// Its attributes as data; all are written, so that a stored definition does not depend on defaults.
            pub fn encode(&self) -> Vec<Named<Value>> {
                match self { $( Self::$variant { $( $field ),* } => vec![
                    $( Named::new(stringify!($field), Field::encode($field)) ),*
                ] ),+ }
            }

            /// The typed operation from its name and attributes; the message says which attribute is wrong and how.
            pub fn decode(name: &str, attributes: &[Named<Value>]) -> Result<Self, String> {
                let mut given = Attributes::new(attributes)?;
                let op = match name {
                    $( $name => Self::$variant {
                        $( $field: given.take(stringify!($field), opset!(@default $($default)?))? ),*
                    }, )+
                    _ => return Err(unknown(name)),
                };
                given.finish()?;
                Ok(op)
            }
        }
    };
}

fn unknown(name: &str) -> String {
    let nearest = TABLE
        .iter()
        .map(|o| (strsim::jaro_winkler(name, o.name), o.name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, near)| format!("; did you mean `{near}`?"))
        .unwrap_or_default();
    format!("operation `{name}` is not in opset {OPSET}{nearest}")
}

/// The row of an operation.
pub fn info(op: &Op) -> &'static OpInfo {
    let name = op.name();
    TABLE.iter().find(|row| row.name == name).unwrap_or(&TABLE[0])
}

opset! {
    /// A named input of the graph: `[N, shape…]`, or `[]` for a loss state. `labels = true` holds class labels.
    Input = "input", since 1, Arity::Exactly(0), { name: String, batched: bool = true, shape: Vec<i64>, labels: bool = false }
    /// A constant tensor, values in row-major order.
    Constant = "constant", since 1, Arity::Exactly(0), { shape: Vec<i64>, values: Vec<f64> }
    /// A learned tensor without an input, such as StyleGAN's constant.
    Parameter = "parameter", since 1, Arity::Exactly(0), { name: String, shape: Vec<i64>, init: Init }

    /// `torch.nn.Conv2d` on `[N, C, H, W]`.
    Conv2d = "conv2d", since 1, Arity::Exactly(1), {
        name: String, out_channels: i64, kernel_size: [i64; 2], stride: [i64; 2] = [1, 1], padding: [i64; 2] = [0, 0],
        dilation: [i64; 2] = [1, 1], groups: i64 = 1, bias: bool = true, spectral_norm: bool = false,
        weight_init: Init = Init::FanIn, bias_init: Init = Init::FanIn,
    }
    /// `torch.nn.ConvTranspose2d` on `[N, C, H, W]`.
    ConvTranspose2d = "conv_transpose2d", since 1, Arity::Exactly(1), {
        name: String, out_channels: i64, kernel_size: [i64; 2], stride: [i64; 2] = [1, 1], padding: [i64; 2] = [0, 0],
        output_padding: [i64; 2] = [0, 0], dilation: [i64; 2] = [1, 1], groups: i64 = 1, bias: bool = true,
        spectral_norm: bool = false, weight_init: Init = Init::FanIn, bias_init: Init = Init::FanIn,
    }
    /// `torch.nn.Linear` over the last dimension.
    Linear = "linear", since 1, Arity::Exactly(1), {
        name: String, out_features: i64, bias: bool = true, spectral_norm: bool = false,
        weight_init: Init = Init::FanIn, bias_init: Init = Init::FanIn,
    }
    /// `torch.nn.Embedding`: a learned vector for each label.
    Embedding = "embedding", since 1, Arity::Exactly(1), {
        name: String, num_embeddings: i64, embedding_dim: i64, spectral_norm: bool = false, weight_init: Init = Init::Normal { mean: 0.0, std: 1.0 },
    }
    /// `torch.nn.BatchNorm1d/2d` over `[N, C, …]`. Couples the samples of a batch.
    BatchNorm = "batch_norm", since 1, Arity::Exactly(1), {
        name: String, eps: f64 = 1e-5, momentum: f64 = 0.1, affine: bool = true,
        weight_init: Init = Init::ONES, bias_init: Init = Init::ZEROS,
    }
    /// `torch.nn.GroupNorm` over `[N, C, …]`.
    GroupNorm = "group_norm", since 1, Arity::Exactly(1), {
        name: String, num_groups: i64, eps: f64 = 1e-5, affine: bool = true, weight_init: Init = Init::ONES, bias_init: Init = Init::ZEROS,
    }
    /// `torch.nn.InstanceNorm2d` over `[N, C, H, W]`, without running statistics.
    InstanceNorm = "instance_norm", since 1, Arity::Exactly(1), {
        name: String, eps: f64 = 1e-5, affine: bool = false, weight_init: Init = Init::ONES, bias_init: Init = Init::ZEROS,
    }
    /// `torch.nn.LayerNorm` over the last dimensions.
    LayerNorm = "layer_norm", since 1, Arity::Exactly(1), {
        name: String, normalized_shape: Vec<i64>, eps: f64 = 1e-5, affine: bool = true, weight_init: Init = Init::ONES, bias_init: Init = Init::ZEROS,
    }
    /// `torch.nn.Dropout`: in training, zeroes with probability `p` and scales the rest by `1 / (1 - p)`.
    Dropout = "dropout", since 1, Arity::Exactly(1), { p: f64 = 0.5 }

    /// `max(x, 0)`.
    Relu = "relu", since 1, Arity::Exactly(1), {}
    /// `x` if positive, else `negative_slope · x`.
    LeakyRelu = "leaky_relu", since 1, Arity::Exactly(1), { negative_slope: f64 = 0.01 }
    /// `x` if positive, else `alpha · (eˣ - 1)`.
    Elu = "elu", since 1, Arity::Exactly(1), { alpha: f64 = 1.0 }
    /// `x · Φ(x)`, exact.
    Gelu = "gelu", since 1, Arity::Exactly(1), {}
    /// `x · σ(x)`.
    Silu = "silu", since 1, Arity::Exactly(1), {}
    /// `1 / (1 + e⁻ˣ)`.
    Sigmoid = "sigmoid", since 1, Arity::Exactly(1), {}
    /// The hyperbolic tangent.
    Tanh = "tanh", since 1, Arity::Exactly(1), {}
    /// `log(1 + eˣ)`, exact and without overflow at any `x`.
    Softplus = "softplus", since 1, Arity::Exactly(1), {}
    /// Softmax over one dimension.
    Softmax = "softmax", since 1, Arity::Exactly(1), { dim: i64 }

    /// `-x`.
    Neg = "neg", since 1, Arity::Exactly(1), {}
    /// `|x|`.
    Abs = "abs", since 1, Arity::Exactly(1), {}
    /// `x²`.
    Square = "square", since 1, Arity::Exactly(1), {}
    /// `√x`.
    Sqrt = "sqrt", since 1, Arity::Exactly(1), {}
    /// `eˣ`.
    Exp = "exp", since 1, Arity::Exactly(1), {}
    /// The natural logarithm.
    Log = "log", since 1, Arity::Exactly(1), {}
    /// `x` to a constant power.
    Pow = "pow", since 1, Arity::Exactly(1), { exponent: f64 }
    /// `x` held within `[min, max]`.
    Clamp = "clamp", since 1, Arity::Exactly(1), { min: f64, max: f64 }
    /// `x`, through which no gradient flows.
    Detach = "detach", since 1, Arity::Exactly(1), {}

    /// `a + b`, broadcasting.
    Add = "add", since 1, Arity::Exactly(2), {}
    /// `a - b`, broadcasting.
    Sub = "sub", since 1, Arity::Exactly(2), {}
    /// `a · b`, element by element, broadcasting.
    Mul = "mul", since 1, Arity::Exactly(2), {}
    /// `a / b`, element by element, broadcasting.
    Div = "div", since 1, Arity::Exactly(2), {}
    /// The smaller of `a` and `b`, broadcasting.
    Minimum = "minimum", since 1, Arity::Exactly(2), {}
    /// The larger of `a` and `b`, broadcasting.
    Maximum = "maximum", since 1, Arity::Exactly(2), {}
    /// The matrix product over the last two dimensions, leading ones broadcasting.
    Matmul = "matmul", since 1, Arity::Exactly(2), {}

    /// Joins tensors along a dimension other than the batch.
    Concat = "concat", since 1, Arity::AtLeast(1), { dim: i64 }
    /// New sizes for each sample (for the whole tensor when there is no batch), row-major; the batch stays first.
    Reshape = "reshape", since 1, Arity::Exactly(1), { shape: Vec<i64> }
    /// Joins all dimensions from `start_dim` on.
    Flatten = "flatten", since 1, Arity::Exactly(1), { start_dim: i64 = 1 }
    /// Reorders dimensions: dimension `i` of the result is dimension `dims[i]` of the input.
    Permute = "permute", since 1, Arity::Exactly(1), { dims: Vec<i64> }
    /// `x[start:end:step]` along a dimension other than the batch.
    Slice = "slice", since 1, Arity::Exactly(1), { dim: i64, start: i64, end: i64, step: i64 = 1 }
    /// The mean over `dims`; over everything when `dims` is empty.
    Mean = "mean", since 1, Arity::Exactly(1), { dims: Vec<i64>, keepdim: bool = false }
    /// The sum over `dims`; over everything when `dims` is empty.
    Sum = "sum", since 1, Arity::Exactly(1), { dims: Vec<i64>, keepdim: bool = false }
    /// The variance over `dims`; divides by `n - 1` if `unbiased`, else by `n`.
    Var = "var", since 1, Arity::Exactly(1), { dims: Vec<i64>, unbiased: bool = true, keepdim: bool = false }
    /// `log Σ eˣ` over `dims`, without overflow; over everything when `dims` is empty.
    Logsumexp = "logsumexp", since 1, Arity::Exactly(1), { dims: Vec<i64>, keepdim: bool = false }
    /// A 1 at the label, 0 elsewhere: `[N]` to `[N, num_classes]`.
    OneHot = "one_hot", since 1, Arity::Exactly(1), { num_classes: i64 }

    /// `torch.nn.MaxPool2d`.
    MaxPool2d = "max_pool2d", since 1, Arity::Exactly(1), { kernel_size: [i64; 2], stride: [i64; 2], padding: [i64; 2] = [0, 0] }
    /// `torch.nn.AvgPool2d`, padding counted.
    AvgPool2d = "avg_pool2d", since 1, Arity::Exactly(1), { kernel_size: [i64; 2], stride: [i64; 2], padding: [i64; 2] = [0, 0] }
    /// Enlarges `[N, C, H, W]` by a whole factor.
    Upsample = "upsample", since 1, Arity::Exactly(1), { scale_factor: i64, mode: Interpolation }
    /// `torch.nn.PixelShuffle`: `[N, C·r², H, W]` to `[N, C, H·r, W·r]`.
    PixelShuffle = "pixel_shuffle", since 1, Arity::Exactly(1), { upscale_factor: i64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decodes_what_it_encodes() {
        let op = Op::Conv2d {
            name: "conv1".into(),
            out_channels: 64,
            kernel_size: [4, 4],
            stride: [2, 2],
            padding: [1, 1],
            dilation: [1, 1],
            groups: 1,
            bias: false,
            spectral_norm: true,
            weight_init: Init::normal(0.0, 0.02),
            bias_init: Init::ZEROS,
        };
        assert_eq!(Op::decode(op.name(), &op.encode()), Ok(op));
    }

    #[test]
    fn absent_attributes_are_pytorchs_defaults() {
        let given = [
            Named::new("name", Value::Text("c".into())),
            Named::new("out_channels", Value::Int(8)),
            Named::new("kernel_size", Value::Ints(vec![3, 3])),
        ];
        let Ok(Op::Conv2d { stride, padding, bias, weight_init, .. }) = Op::decode("conv2d", &given) else {
            panic!("no conv2d")
        };
        assert_eq!((stride, padding, bias, weight_init), ([1, 1], [0, 0], true, Init::FanIn));
    }

    #[test]
    fn says_what_is_wrong_with_an_attribute() {
        let leaky = |name: &str, value| Op::decode("leaky_relu", &[Named::new(name, value)]).unwrap_err();
        assert_eq!(
            leaky("negative_slope", Value::Text("a".into())),
            "attribute `negative_slope` must be a finite number, found a text (\"a\")"
        );
        assert_eq!(leaky("slope", Value::Float(0.2)), "attribute `slope` is unknown in opset 1");
        assert_eq!(
            leaky("negative_slope", Value::Float(f64::NAN)),
            "attribute `negative_slope` must be a finite number, found a number (NaN)"
        );
        assert_eq!(
            Op::decode("leaky_rellu", &[]).unwrap_err(),
            "operation `leaky_rellu` is not in opset 1; did you mean `leaky_relu`?"
        );
        assert_eq!(Op::decode("softmax", &[]).unwrap_err(), "attribute `dim` (an integer) is missing");
    }
}
