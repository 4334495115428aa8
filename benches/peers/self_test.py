"""Checks every peer step against separate autograd passes in float64: what is compared must be right first.

Run by `python serve.py --self-test`, with `--compiled` for the compiled steps too. SGD takes Adam's place, so that an
update shows the gradient's size as well; D's update is checked to happen before G's gradient in two stages and after
it in one. A replayed CUDA graph is checked against its step in eager mode, with `--compiled` where there is CUDA.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import SGD

from graph import WARMUP, captured
from models import WORKS, Gan, Style, Work, build, compiled, real_batches
from steps import PEERS, Peer

CASES = (
    Work(size=32, width=16, latent=10, batch=5),
    Work(size=32, width=16, latent=10, batch=5, norm="spectral"),
    replace(WORKS["sn-resnet"], width=4, latent=10, batch=5),
)
# Small enough that the scores stay of several units after D's update, too.
RATE = 1e-3
# A bias before a norm has a gradient of nothing but rounding: errors are over at least this part of its network's.
LEAST = 1e-4
REPLAYS = 3


class Fixed(Gan):
    """A Gan whose latents are given, so that a reference can use the same."""

    latents: Iterator[Tensor]

    def draw(self, count: int) -> Tensor:
        return next(self.latents)


def softplus(x: Tensor) -> Tensor:
    """log(1 + e^x), also above 20, where torch's own is x."""
    return -F.logsigmoid(-x)


def updated(module: nn.Module, loss: Tensor) -> list[Tensor]:
    """The parameters after one step of gradient descent on `loss`."""
    parameters = list(module.parameters())
    gradients = torch.autograd.grad(loss, parameters, retain_graph=True)
    return [(p - RATE * g).detach() for p, g in zip(parameters, gradients, strict=True)]


def fresh(work: Work, style: Style, device: str = "cpu") -> Gan:
    """The same networks each time, in float64, with scores of several units: gamma is far from one number for all."""
    gan = build(work, torch.device(device), style)
    for net in (gan.generator, gan.discriminator):
        net.double()
    with torch.no_grad():
        score = gan.discriminator.score
        getattr(score, "weight_orig", score.weight).mul_(30)
    return gan


def reference(name: str, work: Work, real: Tensor, latents: list[Tensor]) -> list[list[Tensor]]:
    """G's and D's parameters after the step, by one autograd pass for each loss."""
    gan = fresh(work, Style())
    g, d = gan.generator, gan.discriminator
    if PEERS[name].style.best and work.norm == "spectral":
        # The best peers iterate once a step, before all that reads D.
        d(real)
        d.hold_power_iteration()
    fake = g(latents[0])
    score_real, score_fake = d(real), d(fake)
    after_d = updated(d, softplus(-score_real).mean() + softplus(score_fake).mean())
    if name[1] == "2":
        with torch.no_grad():
            for parameter, value in zip(d.parameters(), after_d, strict=True):
                parameter.copy_(value)
        # Its own pass: the update has overwritten what the graph of the first remembers of D, nothing of G.
        fake = g(latents[1]) if name.startswith("a2") else g(latents[0])
        score_fake = d(fake)
    return [updated(g, softplus(-score_fake).mean()), after_d]


def trainee(work: Work, style: Style, latents: Iterator[Tensor], device: str = "cpu") -> Gan:
    """What the peer trains, but for SGD and given latents."""
    base = fresh(work, replace(style, compiled=False, graph=False), device)
    g, d = base.generator, base.discriminator
    gan = Fixed(g, d, SGD(g.parameters(), RATE), SGD(d.parameters(), RATE), base.device, base.spectral)
    if style.compiled:
        gan = compiled(gan)
    gan.latents = latents
    return gan


def check(name: str, peer: Peer, work: Work) -> float:
    latents = [torch.randn(work.batch, work.latent, 1, 1, dtype=torch.float64) for _ in range(2)]
    gan = trainee(work, peer.style, iter(latents))
    g, d = gan.generator, gan.discriminator
    real = next(real_batches(work, gan.device, peer.style, 1)).double()
    before = [[p.detach().clone() for p in net.parameters()] for net in (g, d)]
    wanted = reference(name, work, real, latents)
    peer.step(gan, real)
    assert all(p.requires_grad for p in d.parameters()), f"{name} leaves D frozen"
    worst = 0.0
    for net, old, want in zip((g, d), before, wanted, strict=True):
        changes = [(w - o).norm() for w, o in zip(want, old, strict=True)]
        least = LEAST * max(changes)
        assert sum(change > least for change in changes) > 0.7 * len(changes), f"{name}: few gradients prove nothing"
        for parameter, w, change in zip(net.parameters(), want, changes, strict=True):
            worst = max(worst, ((parameter.detach() - w).norm() / max(change, least)).item())
    return worst


def parameters(gan: Gan) -> list[Tensor]:
    return [p.detach().clone() for net in (gan.generator, gan.discriminator) for p in net.parameters()]


def check_graph(name: str, peer: Peer, work: Work, device: str = "cuda") -> float:
    """How far some replays take the parameters from where as many eager steps do, over what the steps change."""
    latent = torch.randn(work.batch, work.latent, 1, 1, dtype=torch.float64, device=device)
    styles = (replace(peer.style, compiled=False), peer.style)
    eager, graph = (trainee(work, style, itertools.repeat(latent), device) for style in styles)
    real = next(real_batches(work, eager.device, peer.style, 1)).double()
    before = parameters(eager)
    for _ in range(WARMUP + REPLAYS):
        peer.step(eager, real)
    replay = captured(peer.step, graph, real)
    for _ in range(REPLAYS):
        replay(graph, real)
    after = parameters(eager)
    changes = [(a - b).norm() for a, b in zip(after, before, strict=True)]
    least = LEAST * max(changes)
    assert max(changes) > 0, f"{name}: a step that changes nothing proves nothing"
    found = zip(parameters(graph), after, changes, strict=True)
    return max(((p - a).norm() / max(change, least)).item() for p, a, change in found)


def main(with_compiled: bool = False) -> None:
    torch.set_num_threads(1)
    for name, peer in PEERS.items():
        if peer.style.compiled and not with_compiled or peer.style.graph and not torch.cuda.is_available():
            continue
        judge = check_graph if peer.style.graph else check
        errors = [judge(name, peer, work) for work in CASES]
        assert max(errors) < 1e-10, f"{name}: relative errors {errors}"
        print(f"{name:<12} relative error of the updates {max(errors):.1e}")
