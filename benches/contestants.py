"""Who runs in the side-by-side bench, and the commands that start them.

The one place that knows tandem's config keys, so that a renamed key is one edit.
"""

from __future__ import annotations

import subprocess
import sys
from argparse import Namespace
from dataclasses import asdict, dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVE = HERE / "peers" / "serve.py"
sys.path.insert(0, str(HERE / "peers"))
from models import Work  # noqa: E402
from steps import STEPS as STEPS  # noqa: E402

# A field of Work -> tandem's config key. The channels are a fact of the data, which `__steps` makes: they are its own
# argument `--channels`.
KEYS = {
    "size": "data.image_size",
    "width": "options.width",
    "latent": "options.latent_size",
    "norm": "options.norm",
    "batch": "batch_size",
}
# Name -> (settings, the peer step that does the same FLOPs).
TANDEM = {
    "tandem-one": (["stages=one"], "b1"),
    "tandem-two": (["stages=two", "reuse_fakes=true"], "b2"),
}
# All layers, next to no arithmetic: what is left of a step is its fixed cost.
TINY = 100


@dataclass(frozen=True)
class Contestant:
    name: str
    command: list[str]
    # The peer step whose FLOPs this one does.
    flops_as: str
    # Steps for each step asked for.
    repeat: int = 1


def tiny(work: Work) -> Work:
    """The same networks at a 512th of the FLOPs or less: batch 1, width 16."""
    return replace(work, batch=1, width=16)


def options(work: Work) -> list[str]:
    return [word for key, value in asdict(work).items() for word in (f"--{key}", str(value))]


def peer(step: str, work: Work, device: str, threads: int, suffix: str = "", repeat: int = 1) -> Contestant:
    command = [sys.executable, str(SERVE), "--step", step, "--device", device, "--threads", str(threads)]
    return Contestant(step + suffix, command + options(work), step, repeat)


def tandem(name: str, args: Namespace, work: Work, suffix: str = "", repeat: int = 1) -> Contestant:
    """`args` are those of side_by_side.py."""
    settings, flops_as = TANDEM[name]
    keys = [f"{key}={getattr(work, field)}" for field, key in KEYS.items()]
    machine = [f"device={args.device}", f"threads={args.threads}"]
    words = [word for s in [*settings, *machine, *keys, *args.set] for word in ("--set", s)]
    command = [args.tandem, "__steps", args.config, "--channels", str(work.channels), *words]
    return Contestant(name + suffix, command, flops_as, repeat)


def flops(step: str, work: Work) -> int:
    """FLOPs of one step by PyTorch's own count, taken on the CPU in a process that then ends."""
    command = [sys.executable, str(SERVE), "--step", step, "--flops", *options(work)]
    return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
