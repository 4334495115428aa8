"""Tandem and its PyTorch peers on the same work, in alternation, in one run.

    python benches/side_by_side.py --tandem target/release/tandem --rounds 7 --steps 4 --json out.json
    python benches/side_by_side.py --tandem target/release/tandem --network sn-resnet --precision bfloat16
    python benches/side_by_side.py --rounds 5 --steps 2          (the peers alone)

Every contestant lives in its own process from start to end; a round gives each of them its turn, one at a time. A
ratio is formed inside a round, so that a machine that slows down for a while slows both sides; its median over the
rounds is the result, with the smallest and the largest beside it. See benches/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from typing import Any

import torch

from bars import Times, judged, ratios, summary
from child import Child, ChildError
from contestants import CONFIGS, WORKS, Contestant, Work, chosen, flops, offered
from probe import ceiling, probe
from table import print_table

PAUSE = 0.3


@dataclass
class Measured:
    """What a run found, by contestant."""

    # Seconds per step, one value a round.
    times: Times = field(default_factory=dict)
    memory: dict[str, dict[str, float | bool | None]] = field(default_factory=dict)
    # Why a contestant did not run.
    failed: dict[str, str] = field(default_factory=dict)


def start(contestants: list[Contestant], args: argparse.Namespace, stack: ExitStack, found: Measured) -> list[Child]:
    """A warm child for each; with `--keep-going` those that fail are left out."""
    children = []
    for c in contestants:
        try:
            child = stack.enter_context(Child(c.name, c.command, args.threads, c.patience))
            child.warm_up(args.warmup * c.repeat)
        except ChildError as error:
            if not args.keep_going or c.name == args.reference:
                raise
            print(error, file=sys.stderr)
            found.failed[c.name] = str(error)
            continue
        children.append(child)
        found.times[c.name] = []
    return children


def measure(contestants: list[Contestant], args: argparse.Namespace) -> Measured:
    found = Measured()
    repeats = {c.name: c.repeat for c in contestants}
    with ExitStack() as stack:
        children = start(contestants, args, stack, found)
        for number in range(1, args.rounds + 1):
            for child in children:
                # The one before may still spin in its thread pool for a moment.
                time.sleep(PAUSE)
                steps = args.steps * repeats[child.name]
                found.times[child.name].append(child.run(steps) / steps)
            last = "  ".join(f"{name} {1e3 * all_[-1]:.1f}" for name, all_ in found.times.items())
            print(f"round {number}/{args.rounds}, ms/step: {last}", file=sys.stderr)
        found.memory = {child.name: child.memory() for child in children}
    return found


def row(c: Contestant, found: Measured, counts: dict[str, int], machine: dict[str, Any]) -> dict[str, Any]:
    """All figures of one contestant but its ratio."""
    times = summary(found.times[c.name])
    figures: dict[str, Any] = {
        "command": c.command,
        "precision": c.precision,
        "rounds": found.times[c.name],
        "seconds_per_step": times,
        "images_per_s": c.batch / times["median"],
        "memory": found.memory[c.name],
    }
    if c.repeat == 1:
        figures["gflop_per_step"] = counts[c.flops_as] / 1e9
        figures["gflop_per_s"] = figures["gflop_per_step"] / times["median"]
        figures["share_of_gemm"] = figures["gflop_per_s"] / ceiling(machine, c.precision)
    return figures


def report(contestants: list[Contestant], found: Measured, args: argparse.Namespace, work: Work) -> dict[str, Any]:
    ran = [c for c in contestants if c.name in found.times]
    counts = {step: flops(step, work) for step in {c.flops_as for c in ran}}
    machine = probe(torch.device(args.device), args.precision)
    over = ratios(found.times, args.reference)
    return {
        "machine": machine,
        "work": asdict(work),
        "precision": args.precision,
        "device": args.device,
        "rounds": args.rounds,
        "steps": args.steps,
        "reference": args.reference,
        "contestants": {c.name: row(c, found, counts, machine) | {"ratio": over[c.name]} for c in ran},
        "failed": found.failed,
        "bars": judged(found.times, args.device, args.precision),
    }


def arguments(argv: list[str] | None) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="tandem and PyTorch peers side by side")
    parser.add_argument("--tandem", metavar="BINARY", help="the tandem binary; the peers alone where left out")
    parser.add_argument("--network", choices=WORKS, default="dcgan")
    parser.add_argument("--precision", choices=("float32", "bfloat16"), default="float32", help="of all but a*")
    parser.add_argument("--config", help="tandem's; the network's own where left out")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="more settings for tandem")
    parser.add_argument("--peers", nargs="*", help="all that the device can run where left out")
    parser.add_argument("--reference", help="what times are given over; tandem-one, or b1 without tandem")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="steps of a turn")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the first round")
    parser.add_argument("--threads", type=int, default=cores)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--fixed-cost", action="store_true", help="also time the step with next to no arithmetic")
    parser.add_argument("--keep-going", action="store_true", help="leave out who fails before the first round")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--check", action="store_true", help="exit code 1 if a promised ratio is missed")
    for each in fields(Work):
        if each.name != "network":
            parser.add_argument(f"--{each.name}", type=type(each.default), help="the network's own where left out")
    args = parser.parse_args(argv)
    args.reference = args.reference or ("tandem-one" if args.tandem else "b1")
    args.config = args.config or str(CONFIGS[args.network])
    args.peers = offered(args.device) if args.peers is None else args.peers
    unknown = [name for name in args.peers if name not in offered(args.device)]
    if unknown:
        parser.error(f"--peers {' '.join(unknown)}: choose of {', '.join(offered(args.device))} on {args.device}")
    if min(args.rounds, args.steps, args.warmup, args.threads) < 1:
        parser.error("--rounds, --steps, --warmup and --threads must be at least 1")
    return args


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    given = {f.name: getattr(args, f.name) for f in fields(Work) if getattr(args, f.name) is not None}
    work = replace(WORKS[args.network], **given)
    torch.set_num_threads(args.threads)
    contestants = chosen(args, work)
    if args.reference not in [c.name for c in contestants]:
        names = [c.name for c in contestants]
        print(f"--reference {args.reference} does not run; choose of {names}", file=sys.stderr)
        return 2
    try:
        found = measure(contestants, args)
    except ChildError as error:
        print(error, file=sys.stderr)
        return 2
    result = report(contestants, found, args, work)
    print_table(result)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    if found.failed:
        return 2
    missed = any(not bar["holds"] for bar in result["bars"])
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
