"""Spectral norm whose power iteration runs once a step: what the best peers do with a D that has it.

`torch.nn.utils.spectral_norm` iterates in every forward pass, so D meets real and fake images with different weights,
and pays for both. Here each weight is divided by one estimate of its norm, which real and fake share; the gradient
goes through that estimate, as theirs does.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils.spectral_norm import SpectralNorm

Tensors = list[Tensor]
# What `torch.nn.utils.spectral_norm` keeps in a layer.
NAMES = ("weight_orig", "weight_u", "weight_v")


def iterate(weights: Tensors, us: Tensors, vs: Tensors) -> tuple[Tensors, Tensors]:
    """u and v after one power iteration."""
    new_vs = [F.normalize(w.flatten(1).t() @ u, dim=0, eps=1e-12) for w, u in zip(weights, us, strict=True)]
    new_us = [F.normalize(w.flatten(1) @ v, dim=0, eps=1e-12) for w, v in zip(weights, new_vs, strict=True)]
    return new_us, new_vs


def divide(weights: Tensors, us: Tensors, vs: Tensors) -> Tensors:
    """Each weight over u^T W v."""
    return [w / torch.dot(u, w.flatten(1) @ v) for w, u, v in zip(weights, us, vs, strict=True)]


@dataclass
class SharedSpectralNorm:
    """The layers whose weights are divided together."""

    layers: list[nn.Module]
    # Two functions: inductor's gradient is wrong where one function both changes u and v in place and reads them.
    iterate: Callable[[Tensors, Tensors, Tensors], tuple[Tensors, Tensors]] = iterate
    divide: Callable[[Tensors, Tensors, Tensors], Tensors] = divide

    @staticmethod
    def take_over(network: nn.Module) -> SharedSpectralNorm | None:
        """Stops the layers of `network` from normalising by themselves; None where none does.

        The names in the state_dict stay.
        """
        layers = []
        for module in network.modules():
            hooks = module._forward_pre_hooks
            for key in [key for key, hook in hooks.items() if isinstance(hook, SpectralNorm)]:
                del hooks[key]
                layers.append(module)
        return SharedSpectralNorm(layers) if layers else None

    def normalise(self, iterate: bool, narrow: torch.dtype | None = None) -> None:
        """Gives each layer its weight for the passes that follow, in the type that autocast would make it in each."""
        weights, us, vs = ([getattr(layer, name) for layer in self.layers] for name in NAMES)
        if iterate:
            with torch.no_grad():
                new_us, new_vs = self.iterate(weights, us, vs)
                torch._foreach_copy_([*us, *vs], [*new_us, *new_vs])
        for layer, weight in zip(self.layers, self.divide(weights, us, vs), strict=True):
            layer.weight = weight if narrow is None else weight.to(narrow)

    def compiled(self) -> SharedSpectralNorm:
        once = [torch.compile(function, dynamic=False) for function in (self.iterate, self.divide)]
        return replace(self, iterate=once[0], divide=once[1])
