"""The shipped methods' losses in PyTorch, as functions of the raw scores of one batch; gradient penalties are apart.

`losses(method, options, states)` gives `(L_D, L_G)`, each `(real scores [b], fake scores [b]) -> scalar`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import Tensor
from torch.nn.functional import logsigmoid, relu

Loss = Callable[[Tensor, Tensor], Tensor]
Loss1 = Callable[[Tensor], Tensor]


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x). torch's own takes x itself above 20, where the slope is still 2e-9 from 1: too far for 1e-10."""
    return -logsigmoid(-x)


def log_loss_d(real: Tensor, fake: Tensor) -> Tensor:
    """-log sigmoid(s_r) - log(1 - sigmoid(s_f)), Goodfellow et al. 2014."""
    return softplus(-real).mean() + softplus(fake).mean()


def hinge_d(real: Tensor, fake: Tensor) -> Tensor:
    """Lim & Ye 2017, Miyato et al. 2018."""
    return relu(1 - real).mean() + relu(1 + fake).mean()


def wasserstein_d(real: Tensor, fake: Tensor) -> Tensor:
    return fake.mean() - real.mean()


def wasserstein_g(real: Tensor, fake: Tensor) -> Tensor:
    return -fake.mean()


def non_saturating_g(real: Tensor, fake: Tensor) -> Tensor:
    return softplus(-fake).mean()


def least_squares(a: float, b: float, c: float) -> tuple[Loss, Loss]:
    """Mao et al. 2017, equation 2: D draws fakes to `a` and reals to `b`, G draws fakes to `c`."""
    return (
        lambda real, fake: 0.5 * (real - b).square().mean() + 0.5 * (fake - a).square().mean(),
        lambda real, fake: 0.5 * (fake - c).square().mean(),
    )


def relativistic() -> tuple[Loss, Loss]:
    """Jolicoeur-Martineau 2018, RSGAN: pairwise."""
    return (
        lambda real, fake: softplus(-(real - fake)).mean(),
        lambda real, fake: softplus(-(fake - real)).mean(),
    )


def relativistic_average(above: Loss1, below: Loss1) -> tuple[Loss, Loss]:
    """Jolicoeur-Martineau 2018: each score against the other side's mean; the two terms are summed."""
    return (
        lambda real, fake: above(real - fake.mean()).mean() + below(fake - real.mean()).mean(),
        lambda real, fake: below(real - fake.mean()).mean() + above(fake - real.mean()).mean(),
    )


def fisher(states: Mapping[str, Tensor]) -> tuple[Loss, Loss]:
    """Mroueh & Sercu 2017, equation 9, negated, at rho = 1e-6."""

    def of_d(real: Tensor, fake: Tensor) -> Tensor:
        constraint = 1 - 0.5 * (real.square().mean() + fake.square().mean())
        return fake.mean() - real.mean() - states["lambda"] * constraint + 0.5e-6 * constraint.square()

    return of_d, wasserstein_g


def boundary_seeking(states: Mapping[str, Tensor]) -> tuple[Loss, Loss]:
    """Hjelm et al. 2018: G draws its scores to 0, or to a running estimate of log Z."""
    target = states.get("log_z", 0.0)
    return log_loss_d, lambda real, fake: 0.5 * (fake - target).square().mean()


LOSSES: dict[tuple[str, str], tuple[Loss, Loss]] = {
    ("dcgan", "saturating"): (log_loss_d, lambda real, fake: -softplus(fake).mean()),
    ("dcgan", "non-saturating"): (log_loss_d, non_saturating_g),
    ("cgan", "saturating"): (log_loss_d, lambda real, fake: -softplus(fake).mean()),
    ("cgan", "non-saturating"): (log_loss_d, non_saturating_g),
    ("lsgan", "binary"): least_squares(0, 1, 1),
    ("lsgan", "pearson"): least_squares(-1, 1, 0),
    ("lsgan", "signed"): least_squares(-1, 1, 1),
    ("wgan", ""): (wasserstein_d, wasserstein_g),
    ("wgan-gp", ""): (wasserstein_d, wasserstein_g),
    ("relgan", "standard"): relativistic(),
    ("relgan", "average"): relativistic_average(lambda s: softplus(-s), softplus),
    ("relgan", "average-least-squares"): relativistic_average(lambda s: (s - 1) ** 2, lambda s: (s + 1) ** 2),
    ("relgan", "average-hinge"): relativistic_average(lambda s: relu(1 - s), lambda s: relu(1 + s)),
    ("r3gan-loss", ""): relativistic(),
    ("geogan", ""): (hinge_d, wasserstein_g),
    ("sngan", "hinge"): (hinge_d, wasserstein_g),
    ("sngan", "non-saturating"): (log_loss_d, non_saturating_g),
}

# Those that read a loss state.
STATEFUL = {"fishergan": fisher, "bgan": boundary_seeking}

# The options that choose a method's losses.
VARIANTS = ("loss", "variant", "coding", "target")


def losses(
    method: str, options: Mapping[str, str], states: Mapping[str, Tensor] | None = None
) -> tuple[Loss, Loss]:
    """The two losses of a method under its options, of which those in `VARIANTS` matter, and its loss states."""
    if method in STATEFUL:
        return STATEFUL[method](states or {})
    variant = next((options[name] for name in VARIANTS if name in options), "")
    found = LOSSES.get((method, variant))
    if found is None:
        known = ", ".join(f"{m} {v}".strip() for m, v in [*LOSSES, *((m, '') for m in STATEFUL)])
        raise ValueError(f"no losses for method {method!r}, variant {variant!r}; known: {known}")
    return found
