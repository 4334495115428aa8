//! Where images lie `[N, H, W, C]` and where as the definition counts, `[N, C, H, W]`.

use tandem_plugin_api::{network::TypedNode, opset::Op, shape::Dim};

use super::{
    super::statements::{Operand, atom, literal},
    Flax,
};

/// Where each of `[N, C, H, W]` is in `[N, H, W, C]`.
const TO: [i64; 4] = [0, 3, 1, 2];

impl Flax<'_> {
    /// An operand as `[N, H, W, C]`.
    pub(super) fn channels_last(&self, x: &Operand) -> Operand {
        if self.last[x.node] {
            return x.clone();
        }
        x.replaced(atom(format!("{}.transpose(0, 2, 3, 1)", x.object())))
    }

    /// An operand as the definition counts its dimensions.
    pub(super) fn as_declared(&self, x: &Operand) -> Operand {
        if !self.last[x.node] {
            return x.clone();
        }
        x.replaced(atom(format!("{}.transpose(0, 3, 1, 2)", x.object())))
    }

    /// Operands that meet element by element: all one way, and whether that is `[N, H, W, C]`.
    pub(super) fn alike(&self, node: &TypedNode, x: &[Operand]) -> (Vec<Operand>, bool) {
        let is_number = |k: usize| x.len() == 2 && literal(self.network, node, k).is_some();
        let tensors: Vec<usize> = (0..x.len()).filter(|&k| !is_number(k)).collect();
        let images = tensors.iter().all(|&k| self.rank(x[k].node) == 4);
        let last = images && tensors.iter().any(|&k| self.last[x[k].node]);
        let turned = x.iter().enumerate().map(|(k, x)| match (is_number(k), last) {
            (true, _) => x.clone(),
            (false, true) => self.channels_last(x),
            (false, false) => self.as_declared(x),
        });
        (turned.collect(), last)
    }

    /// Dimension `dim` of a value, where it lies.
    pub(super) fn axis(&self, x: &Operand, dim: i64) -> i64 {
        let dim = dim.rem_euclid(self.rank(x.node).max(1) as i64);
        if self.last[x.node] { TO[dim as usize] } else { dim }
    }

    /// Whether what is left of a value after its dimensions `dims` keeps its order where it lies.
    pub(super) fn reduces_in_place(&self, x: &Operand, dims: &[i64], keepdim: bool) -> bool {
        let left: Vec<i64> = (1..4).filter(|d| !dims.contains(d)).collect();
        !self.last[x.node] || keepdim || left.len() <= 1 || !left.contains(&1)
    }

    pub(super) fn rank(&self, node: usize) -> usize {
        self.network.nodes()[node].output.shape.rank()
    }

    /// `Some(channels)` of `[N, C, 1, 1]`, which is the same in both orders.
    pub(super) fn single_pixel(&self, node: usize) -> Option<i64> {
        match self.network.nodes()[node].output.shape.0[..] {
            [Dim::Batch, Dim::Size(c), Dim::Size(1), Dim::Size(1)] => Some(c),
            _ => None,
        }
    }

    /// Whether some reader of a value takes it as `[N, H, W, C]`.
    pub(super) fn is_image(&self, node: usize) -> bool {
        let wants = |op: &Op| {
            matches!(
                op,
                Op::Conv2d { .. }
                    | Op::ConvTranspose2d { .. }
                    | Op::BatchNorm { .. }
                    | Op::GroupNorm { .. }
                    | Op::InstanceNorm { .. }
                    | Op::MaxPool2d { .. }
                    | Op::AvgPool2d { .. }
                    | Op::Upsample { .. }
                    | Op::PixelShuffle { .. }
            )
        };
        self.rank(node) == 4 && self.network.nodes().iter().any(|n| wants(&n.op) && n.inputs.contains(&node))
    }
}
