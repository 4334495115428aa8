"""Checks every peer step against separate autograd passes in float64: what is compared must be right first.

Run by `python serve.py --self-test`. SGD takes Adam's place, so that an update shows the gradient's size as well; D's
update is checked to happen before G's gradient in two stages and after it in one.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from models import Gan, Work, build, real_batches
from steps import STEPS

WORK = Work(size=32, channels=3, width=16, latent=10, batch=5)
RATE = 0.5


class Fixed(Gan):
    """A Gan whose latents are given, so that a reference can use the same."""

    latents: Iterator[Tensor]

    def draw(self, count: int) -> Tensor:
        return next(self.latents)


def updated(module: nn.Module, loss: Tensor) -> list[Tensor]:
    """The parameters after one step of gradient descent on `loss`."""
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    return [(p - RATE * g).detach() for p, g in zip(parameters, gradients, strict=True)]


def reference(name: str, gan: Gan, real: Tensor, latents: list[Tensor]) -> tuple[list[Tensor], list[Tensor]]:
    """G's and D's parameters after the step, by one autograd pass for each loss."""
    g, d = copy.deepcopy(gan.generator), copy.deepcopy(gan.discriminator)
    loss_d = F.softplus(-d(real)).mean() + F.softplus(d(g(latents[0]).detach())).mean()
    after_d = updated(d, loss_d)
    if name[1] == "2":
        with torch.no_grad():
            for parameter, value in zip(d.parameters(), after_d, strict=True):
                parameter.copy_(value)
    latent = latents[1] if name.startswith("a2") else latents[0]
    return updated(g, F.softplus(-d(g(latent))).mean()), after_d


def check(name: str) -> float:
    base = build(WORK, torch.device("cpu"), fused=False)
    g, d = base.generator.double(), base.discriminator.double()
    with torch.no_grad():
        d.score.weight.mul_(30)  # scores of several units, so that gamma is far from one number for all
    gan = Fixed(g, d, SGD(g.parameters(), RATE), SGD(d.parameters(), RATE), base.device)
    latents = [torch.randn(WORK.batch, WORK.latent, 1, 1, dtype=torch.float64) for _ in range(2)]
    gan.latents = iter(latents)
    real = next(real_batches(WORK, base.device, 1)).double()
    before = [p.detach().clone() for net in (g, d) for p in net.parameters()]
    wanted = [p for side in reference(name, gan, real, latents) for p in side]
    STEPS[name](gan, real)
    found = [p.detach() for net in (g, d) for p in net.parameters()]
    assert all(p.requires_grad for p in d.parameters()), f"{name} leaves D frozen"
    worst = 0.0
    for old, new, want in zip(before, found, wanted, strict=True):
        change = (want - old).norm()
        assert change > 0, f"{name}: a parameter without a gradient proves nothing"
        worst = max(worst, ((new - want).norm() / change).item())
    return worst


def main() -> None:
    for name in STEPS:
        error = check(name)
        assert error < 1e-10, f"{name}: relative error {error:.1e}"
        print(f"{name:<12} relative error of the updates {error:.1e}")
