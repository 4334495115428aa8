"""What `tandem eval` costs: its time beside the extractor's own forward pass in PyTorch, and its memory at many samples.

    python benches/evaluate.py RUN --tandem target/release/tandem [--extractor FILE.pt] [--samples 10000]
    python benches/evaluate.py RUN --memory 50000 [--wide]

RUN is a run directory. The first form takes FID alone, with the real images' statistics cached; the extractor's forward
pass is that of the same TorchScript over as many images of the same size and batch, in this process, turn by turn.
The second takes every figure and prints the process's peak less its peak at a hundred samples: what the samples cost
beyond extractor and networks. `--wide` does that with a stand-in as wide as Inception, 2048 features.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

try:
    import torch
except ModuleNotFoundError:
    sys.exit("error: evaluate.py needs torch")

BATCH = 64
SHIPPED = Path(__file__).resolve().parent.parent / "host/assets/extractors/mnist-classifier-v1.pt"


class Wide(torch.nn.Module):
    """2048 features of means over patches: nothing to compare by, but as many as Inception's."""

    def __init__(self) -> None:
        super().__init__()
        self.mix = torch.nn.Linear(3 * 16 * 16, 2048)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        x = torch.nn.functional.adaptive_avg_pool2d(images.float() / 255, 16).flatten(1)
        return torch.nn.functional.relu(self.mix(x))


def evaluate(args: argparse.Namespace, cache: str, *more: str) -> tuple[dict[str, Any], float, int]:
    """What `tandem eval` prints, its seconds, and its peak in bytes."""
    words = [args.tandem, "eval", args.run, "--json", "--cache", cache, "--batch", str(BATCH), *more]
    begun = time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(words, stdout=output, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(child.pid, 0)
        elapsed = time.perf_counter() - begun
        output.seek(0)
        text = output.read()
    if status != 0:
        sys.exit(f"error: {' '.join(map(str, words))} ended with {status}; run it to see why")
    return json.loads(text), elapsed, usage.ru_maxrss * 1024


@torch.no_grad()
def forward(extractor: torch.jit.ScriptModule, samples: int, size: int) -> float:
    images = torch.randint(0, 256, (BATCH, 3, size, size), dtype=torch.uint8)
    begun = time.perf_counter()
    for at in range(0, samples, BATCH):
        extractor(images[: min(BATCH, samples - at)])
    return time.perf_counter() - begun


def timed(args: argparse.Namespace, cache: str) -> None:
    extractor = torch.jit.load(args.extractor).eval()
    more = ["--metrics", "fid", "--samples", str(args.samples), "--extractor", str(args.extractor)]
    evaluate(args, cache, *more)
    forward(extractor, 4 * BATCH, args.size)
    rows = []
    for _ in range(args.rounds):
        found, whole, _ = evaluate(args, cache, *more)
        rows.append((found["seconds"], whole, forward(extractor, args.samples, args.size)))
    spent = [(s["extractor"] + s["figures"]) / alone for s, _, alone in rows]
    print(f"FID of {args.samples}, {args.extractor.name}, images of {args.size}: extractor's forward in PyTorch", end=" ")
    print(f"{median(alone for *_, alone in rows):.2f} s; features and FID {median(spent):.3f} times that", end=" ")
    print(f"({min(spent):.3f} .. {max(spent):.3f}); of the whole process's {median(w for _, w, _ in rows):.2f} s,", end=" ")
    for part in ("real", "images", "extractor", "figures"):
        print(f"{part} {median(s[part] for s, *_ in rows):.2f}", end=" s\n" if part == "figures" else ", ")


def peaks(args: argparse.Namespace, cache: str) -> None:
    extractor = args.extractor
    if args.wide:
        extractor = Path(cache) / "wide.pt"
        torch.manual_seed(0)
        torch.jit.script(Wide().eval()).save(extractor)
    more = ["--extractor", str(extractor)]
    # The real images' statistics are made in the first one.
    evaluate(args, cache, *more, "--samples", "100")
    few = evaluate(args, cache, *more, "--samples", "100")[2]
    found, seconds, many = evaluate(args, cache, *more, "--samples", str(args.memory))
    figures = ", ".join(figure["metric"] for figure in found["figures"])
    print(f"{args.memory} samples, {extractor.name}: {figures} in {seconds:.0f} s; peak {many / 1e6:.0f} MB,", end=" ")
    print(f"of 100 samples {few / 1e6:.0f} MB: {(many - few) / 1e6:.0f} MB for the samples")


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="time and memory of tandem eval")
    parser.add_argument("run", type=Path)
    parser.add_argument("--tandem", type=Path, default=Path("target/release/tandem"))
    parser.add_argument("--extractor", type=Path, default=SHIPPED)
    parser.add_argument("--samples", type=int, default=10000)
    parser.add_argument("--size", type=int, default=32, help="of the run's images")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--memory", type=int, metavar="SAMPLES")
    parser.add_argument("--wide", action="store_true")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as cache:
        if args.memory:
            peaks(args, cache)
        else:
            timed(args, cache)
    return 0


if __name__ == "__main__":
    sys.exit(main())
