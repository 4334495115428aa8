"""Keeps one peer step in a process and runs it on demand, with the same line protocol as `tandem __steps`.

    python serve.py --step a2 [--device cpu] [--threads 2] [--precision bfloat16] [--network dcgan --batch 64 ...]
    python serve.py --self-test [--compiled]

Prints `ready`, then for each line `K` on stdin runs K steps and prints {"seconds": s, "steps": K}, on CUDA with the
peak of its tensors, `peak_mb`; ends with stdin. A compiled peer compiles in its first steps, which can take minutes.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import fields, replace

import torch

import self_test
from graph import captured
from models import WORKS, Work, build, real_batches
from steps import PEERS


def finish(device: torch.device) -> None:
    """Wait until the device has done all that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def serve(name: str, work: Work, device: torch.device, precision: str) -> None:
    peer = PEERS[name]
    # The authors' scripts know no autocast.
    style = replace(peer.style, precision=precision) if peer.style.best else peer.style
    gan = build(work, device, style)
    batches = real_batches(work, device, style)
    run = peer.step
    # The authors leave cuDNN to its heuristics; the best steps let it try. No effect on the CPU.
    torch.backends.cudnn.benchmark = style.best
    print("ready", flush=True)
    for line in sys.stdin:
        count = int(line)
        if style.graph and run is peer.step:
            run = captured(peer.step, gan, next(batches))
        finish(device)
        start = time.perf_counter()
        for _ in range(count):
            run(gan, next(batches))
        finish(device)
        answer = {"seconds": time.perf_counter() - start, "steps": count}
        if device.type == "cuda":
            answer["peak_mb"] = torch.cuda.max_memory_allocated(device) / 1e6
        print(json.dumps(answer), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="run a PyTorch peer's steps on demand")
    parser.add_argument("--step", choices=PEERS, default="b1")
    parser.add_argument("--device", type=torch.device, default=torch.device("cpu"))
    parser.add_argument("--threads", type=int)
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of the best peers")
    parser.add_argument("--self-test", action="store_true", help="check every step's gradients and end")
    parser.add_argument("--compiled", action="store_true", help="check the compiled steps too: minutes")
    parser.add_argument("--network", choices=WORKS, default="dcgan")
    for field in fields(Work):
        if field.name != "network":
            parser.add_argument(f"--{field.name}", type=type(field.default))
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    if args.self_test:
        self_test.main(args.compiled)
        return
    if PEERS[args.step].style.graph and args.device.type != "cuda":
        parser.error(f"--step {args.step} needs --device cuda")
    given = {f.name: getattr(args, f.name) for f in fields(Work) if getattr(args, f.name) is not None}
    serve(args.step, replace(WORKS[args.network], **given), args.device, args.precision)


if __name__ == "__main__":
    main()
