"""Loads exported networks in PyTorch, ONNX Runtime and Flax and compares what they compute with the host.

    python verify_export.py FOLDER...

Each FOLDER is what `tandem export` wrote with `--to pytorch`, `onnx` or `flax`; which one, its files tell. Its
check.safetensors holds inputs by name and the host's output, `images` or `scores`. An ONNX model is also checked by
onnx.checker and run on another number of samples; a PyTorch module is also compiled by torch.jit.script, saved, loaded and
compared with itself, in training mode too; a program's comments are held to the shapes that its values have; and the
card's front matter to what hubs read, where PyYAML is there.
Prints a line each; exit code 0: all are within the tolerance; 1: one is not; 2: one cannot be used.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import re
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

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


class Comments:
    """Within it, every line of a program that says a shape is held to it: `x = self.conv(x)  # [N, 4, 4, 16]`."""

    SHAPE = re.compile(r"^\s+(?:(\w+) = |return ).*  # \[([N\d, ]*)\]$")

    def __init__(self, file: str, batch: int) -> None:
        self.file, self.batch, self.held = file, batch, 0
        self.lines = Path(file).read_text().splitlines()

    def __enter__(self) -> Comments:
        sys.settrace(self.called)
        return self

    def __exit__(self, *error: object) -> None:
        sys.settrace(None)
        if error[0] is None and not self.held:
            raise ValueError(f"no line of {self.file} says a shape")

    def called(self, frame: FrameType, event: str, argument: Any) -> Any:
        if frame.f_code.co_filename != self.file:
            return None
        done: list[int] = []

        def step(frame: FrameType, event: str, argument: Any) -> Any:
            if done and event in ("line", "return"):
                self.hold(done.pop(), frame.f_locals, argument)
            if event == "line":
                done.append(frame.f_lineno)
            return step

        return step

    def hold(self, line: int, variables: dict[str, Any], returned: Any) -> None:
        said = self.SHAPE.match(self.lines[line - 1])
        value = returned if said and said[1] is None else said and variables[said[1]]
        if said is None or value is None:
            return
        self.held += 1
        shape = tuple(self.batch if size == "N" else int(size) for size in said[2].split(", ") if size)
        if shape != tuple(value.shape):
            raise ValueError(f"{self.file}:{line}: the comment says {shape}, it is {tuple(value.shape)}")


def held(module: ModuleType, inputs: Inputs) -> Comments:
    assert module.__file__
    return Comments(module.__file__, len(next(iter(inputs.values()))))


def check_card(folder: Path) -> None:
    """The front matter is YAML that says what hubs want of it."""
    try:
        import yaml
    except ImportError:
        return
    _, head, _ = (folder / "README.md").read_text().split("---\n", 2)
    card = yaml.safe_load(head)
    conditional = "labels" in load_file(folder / "check.safetensors")
    task = card.get("pipeline_tag")
    good = (
        isinstance(card["license"], str)
        and (card["license"] != "other" or isinstance(card["license_name"], str))
        and card["library_name"] in ("pytorch", "onnx", "flax")
        and all(isinstance(tag, str) for tag in card["tags"])
        and (task == "unconditional-image-generation" if is_generator(folder) and not conditional else task is None)
    )
    for model in card.get("model-index", []):
        good = good and isinstance(model["name"], str)
        for result in model["results"]:
            dataset, metrics = result["dataset"], result["metrics"]
            texts = [result["task"]["type"], dataset["name"], dataset["type"], *(m[k] for m in metrics for k in ("type", "name"))]
            good = good and metrics and all(isinstance(text, str) for text in texts)
            good = good and all(isinstance(metric["value"], (int, float)) for metric in metrics)
    if not good:
        raise ValueError(f"the card's front matter is not what hubs read: {card}")


def is_generator(folder: Path) -> bool:
    return "images" in load_file(folder / "check.safetensors")


def with_pytorch(folder: Path, inputs: Inputs) -> np.ndarray:
    import torch

    torch.set_num_threads(1)
    _, module = program(folder)
    network = module.load()
    values = [torch.from_numpy(value) for value in inputs.values()]
    with torch.no_grad():
        with held(module, inputs):
            output = network(*values)
        compare_scripted(network, values, output)
    return output.numpy()


def compare_scripted(network: Any, values: list[Any], output: Any) -> None:
    """What torch.jit.script makes of a module gives the same, after a way to a file and back, too."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        file = io.BytesIO()
        torch.jit.save(torch.jit.script(network), file)
        file.seek(0)
        scripted = torch.jit.load(file)
    torch.testing.assert_close(scripted(*values), output, rtol=1e-5, atol=1e-6)
    outputs = []
    for module in (network.train(), scripted.train()):
        torch.manual_seed(0)
        outputs.append(module(*values))
    torch.testing.assert_close(outputs[1], outputs[0], rtol=1e-5, atol=1e-6)


def with_flax(folder: Path, inputs: Inputs) -> np.ndarray:
    import jax

    name, module = program(folder)
    apply = jax.jit(getattr(module, name.capitalize())().apply)
    variables = module.load()
    with held(module, inputs):
        return np.asarray(apply(variables, *inputs.values()))


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
            check_card(folder)
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
