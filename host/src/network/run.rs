//! One pass through a compiled network: a loop over steps, each one libtorch call.

use tandem_plugin_api::opset::{Interpolation, Op};
use tandem_torch_ext::{
    Conv, Pivot, elu, group_norm, leaky_relu, pivoted_conv, pivoted_embedding, pivoted_group_norm,
    pivoted_instance_norm, pivoted_layer_norm, pivoted_linear, softplus,
};
use tch::{Kind, Tensor};

use super::{
    Compiled, NetworkError, Weights, autocast,
    compiled::{Slot, Step},
    error::first_line,
};

/// Beyond this `log(1 + eˣ)` and `x` are the same number in float64 already; PyTorch's own 20 loses digits there.
const SOFTPLUS_THRESHOLD: f64 = 40.0;

/// How a pass treats what depends on more than its inputs.
#[derive(Debug, Clone, Copy)]
pub struct Pass<'a> {
    /// Batch statistics and dropout as in training; else running statistics and no dropout.
    pub training: bool,
    /// Whether batch norms take this batch into their running statistics.
    pub track: bool,
    /// The weights, spectral norms done.
    pub weights: &'a Weights,
    /// Scales each sample's share of the parameter gradients, if given.
    pub pivot: Option<&'a Pivot>,
}

impl<'a> Pass<'a> {
    /// A training pass that tracks statistics.
    pub const fn training(weights: &'a Weights) -> Self {
        Self { training: true, track: true, weights, pivot: None }
    }

    /// A pass for sampling.
    pub const fn evaluation(weights: &'a Weights) -> Self {
        Self { training: false, track: false, weights, pivot: None }
    }
}

impl Compiled {
    /// The output for these inputs, by name.
    ///
    /// # Errors
    /// An input that is missing, or libtorch's error with the layer and the shapes.
    pub fn forward(&self, inputs: &[(&str, &Tensor)], pass: &Pass<'_>) -> Result<Tensor, NetworkError> {
        let mut values: Vec<Option<Tensor>> = (0..self.steps.len()).map(|_| None).collect();
        for (i, step) in self.steps.iter().enumerate() {
            let result = match &step.op {
                Op::Input { name, .. } => find(inputs, name)?,
                Op::Constant { .. } => self.constants[&i].shallow_clone(),
                _ => self.compute(step, &values, pass)?,
            };
            values[i] = Some(result);
            for &done in &step.last_use {
                values[done] = None;
            }
        }
        let output = values[self.output].take();
        let output = output.ok_or_else(|| NetworkError::Load("the graph computed no output".into()))?;
        // Images and scores are never narrow: losses need the digits.
        if self.autocast().is_some() { Ok(output.f_to_kind(self.kind())?) } else { Ok(output) }
    }

    fn compute(&self, step: &Step, values: &[Option<Tensor>], pass: &Pass<'_>) -> Result<Tensor, NetworkError> {
        // Inputs come earlier and live until their last reader: the plan in `compiled` keeps them.
        let x: Vec<&Tensor> = step.inputs.iter().filter_map(|&i| values[i].as_ref()).collect();
        let cast = self.autocast().map(|narrow| autocast::cast(&step.op, &x, narrow, self.kind()));
        let cast = cast.transpose()?.flatten();
        let x: Vec<&Tensor> = cast.as_ref().map_or(x, |cast| cast.iter().collect());
        let result =
            if step.slots.is_empty() { plain(step, &x, pass, self.kind()) } else { self.layer(step, &x, pass) };
        result.map_err(|cause| NetworkError::Operation {
            place: step.place.clone(),
            shapes: x.iter().map(|t| format!("{:?}", t.size())).collect::<Vec<_>>().join(", "),
            cause: first_line(&cause.to_string()),
        })
    }

