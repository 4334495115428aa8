"""The PyTorch twin of SNGAN's ResNets for 32x32 images (Miyato et al. 2018, table 4), as the plugin `sngan` declares
them with `network = "resnet"`: the one place in Python that knows its layers and their names.

Both networks can be built from sizes, or from a state_dict alone. Conditional ones (Miyato & Koyama 2018) have a gain
and a bias for each class in G's norms, and the label's projection in D; the unconditional ones have `classes = 0`.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from dcgan import State, load

SIZE = 32
# Pixels of G's first map, which each of its blocks doubles.
FIRST = 4
UP_BLOCKS = 3
# Whether each of D's blocks halves the pixels.
HALVES = (True, True, False, False)


def conv(inputs: int, outputs: int, kernel: int, bias: bool = True) -> nn.Conv2d:
    """A convolution that keeps the pixels, with the authors' first values: gain sqrt(2) in residual branches."""
    layer = nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, bias=bias)
    nn.init.xavier_uniform_(layer.weight, 2**0.5 if kernel == 3 else 1.0)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer


def up(x: Tensor) -> Tensor:
    return F.interpolate(x, scale_factor=2, mode="nearest")


class ConditionalNorm(nn.Module):
    """Batch norm whose gain and bias are the class's."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=False)
        self.gain = nn.Embedding(classes, channels)
        self.bias = nn.Embedding(classes, channels)
        nn.init.ones_(self.gain.weight)
        nn.init.zeros_(self.bias.weight)

    def forward(self, x: Tensor, labels: Tensor) -> Tensor:
        return self.norm(x) * self.gain(labels)[:, :, None, None] + self.bias(labels)[:, :, None, None]


class UpBlock(nn.Module):
    """[b, c, h, w] to [b, c, 2h, 2w]."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.norm1 = ConditionalNorm(channels, classes) if classes else nn.BatchNorm2d(channels)
        self.conv1 = conv(channels, channels, 3, bias=False)
        self.norm2 = ConditionalNorm(channels, classes) if classes else nn.BatchNorm2d(channels)
        self.conv2 = conv(channels, channels, 3)
        self.shortcut = conv(channels, channels, 1)

    def forward(self, x: Tensor, labels: tuple[Tensor, ...]) -> Tensor:
        h = self.conv1(up(F.relu(self.norm1(x, *labels))))
        h = self.conv2(F.relu(self.norm2(h, *labels)))
        return h + up(self.shortcut(x))


class DownBlock(nn.Module):
    """[b, c, h, w] to [b, channels, h/2, w/2], or of the same pixels. The first takes an image: no ReLU before it."""

    def __init__(self, inputs: int, channels: int, halves: bool, first: bool) -> None:
        super().__init__()
        self.halves, self.first = halves, first
        inside = channels if first else inputs
        self.conv1 = conv(inputs, inside, 3)
        self.conv2 = conv(inside, channels, 3)
        self.shortcut = conv(inputs, channels, 1) if halves or inputs != channels else None

    def forward(self, x: Tensor) -> Tensor:
        h = self.conv2(F.relu(self.conv1(x if self.first else F.relu(x))))
        if self.halves:
            h, x = F.avg_pool2d(h, 2), F.avg_pool2d(x, 2)
        return h + (x if self.shortcut is None else self.shortcut(x))


class Generator(nn.Module):
    """Latent [b, z] or [b, z, 1, 1], and labels [b] if conditional, to image [b, channels, 32, 32] in [-1, 1]."""

    def __init__(self, channels: int = 3, width: int = 128, latent: int = 128, classes: int = 0) -> None:
        super().__init__()
        self.latent, self.classes = latent, classes
        wide = 2 * width
        self.project = nn.Linear(latent, wide * FIRST**2)
        nn.init.xavier_uniform_(self.project.weight)
        nn.init.zeros_(self.project.bias)
        for i in range(1, UP_BLOCKS + 1):
            self.add_module(f"block{i}", UpBlock(wide, classes))
        self.norm = nn.BatchNorm2d(wide)
        self.to_image = nn.Conv2d(wide, channels, 3, padding=1)
        nn.init.xavier_uniform_(self.to_image.weight)
        nn.init.zeros_(self.to_image.bias)

    @staticmethod
    def from_state(state: State) -> Generator:
        """The module that `state` belongs to, with its weights and their dtype."""
        channels, wide = state["to_image.weight"].shape[:2]
        gain = state.get("block1.norm1.gain.weight")
        classes = 0 if gain is None else gain.shape[0]
        return load(Generator(channels, wide // 2, state["project.weight"].shape[1], classes), state)

    def forward(self, latents: Tensor, labels: Tensor | None = None) -> Tensor:
        # What the norms of a conditional generator take beside the map.
        known = (labels,) if self.classes and labels is not None else ()
        x = self.project(latents.reshape(latents.shape[0], -1)).reshape(latents.shape[0], -1, FIRST, FIRST)
        for i in range(1, UP_BLOCKS + 1):
            x = self.get_submodule(f"block{i}")(x, known)
        return torch.tanh(self.to_image(F.relu(self.norm(x))))


class Discriminator(nn.Module):
    """Image [b, channels, 32, 32], and labels [b] if conditional, to score [b]; spectral norm in every layer."""

    def __init__(self, channels: int = 3, width: int = 128, classes: int = 0) -> None:
        super().__init__()
        for i, halves in enumerate(HALVES, 1):
            self.add_module(f"block{i}", DownBlock(channels if i == 1 else width, width, halves, first=i == 1))
        self.score = nn.Linear(width, 1, bias=False)
        nn.init.xavier_uniform_(self.score.weight)
        self.embed = nn.Embedding(classes, width) if classes else None
        if self.embed is not None:
            nn.init.xavier_uniform_(self.embed.weight)
        for module in list(self.modules()):
            if isinstance(module, (nn.Conv2d, nn.Linear, nn.Embedding)):
                nn.utils.spectral_norm(module)

    @staticmethod
    def from_state(state: State) -> Discriminator:
        """The module that `state` belongs to, with its weights and their dtype."""
        width, channels = state["block1.conv1.weight_orig"].shape[:2]
        embed = state.get("embed.weight_orig")
        return load(Discriminator(channels, width, 0 if embed is None else embed.shape[0]), state)

    def hold_power_iteration(self) -> None:
        """Use spectral norm's stored vectors as they are, in training mode too."""
        for module in self.modules():
            if hasattr(module, "weight_u"):
                module.eval()

    def forward(self, images: Tensor, labels: Tensor | None = None) -> Tensor:
        x = images
        for i in range(1, len(HALVES) + 1):
            x = self.get_submodule(f"block{i}")(x)
        features = F.relu(x).sum((2, 3))
        score = self.score(features).flatten()
        return score if self.embed is None else score + (self.embed(labels) * features).sum(1)
