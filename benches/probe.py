"""What this machine can do: the two ceilings that achieved FLOP/s and bytes/s are read against."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import torch

GEMM = 2048
COPY_BYTES = 256 << 20


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
    """The median time of `work`, the first run left out."""
    times = []
    for _ in range(repeats + 1):
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        start = time.perf_counter()
        work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(time.perf_counter() - start)
    return median(times[1:])


def processor() -> str:
    """The CPU's name as Linux gives it."""
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def probe(device: torch.device) -> dict[str, str | float]:
    """A float32 matrix product in GFLOP/s and a copy in GB/s, bytes read plus bytes written."""
    a, b = torch.randn(2, GEMM, GEMM, device=device)
    out = torch.empty_like(a)
    product = seconds(lambda: torch.mm(a, b, out=out), device)
    source = torch.randn(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    copy = seconds(lambda: target.copy_(source), device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gemm_gflop_per_s": 2 * GEMM**3 / product / 1e9,
        "copy_gb_per_s": 2 * COPY_BYTES / copy / 1e9,
    }
