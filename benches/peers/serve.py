"""Keeps one peer step in a process and runs it on demand, with the same line protocol as `tandem __steps`.

    python serve.py --step a2 [--device cpu] [--threads 2] [--batch 64 ...]
    python serve.py --step a2 --flops
    python serve.py --self-test

Prints `ready`, then for each line `K` on stdin runs K steps and prints {"seconds": s, "steps": K}; ends with stdin.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import fields, replace

import torch
from torch.utils.flop_counter import FlopCounterMode

import self_test
from models import Work, build, real_batches
from steps import FUSED, STEPS


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def flops(step: str, work: Work, device: torch.device) -> int:
    """Multiplications and additions of one step's convolutions, counted by PyTorch on one sample: they grow as B."""
    one = replace(work, batch=1)
    gan = build(one, device, fused=False)
    with FlopCounterMode(display=False) as counter:
        STEPS[step](gan, next(real_batches(one, device, 1)))
    return counter.get_total_flops() * work.batch


def serve(step: str, work: Work, device: torch.device) -> None:
    gan = build(work, device, fused=step in FUSED)
    batches = real_batches(work, device)
    run = STEPS[step]
    # The authors leave cuDNN to its heuristics; the best steps let it try. No effect on the CPU.
    torch.backends.cudnn.benchmark = step in FUSED
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        finish(device)
        start = time.perf_counter()
        for _ in range(count):
            run(gan, next(batches))
        finish(device)
        print(json.dumps({"seconds": time.perf_counter() - start, "steps": count}), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="run a PyTorch peer's steps on demand")
    parser.add_argument("--step", choices=STEPS, default="b1")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int)
    for field in fields(Work):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    parser.add_argument("--flops", action="store_true", help="print the step's FLOPs and end")
    parser.add_argument("--self-test", action="store_true", help="check every step's gradients and end")
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    work = Work(**{field.name: getattr(args, field.name) for field in fields(Work)})
    if args.self_test:
        self_test.main()
    elif args.flops:
        print(flops(args.step, work, args.device))
    else:
        serve(args.step, work, args.device)


if __name__ == "__main__":
    main()
