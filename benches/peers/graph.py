"""A whole training step as one CUDA graph, captured as PyTorch's notes on CUDA graphs say."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from models import Gan

# Steps before the capture: torch.compile, cuDNN's trials and the optimizers' states are done in the first two.
WARMUP = 4


def captured(step: Callable[[Gan, Tensor], None], gan: Gan, real: Tensor) -> Callable[[Gan, Tensor], None]:
    """`step` of `gan`, that copies its batch to where the graph reads it and then replays the graph."""
    static = real.clone(memory_format=torch.preserve_format)
    side = torch.cuda.Stream(gan.device)
    side.wait_stream(torch.cuda.current_stream(gan.device))
    with torch.cuda.stream(side):
        for _ in range(WARMUP):
            step(gan, static)
    torch.cuda.current_stream(gan.device).wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        step(gan, static)

    def replay(_: Gan, batch: Tensor) -> None:
        static.copy_(batch)
        graph.replay()

    return replay
