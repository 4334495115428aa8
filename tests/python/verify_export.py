"""Loads exported networks in PyTorch, ONNX Runtime and Flax and compares what they compute with the host.

    python verify_export.py FOLDER...

Each FOLDER is what `tandem export` wrote with `--to pytorch`, `onnx` or `flax`; which one, its files tell. Its
check.safetensors holds inputs by name and the host's output, `images` or `scores`. An ONNX model is also checked by
onnx.checker and run on another number of samples.
Prints a line each; exit code 0: all are within the tolerance; 1: one is not; 2: one cannot be used.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from safetensors.numpy import load_file

Inputs = dict[str, np.ndarray]


def program(folder: Path) -> tuple[str, ModuleType]:
    """The exported module, imported under a name of its own."""
    (file,) = folder.glob("*.py")
    spec = importlib.util.spec_from_file_location(f"exported_{abs(hash(file))}", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return file.stem, module


def with_pytorch(folder: Path, inputs: Inputs) -> np.ndarray:
    import torch

    torch.set_num_threads(1)
    _, module = program(folder)
    with torch.no_grad():
        return module.load()(*(torch.from_numpy(value) for value in inputs.values())).numpy()


def with_flax(folder: Path, inputs: Inputs) -> np.ndarray:
    import jax

    name, module = program(folder)
    apply = jax.jit(getattr(module, name.capitalize())().apply)
    return np.asarray(apply(module.load(), *inputs.values()))


def with_onnx(folder: Path, inputs: Inputs) -> np.ndarray:
    import onnx
    import onnxruntime

    (file,) = folder.glob("*.onnx")
    onnx.checker.check_model(onnx.load(file), full_check=True)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])
    output = session.run(None, inputs)[0]
    fewer = session.run(None, {name: value[:3] for name, value in inputs.items()})[0]
    if fewer.shape != (3, *output.shape[1:]):
        raise ValueError(f"3 samples give {fewer.shape}")
    return output


def how(folder: Path) -> Callable[[Path, Inputs], np.ndarray]:
    if list(folder.glob("*.onnx")):
        return with_onnx
    (file,) = folder.glob("*.py")
    return with_flax if "from flax import" in file.read_text() else with_pytorch


def difference(folder: Path) -> float:
    check = load_file(folder / "check.safetensors")
    (output,) = {"images", "scores"} & set(check)
    expected = check.pop(output)
    # In the order in which the networks take them.
    inputs = {name: check[name] for name in ("latent", "image", "labels") if name in check}
    found = how(folder)(folder, inputs)
    if found.shape != expected.shape or found.dtype != np.float32:
        raise ValueError(f"{found.dtype} {found.shape} for float32 {expected.shape}")
    return float(np.abs(found - expected).max())


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="compare exported networks with the host")
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--tolerance", type=float, default=1e-4)
    args = parser.parse_args(argv)
    code = 0
    for folder in args.folders:
        try:
            found = difference(folder)
        except Exception as error:  # whatever an exported program may do wrong
            print(f"{folder}: {type(error).__name__}: {error}", file=sys.stderr)
            code = 2
            continue
        # Written so that NaN fails.
        good = found <= args.tolerance
        print(f"{folder}: {how(folder).__name__} max_abs_difference {found:.3e}, tolerance {args.tolerance:.0e}")
        if not good:
            print(f"{folder}: {found:.3e} is too much", file=sys.stderr)
            code = max(code, 1)
    return code


if __name__ == "__main__":
    sys.exit(main())
