"""Who runs in the side-by-side bench, and the commands that start them.

The one place that knows tandem's config keys, so that a renamed key is one edit.
"""

from __future__ import annotations

import sys
from argparse import Namespace
from dataclasses import asdict, dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
SERVE = HERE / "peers" / "serve.py"
sys.path.insert(0, str(HERE / "peers"))
from cost import flops as flops  # noqa: E402
from models import WORKS as WORKS, Work  # noqa: E402
from steps import PEERS, offered as offered  # noqa: E402

# A network's config, and the fields of Work that only its plugin has as options.
CONFIGS = {"dcgan": HERE / "dcgan-64.toml", "sn-resnet": HERE / "sn-resnet-32.toml"}
OWN_KEYS = {"dcgan": {"norm": "options.norm"}, "sn-resnet": {}}
# A field of Work -> tandem's config key. The channels are a fact of the data, which `__steps` makes: they are its own
# argument `--channels`.
KEYS = {
    "size": "data.image_size",
    "width": "options.width",
    "latent": "options.latent_size",
    "batch": "batch_size",
}
# Name -> (settings, the peer step that does the same FLOPs).
TANDEM = {
    "tandem-one": (["stages=one"], "b1"),
    "tandem-two": (["stages=two", "reuse_fakes=true"], "b2"),
}
# All layers, next to no arithmetic: what is left of a step is its fixed cost.
TINY = 100
# Seconds that a contestant may be silent: a compiler takes minutes on two cores.
PATIENCE, COMPILERS_PATIENCE = 300.0, 1800.0


@dataclass(frozen=True)
class Contestant:
    name: str
    command: list[str]
    # The peer step whose FLOPs this one does.
    flops_as: str
    # What its convolutions and matrix products are computed in.
    precision: str
    batch: int
    # Steps for each step asked for.
    repeat: int = 1
    patience: float = PATIENCE


def tiny(work: Work) -> Work:
    """The same networks at a 512th of the FLOPs or less: batch 1, width 16."""
    return replace(work, batch=1, width=16)


def peer(step: str, args: Namespace, work: Work, suffix: str = "", repeat: int = 1) -> Contestant:
    """`args` are those of side_by_side.py, here and below."""
    style = PEERS[step].style
    precision = args.precision if style.best else "float32"
    words = {"step": step, "device": args.device, "threads": args.threads, "precision": precision} | asdict(work)
    command = [sys.executable, str(SERVE), *(w for k, v in words.items() for w in (f"--{k}", str(v)))]
    patience = COMPILERS_PATIENCE if style.compiled else PATIENCE
    return Contestant(step + suffix, command, step, precision, work.batch, repeat, patience)


def tandem(name: str, args: Namespace, work: Work, suffix: str = "", repeat: int = 1) -> Contestant:
    settings, flops_as = TANDEM[name]
    keys = [f"{key}={getattr(work, field)}" for field, key in (KEYS | OWN_KEYS[work.network]).items()]
    machine = [f"device={args.device}", f"threads={args.threads}", f"precision={args.precision}"]
    if args.device.startswith("cuda"):
        machine.append("cuda_graph=true")
    words = [word for s in [*settings, *machine, *keys, *args.set] for word in ("--set", s)]
    command = [args.tandem, "__steps", args.config, "--channels", str(work.channels), *words]
    return Contestant(name + suffix, command, flops_as, args.precision, work.batch, repeat)


def chosen(args: Namespace, work: Work) -> list[Contestant]:
    """In the order of their turns."""
    found = []
    if args.tandem:
        found += [tandem(name, args, work) for name in TANDEM]
    found += [peer(step, args, work) for step in args.peers]
    if args.fixed_cost:
        small = tiny(work)
        if args.tandem:
            found.append(tandem("tandem-one", args, small, "-tiny", TINY))
        found.append(peer("b1", args, small, "-tiny", TINY))
    return found
