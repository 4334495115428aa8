"""Training steps in PyTorch: as the paper's authors write them, and as well as we can.

Every step takes one batch of real images and updates both networks once, with DCGAN's non-saturating loss. The
authors' way of writing is described from their public scripts; the code here is our own. FLOPs are in units of one
pass of a batch through a network (T^g, T^d; see docs/performance.md).

The best steps are the same in eager mode, compiled and captured: what `Style` says is done to the networks or around
the step, never in it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from models import Gan, Style

Step = Callable[[Gan, Tensor], None]


def a2(gan: Gan, real: Tensor) -> None:
    """Authors' two stages: new latents for G's step, D not frozen in it, losses read by the host. 4 T^g + 9 T^d."""
    _two_stages_resampled(gan, real, detach=True)


def a2_attached(gan: Gan, real: Tensor) -> None:
    """As `a2`, and D's loss also runs back through G, in vain (their WGAN script). 6 T^g + 9 T^d."""
    _two_stages_resampled(gan, real, detach=False)


def _two_stages_resampled(gan: Gan, real: Tensor, detach: bool) -> None:
    ones = torch.ones(len(real), device=gan.device, dtype=gan.dtype)
    zeros = torch.zeros_like(ones)
    fake = gan.generator(gan.draw(len(real)))
    score_real = gan.discriminator(real)
    score_fake = gan.discriminator(fake.detach() if detach else fake)
    loss_d = F.binary_cross_entropy_with_logits(score_real, ones)
    loss_d = loss_d + F.binary_cross_entropy_with_logits(score_fake, zeros)
    gan.optimizer_d.zero_grad()
    loss_d.backward()
    gan.optimizer_d.step()
    loss_d.item()

    score_fake = gan.discriminator(gan.generator(gan.draw(len(real))))
    loss_g = F.binary_cross_entropy_with_logits(score_fake, ones)
    gan.optimizer_g.zero_grad()
    loss_g.backward()
    gan.optimizer_g.step()
    loss_g.item()


class ScaleGradient(torch.autograd.Function):
    """Identity whose backward pass multiplies each sample's gradient by `factor`, set before `backward`."""

    factor: Tensor

    @staticmethod
    def forward(ctx: object, images: Tensor) -> Tensor:
        return images.view_as(images)

    @staticmethod
    def backward(ctx: object, gradient: Tensor) -> Tensor:
        return gradient * ScaleGradient.factor.view(-1, 1, 1, 1)


def a1(gan: Gan, real: Tensor) -> None:
    """Authors' one stage: (L_D - L_G) / (1 - gamma) back through D, times gamma into G. 3 T^g + 6 T^d."""
    ones = torch.ones(len(real), device=gan.device, dtype=gan.dtype)
    zeros = torch.zeros_like(ones)
    fake = ScaleGradient.apply(gan.generator(gan.draw(len(real))))
    score_real = gan.discriminator(real)
    score_fake = gan.discriminator(fake)
    loss_real = F.binary_cross_entropy_with_logits(score_real, ones)
    fake_d = F.binary_cross_entropy_with_logits(score_fake, zeros, reduction="none")
    fake_g = F.binary_cross_entropy_with_logits(score_fake, ones, reduction="none")
    slope_g = torch.autograd.grad(fake_g.sum(), score_fake, retain_graph=True)[0]
    slope_d = torch.autograd.grad(fake_d.sum(), score_fake, retain_graph=True)[0]
    gamma = slope_g / slope_d
    loss = loss_real + ((fake_d - fake_g) / (1 - gamma)).mean()
    ScaleGradient.factor = gamma
    gan.optimizer_d.zero_grad()
    gan.optimizer_g.zero_grad()
    loss.backward()
    gan.optimizer_d.step()
    gan.optimizer_g.step()
    for value in (loss_real, fake_d.mean(), loss_real + fake_d.mean(), fake_g.mean()):
        value.item()


