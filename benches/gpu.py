"""Everything to check and measure on a GPU machine, in one call of less than eight minutes.

    python3 benches/gpu.py --tandem target/release/tandem --plugins target/release --out results

The machine needs Python with torch 2.11 for CUDA and safetensors; no Rust, no network. Right comes before fast: the
plugins' proofs on both devices, a short run, equal bytes from equal seeds, recorded rounds against plain ones, the run's
weights in PyTorch; then tandem and the peers side by side, first in
float32 in eager mode, then in bfloat16 with the compiled peers and CUDA graphs. A peer that fails there is left out
and the check fails, with the others' figures kept. All figures are in OUT/gpu.json. Exit code 0 only if every check
passed.

The binary finds libtorch in this Python's torch: its `lib` folder is passed as LD_LIBRARY_PATH for libtorch_cpu.so
and as TANDEM_LIBTORCH for libtorch_cuda.so, which the host opens itself.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

HERE = Path(__file__).resolve().parent
TOLERANCE = 1e-10


# What each side-by-side run adds. Compiling takes a minute or more for each peer, so it is done for one run only.
RUNS = {
    "float32": ["--fixed-cost", "--peers", "a2", "a1", "b2", "b1", "b1-joined"],
    "bfloat16": ["--keep-going"],
}


class CheckError(Exception):
    """A check that failed, why, and what it printed before."""

    def __init__(self, why: str, output: str = "") -> None:
        super().__init__(why)
        self.output = output


@dataclass
class Row:
    name: str
    ok: bool
    seconds: float
    detail: str


class Machine:
    """Runs commands with libtorch found, within the time that is left."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.deadline = time.monotonic() + 60 * args.minutes
        libraries = str(Path(torch.__file__).parent / "lib")
        before = os.environ.get("LD_LIBRARY_PATH", "")
        self.env = os.environ | {
            "LD_LIBRARY_PATH": f"{libraries}:{before}".rstrip(":"),
            "TANDEM_LIBTORCH": libraries,
            "TANDEM_PLUGIN_PATH": str(args.plugins.resolve()),
        }

    def run(self, *command: object) -> str:
        """The command's stdout; what it said on stderr is in the error if it fails."""
        words = [str(word) for word in command]
        left = max(1.0, self.deadline - time.monotonic())
        try:
            done = subprocess.run(words, env=self.env, capture_output=True, text=True, timeout=left, check=False)
        except subprocess.TimeoutExpired:
            raise CheckError(f"out of time after {left:.0f} s: {' '.join(words[:4])}") from None
        except OSError as error:
            raise CheckError(f"cannot start {words[0]}: {error}") from None
        if done.returncode != 0:
            why = (done.stderr or done.stdout).strip()[-1500:]
            raise CheckError(f"exit code {done.returncode}: {why}", done.stdout)
        return done.stdout


def objects(text: str) -> list[dict[str, Any]]:
    """JSON objects: in one list, or one a line."""
    try:
        whole = json.loads(text)
    except ValueError:
        whole = [json.loads(line) for line in text.splitlines() if line.strip()]
    return whole if isinstance(whole, list) else [whole]


def check_plugins(machine: Machine, args: argparse.Namespace, device: str) -> str:
    try:
        found = objects(machine.run(args.tandem, "plugin", "check", "--all", "--json", "--device", device))
        errors = [float(plugin["max_relative_error"]) for plugin in found]
    except (ValueError, KeyError, TypeError) as error:
        raise CheckError(f"cannot read what `plugin check --json` printed: {error!r}") from None
    if not errors or not all(error <= TOLERANCE for error in errors):
        raise CheckError(f"relative errors {errors}, at most {TOLERANCE} allowed")
    return f"{len(errors)} plugins, largest relative error {max(errors):.1e}"


def train(machine: Machine, args: argparse.Namespace, name: str, steps: int, *settings: str) -> Path:
    """A run in OUT/`name`; its generator's file."""
    run = args.out / name
    every = [f"steps={steps}", f"checkpoint_every={steps}", f"device={args.device}", *settings]
    machine.run(args.tandem, "train", args.train_config, "--out", run, *[w for s in every for w in ("--set", s)])
    weights = run / "checkpoints" / f"step-{steps}" / "generator.safetensors"
    if not weights.is_file():
        raise CheckError(f"{weights} was not written")
    return weights


def check_train(machine: Machine, args: argparse.Namespace) -> str:
    train(machine, args, "run", args.train_steps)
    return f"{args.train_steps} steps of {Path(args.train_config).stem}"


def check_deterministic(machine: Machine, args: argparse.Namespace) -> str:
    a, b = (train(machine, args, f"deterministic-{i}", 50, "deterministic=true").read_bytes() for i in "ab")
    if a != b:
        raise CheckError("two runs of one seed with `deterministic = true` differ")
    return "two runs of 50 steps, equal bytes"