    /// The `n`-th tensor of a step: a weight under spectral norm is the normalised one.
    fn tensor<'t>(&'t self, step: &Step, n: usize, pass: &'t Pass<'_>) -> Option<&'t Tensor> {
        let slot = *step.slots.get(n)?;
        match slot {
            Slot::Learned(i) => Some(pass.weights.get(i).unwrap_or_else(|| self.slot(slot))),
            Slot::Buffer(_) => Some(self.slot(slot)),
        }
    }

    fn layer(&self, step: &Step, x: &[&Tensor], pass: &Pass<'_>) -> Outcome {
        let at = |n| self.tensor(step, n, pass);
        let Some(weight) = at(0) else { return Err("a layer without tensors".into()) };
        match &step.op {
            Op::Parameter { .. } => Ok(weight.shallow_clone()),
            Op::Conv2d { stride, padding, dilation, groups, bias, .. } => {
                let bias = bias.then(|| at(1)).flatten();
                let conv =
                    Conv { stride, padding, output_padding: &[0, 0], dilation, groups: *groups, transposed: false };
                convolve(x[0], weight, bias, &conv, pass.pivot)
            }
            Op::ConvTranspose2d { stride, padding, output_padding, dilation, groups, bias, .. } => {
                let bias = bias.then(|| at(1)).flatten();
                let conv = Conv { stride, padding, output_padding, dilation, groups: *groups, transposed: true };
                convolve(x[0], weight, bias, &conv, pass.pivot)
            }
            Op::Linear { bias, .. } => {
                let bias = bias.then(|| at(1)).flatten();
                Ok(match pass.pivot {
                    Some(pivot) => pivoted_linear(x[0], weight, bias, pivot)?,
                    None => x[0].f_linear(weight, bias)?,
                })
            }
            Op::Embedding { .. } => Ok(match pass.pivot {
                Some(pivot) => pivoted_embedding(x[0], weight, pivot)?,
                None => Tensor::f_embedding(weight, x[0], -1, false, false)?,
            }),
            Op::BatchNorm { .. } => self.batch_norm(step, x[0], pass),
            Op::GroupNorm { num_groups, eps, .. } => Ok(match pass.pivot {
                Some(pivot) => pivoted_group_norm(x[0], *num_groups, Some(weight), at(1), *eps, pivot)?,
                None => group_norm(x[0], *num_groups, Some(weight), at(1), *eps)?,
            }),
            Op::InstanceNorm { eps, .. } => Ok(match pass.pivot {
                Some(pivot) => pivoted_instance_norm(x[0], Some(weight), at(1), *eps, pivot)?,
                None => instance_norm(x[0], Some(weight), at(1), *eps)?,
            }),
            Op::LayerNorm { normalized_shape, eps, .. } => Ok(match pass.pivot {
                Some(pivot) => pivoted_layer_norm(x[0], normalized_shape, Some(weight), at(1), *eps, pivot)?,
                None => x[0].f_layer_norm(&normalized_shape[..], Some(weight), at(1), *eps, true)?,
            }),
            other => Err(format!("{} owns no tensors", other.name()).into()),
        }
    }

    fn batch_norm(&self, step: &Step, x: &Tensor, pass: &Pass<'_>) -> Outcome {
        let Op::BatchNorm { eps, momentum, affine, .. } = step.op else { return Err("not a batch norm".into()) };
        let at = |n| self.tensor(step, n, pass);
        let first = if affine { 2 } else { 0 };
        let (weight, bias) = if affine { (at(0), at(1)) } else { (None, None) };
        let (mean, var) = (at(first), at(first + 1));
        if let Some(count) = at(first + 2).filter(|_| pass.training && pass.track) {
            let _ = count.shallow_clone().f_add_scalar_(1)?;
        }
        // Without tracking, batch statistics alone: the running ones are neither read nor written.
        let (mean, var) = if pass.training && !pass.track { (None, None) } else { (mean, var) };
        Ok(x.f_batch_norm(weight, bias, mean, var, pass.training, momentum, eps, true)?)
    }
}

type Outcome = Result<Tensor, Box<dyn std::error::Error + Send + Sync>>;

fn find(inputs: &[(&str, &Tensor)], name: &str) -> Result<Tensor, NetworkError> {
    inputs.iter().find(|(n, _)| *n == name).map(|(_, t)| t.shallow_clone()).ok_or_else(|| {
        let given: Vec<&str> = inputs.iter().map(|(n, _)| *n).collect();
        NetworkError::MissingInput { name: name.to_owned(), given: given.join(", ") }
    })
}

fn convolve(x: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv<'_>, pivot: Option<&Pivot>) -> Outcome {
    Ok(match pivot {
        Some(pivot) => pivoted_conv(x, weight, bias, conv, pivot)?,
        None => tandem_torch_ext::conv(x, weight, bias, conv)?,
    })
}

fn instance_norm(
    x: &Tensor,
    weight: Option<&Tensor>,
    bias: Option<&Tensor>,
    eps: f64,
) -> Result<Tensor, tch::TchError> {
    x.f_instance_norm(weight, bias, None::<&Tensor>, None::<&Tensor>, true, 0.0, eps, true)
}

