//! Convolutions that take the quickest way through each pass on their device (`cpp/conv.h` says which).

use tch::Tensor;

use crate::TorchError;
use crate::ffi::{self, ConvShape, Out, Slice};

/// Shape arguments of a convolution of any dimension, as PyTorch's `torch.convolution` takes them.
#[derive(Debug, Clone, Copy)]
pub struct Conv<'a> {
    /// One stride for each spatial dimension.
    pub stride: &'a [i64],
    /// Zero padding on both sides of each spatial dimension.
    pub padding: &'a [i64],
    /// Extra size on one side of the output; all 0 unless `transposed`.
    pub output_padding: &'a [i64],
    /// Spacing of the kernel's elements.
    pub dilation: &'a [i64],
    /// Number of blocked connections from input to output channels.
    pub groups: i64,
    /// Whether this is a transposed convolution.
    pub transposed: bool,
}

impl<'a> Conv<'a> {
    pub(crate) fn shape(&self) -> ConvShape<'a> {
        ConvShape {
            stride: Slice::from(self.stride),
            padding: Slice::from(self.padding),
            output_padding: Slice::from(self.output_padding),
            dilation: Slice::from(self.dilation),
            groups: self.groups,
            transposed: self.transposed,
        }
    }
}

/// Convolution of `input` `[B, C, *]` with `weight` `[O, C/groups, *]` (`[C, O/groups, *]` if transposed)
/// and `bias` `[O]`: libtorch's, but for rounding. It can be differentiated twice.
pub fn conv(input: &Tensor, weight: &Tensor, bias: Option<&Tensor>, conv: &Conv<'_>) -> Result<Tensor, TorchError> {
    let mut out = Out::empty();
    ffi::tandem_ext_conv(input.into(), weight.into(), bias.into(), &conv.shape(), &mut out).check("conv")?;
    Ok(out.take())
}
