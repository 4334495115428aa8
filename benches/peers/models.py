"""What every peer step shares: the two networks, their optimizers, latents and a synthetic batch of real images.

All peers train the same networks, so that a ratio of times says something about the step alone. The networks are
those of `tests/python/dcgan.py`, the PyTorch twin of the shipped backbone.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Adam, Optimizer

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "python"))
from dcgan import Discriminator, Generator  # noqa: E402


@dataclass(frozen=True)
class Work:
    """The work of one step: what must be equal for all contestants of a run."""

    size: int = 64
    channels: int = 3
    width: int = 64
    latent: int = 100
    batch: int = 64
    norm: str = "group"


@dataclass
class Gan:
    """Networks and optimizers of one peer."""

    generator: Generator
    discriminator: Discriminator
    optimizer_g: Optimizer
    optimizer_d: Optimizer
    device: torch.device

    def draw(self, count: int) -> Tensor:
        """`count` standard normal latents, [count, z, 1, 1]."""
        return torch.randn(count, self.generator.latent, 1, 1, device=self.device, dtype=self.dtype)

    @property
    def dtype(self) -> torch.dtype:
        return self.generator.project.weight.dtype


def build(work: Work, device: torch.device, fused: bool, seed: int = 0) -> Gan:
    """Fresh networks with Adam(2e-4, (0.5, 0.999)) each; `fused` takes PyTorch's fused Adam, else its default."""
    torch.manual_seed(seed)
    generator = Generator(work.size, work.channels, work.width, work.latent).to(device).train()
    discriminator = Discriminator(work.size, work.channels, work.width, work.norm).to(device).train()
    adam = [
        Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=fused or None) for net in (generator, discriminator)
    ]
    return Gan(generator, discriminator, adam[0], adam[1], device)


def real_batches(work: Work, device: torch.device, count: int = 4) -> Iterator[Tensor]:
    """For ever the same few batches in [-1, 1], already on the device: a bench of steps, not of data loading."""
    shape = (work.batch, work.channels, work.size, work.size)
    source = torch.Generator().manual_seed(1)
    batches = [(torch.rand(shape, generator=source) * 2 - 1).to(device) for _ in range(count)]
    return itertools.cycle(batches)
