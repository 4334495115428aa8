"""The FLOPs of a peer's step, counted by PyTorch as it runs in eager mode."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch.utils.flop_counter import FlopCounterMode

from models import Work, build, real_batches
from steps import PEERS


def flops(name: str, work: Work) -> int:
    """Multiplications and additions of one step's convolutions and matrix products.

    Counted on one sample, since they grow as the batch does.
    """
    peer, one, cpu = PEERS[name], replace(work, batch=1), torch.device("cpu")
    style = replace(peer.style, compiled=False, graph=False)
    gan = build(one, cpu, style)
    with FlopCounterMode(display=False) as counter:
        peer.step(gan, next(real_batches(one, cpu, style, 1)))
    return counter.get_total_flops() * work.batch
