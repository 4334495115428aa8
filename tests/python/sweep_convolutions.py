"""Looks for convolutions that crash libtorch on the CPU, write where they must not, or give wrong numbers.

    python sweep_convolutions.py [--cases 4000] [--seed 0] [--isa AVX2] [--only point]

Each case is a convolution of random sizes: its forward pass and its three gradients against float64 without oneDNN. Cases
run in child processes, whose memory ends at pages that nothing may touch (`guarded.c`, compiled here with `cc`), so that
a kernel that leaves its buffers dies there. A child that dies or hangs costs its case alone. `--isa` has oneDNN take
an older processor's kernels (its ONEDNN_MAX_CPU_ISA). `--only point` draws 1x1 kernels alone.

What was found is printed, a line a case, with the kernel of oneDNN that was made last. Exit code 1 if there was anything.
`docs/decisions/0010-a-strided-point-is-a-slice.md` says what came of it.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import random
import subprocess
import sys
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

CHANNELS = [1, 2, 3, 4, 7, 8, 12, 15, 16, 17, 24, 32, 48]
SIZES = [1, 2, 3, 5, 8, 13, 16, 28, 32, 33, 48, 64, 96]
SECONDS_A_CASE = 120
# Of the largest value. Sums of up to a million products; bfloat16 has 8 bits.
BOUNDS = {"float32": 2e-4, "bfloat16": 5e-2, "float64": 1e-11}


@dataclass(frozen=True)
class Case:
    kind: str
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    transposed: bool
    output_padding: tuple[int, int]
    groups: int
    inputs: int
    outputs: int
    size: tuple[int, int]
    batch: int
    channels_last: bool
    bias: bool
    threads: int


def draw(random: random.Random, only: str | None) -> Case | None:
    """A case, or nothing where the sizes drawn fit no convolution."""

    def pair(values: list[int], equal: float = 0.75) -> tuple[int, int]:
        first = random.choice(values)
        return (first, first if random.random() < equal else random.choice(values))

    kernel = (1, 1) if only == "point" else pair([1, 1, 2, 3, 3, 4, 5, 6, 7])
    stride, dilation = pair([1, 2, 2, 3]), pair([1, 1, 1, 2])
    padding = tuple(random.choice([0, k // 2, max(k - 1, 0)]) for k in kernel)
    size = pair(SIZES)
    transposed = random.random() < 0.25
    output_padding = tuple(random.randrange(max(s, d)) if transposed else 0 for s, d in zip(stride, dilation))
    inputs, outputs = random.choice(CHANNELS), random.choice(CHANNELS)
    groups = 1
    if random.random() < 0.2:
        outputs = inputs * random.choice([1, 2])
        groups = random.choice([g for g in range(1, inputs + 1) if inputs % g == 0][-2:])
    kind = random.choices(["float32", "bfloat16", "float64"], [6, 3, 1])[0]
    case = Case(kind, kernel, stride, padding, dilation, transposed, output_padding, groups, inputs, outputs, size,
                random.choice([1, 2, 3, 8]), random.random() < 0.75, random.random() < 0.5, random.choice([1, 1, 2]))
    reach = [d * (k - 1) + 1 for k, d in zip(kernel, dilation)]
    if transposed:
        out = [(n - 1) * s - 2 * p + r + o for n, s, p, r, o in zip(size, stride, padding, reach, output_padding)]
    else:
        out = [(n + 2 * p - r) // s + 1 if n + 2 * p >= r else 0 for n, s, p, r in zip(size, stride, padding, reach)]
    work = max(1, out[0]) * max(1, out[1]) * kernel[0] * kernel[1] * inputs * outputs * case.batch / groups
    return case if min(out) > 0 and work < 3e8 else None


def run(case: Case) -> str | None:
    """What is wrong with this case's numbers."""
    import torch

    torch.set_num_threads(case.threads)
    torch.manual_seed(1)
    kind = getattr(torch, case.kind)
    layout = torch.channels_last if case.channels_last else torch.contiguous_format
    first, second = (case.inputs, case.outputs) if case.transposed else (case.outputs, case.inputs)
    make = lambda *size: torch.randn(size, dtype=torch.float64).to(kind)
    x = make(case.batch, case.inputs, *case.size).to(memory_format=layout)
    weight = make(first, second // case.groups, *case.kernel).to(memory_format=layout)
    bias = make(case.outputs) if case.bias else None
    shape = (case.stride, case.padding, case.dilation, case.transposed, case.output_padding, case.groups)

    def passes(x, weight, bias, delta):
        out = torch.convolution(x, weight, bias, *shape)
        delta = torch.randn(out.shape, dtype=torch.float64).to(kind).to(memory_format=layout) if delta is None else delta
        sizes = None if bias is None else [case.outputs]
        mask = [True, True, bias is not None]
        return delta, [out, *torch.ops.aten.convolution_backward(delta, x, weight, sizes, *shape, mask)]

    delta, found = passes(x, weight, bias, None)
    with torch.backends.mkldnn.flags(enabled=False):
        wide = [None if t is None else t.double().contiguous() for t in (x, weight, bias, delta)]
        _, expected = passes(*wide)
    wrong = []
    for name, mine, right in zip(["output", "input", "weight", "bias"], found, expected):
        if right is None:
            continue
        error = ((mine.double() - right).abs().max() / right.abs().max().clamp_min(1e-30)).item()
        if not error <= BOUNDS[case.kind]:
            wrong.append(f"{name} wrong by {error:.1e}")
    return "; ".join(wrong) or None


def child() -> None:
    import torch  # noqa: F401  (before the clock of the first case runs)

    print("READY", flush=True)
    for line in sys.stdin:
        drawn = json.loads(line)
        answer = run(Case(**{k: tuple(v) if isinstance(v, list) else v for k, v in drawn.items()}))
        print("CASE " + json.dumps(answer), flush=True)


class Child:
    def __init__(self, guard: Path, more: dict[str, str]):
        environment = {**os.environ, "LD_PRELOAD": str(guard), "OMP_NUM_THREADS": "2", **more}
        self.process = subprocess.Popen([sys.executable, __file__, "--child"], env=environment, text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.lines: queue.Queue[str | None] = queue.Queue()
        self.said: list[str] = []
        threading.Thread(target=self.read, daemon=True).start()
        if self.lines.get() is None:
            raise SystemExit("a child cannot be started")

    def read(self) -> None:
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def ask(self, case: Case) -> tuple[str | None, bool]:
        """What is wrong with the case, and whether this child can be asked again."""
        print(json.dumps(asdict(case)), file=self.process.stdin, flush=True)
        while True:
            try:
                line = self.lines.get(timeout=SECONDS_A_CASE)
            except queue.Empty:
                self.end()
                return "hangs", False
            if line is None:
                return f"dies of signal {-self.process.wait()}", False
            if line.startswith("CASE "):
                return json.loads(line.removeprefix("CASE ")), True
            self.said.append(line)

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def last_kernel(guard: Path, case: Case) -> str:
    """The convolution of oneDNN that was made last, from its own log."""
    asked = Child(guard, {"ONEDNN_VERBOSE": "2"})
    asked.ask(case)
    asked.end()
    made = [line.split(",") for line in asked.said if "create" in line and "convolution" in line]
    return " ".join(made[-1][5:8]) if made else "none of oneDNN's"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--isa")
    parser.add_argument("--only", choices=["point"])
    parser.add_argument("--child", action="store_true")
    arguments = parser.parse_args()
    if arguments.child:
        child()
        return 0
    if arguments.isa:
        os.environ["ONEDNN_MAX_CPU_ISA"] = arguments.isa
    drawn = random.Random(arguments.seed)
    found = 0
    with tempfile.TemporaryDirectory() as folder:
        guard = Path(folder) / "guarded.so"
        source = Path(__file__).with_name("guarded.c")
        subprocess.run(["cc", "-O2", "-shared", "-fPIC", source, "-o", guard, "-ldl", "-lpthread"], check=True)
        asked, done = Child(guard, {}), 0
        while done < arguments.cases:
            case = draw(drawn, arguments.only)
            if case is None:
                continue
            done += 1
            wrong, alive = asked.ask(case)
            if not alive:
                asked = Child(guard, {})
            if wrong is not None:
                found += 1
                sizes = ", ".join(f"{k}={v}" for k, v in asdict(case).items())
                print(f"{wrong} | {last_kernel(guard, case)} | {sizes}", flush=True)
        asked.end()
    print(f"{done} cases, {found} of them wrong")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
