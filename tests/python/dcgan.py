"""The PyTorch twin of the shipped DCGAN backbone: the one place in Python that knows its layers and their names.

Both networks can be built from sizes, or from a state_dict alone (sizes, bias and norm are read off the tensors).
The number of groups of a GroupNorm is not in a state_dict; it is the largest one up to 32 that
divides the channels and leaves at least 8 of them in each group.

A conditional network is one whose first layer takes more channels than the latent or the image has: the others are the
label's one-hot vector, of which there are as many as classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F

State = Mapping[str, Tensor]
NORMS = ("group", "batch", "none", "spectral")
GROUPS = 32
CHANNELS_IN_GROUP = 8
M = TypeVar("M", bound=nn.Module)


def groups(channels: int) -> int:
    """The most groups, up to 32, that share `channels` evenly with at least 8 in each."""
    most = min(GROUPS, channels // CHANNELS_IN_GROUP)
    return next((count for count in range(most, 0, -1) if channels % count == 0), 1)


def stages(size: int) -> int:
    """Convolutions of stride 2 between a 4x4 map and an image of `size` pixels: 3 at 32, 4 at 64."""
    count = (size // 4).bit_length() - 1
    if size != 4 << count or count < 1:
        raise ValueError(f"size must be 4 times a power of two, found {size}")
    return count


def with_labels(x: Tensor, labels: Tensor | None, channels: int) -> Tensor:
    """x [b, c, h, w] to [b, channels, h, w], where what is added is the one-hot maps of labels [b]."""
    classes = channels - x.shape[1]
    if classes == 0:
        return x
    if labels is None:
        raise ValueError(f"{channels} channels expected, {x.shape[1]} found: a network of {classes} classes needs labels")
    maps = F.one_hot(labels, classes).to(x.dtype)[:, :, None, None]
    return torch.cat([x, maps.expand(-1, -1, *x.shape[2:])], 1)


class Generator(nn.Module):
    """Latent [b, z] or [b, z, 1, 1] (z less the classes, if conditional) to image [b, channels, size, size] in [-1, 1]."""

    def __init__(
        self, size: int = 64, channels: int = 3, width: int = 64, latent: int = 100, to_image_bias: bool = True
    ) -> None:
        super().__init__()
        self.latent = latent
        self.ups = stages(size) - 1
        wide = width << self.ups
        self.project = nn.ConvTranspose2d(latent, wide, 4, 1, 0, bias=False)
        self.project_norm = nn.BatchNorm2d(wide)
        for i in range(1, self.ups + 1):
            self.add_module(f"up{i}", nn.ConvTranspose2d(wide, wide // 2, 4, 2, 1, bias=False))
            self.add_module(f"up{i}_norm", nn.BatchNorm2d(wide // 2))
            wide //= 2
        self.to_image = nn.ConvTranspose2d(wide, channels, 4, 2, 1, bias=to_image_bias)
        init_weights(self)

    @staticmethod
    def from_state(state: State) -> Generator:
        """The module that `state` belongs to, with its weights and their dtype."""
        latent, wide = state["project.weight"].shape[:2]
        ups = sum(1 for name in state if name.startswith("up") and name.endswith(".weight") and "norm" not in name)
        size = 8 << ups
        channels = state["to_image.weight"].shape[1]
        generator = Generator(size, channels, wide >> ups, latent, "to_image.bias" in state)
        return load(generator, state)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        x = with_labels(latents.reshape(latents.shape[0], -1, 1, 1), labels, self.latent)
        x = F.relu(self.project_norm(self.project(x)))
        for i in range(1, self.ups + 1):
            conv, norm = self.get_submodule(f"up{i}"), self.get_submodule(f"up{i}_norm")
            x = F.relu(norm(conv(x)))
        return torch.tanh(self.to_image(x))


class Discriminator(nn.Module):
    """Image [b, channels, size, size] to score [b]. No norm on the first and the last convolution."""

    def __init__(
        self, size: int = 64, channels: int = 3, width: int = 64, norm: str = "group", score_bias: bool = True
    ) -> None:
        super().__init__()
        if norm not in NORMS:
            raise ValueError(f"norm must be one of {', '.join(NORMS)}, found {norm}")
        self.downs = stages(size)
        self.conv1 = nn.Conv2d(channels, width, 4, 2, 1)
        for i in range(2, self.downs + 1):
            wide = width << (i - 1)
            bias = norm in ("none", "spectral")
            self.add_module(f"conv{i}", nn.Conv2d(wide // 2, wide, 4, 2, 1, bias=bias))
            if norm == "group":
                self.add_module(f"conv{i}_norm", nn.GroupNorm(groups(wide), wide))
            elif norm == "batch":
                self.add_module(f"conv{i}_norm", nn.BatchNorm2d(wide))
        self.score = nn.Conv2d(width << (self.downs - 1), 1, 4, 1, 0, bias=score_bias)
        init_weights(self)
        if norm == "spectral":
            for module in self.convolutions():
                nn.utils.spectral_norm(module)

    @staticmethod
    def from_state(state: State) -> Discriminator:
        """The module that `state` belongs to, with its weights and their dtype."""
        if "conv1.weight_orig" in state:
            norm, first = "spectral", state["conv1.weight_orig"]
        else:
            norm, first = "none", state["conv1.weight"]
        if "conv2_norm.running_mean" in state:
            norm = "batch"
        elif "conv2_norm.weight" in state:
            norm = "group"
        downs = len({name.split(".")[0] for name in state if name.startswith("conv") and "norm" not in name})
        discriminator = Discriminator(4 << downs, first.shape[1], first.shape[0], norm, "score.bias" in state)
        return load(discriminator, state)

    def convolutions(self) -> list[nn.Conv2d]:
        return [module for module in self.modules() if isinstance(module, nn.Conv2d)]

    def hold_power_iteration(self) -> None:
        """Use spectral norm's stored vectors as they are, in training mode too."""
        for module in self.convolutions():
            module.eval()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = F.leaky_relu(self.conv1(with_labels(images, labels, self.conv1.in_channels)), 0.2)
        for i in range(2, self.downs + 1):
            x = self.get_submodule(f"conv{i}")(x)
            if hasattr(self, f"conv{i}_norm"):
                x = self.get_submodule(f"conv{i}_norm")(x)
            x = F.leaky_relu(x, 0.2)
        return self.score(x).flatten()


def init_weights(module: nn.Module) -> None:
    """DCGAN's initial weights: convolutions N(0, 0.02), norm scales N(1, 0.02), biases 0."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.ConvTranspose2d)):
            nn.init.normal_(layer.weight, 0.0, 0.02)
        elif isinstance(layer, (nn.BatchNorm2d, nn.GroupNorm)):
            nn.init.normal_(layer.weight, 1.0, 0.02)
        bias = getattr(layer, "bias", None)
        if bias is not None:
            nn.init.zeros_(bias)


def load(module: M, state: State) -> M:
    """`module` with the tensors of `state`; a missing or unknown name, or another shape, is an error."""
    dtype = next(tensor.dtype for tensor in state.values() if tensor.is_floating_point())
    module.to(dtype)
    module.load_state_dict(state)
    return module