def b2(gan: Gan, real: Tensor) -> None:
    """Best two stages: D's fakes serve G's step, D frozen in it, nothing read by the host. 3 T^g + 8 T^d."""
    gan.normalise(iterate=True)
    with gan.autocast():
        fake = gan.generator(gan.draw(len(real)))
        score_real, score_fake = gan.discriminator(real), gan.discriminator(fake.detach())
    loss_d = F.softplus(-score_real.to(gan.dtype)).mean() + F.softplus(score_fake.to(gan.dtype)).mean()
    gan.optimizer_d.zero_grad()
    loss_d.backward()
    gan.optimizer_d.step()

    gan.discriminator.requires_grad_(False)
    gan.normalise(iterate=False)
    with gan.autocast():
        score_fake = gan.discriminator(fake)
    loss_g = F.softplus(-score_fake.to(gan.dtype)).mean()
    gan.optimizer_g.zero_grad()
    loss_g.backward()
    gan.optimizer_g.step()
    gan.discriminator.requires_grad_(True)


def b1(gan: Gan, real: Tensor) -> None:
    """Best one stage: L_D back through D to the fakes, times gamma into G, nothing read by the host. 3 T^g + 6 T^d."""
    gan.normalise(iterate=True)
    with gan.autocast():
        fake = gan.generator(gan.draw(len(real)))
        leaf = fake.detach().requires_grad_()
        score_real, score_fake = gan.discriminator(real), gan.discriminator(leaf)
    _one_stage_backward(gan, score_real, score_fake, fake, leaf)


def b1_joined(gan: Gan, real: Tensor) -> None:
    """As `b1` with real and fake in one call of D, which is exact for a D without BatchNorm."""
    gan.normalise(iterate=True)
    with gan.autocast():
        fake = gan.generator(gan.draw(len(real)))
        leaf = fake.detach().requires_grad_()
        score_real, score_fake = gan.discriminator(torch.cat((real.to(leaf.dtype), leaf))).split(len(real))
    _one_stage_backward(gan, score_real, score_fake, fake, leaf)


def _one_stage_backward(gan: Gan, score_real: Tensor, score_fake: Tensor, fake: Tensor, leaf: Tensor) -> None:
    count = len(score_real)
    with torch.no_grad():
        s_r, s_f = score_real.to(gan.dtype), score_fake.to(gan.dtype)
        # dL_D/ds_r, dL_D/ds_f and gamma = (dL_G/ds_f) / (dL_D/ds_f) of the non-saturating loss, in closed form.
        g_r = -torch.sigmoid(-s_r) / count
        g_f = torch.sigmoid(s_f) / count
        gamma = -torch.exp(-s_f)
    gan.optimizer_d.zero_grad()
    gan.optimizer_g.zero_grad()
    torch.autograd.backward((score_real, score_fake), (g_r.to(score_real.dtype), g_f.to(score_fake.dtype)))
    fake.backward(leaf.grad * gamma.to(fake.dtype).view(-1, 1, 1, 1))
    gan.optimizer_d.step()
    gan.optimizer_g.step()


@dataclass(frozen=True)
class Peer:
    step: Step
    style: Style = Style()


BEST = Style(best=True)
COMPILED = Style(best=True, compiled=True)
# Only on CUDA.
GRAPH = Style(best=True, compiled=True, graph=True)
PEERS: dict[str, Peer] = {
    "a2": Peer(a2),
    "a2-attached": Peer(a2_attached),
    "a1": Peer(a1),
    "b2": Peer(b2, BEST),
    "b1": Peer(b1, BEST),
    "b1-joined": Peer(b1_joined, BEST),
    "b2-compiled": Peer(b2, COMPILED),
    "b1-compiled": Peer(b1, COMPILED),
    "b2-graph": Peer(b2, GRAPH),
    "b1-graph": Peer(b1, GRAPH),
}


def offered(device: str) -> list[str]:
    """The peers that run on a device."""
    return [name for name, peer in PEERS.items() if device.startswith("cuda") or not peer.style.graph]
