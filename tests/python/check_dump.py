"""Recomputes a step that `tandem plugin check NAME --dump FILE` wrote, in PyTorch and float64, and compares.

    python check_dump.py FILE.safetensors... [--tolerance 1e-10]

A file holds, in float64:
  metadata               `method`, a key of `losses.LOSSES`, and its options as `option.NAME`; `network`, if it is one of
                         them, says which twin computes the step: `sn_resnet.py` for "resnet", else `dcgan.py`
  generator.*, discriminator.*   the weights and buffers before the step, by state_dict name
  latents, real          the batch
  labels                 its labels [b], where the networks take them
  state.*                loss states, where the method has them
  scores.real, scores.fake       D's scores of it
  seeds.g_r, seeds.g_f, seeds.h  dL_D/ds_r, dL_D/ds_f, dL_G/ds_f
  gradients.<strategy>.generator.*, gradients.<strategy>.discriminator.*   one gradient for each learned tensor

Everything but weights and batch is computed again here by plain separate autograd passes: D's loss on detached
fakes, then G's loss through the same D. D sees real and fake batches in two calls. Spectral norm's vectors are
taken as stored, so the file must hold those that the step's forward pass used.

Errors are relative: the norm of the difference over the norm of what is expected, a network's gradients taken
together. Exit code 0: all within the tolerance; 1: not; 2: the file cannot be used.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

import dcgan
import sn_resnet
from losses import losses

Tensors = dict[str, Tensor]


def under(tensors: Mapping[str, Tensor], prefix: str) -> Tensors:
    """The tensors whose names start with `prefix.`, without it."""
    return {name[len(prefix) + 1 :]: t for name, t in tensors.items() if name.startswith(prefix + ".")}


def gradients(loss: Tensor, module: nn.Module) -> Tensors:
    names, parameters = zip(*module.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters, retain_graph=True), strict=True))


def expected(tensors: Mapping[str, Tensor], method: str, options: Mapping[str, str]) -> dict[str, Tensors]:
    """Scores, seeds and both networks' gradients, from the weights and the batch alone."""
    twin = sn_resnet if options.get("network") == "resnet" else dcgan
    generator = twin.Generator.from_state(under(tensors, "generator")).train()
    discriminator = twin.Discriminator.from_state(under(tensors, "discriminator")).train()
    discriminator.hold_power_iteration()
    loss_d, loss_g = losses(method, options, under(tensors, "state"))

    labels = tensors.get("labels")
    fakes = generator(tensors["latents"], labels)
    of_d = loss_d(discriminator(tensors["real"], labels), discriminator(fakes.detach(), labels))
    real, fake = discriminator(tensors["real"], labels), discriminator(fakes, labels)
    result = {
        "gradients.discriminator": gradients(of_d, discriminator),
        "gradients.generator": gradients(loss_g(real, fake), generator),
        "scores": {"real": real.detach(), "fake": fake.detach()},
    }
    s_r, s_f = real.detach().requires_grad_(), fake.detach().requires_grad_()
    g_r, g_f = torch.autograd.grad(loss_d(s_r, s_f), (s_r, s_f))
    (h,) = torch.autograd.grad(loss_g(s_r, s_f), (s_f,))
    result["seeds"] = {"g_r": g_r, "g_f": g_f, "h": h}
    return result


def relative_error(found: Tensors, wanted: Tensors) -> float:
    """||found - wanted|| / ||wanted|| over all tensors together; infinite where names, shapes or numbers are amiss."""
    if found.keys() != wanted.keys():
        print(f"  names differ: {sorted(found.keys() ^ wanted.keys())}", file=sys.stderr)
        return float("inf")
    squares = [0.0, 0.0]
    for name, want in wanted.items():
        # Scores and seeds may be written as [b] or [b, 1]; gradients have one shape.
        have = found[name].to(torch.float64)
        have = have.reshape(want.shape) if have.numel() == want.numel() else have
        if have.shape != want.shape:
            print(f"  {name}: shape {tuple(have.shape)}, expected {tuple(want.shape)}", file=sys.stderr)
            return float("inf")
        squares[0] += (have - want).square().sum().item()
        squares[1] += want.square().sum().item()
    error = (squares[0] / squares[1]) ** 0.5 if squares[1] > 0 else squares[0] ** 0.5
    return error if error == error else float("inf")


def compare(tensors: Mapping[str, Tensor], method: str, options: Mapping[str, str]) -> dict[str, float]:
    """The relative error of every part of the file."""
    wanted = expected(tensors, method, options)
    errors = {part: relative_error(under(tensors, part), wanted[part]) for part in ("scores", "seeds")}
    strategies = sorted({name.split(".")[1] for name in tensors if name.startswith("gradients.")})
    if not strategies:
        raise ValueError("no tensor `gradients.<strategy>.…` in the file")
    for strategy in strategies:
        for network in ("generator", "discriminator"):
            found = under(tensors, f"gradients.{strategy}.{network}")
            errors[f"{strategy} {network}"] = relative_error(found, wanted[f"gradients.{network}"])
    return errors


def read(path: str) -> tuple[Tensors, dict[str, str]]:
    with safe_open(path, framework="pt") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}


def check(path: str, tolerance: float) -> int:
    try:
        tensors, metadata = read(path)
        method = metadata["method"]
        options = {name.removeprefix("option."): text for name, text in metadata.items() if name.startswith("option.")}
        errors = compare(tensors, method, options)
    except (OSError, KeyError, RuntimeError, ValueError, SafetensorError) as error:
        print(f"{path}: {type(error).__name__}: {error}", file=sys.stderr)
        return 2
    print(f"{path}: {method}")
    for part, error in errors.items():
        print(f"  {part:<24} {error:.1e}  {'ok' if error <= tolerance else 'WRONG'}")
    worst = max(errors.values())
    print(f"  max_relative_error {worst:.3e}, tolerance {tolerance:.0e}")
    return 0 if worst <= tolerance else 1


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="recompute dumped steps in PyTorch")
    parser.add_argument("files", nargs="+")
    parser.add_argument("--tolerance", type=float, default=1e-10)
    args = parser.parse_args(argv)
    return max([check(path, args.tolerance) for path in args.files])


if __name__ == "__main__":
    sys.exit(main())
