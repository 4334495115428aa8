"""The shipped methods' losses in PyTorch, as functions of the raw scores of one batch.

`losses(method, variant)` gives `(L_D, L_G)`, each `(real scores [b], fake scores [b]) -> scalar`.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor
from torch.nn.functional import softplus

Loss = Callable[[Tensor, Tensor], Tensor]


def log_loss_d(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(s_r) - log(1 - sigmoid(s_f)), Goodfellow et al. 2014."""
    return softplus(-real).mean() + softplus(fake).mean()


def average_d(real: Tensor, fake: Tensor) -> Tensor:
    """RaSGAN, Jolicoeur-Martineau 2018: each score against the other side's mean; the two terms are summed."""
    return softplus(-(real - fake.mean())).mean() + softplus(fake - real.mean()).mean()


def average_g(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(real - fake.mean()).mean() + softplus(-(fake - real.mean())).mean()


LOSSES: dict[tuple[str, str], tuple[Loss, Loss]] = {
    ("dcgan", "saturating"): (log_loss_d, lambda real, fake: -softplus(fake).mean()),
    ("dcgan", "non-saturating"): (log_loss_d, lambda real, fake: softplus(-fake).mean()),
    ("lsgan", ""): (
        lambda real, fake: 0.5 * (real - 1).square().mean() + 0.5 * fake.square().mean(),
        lambda real, fake: 0.5 * (fake - 1).square().mean(),
    ),
    ("wgan", ""): (lambda real, fake: fake.mean() - real.mean(), lambda real, fake: -fake.mean()),
    ("relgan", "standard"): (
        lambda real, fake: softplus(-(real - fake)).mean(),
        lambda real, fake: softplus(-(fake - real)).mean(),
    ),
    ("relgan", "average"): (average_d, average_g),
}


def losses(method: str, variant: str) -> tuple[Loss, Loss]:
    """The two losses of a method; `variant` is the value of its option `loss` or `variant`, empty without one."""
    found = LOSSES.get((method, variant)) or LOSSES.get((method, ""))
    if found is None:
        known = ", ".join(f"{m} {v}".strip() for m, v in LOSSES)
        raise ValueError(f"no losses for method {method!r}, variant {variant!r}; known: {known}")
    return found
