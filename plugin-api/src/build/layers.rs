//! Layers with parameters, and what else PyTorch keeps in `torch.nn`.

use super::Tensor;
use crate::{
    init::Init,
    opset::{Interpolation, Op},
};

/// Arguments of a convolution, PyTorch's defaults: `kernel(4).stride(2).padding(1)`.
#[derive(Debug, Clone, Copy)]
pub struct Conv {
    kernel_size: [i64; 2],
    stride: [i64; 2],
    padding: [i64; 2],
    dilation: [i64; 2],
    groups: i64,
    bias: bool,
    spectral_norm: bool,
    weight_init: Init,
    bias_init: Init,
}

/// A square kernel of `size` pixels, stride 1, no padding, with bias.
pub const fn kernel(size: i64) -> Conv {
    Conv {
        kernel_size: [size; 2],
        stride: [1; 2],
        padding: [0; 2],
        dilation: [1; 2],
        groups: 1,
        bias: true,
        spectral_norm: false,
        weight_init: Init::FanIn,
        bias_init: Init::FanIn,
    }
}

macro_rules! setters {
    ($($(#[$doc:meta])+ $name:ident: $ty:ty => $($field:ident = $value:expr),+;)+) => {
        $( $(#[$doc])+ pub const fn $name(mut self, $name: $ty) -> Self { $( self.$field = $value; )+ self } )+
    };
}

impl Conv {
    setters! {
        /// The stride, in both directions.
        stride: i64 => stride = [stride; 2];
        /// Zero padding on every side.
        padding: i64 => padding = [padding; 2];
        /// The spacing of the kernel's taps.
        dilation: i64 => dilation = [dilation; 2];
        /// The number of channel groups.
        groups: i64 => groups = groups;
        /// Whether there is a bias.
        bias: bool => bias = bias;
        /// Whether the weight is divided by its largest singular value.
        spectral_norm: bool => spectral_norm = spectral_norm;
        /// The weight's first values.
        weight_init: Init => weight_init = weight_init;
        /// The bias's first values.
        bias_init: Init => bias_init = bias_init;
    }
}

/// Arguments of a transposed convolution.
#[derive(Debug, Clone, Copy)]
pub struct ConvTranspose {
    conv: Conv,
    output_padding: i64,
}

impl ConvTranspose {
    setters! {
        /// Pixels added on one side of the result.
        output_padding: i64 => output_padding = output_padding;
    }
}

impl From<Conv> for ConvTranspose {
    fn from(conv: Conv) -> Self {
        Self { conv, output_padding: 0 }
    }
}

/// Arguments of a linear layer or an embedding.
#[derive(Debug, Clone, Copy)]
pub struct Linear {
    bias: bool,
    spectral_norm: bool,
    weight_init: Init,
    bias_init: Init,
}

impl Default for Linear {
    fn default() -> Self {
        Self { bias: true, spectral_norm: false, weight_init: Init::FanIn, bias_init: Init::FanIn }
    }
}

impl Linear {
    setters! {
        /// Whether there is a bias.
        bias: bool => bias = bias;
        /// Whether the weight is divided by its largest singular value.
        spectral_norm: bool => spectral_norm = spectral_norm;
        /// The weight's first values.
        weight_init: Init => weight_init = weight_init;
        /// The bias's first values.
        bias_init: Init => bias_init = bias_init;
    }
}

/// Arguments of a normalisation; `momentum` counts for batch norm alone.
#[derive(Debug, Clone, Copy)]
pub struct Norm {
    eps: f64,
    momentum: f64,
    affine: bool,
    weight_init: Init,
    bias_init: Init,
}

impl Default for Norm {
    fn default() -> Self {
        Self { eps: 1e-5, momentum: 0.1, affine: true, weight_init: Init::ONES, bias_init: Init::ZEROS }
    }
}

impl Norm {
    setters! {
        /// Added to the variance.
        eps: f64 => eps = eps;
        /// The weight of the newest batch in the running statistics.
        momentum: f64 => momentum = momentum;
        /// Whether there are a learned scale and shift.
        affine: bool => affine = affine;
        /// The scale's first values.
        weight_init: Init => weight_init = weight_init;
        /// The shift's first values.
        bias_init: Init => bias_init = bias_init;
    }

    /// The first values of scale and shift.
    pub(super) const fn affine_init(self) -> (Init, Init) {
        (self.weight_init, self.bias_init)
    }
}

impl Tensor {
    /// `[N, C, H, W]` to `[N, out_channels, H', W']`: `torch.nn.Conv2d`.
    pub fn conv2d(&self, name: &str, out_channels: i64, conv: Conv) -> Self {
        let Conv { kernel_size, stride, padding, dilation, groups, bias, spectral_norm, weight_init, bias_init } = conv;
        let name = name.into();
        self.apply(Op::Conv2d {
            name,
            out_channels,
            kernel_size,
            stride,
            padding,
            dilation,
            groups,
            bias,
            spectral_norm,
            weight_init,
            bias_init,
        })
    }

    /// `[N, C, H, W]` to `[N, out_channels, H', W']`: `torch.nn.ConvTranspose2d`. A [`Conv`] serves as arguments.
    pub fn conv_transpose2d(&self, name: &str, out_channels: i64, conv: impl Into<ConvTranspose>) -> Self {
        let ConvTranspose { conv, output_padding } = conv.into();
        let Conv { kernel_size, stride, padding, dilation, groups, bias, spectral_norm, weight_init, bias_init } = conv;
        self.apply(Op::ConvTranspose2d {
            name: name.into(),
            out_channels,
            kernel_size,
            stride,
            padding,
            output_padding: [output_padding; 2],
            dilation,
            groups,
            bias,
            spectral_norm,
            weight_init,
            bias_init,
        })
    }

    /// `[…, features]` to `[…, out_features]`: `torch.nn.Linear`.
    pub fn linear(&self, name: &str, out_features: i64, linear: Linear) -> Self {
        let Linear { bias, spectral_norm, weight_init, bias_init } = linear;
        self.apply(Op::Linear { name: name.into(), out_features, bias, spectral_norm, weight_init, bias_init })
    }

    /// Labels `[N]` to vectors `[N, embedding_dim]`: `torch.nn.Embedding`.
    pub fn embedding(
        &self,
        name: &str,
        num_embeddings: i64,
        embedding_dim: i64,
        weight_init: Init,
        spectral_norm: bool,
    ) -> Self {
        self.apply(Op::Embedding { name: name.into(), num_embeddings, embedding_dim, spectral_norm, weight_init })
    }

    /// `torch.nn.BatchNorm1d/2d`. Couples the samples of a batch.
    pub fn batch_norm(&self, name: &str, norm: Norm) -> Self {
        let Norm { eps, momentum, affine, weight_init, bias_init } = norm;
        self.apply(Op::BatchNorm { name: name.into(), eps, momentum, affine, weight_init, bias_init })
    }

    /// `torch.nn.GroupNorm`.
    pub fn group_norm(&self, name: &str, num_groups: i64, norm: Norm) -> Self {
        let Norm { eps, affine, weight_init, bias_init, .. } = norm;
        self.apply(Op::GroupNorm { name: name.into(), num_groups, eps, affine, weight_init, bias_init })
    }

    /// `torch.nn.InstanceNorm2d` without running statistics.
    pub fn instance_norm(&self, name: &str, norm: Norm) -> Self {
        let Norm { eps, affine, weight_init, bias_init, .. } = norm;
        self.apply(Op::InstanceNorm { name: name.into(), eps, affine, weight_init, bias_init })
    }

    /// `torch.nn.LayerNorm` over the last dimensions, which are `normalized_shape`.
    pub fn layer_norm(&self, name: &str, normalized_shape: &[i64], norm: Norm) -> Self {
        let Norm { eps, affine, weight_init, bias_init, .. } = norm;
        self.apply(Op::LayerNorm {
            name: name.into(),
            normalized_shape: normalized_shape.to_vec(),
            eps,
            affine,
            weight_init,
            bias_init,
        })
    }

    /// `torch.nn.Dropout`, at work in training only.
    pub fn dropout(&self, p: f64) -> Self {
        self.apply(Op::Dropout { p })
    }

    /// `torch.nn.MaxPool2d` with square windows.
    pub fn max_pool2d(&self, kernel_size: i64, stride: i64, padding: i64) -> Self {
        self.apply(Op::MaxPool2d { kernel_size: [kernel_size; 2], stride: [stride; 2], padding: [padding; 2] })
    }

    /// `torch.nn.AvgPool2d` with square windows, padding counted.
    pub fn avg_pool2d(&self, kernel_size: i64, stride: i64, padding: i64) -> Self {
        self.apply(Op::AvgPool2d { kernel_size: [kernel_size; 2], stride: [stride; 2], padding: [padding; 2] })
    }

    /// Enlarges `[N, C, H, W]` by a whole factor, repeating pixels.
    pub fn upsample_nearest(&self, scale_factor: i64) -> Self {
        self.apply(Op::Upsample { scale_factor, mode: Interpolation::Nearest })
    }

    /// Enlarges `[N, C, H, W]` by a whole factor, bilinearly.
    pub fn upsample_bilinear(&self, scale_factor: i64) -> Self {
        self.apply(Op::Upsample { scale_factor, mode: Interpolation::Bilinear })
    }

    /// `torch.nn.PixelShuffle`.
    pub fn pixel_shuffle(&self, upscale_factor: i64) -> Self {
        self.apply(Op::PixelShuffle { upscale_factor })
    }
}
