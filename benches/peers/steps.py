"""Training steps in PyTorch eager: as the paper's authors write them, and as well as we can.

Every step takes one batch of real images and updates both networks once, with DCGAN's non-saturating loss. The
authors' way of writing is described from their public scripts; the code here is our own. FLOPs are in units of one
pass of a batch through a network (T^g, T^d; see docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from models import Gan

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
    fake = gan.generator(gan.draw(len(real)))
    loss_d = F.softplus(-gan.discriminator(real)).mean() + F.softplus(gan.discriminator(fake.detach())).mean()
    gan.optimizer_d.zero_grad()
    loss_d.backward()
    gan.optimizer_d.step()

    gan.discriminator.requires_grad_(False)
    loss_g = F.softplus(-gan.discriminator(fake)).mean()
    gan.optimizer_g.zero_grad()
    loss_g.backward()
    gan.optimizer_g.step()
    gan.discriminator.requires_grad_(True)


def b1(gan: Gan, real: Tensor) -> None:
    """Best one stage: L_D back through D to the fakes, times gamma into G, nothing read by the host. 3 T^g + 6 T^d."""
    fake = gan.generator(gan.draw(len(real)))
    leaf = fake.detach().requires_grad_()
    score_real, score_fake = gan.discriminator(real), gan.discriminator(leaf)
    _one_stage_backward(gan, score_real, score_fake, fake, lambda: leaf.grad)


def b1_joined(gan: Gan, real: Tensor) -> None:
    """As `b1` with real and fake in one call of D, which is exact for a D without BatchNorm."""
    fake = gan.generator(gan.draw(len(real)))
    leaf = fake.detach().requires_grad_()
    score_real, score_fake = gan.discriminator(torch.cat((real, leaf))).split(len(real))
    _one_stage_backward(gan, score_real, score_fake, fake, lambda: leaf.grad)


def _one_stage_backward(
    gan: Gan, score_real: Tensor, score_fake: Tensor, fake: Tensor, at_fake: Callable[[], Tensor]
) -> None:
    count = len(score_real)
    with torch.no_grad():
        # dL_D/ds_r, dL_D/ds_f and gamma = (dL_G/ds_f) / (dL_D/ds_f) of the non-saturating loss, in closed form.
        g_r = -torch.sigmoid(-score_real) / count
        g_f = torch.sigmoid(score_fake) / count
        gamma = -torch.exp(-score_fake)
    gan.optimizer_d.zero_grad()
    gan.optimizer_g.zero_grad()
    torch.autograd.backward((score_real, score_fake), (g_r, g_f))
    fake.backward(at_fake() * gamma.view(-1, 1, 1, 1))
    gan.optimizer_d.step()
    gan.optimizer_g.step()


STEPS: dict[str, Step] = {
    "a2": a2, "a2-attached": a2_attached, "a1": a1, "b2": b2, "b1": b1, "b1-joined": b1_joined
}
# The authors take Adam as PyTorch gives it; the best steps take the fused one.
FUSED = ("b2", "b1", "b1-joined")
