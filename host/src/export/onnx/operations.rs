//! What each operation is in ONNX, in its evaluation mode. The match has no rest: a new operation does not compile until
//! it is translated here.

use tandem_plugin_api::{
    network::TypedNode,
    opset::{Interpolation, Op},
    shape::{Dim, Shape},
};

use super::{
    Translation,
    graph::Attribute::{Float, Int, Ints, Text},
};

impl Translation<'_> {
    /// Adds what a node needs and returns its value's name.
    pub(super) fn add(&mut self, node: &TypedNode) -> Result<String, String> {
        let all: Vec<String> = (0..node.inputs.len()).map(|k| self.input(node, k)).collect();
        let x: Vec<&str> = all.iter().map(String::as_str).collect();
        Ok(match &node.op {
            Op::Input { name, .. } => name.clone(),
            Op::Constant { shape, values } => {
                let values: Vec<f32> = values.iter().map(|&v| v as f32).collect();
                self.graph.constant(shape, &values)
            }
            Op::Parameter { name, shape, .. } => self.stored(name, shape),
            Op::Conv2d { .. } => self.conv(node, x[0]),
            Op::ConvTranspose2d { .. } => self.conv_transpose(node, x[0]),
            Op::Linear { name, .. } => self.linear(node, name, x[0]),
            Op::Embedding { name, .. } => {
                let shape = self.shape_of(node, 0);
                let weight = self.weight(name, &node.op, &shape);
                self.graph.node("Gather", &[&weight, x[0]], &[])
            }
            Op::BatchNorm { .. } | Op::GroupNorm { .. } | Op::InstanceNorm { .. } | Op::LayerNorm { .. } => {
                self.norm(node, x[0])?
            }
            // A dropout that does not train, and what only gradients see.
            Op::Dropout { .. } | Op::Detach {} => x[0].to_owned(),
            Op::Relu {} => self.graph.node("Relu", &x, &[]),
            Op::LeakyRelu { negative_slope } => self.graph.node("LeakyRelu", &x, &[("alpha", Float(*negative_slope))]),
            Op::Elu { alpha } => self.graph.node("Elu", &x, &[("alpha", Float(*alpha))]),
            Op::Gelu {} => self.gelu(x[0]),
            Op::Silu {} => {
                let gate = self.graph.node("Sigmoid", &x, &[]);
                self.graph.node("Mul", &[x[0], &gate], &[])
            }
            Op::Sigmoid {} => self.graph.node("Sigmoid", &x, &[]),
            Op::Tanh {} => self.graph.node("Tanh", &x, &[]),
            Op::Softplus {} => self.softplus(x[0]),
            Op::Softmax { dim } => self.graph.node("Softmax", &x, &[("axis", Int(*dim))]),
            Op::Neg {} => self.graph.node("Neg", &x, &[]),
            Op::Abs {} => self.graph.node("Abs", &x, &[]),
            Op::Square {} => self.graph.node("Mul", &[x[0], x[0]], &[]),
            Op::Sqrt {} => self.graph.node("Sqrt", &x, &[]),
            Op::Exp {} => self.graph.node("Exp", &x, &[]),
            Op::Log {} => self.graph.node("Log", &x, &[]),
            Op::Pow { exponent } => {
                let exponent = self.graph.number(*exponent);
                self.graph.node("Pow", &[x[0], &exponent], &[])
            }
            Op::Clamp { min, max } => {
                let (min, max) = (self.graph.number(*min), self.graph.number(*max));
                self.graph.node("Clip", &[x[0], &min, &max], &[])
            }
            Op::Add {} => self.graph.node("Add", &x, &[]),
            Op::Sub {} => self.graph.node("Sub", &x, &[]),
            Op::Mul {} => self.graph.node("Mul", &x, &[]),
            Op::Div {} => self.graph.node("Div", &x, &[]),
            Op::Minimum {} => self.graph.node("Min", &x, &[]),
            Op::Maximum {} => self.graph.node("Max", &x, &[]),
            Op::Matmul {} => self.graph.node("MatMul", &x, &[]),
            Op::Concat { dim } => self.graph.node("Concat", &x, &[("axis", Int(*dim))]),
            Op::Reshape { .. } | Op::Flatten { .. } => self.reshape(x[0], &node.output.shape),
            // A number has no dimensions to reorder.
            Op::Permute { dims } if dims.is_empty() => x[0].to_owned(),
            Op::Permute { dims } => self.graph.node("Transpose", &x, &[("perm", Ints(dims.clone()))]),
            // A step beyond the end is one to the end: runtimes compute with it.
            Op::Slice { dim, start, end, step } => self.slice(x[0], [*start, *end, *dim, (*step).min(end - start)]),
            Op::Mean { dims, keepdim } => self.reduce("ReduceMean", node, x[0], dims, *keepdim),
            Op::Logsumexp { dims, keepdim } => self.logsumexp(node, x[0], dims, *keepdim),
            Op::Sum { dims, keepdim } => self.sum(node, x[0], dims, *keepdim),
            Op::Var { dims, unbiased, keepdim } => self.variance(node, x[0], dims, *unbiased, *keepdim),
            Op::OneHot { num_classes } => {
                let depth = self.graph.ints(&[*num_classes]);
                let values = self.graph.constant(&[2], &[0.0, 1.0]);
                self.graph.node("OneHot", &[x[0], &depth, &values], &[("axis", Int(-1))])
            }
            Op::MaxPool2d { kernel_size, stride, padding } => {
                self.graph.node("MaxPool", &x, &pool(*kernel_size, *stride, *padding))
            }
            Op::AvgPool2d { kernel_size, stride, padding } => {
                let mut attributes = pool(*kernel_size, *stride, *padding);
                attributes.push(("count_include_pad", Int(1)));
                self.graph.node("AveragePool", &x, &attributes)
            }
            Op::Upsample { scale_factor, mode } => self.upsample(x[0], *scale_factor, *mode),
            Op::PixelShuffle { upscale_factor } => {
                let attributes = [("blocksize", Int(*upscale_factor)), ("mode", Text("CRD"))];
                self.graph.node("DepthToSpace", &x, &attributes)
            }
        })
    }

    /// `x/2 · (1 + erf(x/√2))`.
    fn gelu(&mut self, x: &str) -> String {
        let (root, one, half) =
            (self.graph.number(std::f64::consts::SQRT_2), self.graph.number(1.0), self.graph.number(0.5));
        let scaled = self.graph.node("Div", &[x, &root], &[]);
        let erf = self.graph.node("Erf", &[&scaled], &[]);
        let gate = self.graph.node("Add", &[&erf, &one], &[]);
        let product = self.graph.node("Mul", &[x, &gate], &[]);
        self.graph.node("Mul", &[&product, &half], &[])
    }

    /// `max(x, 0) + log(1 + e^-|x|)`: runtimes differ in where theirs overflows. `log(1 + t)` is said as
    /// `2 artanh(t / (2 + t))`, which keeps the digits of a small `t` that `1 + t` would lose.
    fn softplus(&mut self, x: &str) -> String {
        let two = self.graph.number(2.0);
        let positive = self.graph.node("Relu", &[x], &[]);
        let size = self.graph.node("Abs", &[x], &[]);
        let negative = self.graph.node("Neg", &[&size], &[]);
        let small = self.graph.node("Exp", &[&negative], &[]);
        let sum = self.graph.node("Add", &[&small, &two], &[]);
        let ratio = self.graph.node("Div", &[&small, &sum], &[]);
        let half = self.graph.node("Atanh", &[&ratio], &[]);
        let log = self.graph.node("Mul", &[&half, &two], &[]);
        self.graph.node("Add", &[&positive, &log], &[])
    }

    /// `[start, end, dimension, step]` of a value.
    pub(super) fn slice(&mut self, x: &str, cut: [i64; 4]) -> String {
        let all = cut.map(|v| self.graph.ints(&[v]));
        self.graph.node("Slice", &[x, &all[0], &all[1], &all[2], &all[3]], &[])
    }

    pub(super) fn reshape(&mut self, x: &str, shape: &Shape) -> String {
        let sizes: Vec<i64> = shape.0.iter().map(|d| if let Dim::Size(n) = d { *n } else { -1 }).collect();
        let sizes = self.graph.ints(&sizes);
        self.graph.node("Reshape", &[x, &sizes], &[])
    }

    /// The dimensions that a reduction goes over.
    fn axes(&self, node: &TypedNode, dims: &[i64]) -> Vec<i64> {
        let rank = self.input_type(node, 0).shape.rank() as i64;
        if dims.is_empty() { (0..rank).collect() } else { dims.iter().map(|d| d.rem_euclid(rank)).collect() }
    }

    /// A reduction whose axes are an attribute in this opset. A number is its own reduction.
    fn reduce(&mut self, op: &str, node: &TypedNode, x: &str, dims: &[i64], keepdim: bool) -> String {
        let axes = self.axes(node, dims);
        if axes.is_empty() {
            return x.to_owned();
        }
        self.graph.node(op, &[x], &[("axes", Ints(axes)), ("keepdims", Int(keepdim.into()))])
    }

    /// A sum, whose axes are an input.
    fn sum(&mut self, node: &TypedNode, x: &str, dims: &[i64], keepdim: bool) -> String {
        let axes = self.axes(node, dims);
        if axes.is_empty() {
            return x.to_owned();
        }
        let axes = self.graph.ints(&axes);
        self.graph.node("ReduceSum", &[x, &axes], &[("keepdims", Int(keepdim.into()))])
    }

    /// With the largest value taken out first: runtimes differ in whether theirs does. An infinite one is held to a number, as
    /// the difference of two infinities is none.
    fn logsumexp(&mut self, node: &TypedNode, x: &str, dims: &[i64], keepdim: bool) -> String {
        let largest = self.reduce("ReduceMax", node, x, dims, true);
        let ends = [f32::MIN, f32::MAX].map(|end| self.graph.number(end.into()));
        let largest = self.graph.node("Clip", &[&largest, &ends[0], &ends[1]], &[]);
        let rest = self.graph.node("Sub", &[x, &largest], &[]);
        let exp = self.graph.node("Exp", &[&rest], &[]);
        let sum = self.sum(node, &exp, dims, true);
        let log = self.graph.node("Log", &[&sum], &[]);
        let result = self.graph.node("Add", &[&log, &largest], &[]);
        self.squeezed(node, &result, dims, keepdim)
    }

    fn squeezed(&mut self, node: &TypedNode, x: &str, dims: &[i64], keepdim: bool) -> String {
        let axes = self.axes(node, dims);
        if keepdim || axes.is_empty() {
            return x.to_owned();
        }
        let axes = self.graph.ints(&axes);
        self.graph.node("Squeeze", &[x, &axes], &[])
    }

    /// The mean square of what is left of the mean, times `n / (n - 1)` if it is to be unbiased. `n` is counted as it
    /// runs, for it may hold the batch.
    fn variance(&mut self, node: &TypedNode, x: &str, dims: &[i64], unbiased: bool, keepdim: bool) -> String {
        let mean = self.reduce("ReduceMean", node, x, dims, true);
        let rest = self.graph.node("Sub", &[x, &mean], &[]);
        let square = self.graph.node("Mul", &[&rest, &rest], &[]);
        let sum = self.sum(node, &square, dims, true);
        let all = self.graph.node("Size", &[x], &[]);
        let left = self.graph.node("Size", &[&mean], &[]);
        let count = self.graph.node("Div", &[&all, &left], &[]);
        let count = self.graph.node("Cast", &[&count], &[("to", Int(super::fields::tensor::FLOAT as i64))]);
        let one = self.graph.number(if unbiased { 1.0 } else { 0.0 });
        let divisor = self.graph.node("Sub", &[&count, &one], &[]);
        let result = self.graph.node("Div", &[&sum, &divisor], &[]);
        self.squeezed(node, &result, dims, keepdim)
    }

    fn upsample(&mut self, x: &str, factor: i64, mode: Interpolation) -> String {
        let factor = factor as f32;
        let scales = self.graph.constant(&[4], &[1.0, 1.0, factor, factor]);
        let attributes = match mode {
            Interpolation::Nearest => vec![
                ("mode", Text("nearest")),
                ("coordinate_transformation_mode", Text("asymmetric")),
                ("nearest_mode", Text("floor")),
            ],
            Interpolation::Bilinear => {
                vec![("mode", Text("linear")), ("coordinate_transformation_mode", Text("half_pixel"))]
            }
        };
        self.graph.node("Resize", &[x, "", &scales], &attributes)
    }
}

fn pool(
    kernel: [i64; 2],
    stride: [i64; 2],
    [top, left]: [i64; 2],
) -> Vec<(&'static str, super::graph::Attribute<'static>)> {
    vec![
        ("kernel_shape", Ints(kernel.to_vec())),
        ("strides", Ints(stride.to_vec())),
        ("pads", Ints(vec![top, left, top, left])),
    ]
}
