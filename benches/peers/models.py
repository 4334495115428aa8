"""What every peer step shares: the two networks, their optimizers, latents and a synthetic batch of real images.

All peers train the same networks, so that a ratio of times says something about the step alone. The networks are
those of `tests/python`, the PyTorch twins of the shipped ones.
"""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from spectral import SharedSpectralNorm

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "python"))
import dcgan  # noqa: E402
import sn_resnet  # noqa: E402


@dataclass(frozen=True)
class Work:
    """The work of one step: what must be equal for all contestants of a run."""

    network: str = "dcgan"
    size: int = 64
    channels: int = 3
    width: int = 64
    latent: int = 100
    batch: int = 64
    # D's norm in DCGAN; the ResNet's D has spectral norm in every layer.
    norm: str = "group"


# The full-size work of each network.
WORKS = {
    "dcgan": Work(),
    "sn-resnet": Work(network="sn-resnet", size=sn_resnet.SIZE, width=128, latent=128, norm="spectral"),
}


@dataclass(frozen=True)
class Style:
    """How a peer is written, apart from its step: the authors' way, or the best."""

    # Fused Adam, cuDNN that tries its algorithms, the faster memory format, one power iteration a step.
    best: bool = False
    precision: str = "float32"
    compiled: bool = False
    graph: bool = False


@dataclass
class Gan:
    """Networks and optimizers of one peer."""

    generator: nn.Module
    discriminator: nn.Module
    optimizer_g: Optimizer
    optimizer_d: Optimizer
    device: torch.device
    # Where D has spectral norm and the step decides when it iterates; else each forward pass of D iterates once.
    spectral: SharedSpectralNorm | None = None
    narrow: torch.dtype | None = None

    def draw(self, count: int) -> Tensor:
        """`count` standard normal latents, [count, z, 1, 1]."""
        return torch.randn(count, self.generator.latent, 1, 1, device=self.device, dtype=self.dtype)

    def autocast(self) -> AbstractContextManager[object]:
        """Convolutions and matrix products in the narrow type, where the peer has one."""
        return nullcontext() if self.narrow is None else torch.autocast(self.device.type, self.narrow)

    def normalise(self, iterate: bool) -> None:
        """D's weights over their spectral norms, for the passes that follow."""
        if self.spectral is not None:
            self.spectral.normalise(iterate, self.narrow)

    @property
    def dtype(self) -> torch.dtype:
        return next(self.generator.parameters()).dtype


def networks(work: Work) -> tuple[nn.Module, nn.Module]:
    if work.network == "sn-resnet":
        if work.size != sn_resnet.SIZE:
            raise ValueError(f"sn-resnet has images of {sn_resnet.SIZE} pixels, found {work.size}")
        return (
            sn_resnet.Generator(work.channels, work.width, work.latent),
            sn_resnet.Discriminator(work.channels, work.width),
        )
    return (
        dcgan.Generator(work.size, work.channels, work.width, work.latent),
        dcgan.Discriminator(work.size, work.channels, work.width, work.norm),
    )


def memory_format(work: Work, device: torch.device, style: Style) -> torch.memory_format:
    """The faster one, for the best peers; the authors' scripts leave it at PyTorch's default.

    Tried on the CPU (Zen 4, one thread's CPU time, in turns): against contiguous, channels_last took as long or up to
    a fifth less for DCGAN-64 in float32, 2 to 8 % more for it in bfloat16, and 11 to 22 % less for the ResNet in both.
    """
    slower = work.network == "dcgan" and device.type == "cpu" and style.precision != "float32"
    return torch.channels_last if style.best and not slower else torch.contiguous_format


def build(work: Work, device: torch.device, style: Style, seed: int = 0) -> Gan:
    """Fresh networks with Adam(2e-4, (0.5, 0.999)) each: PyTorch's default one, or the fused one for the best peers."""
    torch.manual_seed(seed)
    layout = memory_format(work, device, style)
    generator, discriminator = (net.to(device, memory_format=layout).train() for net in networks(work))
    adam = [
        Adam(net.parameters(), lr=2e-4, betas=(0.5, 0.999), fused=style.best or None, capturable=style.graph)
        for net in (generator, discriminator)
    ]
    gan = Gan(generator, discriminator, adam[0], adam[1], device)
    if style.best:
        gan.spectral = SharedSpectralNorm.take_over(discriminator)
        gan.narrow = None if style.precision == "float32" else getattr(torch, style.precision)
    return compiled(gan) if style.compiled else gan


def compiled(gan: Gan) -> Gan:
    """The same with both networks, and D's normalisation, through torch.compile: passes forward and back alike."""
    if gan.spectral is not None:
        gan.spectral = gan.spectral.compiled()
    # The shapes never change.
    generator, discriminator = (torch.compile(net, dynamic=False) for net in (gan.generator, gan.discriminator))
    return replace(gan, generator=generator, discriminator=discriminator)


def real_batches(work: Work, device: torch.device, style: Style, count: int = 4) -> Iterator[Tensor]:
    """For ever the same few batches in [-1, 1], already on the device: a bench of steps, not of data loading."""
    shape = (work.batch, work.channels, work.size, work.size)
    source = torch.Generator().manual_seed(1)
    layout = memory_format(work, device, style)
    batches = [(torch.rand(shape, generator=source) * 2 - 1).to(device, memory_format=layout) for _ in range(count)]
    return itertools.cycle(batches)
