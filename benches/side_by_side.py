"""Tandem and its PyTorch peers on the same work, in alternation, in one run.

    python benches/side_by_side.py --tandem target/release/tandem --rounds 7 --steps 4 --json out.json
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
from dataclasses import asdict, fields
from statistics import median
from typing import Any

import torch

from child import Child, ChildError
from contestants import HERE, STEPS, TANDEM, TINY, Contestant, Work, flops, peer, tandem, tiny
from probe import probe

# (slower, faster, least ratio): what the project promises on the CPU.
BARS = [(slow, "tandem-one", least) for slow, least in (("a2", 1.5), ("a1", 1.0), ("b1", 1.0), ("b1-joined", 1.0))]
PAUSE = 0.3


def summary(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def contestants(args: argparse.Namespace, work: Work) -> list[Contestant]:
    """In the order of their turns."""
    chosen = []
    if args.tandem:
        chosen += [tandem(name, args, work) for name in TANDEM]
    chosen += [peer(step, work, args.device, args.threads) for step in args.peers]
    if args.fixed_cost:
        small = tiny(work)
        if args.tandem:
            chosen.append(tandem("tandem-one", args, small, "-tiny", TINY))
        chosen.append(peer("b1", small, args.device, args.threads, "-tiny", TINY))
    return chosen


def measure(chosen: list[Contestant], args: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds per step of every contestant, one value a round."""
    times: dict[str, list[float]] = {c.name: [] for c in chosen}
    with ExitStack() as stack:
        children = [stack.enter_context(Child(c.name, c.command, args.threads)) for c in chosen]
        for child, c in zip(children, chosen, strict=True):
            child.run(args.warmup * c.repeat)
        for number in range(1, args.rounds + 1):
            for child, c in zip(children, chosen, strict=True):
                # The one before may still spin in its thread pool for a moment.
                time.sleep(PAUSE)
                steps = args.steps * c.repeat
                times[c.name].append(child.run(steps) / steps)
            last = "  ".join(f"{name} {1e3 * all_[-1]:.1f}" for name, all_ in times.items())
            print(f"round {number}/{args.rounds}, ms/step: {last}", file=sys.stderr)
    return times


def ratios(times: dict[str, list[float]], reference: str) -> dict[str, dict[str, float]]:
    """How many times as long as `reference` each one takes, formed round by round."""
    return {
        name: summary([a / b for a, b in zip(mine, times[reference], strict=True)]) for name, mine in times.items()
    }


def report(chosen: list[Contestant], times: dict[str, list[float]], args: argparse.Namespace) -> dict[str, Any]:
    work = Work(**{field.name: getattr(args, field.name) for field in fields(Work)})
    counts = {step: flops(step, work) for step in {c.flops_as for c in chosen}}
    result: dict[str, Any] = {
        "machine": probe(torch.device(args.device)),
        "work": asdict(work),
        "rounds": args.rounds,
        "steps": args.steps,
        "reference": args.reference,
        "contestants": {},
    }
    over = ratios(times, args.reference)
    for c in chosen:
        row: dict[str, Any] = {
            "command": c.command,
            "rounds": times[c.name],
            "seconds_per_step": summary(times[c.name]),
            "ratio": over[c.name],
        }
        if c.repeat == 1:
            row["gflop_per_step"] = counts[c.flops_as] / 1e9
            row["gflop_per_s"] = row["gflop_per_step"] / row["seconds_per_step"]["median"]
        result["contestants"][c.name] = row
    result["bars"] = [
        {"ratio": f"{slow} / {fast}", "least": least, "found": ratios(times, fast)[slow]}
        for slow, fast, least in BARS
        if args.device == "cpu" and slow in times and fast in times
    ]
    return result


def print_table(result: dict[str, Any]) -> None:
    machine = result["machine"]
    print(f"{machine['device']}, {machine['threads']} threads, torch {machine['torch']}; {result['work']}")
    print(f"ceilings: {machine['gemm_gflop_per_s']:.0f} GFLOP/s (GEMM), {machine['copy_gb_per_s']:.1f} GB/s (copy)")
    print(f"{result['rounds']} rounds of {result['steps']} steps; median (min .. max)\n")
    head = f"time over {result['reference']}"
    print(f"{'contestant':<18} {'ms/step':>28} {head:>26} {'GFLOP/step':>11} {'GFLOP/s':>9}")
    for name, row in result["contestants"].items():
        t, r = row["seconds_per_step"], row["ratio"]
        ms = f"{1e3 * t['median']:.2f} ({1e3 * t['min']:.2f} .. {1e3 * t['max']:.2f})"
        over = f"{r['median']:.3f} ({r['min']:.3f} .. {r['max']:.3f})"
        rate = f"{row['gflop_per_step']:>11.1f} {row['gflop_per_s']:>9.1f}" if "gflop_per_s" in row else ""
        print(f"{name:<18} {ms:>28} {over:>26} {rate}".rstrip())
    for bar in result["bars"]:
        found = bar["found"]
        verdict = "holds" if found["median"] >= bar["least"] else "MISSED"
        spread = f"{found['median']:.3f} ({found['min']:.3f} .. {found['max']:.3f})"
        print(f"{bar['ratio']} >= {bar['least']}: {spread} {verdict}")


def arguments(argv: list[str] | None) -> argparse.Namespace:
    cores = len(os.sched_getaffinity(0))
    parser = argparse.ArgumentParser(description="tandem and PyTorch peers side by side")
    parser.add_argument("--tandem", metavar="BINARY", help="the tandem binary; the peers alone where left out")
    parser.add_argument("--config", default=str(HERE / "dcgan-64.toml"))
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="more settings for tandem")
    parser.add_argument("--peers", nargs="*", default=list(STEPS))
    parser.add_argument("--reference", help="what times are given over; tandem-one, or b1 without tandem")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=4, help="steps of a turn")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the first round")
    parser.add_argument("--threads", type=int, default=cores)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--fixed-cost", action="store_true", help="also time the step with next to no arithmetic")
    parser.add_argument("--json", metavar="FILE")
    parser.add_argument("--check", action="store_true", help="exit code 1 if a promised ratio is missed")
    for field in fields(Work):
        parser.add_argument(f"--{field.name}", type=type(field.default), default=field.default)
    args = parser.parse_args(argv)
    args.reference = args.reference or ("tandem-one" if args.tandem else "b1")
    if min(args.rounds, args.steps, args.warmup, args.threads) < 1:
        parser.error("--rounds, --steps, --warmup and --threads must be at least 1")
    return args


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    work = Work(**{field.name: getattr(args, field.name) for field in fields(Work)})
    torch.set_num_threads(args.threads)
    chosen = contestants(args, work)
    if args.reference not in [c.name for c in chosen]:
        print(f"--reference {args.reference} does not run; choose of {[c.name for c in chosen]}", file=sys.stderr)
        return 2
    try:
        times = measure(chosen, args)
    except ChildError as error:
        print(error, file=sys.stderr)
        return 2
    result = report(chosen, times, args)
    print_table(result)
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(result, file, indent=1)
    missed = any(bar["found"]["median"] < bar["least"] for bar in result["bars"])
    return 1 if args.check and missed else 0


if __name__ == "__main__":
    sys.exit(main())
