//! Layers with weights in ONNX: convolutions, matrix products and norms.

use tandem_plugin_api::{
    network::TypedNode,
    opset::{Op, parameters},
    shape::Dim,
};

use super::{
    Translation,
    graph::Attribute::{self, Float, Int, Ints},
};
use crate::export::float32;

impl Translation<'_> {
    /// The shape of a layer's `n`-th tensor.
    pub(super) fn shape_of(&self, node: &TypedNode, n: usize) -> Vec<i64> {
        let inputs = self.subject.network().input_types(node);
        parameters(&node.op, &inputs).into_iter().nth(n).map(|p| p.shape).unwrap_or_default()
    }

    fn channels(&self, node: &TypedNode) -> i64 {
        match self.input_type(node, 0).shape.0.get(1) {
            Some(Dim::Size(n)) => *n,
            _ => 1,
        }
    }

    /// Scale and shift of a norm; ONNX wants them always.
    fn affine(&mut self, name: &str, affine: bool, shape: &[i64]) -> (String, String) {
        let (scale, bias) = (format!("{name}.weight"), format!("{name}.bias"));
        if affine {
            return (self.stored(&scale, shape), self.stored(&bias, shape));
        }
        let count = shape.iter().product::<i64>() as usize;
        (self.graph.floats(&scale, shape, &vec![1.0; count]), self.graph.floats(&bias, shape, &vec![0.0; count]))
    }

    pub(super) fn conv(&mut self, node: &TypedNode, x: &str) -> String {
        let Op::Conv2d { name, out_channels, stride, padding, dilation, groups, bias, .. } = &node.op else {
            return x.to_owned();
        };
        let shape = self.shape_of(node, 0);
        let weight = self.weight(name, &node.op, &shape);
        let bias = bias.then(|| self.stored(&format!("{name}.bias"), &[*out_channels]));
        let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
        self.graph.node("Conv", &inputs, &window(&shape[2..], *stride, *padding, *dilation, *groups))
    }

    /// ONNX means by `output_padding` what PyTorch does, but wants it below the stride, where PyTorch also takes one that is
    /// below the dilation. Such a result is cut out of the whole one, and where that ends there is nothing but the bias.
    pub(super) fn conv_transpose(&mut self, node: &TypedNode, x: &str) -> String {
        let Op::ConvTranspose2d { name, out_channels, stride, padding, output_padding, dilation, groups, bias, .. } =
            &node.op
        else {
            return x.to_owned();
        };
        let shape = self.shape_of(node, 0);
        let weight = self.weight(name, &node.op, &shape);
        let bias_name = format!("{name}.bias");
        let out = [2, 3].map(|dim| if let Dim::Size(n) = node.output.shape.0[dim] { n } else { 1 });
        // Runtimes also refuse a result of which nothing is left before it is padded.
        if (0..2).all(|i| output_padding[i] < stride[i].min(out[i])) {
            let bias = bias.then(|| self.stored(&bias_name, &[*out_channels]));
            let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
            let mut attributes = window(&shape[2..], *stride, *padding, *dilation, *groups);
            attributes.push(("output_padding", Ints(output_padding.to_vec())));
            return self.graph.node("ConvTranspose", &inputs, &attributes);
        }
        let attributes = window(&shape[2..], *stride, [0, 0], *dilation, *groups);
        let mut value = self.graph.node("ConvTranspose", &[x, &weight], &attributes);
        let beyond = [0, 1].map(|i| (output_padding[i] - padding[i]).max(0));
        if beyond != [0, 0] {
            let around = self.graph.ints(&[0, 0, 0, 0, 0, 0, beyond[0], beyond[1]]);
            value = self.graph.node("Pad", &[&value, &around], &[]);
        }
        for (i, dim) in [2, 3].into_iter().enumerate() {
            value = self.slice(&value, [padding[i], padding[i] + out[i], dim, 1]);
        }
        if *bias {
            let bias = self.stored(&bias_name, &[*out_channels, 1, 1]);
            value = self.graph.node("Add", &[&value, &bias], &[]);
        }
        value
    }

    /// A matrix product with the transposed weight, which is right for any number of dimensions.
    pub(super) fn linear(&mut self, node: &TypedNode, name: &str, x: &str) -> String {
        let Op::Linear { bias, out_features, .. } = &node.op else { return x.to_owned() };
        let shape = self.shape_of(node, 0);
        let weight = self.weight(name, &node.op, &shape);
        let bias = bias.then(|| self.stored(&format!("{name}.bias"), &[*out_features]));
        if self.input_type(node, 0).shape.rank() == 2 {
            let inputs: Vec<&str> = [x, &weight].into_iter().chain(bias.as_deref()).collect();
            return self.graph.node("Gemm", &inputs, &[("transB", Int(1))]);
        }
        let weight = self.graph.node("Transpose", &[&weight], &[("perm", Ints(vec![1, 0]))]);
        let product = self.graph.node("MatMul", &[x, &weight], &[]);
        match bias {
            Some(bias) => self.graph.node("Add", &[&product, &bias], &[]),
            None => product,
        }
    }

    /// A norm in its evaluation mode.
    pub(super) fn norm(&mut self, node: &TypedNode, x: &str) -> Result<String, String> {
        let epsilon = |eps: &f64| Ok::<_, String>(("epsilon", Float(float32("eps", *eps)?.into())));
        Ok(match &node.op {
            Op::BatchNorm { name, eps, affine, .. } => {
                let channels = [self.channels(node)];
                let (scale, bias) = self.affine(name, *affine, &channels);
                let mean = self.stored(&format!("{name}.running_mean"), &channels);
                let var = self.stored(&format!("{name}.running_var"), &channels);
                self.graph.node("BatchNormalization", &[x, &scale, &bias, &mean, &var], &[epsilon(eps)?])
            }
            Op::InstanceNorm { name, eps, affine, .. } => {
                let (scale, bias) = self.affine(name, *affine, &[self.channels(node)]);
                self.graph.node("InstanceNormalization", &[x, &scale, &bias], &[epsilon(eps)?])
            }
            Op::LayerNorm { name, normalized_shape, eps, affine, .. } => {
                let (scale, bias) = self.affine(name, *affine, normalized_shape);
                let axis = -(normalized_shape.len() as i64);
                self.graph.node("LayerNormalization", &[x, &scale, &bias], &[("axis", Int(axis)), epsilon(eps)?])
            }
            Op::GroupNorm { name, num_groups, eps, affine, .. } => {
                self.group_norm(node, name, x, *num_groups, epsilon(eps)?, *affine)
            }
            _ => return Err("it is no norm here".into()),
        })
    }

    /// Instance norm over the groups, then each channel's own scale and shift.
    fn group_norm(
        &mut self,
        node: &TypedNode,
        name: &str,
        x: &str,
        groups: i64,
        epsilon: (&'static str, Attribute<'static>),
        affine: bool,
    ) -> String {
        let shape = self.graph.ints(&[0, groups, -1]);
        let grouped = self.graph.node("Reshape", &[x, &shape], &[]);
        let count = groups as usize;
        let ones = self.graph.constant(&[groups], &vec![1.0; count]);
        let zeros = self.graph.constant(&[groups], &vec![0.0; count]);
        let normalised = self.graph.node("InstanceNormalization", &[&grouped, &ones, &zeros], &[epsilon]);
        let output = &node.output.shape;
        let back = if output.sample().is_some() {
            self.reshape(&normalised, output)
        } else {
            // A batch in more dimensions than the first: no constant says such a shape.
            let shape = self.graph.node("Shape", &[x], &[]);
            self.graph.node("Reshape", &[&normalised, &shape], &[])
        };
        if !affine {
            return back;
        }
        let mut each_channel = vec![1; output.rank() - 1];
        each_channel[0] = self.channels(node);
        let (scale, bias) = self.affine(name, true, &each_channel);
        let scaled = self.graph.node("Mul", &[&back, &scale], &[]);
        self.graph.node("Add", &[&scaled, &bias], &[])
    }
}

/// What slides over an image, as ONNX's convolutions take it.
fn window(
    kernel: &[i64],
    stride: [i64; 2],
    [top, left]: [i64; 2],
    dilation: [i64; 2],
    groups: i64,
) -> Vec<(&'static str, Attribute<'static>)> {
    vec![
        ("kernel_shape", Ints(kernel.to_vec())),
        ("strides", Ints(stride.to_vec())),
        ("pads", Ints(vec![top, left, top, left])),
        ("dilations", Ints(dilation.to_vec())),
        ("group", Int(groups)),
    ]
}
