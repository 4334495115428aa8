"""Tests `check_dump.py` and `load_weights.py` on files made here, without the host.

    python self_test.py

Each dump is made with the one-stage strategies written out in PyTorch. A right file must pass; one with a gradient,
a seed or an image changed by little must fail, so that neither script can say yes to everything.
"""

from __future__ import annotations

import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path
from types import ModuleType

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

import check_dump
import load_weights
import sn_resnet
from dcgan import Discriminator, Generator
from losses import losses


def one_stage(
    strategy: str, generator: Generator, discriminator: Discriminator, z: Tensor, x: Tensor, seeds: dict[str, Tensor]
) -> tuple[list[Tensor], list[Tensor]]:
    """Both networks' gradients by a one-stage strategy: one forward pass, seeds at the scores."""
    fakes = generator(z)
    leaf = fakes.detach().requires_grad_()
    scores = (discriminator(x), discriminator(leaf))
    g_r, g_f, h = seeds["g_r"], seeds["g_f"], seeds["h"]
    of_d = list(torch.autograd.grad(scores, list(discriminator.parameters()), (g_r, g_f), retain_graph=True))
    if strategy == "two-seed":
        at_fake = torch.autograd.grad(scores[1], leaf, h)[0]
    else:
        # One backward pass with a seed u, each fake's gradient then scaled by h / u; pivoted takes the larger seed.
        u = g_f if strategy == "scaled" else torch.where(g_f.abs() >= h.abs(), g_f, h)
        at_fake = torch.autograd.grad(scores[1], leaf, u)[0] * (h / u).view(-1, 1, 1, 1)
    return list(torch.autograd.grad(fakes, list(generator.parameters()), at_fake)), of_d


def make_dump(path: Path, method: str, options: dict[str, str], norm: str, size: int, channels: int) -> None:
    torch.manual_seed(7)
    if options.get("network") == "resnet":
        generator = sn_resnet.Generator(channels, width=4, latent=12).double().train()
        discriminator = sn_resnet.Discriminator(channels, width=4).double().train()
    else:
        generator = Generator(size, channels, width=16, latent=12).double().train()
        discriminator = Discriminator(size, channels, width=16, norm=norm).double().train()
    with torch.no_grad():
        discriminator.score.weight.mul_(40)  # scores spread over several units
    z = torch.randn(6, 12, dtype=torch.float64)
    x = torch.rand(6, channels, size, size, dtype=torch.float64) * 2 - 1
    discriminator(x)  # spectral norm: the one power iteration of the step
    discriminator.hold_power_iteration()
    tensors = {f"generator.{k}": v.clone() for k, v in generator.state_dict().items()}
    tensors |= {f"discriminator.{k}": v.clone() for k, v in discriminator.state_dict().items()}

    loss_d, loss_g = losses(method, options)
    s_r = discriminator(x).detach().requires_grad_()
    s_f = discriminator(generator(z)).detach().requires_grad_()
    g_r, g_f = torch.autograd.grad(loss_d(s_r, s_f), (s_r, s_f))
    h = torch.autograd.grad(loss_g(s_r, s_f), s_f)[0]
    seeds = {"g_r": g_r, "g_f": g_f, "h": h}
    tensors |= {"latents": z, "real": x, "scores.real": s_r.detach(), "scores.fake": s_f.detach()}
    tensors |= {f"seeds.{name}": seed for name, seed in seeds.items()}

    # D with BatchNorm couples the batch: scaling one backward pass is exact only where h / g_f is one number for all.
    ratio_is_constant = (method, options) in (("dcgan", {"loss": "saturating"}), ("wgan", {}))
    strategies = ["two-seed", "scaled", "pivoted"] if norm != "batch" or ratio_is_constant else ["two-seed"]
    for strategy in strategies:
        of_g, of_d = one_stage(strategy, generator, discriminator, z, x, seeds)
        for network, module, found in (("generator", generator, of_g), ("discriminator", discriminator, of_d)):
            names = [name for name, _ in module.named_parameters()]
            tensors |= {f"gradients.{strategy}.{network}.{k}": v for k, v in zip(names, found, strict=True)}
    save_file({k: v.contiguous() for k, v in tensors.items()}, path, metadata(method, options))


def metadata(method: str, options: dict[str, str]) -> dict[str, str]:
    """What a dump says of itself: options have a prefix, so that none of them stands for something else."""
    return {"method": method} | {f"option.{name}": value for name, value in options.items()}


# A symmetric loss, one on each score alone, and one that couples real and fake; the other losses are the host's to prove.
METHODS = [("wgan", {}), ("dcgan", {"loss": "saturating"}), ("lsgan", {"coding": "binary"}), ("relgan", {"variant": "average"})]


def change(path: Path, name: str, about: dict[str, str]) -> None:
    """Move one tensor of the file by one part in a million of its largest element."""
    tensors = load_file(path)
    tensors[name] = tensors[name] + tensors[name].abs().max() * 1e-6
    save_file(tensors, path, about)


def code(script: ModuleType, *args: object) -> int:
    """The exit code of a script's main function."""
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
        return script.main([str(arg) for arg in args])


def test_dumps(folder: Path) -> None:
    path = folder / "dump.safetensors"
    cases = [(m, v, norm, 32, 1) for m, v in METHODS for norm in ("group", "batch")]
    cases += [("dcgan", {"loss": "non-saturating"}, "spectral", 32, 3), ("lsgan", {"coding": "pearson"}, "none", 64, 3)]
    cases.append(("sngan", {"loss": "non-saturating", "network": "resnet"}, "spectral", 32, 3))
    for case in cases:
        make_dump(path, *case)
        assert code(check_dump, path) == 0, case
    for name in ("gradients.pivoted.discriminator.conv2.weight", "gradients.scaled.generator.up1.weight", "seeds.h"):
        make_dump(path, "lsgan", {"coding": "binary"}, "group", 32, 1)
        change(path, name, metadata("lsgan", {"coding": "binary"}))
        assert code(check_dump, path) == 1, f"a changed {name} passed"
    make_dump(path, "dcgan", {"loss": "non-saturating"}, "group", 32, 1)
    save_file(load_file(path), path, metadata("dcgan", {"loss": "saturating"}))
    assert code(check_dump, path) == 1, "the wrong loss passed"
    path.write_bytes(path.read_bytes()[:1000])
    assert code(check_dump, path) == 2, "a truncated file"


def test_weights(folder: Path) -> None:
    generator = Generator(32, 1, width=16, latent=12)
    latents = torch.randn(4, 12)
    generator(latents)  # running statistics other than the initial ones
    checkpoint = folder / "checkpoints" / "step-20"
    checkpoint.mkdir(parents=True)
    (folder / "checkpoints" / "step-9").mkdir()
    save_file(generator.state_dict(), checkpoint / "generator.safetensors")
    images = generator.eval()(latents).detach()
    samples = folder / "samples.safetensors"
    save_file({"latents": latents, "images": images}, samples)
    assert code(load_weights, folder, samples) == 0
    assert code(load_weights, checkpoint / "generator.safetensors", samples, samples) == 0
    assert code(load_weights, folder, samples, "--step", 9) == 2
    save_file({"latents": latents, "images": images + 1e-4}, samples)
    assert code(load_weights, folder, samples) == 1


def main() -> None:
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        test_dumps(Path(folder))
    with tempfile.TemporaryDirectory() as folder:
        test_weights(Path(folder))
    print("self-test passed")


if __name__ == "__main__":
    main()