/// Operations without tensors of their own.
fn plain(step: &Step, x: &[&Tensor], pass: &Pass<'_>, kind: Kind) -> Outcome {
    let batch = || x[0].size().first().copied().unwrap_or(1);
    Ok(match &step.op {
        Op::Relu {} if step.in_place => x[0].shallow_clone().f_relu_()?,
        Op::Relu {} => x[0].f_relu()?,
        Op::LeakyRelu { negative_slope } => leaky_relu(x[0], *negative_slope, step.in_place)?,
        Op::Elu { alpha } => elu(x[0], *alpha)?,
        Op::Gelu {} => x[0].f_gelu("none")?,
        Op::Silu {} => x[0].f_silu()?,
        Op::Sigmoid {} => x[0].f_sigmoid()?,
        Op::Tanh {} => x[0].f_tanh()?,
        Op::Softplus {} => softplus(x[0], SOFTPLUS_THRESHOLD)?,
        Op::Softmax { dim } => x[0].f_softmax(*dim, None)?,
        Op::Dropout { p } => x[0].f_dropout(*p, pass.training)?,
        Op::Neg {} => x[0].f_neg()?,
        Op::Abs {} => x[0].f_abs()?,
        Op::Square {} => x[0].f_square()?,
        Op::Sqrt {} => x[0].f_sqrt()?,
        Op::Exp {} => x[0].f_exp()?,
        Op::Log {} => x[0].f_log()?,
        Op::Pow { exponent } => x[0].f_pow_tensor_scalar(*exponent)?,
        Op::Clamp { min, max } => x[0].f_clamp(*min, *max)?,
        Op::Detach {} => x[0].f_detach()?,
        Op::Add {} => x[0].f_add(x[1])?,
        Op::Sub {} => x[0].f_sub(x[1])?,
        Op::Mul {} => x[0].f_mul(x[1])?,
        Op::Div {} => x[0].f_div(x[1])?,
        Op::Minimum {} => x[0].f_minimum(x[1])?,
        Op::Maximum {} => x[0].f_maximum(x[1])?,
        Op::Matmul {} => x[0].f_matmul(x[1])?,
        Op::Concat { dim } => Tensor::f_cat(x, *dim)?,
        Op::Reshape { .. } | Op::Flatten { .. } => x[0].f_reshape(&step.output.shape.with_batch(batch())[..])?,
        Op::Permute { dims } => x[0].f_permute(&dims[..])?,
        Op::Slice { dim, start, end, step } => x[0].f_slice(*dim, *start, *end, *step)?,
        Op::Mean { dims, keepdim } => x[0].f_mean_dim(&all_or(dims, x[0])[..], *keepdim, None)?,
        Op::Sum { dims, keepdim } => x[0].f_sum_dim_intlist(&all_or(dims, x[0])[..], *keepdim, None)?,
        Op::Var { dims, unbiased, keepdim } => x[0].f_var_dim(&all_or(dims, x[0])[..], *unbiased, *keepdim)?,
        Op::Logsumexp { dims, keepdim } => x[0].f_logsumexp(&all_or(dims, x[0])[..], *keepdim)?,
        Op::OneHot { num_classes } => x[0].f_one_hot(*num_classes)?.f_to_kind(kind)?,
        Op::MaxPool2d { kernel_size, stride, padding } => {
            x[0].f_max_pool2d(kernel_size, stride, padding, [1, 1], false)?
        }
        Op::AvgPool2d { kernel_size, stride, padding } => {
            x[0].f_avg_pool2d(kernel_size, stride, padding, false, true, None)?
        }
        Op::Upsample { mode, .. } => {
            let size = &step.output.shape.with_batch(batch())[2..];
            match mode {
                Interpolation::Nearest => x[0].f_upsample_nearest2d(size, None, None)?,
                Interpolation::Bilinear => x[0].f_upsample_bilinear2d(size, false, None, None)?,
            }
        }
        Op::PixelShuffle { upscale_factor } => x[0].f_pixel_shuffle(*upscale_factor)?,
        Op::InstanceNorm { eps, .. } => instance_norm(x[0], None, None, *eps)?,
        Op::GroupNorm { num_groups, eps, .. } => group_norm(x[0], *num_groups, None, None, *eps)?,
        Op::LayerNorm { normalized_shape, eps, .. } => {
            x[0].f_layer_norm(&normalized_shape[..], None::<&Tensor>, None, *eps, true)?
        }
        other => return Err(format!("{} needs its tensors", other.name()).into()),
    })
}

fn all_or(dims: &[i64], x: &Tensor) -> Vec<i64> {
    if dims.is_empty() { (0..x.dim() as i64).collect() } else { dims.to_vec() }
}
