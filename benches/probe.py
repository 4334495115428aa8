"""What this machine can do: the ceilings that achieved FLOP/s and bytes/s are read against."""

from __future__ import annotations

import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch

GEMM = 2048
COPY_BYTES = 256 << 20


def seconds(work: Callable[[], object], device: torch.device, repeats: int = 7) -> float:
    """The median time of `work`, the first run left out; of three runs at least, and of no more than take a second."""
    times: list[float] = []
    while len(times) <= repeats and (len(times) <= 3 or sum(times[1:]) < 1):
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


def product(device: torch.device, dtype: torch.dtype) -> float:
    """GFLOP/s of a square matrix product."""
    # A GPU needs larger matrices than a CPU to be busy.
    n = 8192 if device.type == "cuda" else GEMM
    a, b = torch.randn(2, n, n, device=device, dtype=dtype)
    out = torch.empty_like(a)
    return 2 * n**3 / seconds(lambda: torch.mm(a, b, out=out), device) / 1e9


def products(device: torch.device, precision: str) -> dict[str, float]:
    """GFLOP/s of matrix products by the type they are computed in; float32 always, the run's precision too.

    On CUDA also `tf32`: cuDNN's convolutions on float32 are computed in it unless told otherwise, and neither tandem
    nor a peer tells it, so that is the ceiling there of what is called float32.
    """
    found = {"float32": product(device, torch.float32)}
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = True
        found["tf32"] = product(device, torch.float32)
        torch.backends.cuda.matmul.allow_tf32 = False
    if precision != "float32":
        found[precision] = product(device, getattr(torch, precision))
    return found


def probe(device: torch.device, precision: str = "float32") -> dict[str, Any]:
    """Matrix products in GFLOP/s and a copy in GB/s, bytes read plus bytes written."""
    source = torch.randn(COPY_BYTES // 4, device=device)
    target = torch.empty_like(source)
    copy = seconds(lambda: target.copy_(source), device)
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else processor()
    return {
        "device": name,
        "threads": torch.get_num_threads(),
        "torch": torch.__version__,
        "gemm_gflop_per_s": products(device, precision),
        "copy_gb_per_s": 2 * COPY_BYTES / copy / 1e9,
    }


def ceiling(machine: dict[str, Any], precision: str) -> float:
    """GFLOP/s that convolutions of a precision can at most reach, of what `probe` gave."""
    found = machine["gemm_gflop_per_s"]
    return found.get("tf32", found["float32"]) if precision == "float32" else found[precision]
