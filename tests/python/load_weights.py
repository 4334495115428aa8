"""Loads a run's generator into PyTorch and compares its images with the host's.

    python load_weights.py RUN_DIR LATENTS.safetensors [IMAGES.safetensors] [--step N] [--ema]

RUN_DIR is a run directory (`checkpoints/step-N/generator.safetensors`, the newest step unless told) or a weights
file. The tensors `latents` ([n, z]) and, of a conditional run, `labels` ([n]) are read from the first file, `images`
([n, c, h, w], in [-1, 1]) from the second, or from the first too. Both networks run in evaluation mode (BatchNorm's
running statistics), in the weights' dtype.
Exit code 0: the largest absolute difference is within the tolerance; 1: not; 2: the files cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from dcgan import Generator


def weights_file(run: Path, step: int | None, ema: bool) -> Path:
    """The generator's weights in a run directory; a file stands for itself."""
    if run.is_file():
        return run
    name = "generator_ema.safetensors" if ema else "generator.safetensors"
    if step is not None:
        return run / "checkpoints" / f"step-{step}" / name
    steps = {int(path.name.removeprefix("step-")): path for path in run.glob("checkpoints/step-*")}
    if not steps:
        raise ValueError(f"{run}: no checkpoints/step-* in it")
    return steps[max(steps)] / name


def max_difference(weights: Path, latents_file: Path, images_file: Path) -> float:
    generator = Generator.from_state(load_file(weights)).eval()
    dtype = next(generator.parameters()).dtype
    inputs = load_file(latents_file)
    images = load_file(images_file)["images"].to(dtype)
    with torch.no_grad():
        mine = generator(inputs["latents"].to(dtype), inputs.get("labels"))
    if mine.shape != images.shape:
        raise ValueError(f"the host's images are {tuple(images.shape)}, PyTorch's {tuple(mine.shape)}")
    return (mine - images).abs().max().item()


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare the host's images with PyTorch's")
    parser.add_argument("run", type=Path)
    parser.add_argument("latents", type=Path)
    parser.add_argument("images", type=Path, nargs="?")
    parser.add_argument("--step", type=int)
    parser.add_argument("--ema", action="store_true", help="the averaged generator")
    parser.add_argument("--tolerance", type=float, default=1e-5)
    args = parser.parse_args(argv)
    try:
        weights = weights_file(args.run, args.step, args.ema)
        difference = max_difference(weights, args.latents, args.images or args.latents)
    except (OSError, KeyError, RuntimeError, ValueError, SafetensorError) as error:
        print(f"{args.run}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{weights}: max_abs_difference {difference:.3e}, tolerance {args.tolerance:.0e}")
    # Written so that NaN fails.
    return 0 if difference <= args.tolerance else 1


if __name__ == "__main__":
    sys.exit(main())