def check_graph(machine: Machine, args: argparse.Namespace) -> str:
    """Replayed rounds against plain ones: the same weights, but for the order of float32 sums.

    A binary that was built without graphs refuses `cuda_graph = true`, so this compares no plain rounds with themselves.
    """
    plain, graph = (
        load_file(train(machine, args, f"graph-{on}", 20, "deterministic=true", f"cuda_graph={on}"))
        for on in ("false", "true")
    )
    errors = {
        name: float((graph[name].double() - t.double()).abs().max() / t.double().abs().max().clamp(min=1e-30))
        for name, t in plain.items()
    }
    worst = max(errors, key=lambda name: errors[name])
    if not errors[worst] <= 1e-5:
        raise CheckError(f"`{worst}` differs by {errors[worst]:.1e} of its largest value, at most 1e-5 allowed")
    return f"20 steps, largest relative difference {errors[worst]:.1e}"


def check_weights(machine: Machine, args: argparse.Namespace) -> str:
    """The trained generator on the CPU, in the host and in PyTorch: float32 there and here, no TF32."""
    samples = args.out / "samples.safetensors"
    machine.run(
        args.tandem, "sample", args.out / "run", "--num", 16, "--seed", 1, "--raw", "--device", "cpu",
        "--out", args.out / "samples.png", "--tensors", samples,
    )  # fmt: skip
    script = HERE.parent / "tests" / "python" / "load_weights.py"
    said = machine.run(sys.executable, script, args.out / "run", samples)
    return said[said.index("max_abs_difference") :].strip()


def bench(machine: Machine, args: argparse.Namespace, precision: str, measured: dict[str, Any]) -> str:
    """One side-by-side run; its figures, as far as there are any, go into `measured`."""
    result = args.out / f"side_by_side-{precision}.json"
    try:
        print(machine.run(
            sys.executable, HERE / "side_by_side.py", "--tandem", args.tandem, "--device", args.device,
            "--rounds", args.rounds, "--steps", args.steps, "--warmup", args.steps, "--precision", precision,
            "--json", result, *RUNS[precision], *args.bench,
        ))  # fmt: skip
    except CheckError as error:
        print(error.output)
        raise
    finally:
        if result.is_file():
            measured[precision] = json.loads(result.read_text(encoding="utf-8"))
    return f"{args.rounds} rounds of {args.steps} steps"


def attempt(name: str, check: Callable[[], str]) -> Row:
    start = time.monotonic()
    try:
        ok, detail = True, check()
    except CheckError as error:
        ok, detail = False, str(error)
    row = Row(name, ok, time.monotonic() - start, detail)
    print(f"{row.name:<22} {'ok' if row.ok else 'FAILED':<7} {row.seconds:6.1f} s  {row.detail}", flush=True)
    return row


def arguments(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="check and measure tandem on a GPU machine")
    parser.add_argument("--tandem", type=Path, required=True)
    parser.add_argument("--plugins", type=Path, required=True, help="the folder of the plugins' files")
    parser.add_argument("--out", type=Path, required=True, help="a new or empty folder for all results")
    parser.add_argument("--train-config", default=str(HERE.parent / "configs/mnist-32/dcgan-non-saturating-one.toml"))
    parser.add_argument("--train-steps", type=int, default=200)
    parser.add_argument("--device", default="cuda:0")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--minutes", type=float, default=7.5)
    parser.add_argument("bench", nargs="*", help="more arguments for side_by_side.py, after --")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> int:
    args = arguments(argv)
    args.tandem = args.tandem.resolve()
    if args.device.startswith("cuda") and not torch.cuda.is_available():
        print(f"torch {torch.__version__} at {torch.__file__} sees no CUDA device", file=sys.stderr)
        return 2
    args.out.mkdir(parents=True, exist_ok=True)
    machine = Machine(args)
    rows = [attempt(f"plugins on {d}", lambda d=d: check_plugins(machine, args, d)) for d in ("cpu", args.device)]
    rows.append(attempt("short run", lambda: check_train(machine, args)))
    rows.append(attempt("deterministic", lambda: check_deterministic(machine, args)))
    rows.append(attempt("graph against plain", lambda: check_graph(machine, args)))
    rows.append(attempt("weights in PyTorch", lambda: check_weights(machine, args)))
    measured: dict[str, Any] = {}

    for precision in RUNS:
        rows.append(attempt(f"{precision} side by side", lambda p=precision: bench(machine, args, p, measured)))
    result = {"checks": [asdict(row) for row in rows], "bench": measured}
    (args.out / "gpu.json").write_text(json.dumps(result, indent=1), encoding="utf-8")
    return 0 if all(row.ok for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
