//! Layers that know a sample's class, made of the opset's operations: the host needs to know nothing of them.

use super::{Norm, Tensor};
use crate::{
    Error,
    init::Init,
    shape::{Dim, Shape},
};

impl Tensor {
    /// `[N, C, …]` and labels `[N]` to `[N, C, …]`: batch norm whose scale and shift are the class's own (Dumoulin et al.
    /// 2017, arXiv 1610.07629, with an instance's statistics; de Vries et al. 2017, arXiv 1707.00683, with the batch's).
    ///
    /// As a PyTorch module it has three: `NAME.norm` is a `BatchNorm2d(C, affine=False)`, `NAME.gain` and `NAME.bias` are
    /// `Embedding(num_classes, C)`, whose weights start as `norm` says, so at 1 and 0 if it says nothing.
    pub fn conditional_batch_norm(&self, name: &str, labels: &Self, num_classes: i64, norm: Norm) -> Self {
        let normalised = self.batch_norm(&format!("{name}.norm"), norm.affine(false));
        // Where there are no channels the batch norm was a mistake, and nothing that follows counts.
        let Shape(dims) = self.shape();
        let Some(&Dim::Size(channels)) = dims.get(1) else { return normalised };
        let mut each_channel = vec![1; dims.len() - 1];
        each_channel[0] = channels;
        let of_class = |part: &str, init| {
            labels.embedding(&format!("{name}.{part}"), num_classes, channels, init, false).reshape(&each_channel)
        };
        let (gain, bias) = norm.affine_init();
        normalised * of_class("gain", gain) + of_class("bias", bias)
    }

    /// Features `[N, D]` and labels `[N]` to `[N, 1]`: the inner product of the features and a learned vector of the class.
    ///
    /// It is `yᵀVφ(x)`, the label's part in the projection discriminator (Miyato & Koyama 2018, arXiv 1802.05637, equation
    /// 3); added to a score `ψ(φ(x))` it is the whole: `x.linear("score", …) + x.projection("embed", …)`. Owns
    /// `NAME.weight`, `[num_classes, D]`, as `torch.nn.Embedding` does.
    pub fn projection(
        &self,
        name: &str,
        labels: &Self,
        num_classes: i64,
        weight_init: Init,
        spectral_norm: bool,
    ) -> Self {
        let shape = self.shape();
        let [Dim::Batch, Dim::Size(features)] = shape.0[..] else {
            // After an earlier mistake the shape is empty, and the earlier one stays.
            let message = format!("needs features [N, D], found {shape}; pool or flatten them first");
            self.graph.fail(Error::new(message).within(format_args!("layer `{name}` (projection)")));
            return Self { graph: self.graph.clone(), node: None };
        };
        let class = labels.embedding(name, num_classes, features, weight_init, spectral_norm);
        (class * self).sum_over(&[1], true)
    }
}

#[cfg(test)]
mod tests {
    use crate::{Builder, Init, Linear, Network, Norm, Tensor, kernel, opset::Op};

    fn owned(network: &Network) -> Vec<String> {
        network.parameters().iter().map(|p| format!("{} {:?} {}", p.name, p.shape, p.init)).collect()
    }

    #[test]
    fn a_class_has_its_own_scale_and_shift_which_start_at_1_and_0() {
        let g = Builder::new();
        let x = g.input("image", &[6, 4, 4]).conditional_batch_norm("cbn", &g.labels(), 10, Norm::default());
        let network = g.finish(&x).unwrap();
        assert_eq!(network.output_type().shape.to_string(), "[N, 6, 4, 4]");
        assert_eq!(network.batch_coupling().map(Op::name), Some("batch_norm"));
        assert_eq!(
            owned(&network),
            [
                "cbn.norm.running_mean [6] constant(0.0)",
                "cbn.norm.running_var [6] constant(1.0)",
                "cbn.norm.num_batches_tracked [] constant(0.0)",
                "cbn.gain.weight [10, 6] constant(1.0)",
                "cbn.bias.weight [10, 6] constant(0.0)",
            ]
        );
    }

    #[test]
    fn vectors_have_conditional_batch_norm_too() {
        let g = Builder::new();
        let x = g.input("features", &[6]).conditional_batch_norm("cbn", &g.labels(), 3, Norm::default());
        assert_eq!(x.shape().to_string(), "[N, 6]");
        assert!(g.finish(&x).is_ok());
    }

    #[test]
    fn a_projection_is_a_score_a_sample() {
        let g = Builder::new();
        let x = g.input("features", &[6]);
        let score = x.linear("score", 1, Linear::default())
            + x.projection("embed", &g.labels(), 10, Init::XavierUniform { gain: 1.0 }, true);
        let network = g.finish(&score).unwrap();
        assert_eq!(network.output_type().shape.to_string(), "[N, 1]");
        assert_eq!(network.batch_coupling(), None);
        assert_eq!(
            owned(&network)[2..],
            [
                "embed.weight_orig [10, 6] xavier_uniform(1.0)",
                "embed.weight_u [10] normal(0.0, 1.0)",
                "embed.weight_v [6] normal(0.0, 1.0)",
            ]
        );
    }

    #[test]
    fn mistakes_are_named() {
        let refused = |make: fn(&Tensor, &Tensor) -> Tensor| {
            let g = Builder::new();
            g.finish(&make(&g.input("image", &[3, 4, 4]), &g.labels())).unwrap_err().to_string()
        };
        assert_eq!(
            refused(|x, y| x.projection("embed", y, 10, Init::FanIn, false)),
            "layer `embed` (projection): needs features [N, D], found [N, 3, 4, 4]; pool or flatten them first"
        );
        // The first mistake is the one that counts.
        assert_eq!(
            refused(|x, y| x.conv2d("conv", 8, kernel(7)).projection("embed", y, 10, Init::FanIn, false)),
            "layer `conv` (conv2d): a window of 7 does not fit into 4 pixels with padding 0 (input [N, 3, 4, 4])"
        );
        assert_eq!(
            refused(|x, _| x.conditional_batch_norm("cbn", x, 10, Norm::default())),
            "layer `cbn.gain` (embedding): needs labels, found real numbers [N, 3, 4, 4] (input [N, 3, 4, 4])"
        );
        assert_eq!(
            refused(|x, y| x.sum().conditional_batch_norm("cbn", y, 10, Norm::default())),
            "layer `cbn.norm` (batch_norm): needs [N, C, …], found [] (input [])"
        );
    }
}
