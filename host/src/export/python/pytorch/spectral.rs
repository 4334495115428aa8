//! Layers under spectral norm. PyTorch's own are made by hooks or parametrizations, neither of which `torch.jit.script` takes;
//! these are classes with the same tensors under the same names.

use tandem_plugin_api::{Network, opset::Op};

/// What they have in common.
const BASE: &str = r#"class SpectralNorm(nn.Module):
    """A layer whose weight is divided by its largest singular value, `u W v`. Tensors and training are as those of
    `torch.nn.utils.spectral_norm`, which `torch.jit.script` does not take."""

    def __init__(self, *sizes, **options):
        super().__init__(*sizes, **options)
        self.rows = int(isinstance(self, nn.ConvTranspose2d))  # the weight's dimension that is the rows of W
        self.weight_orig = nn.Parameter(self.weight.detach())
        del self.weight
        rows, columns = self.weight_orig.transpose(0, self.rows).flatten(1).shape
        self.register_buffer("weight_u", F.normalize(torch.randn(rows), dim=0))
        self.register_buffer("weight_v", F.normalize(torch.randn(columns), dim=0))

    def normed(self) -> torch.Tensor:
        matrix = self.weight_orig.transpose(0, self.rows).flatten(1)
        if self.training:
            with torch.no_grad():
                self.weight_v.copy_(F.normalize(matrix.t().mv(self.weight_u), dim=0, eps=1e-12))
                self.weight_u.copy_(F.normalize(matrix.mv(self.weight_v), dim=0, eps=1e-12))
        return self.weight_orig / self.weight_u.clone().dot(matrix.mv(self.weight_v.clone()))
"#;

const CONV: &str = "class SpectralConv2d(SpectralNorm, nn.Conv2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, self.normed(), self.bias, self.stride, self.padding, self.dilation, self.groups)
";

const CONV_TRANSPOSE: &str = "class SpectralConvTranspose2d(SpectralNorm, nn.ConvTranspose2d):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.conv_transpose2d(
            x, self.normed(), self.bias, self.stride, self.padding, self.output_padding, self.groups, self.dilation
        )
";

const LINEAR: &str = "class SpectralLinear(SpectralNorm, nn.Linear):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, self.normed(), self.bias)
";

const EMBEDDING: &str = "class SpectralEmbedding(SpectralNorm, nn.Embedding):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.embedding(x, self.normed())
";

/// The classes that a network needs, in their order.
pub(super) fn classes(network: &Network) -> Vec<&'static str> {
    let uses = |is: fn(&Op) -> bool| network.nodes().iter().any(|node| is(&node.op));
    let own = [
        (uses(|op| matches!(op, Op::Conv2d { spectral_norm: true, .. })), CONV),
        (uses(|op| matches!(op, Op::ConvTranspose2d { spectral_norm: true, .. })), CONV_TRANSPOSE),
        (uses(|op| matches!(op, Op::Linear { spectral_norm: true, .. })), LINEAR),
        (uses(|op| matches!(op, Op::Embedding { spectral_norm: true, .. })), EMBEDDING),
    ];
    let own: Vec<&str> = own.into_iter().filter(|(used, _)| *used).map(|(_, text)| text).collect();
    if own.is_empty() { own } else { std::iter::once(BASE).chain(own).collect() }
}
