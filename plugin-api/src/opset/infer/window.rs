//! The rules for pictures `[N, C, H, W]`: what slides a window over them, and what enlarges them.

use super::{Typed, not_negative, positive, weight};
use crate::{
    opset::Op,
    shape::{Dim, Shape, TensorType},
};

/// `[N, C, H, W]` taken apart, or the rule.
pub(in crate::opset) fn image(shape: &Shape) -> Result<(i64, i64, i64), String> {
    match shape.0[..] {
        [Dim::Batch, Dim::Size(c), Dim::Size(h), Dim::Size(w)] => Ok((c, h, w)),
        _ => Err(format!("needs [N, C, H, W], found {shape}")),
    }
}

/// Convolutions and pools: everything with a sliding window.
pub(super) fn window(op: &Op, input: &TensorType) -> Typed {
    let (c, h, w) = image(&input.shape)?;
    let out = |channels: i64, side: &dyn Fn(i64, usize) -> Result<i64, String>| -> Typed {
        Ok(TensorType::float(Shape::batched(&[channels, side(h, 0)?, side(w, 1)?])))
    };
    match op {
        Op::Conv2d { out_channels, kernel_size, stride, padding, dilation, groups, .. } => {
            convolution(c, *out_channels, *groups, kernel_size, stride, padding, dilation)?;
            out(*out_channels, &|n, i| slide(n, dilation[i] * (kernel_size[i] - 1) + 1, stride[i], padding[i]))
        }
        Op::ConvTranspose2d {
            out_channels, kernel_size, stride, padding, output_padding, dilation, groups, ..
        } => {
            convolution(c, *out_channels, *groups, kernel_size, stride, padding, dilation)?;
            not_negative("output_padding", output_padding)?;
            if (0..2).any(|i| output_padding[i] >= stride[i].max(dilation[i])) {
                return Err(format!(
                    "output_padding {output_padding:?} must be below stride {stride:?} or dilation {dilation:?}"
                ));
            }
            out(*out_channels, &|n, i| {
                Ok((n - 1) * stride[i] - 2 * padding[i] + dilation[i] * (kernel_size[i] - 1) + output_padding[i] + 1)
            })
        }
        Op::MaxPool2d { kernel_size, stride, padding } | Op::AvgPool2d { kernel_size, stride, padding } => {
            positive("kernel_size", kernel_size)?;
            positive("stride", stride)?;
            not_negative("padding", padding)?;
            if (0..2).any(|i| 2 * padding[i] > kernel_size[i]) {
                return Err(format!("padding {padding:?} must be at most half of kernel_size {kernel_size:?}"));
            }
            out(c, &|n, i| slide(n, kernel_size[i], stride[i], padding[i]))
        }
        _ => Err("no window".into()),
    }
}

fn convolution(
    c: i64,
    out: i64,
    groups: i64,
    kernel: &[i64],
    stride: &[i64],
    padding: &[i64],
    dilation: &[i64],
) -> Result<(), String> {
    positive("out_channels", &[out])?;
    positive("groups", &[groups])?;
    positive("kernel_size", kernel)?;
    positive("stride", stride)?;
    positive("dilation", dilation)?;
    not_negative("padding", padding)?;
    if c % groups != 0 || out % groups != 0 {
        return Err(format!("groups = {groups} must divide the {c} channels that come in and the {out} that go out"));
    }
    // Transposed or not, the weight has as many elements.
    weight(&[out, c / groups, kernel[0], kernel[1]])
}

fn slide(n: i64, extent: i64, stride: i64, padding: i64) -> Result<i64, String> {
    let room = n + 2 * padding - extent;
    if room < 0 {
        return Err(format!("a window of {extent} does not fit into {n} pixels with padding {padding}"));
    }
    Ok(room / stride + 1)
}

pub(super) fn rescale(shape: &Shape, factor: i64) -> Typed {
    positive("scale_factor", &[factor])?;
    let (c, h, w) = image(shape)?;
    Ok(TensorType::float(Shape::batched(&[c, h.saturating_mul(factor), w.saturating_mul(factor)])))
}

pub(super) fn pixel_shuffle(shape: &Shape, r: i64) -> Typed {
    positive("upscale_factor", &[r])?;
    let (c, h, w) = image(shape)?;
    if c % (r * r) != 0 {
        return Err(format!("the {c} channels of {shape} must be a multiple of upscale_factor² = {}", r * r));
    }
    Ok(TensorType::float(Shape::batched(&[c / (r * r), h.saturating_mul(r), w.saturating_mul(r)])))
}
