"""Tests the harness itself, with a small stand-in for the tandem binary.

    python benches/self_test.py

The stand-in takes a known time for a step, so a wrong ratio shows; it can also break the line protocol, and the
harness must then say who did what and stop.
"""

from __future__ import annotations

import json
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import gpu
import side_by_side
from contestants import KEYS

STAND_IN = """#!{python}
import json, sys, time
sys.path.insert(0, {twin!r})
how, words = {how!r}, sys.argv[1:]
settings = dict(w.split("=", 1) for w in words if "=" in w)
def answer(seconds, steps): print(json.dumps(dict(seconds=seconds, steps=steps)), flush=True)
if words[0] == "plugin":
    bad = how == "wrong" and words[-1] == {cuda!r}
    for name in ("dcgan", "lsgan"): print(json.dumps(dict(plugin=name, max_relative_error=1e-3 if bad else 1e-15)))
elif words[0] in ("train", "sample"):
    from pathlib import Path
    import torch
    from safetensors.torch import load_file, save_file
    from dcgan import Generator
    out = Path(words[words.index("--out") + 1])
    if words[0] == "train":
        folder = out / "checkpoints" / ("step-" + settings["steps"])
        folder.mkdir(parents=True)
        save_file(Generator(32, 1, 16, 12).state_dict(), folder / "generator.safetensors")
    else:
        state = load_file(next(Path(words[1]).glob("checkpoints/*/generator.safetensors")))
        latents = torch.randn(3, 12)
        images = Generator.from_state(state).eval()(latents).detach()
        save_file(dict(latents=latents, images=images), words[words.index("--tensors") + 1])
else:
    if how == "early": sys.exit("error: no such plugin: dcgan")
    missing = [k for k in {keys!r} if k not in settings]
    if "--channels" not in words: missing.append("--channels")
    if missing or not settings["batch_size"].isdigit(): sys.exit("missing settings: " + repr(missing))
    per_step = 0.004 if settings["stages"] == "one" else 0.008
    print("ready", flush=True)
    for line in sys.stdin:
        if how == "garbage": print("step 1 of 3", flush=True)
        elif how == "dies": sys.exit("error: out of memory")
        elif how == "fewer": answer(1.0, int(line) - 1)
        else: answer(per_step * int(line), int(line))
"""
SMALL = ["--size", "32", "--width", "16", "--batch", "2", "--latent", "8", "--threads", "1"]
TWIN = str(Path(__file__).resolve().parents[1] / "tests" / "python")


def stand_in(folder: Path, how: str, cuda: str = "cpu") -> Path:
    path = folder / f"tandem-{how}"
    keys = [*KEYS.values(), "stages", "device"]
    path.write_text(STAND_IN.format(python=sys.executable, how=how, keys=keys, twin=TWIN, cuda=cuda))
    path.chmod(0o755)
    return path


def run(*args: object) -> tuple[int, str, str]:
    out, errors = StringIO(), StringIO()
    with redirect_stdout(out), redirect_stderr(errors):
        code = side_by_side.main([str(a) for a in args])
    return code, out.getvalue(), errors.getvalue()


def test_ratios(folder: Path) -> None:
    result = folder / "out.json"
    common = ("--tandem", stand_in(folder, "right"), *SMALL, "--rounds", 3, "--steps", 2, "--json", result)
    code, table, errors = run(*common, "--peers", "a2", "b1", "--fixed-cost", "--reference", "tandem-two", "--check")
    assert code in (0, 1), errors
    found = json.loads(result.read_text())
    one, two = found["contestants"]["tandem-one"], found["contestants"]["tandem-two"]
    assert abs(one["seconds_per_step"]["median"] - 0.004) < 1e-9, one
    assert abs(one["ratio"]["median"] - 0.5) < 1e-9 and two["ratio"]["max"] == 1.0, one
    assert one["gflop_per_step"] == found["contestants"]["b1"]["gflop_per_step"] < two["gflop_per_step"], found
    assert len(found["contestants"]["a2"]["rounds"]) == 3 and "b1-tiny" in table, table
    bar = {bar["ratio"]: bar for bar in found["bars"]}["a2 / tandem-one"]
    pairs = zip(found["contestants"]["a2"]["rounds"], one["rounds"], strict=True)
    assert bar["found"]["median"] == sorted(a / b for a, b in pairs)[1], bar
    missed = any(bar["found"]["median"] < bar["least"] for bar in found["bars"])
    assert code == int(missed) and ("MISSED" in table) == missed, table


def test_misbehaviour(folder: Path) -> None:
    says = {
        "early": "no such plugin: dcgan",
        "garbage": "'step 1 of 3'",
        "dies": "out of memory",
        "fewer": "asked for",
    }
    for how, message in says.items():
        code, _, errors = run("--tandem", stand_in(folder, how), *SMALL, "--peers", "--rounds", 1, "--steps", 1)
        assert code == 2 and message in errors and "tandem-one" in errors, (how, errors)
    code, _, errors = run("--tandem", folder / "nowhere", *SMALL, "--peers", "--rounds", 1)
    assert code == 2 and "cannot start" in errors, errors


def test_gpu(folder: Path) -> None:
    for how, expected in (("right", 0), ("wrong", 1)):
        out = folder / f"gpu-{how}"
        args = ["--tandem", stand_in(folder, how), "--plugins", folder, "--out", out, "--device", "cpu"]
        with redirect_stdout(StringIO()) as said:
            code = gpu.main([*map(str, args), "--rounds", "2", "--steps", "2", "--", *SMALL, "--peers", "b1"])
        assert code == expected, said.getvalue()
        checks = {row["name"]: row["ok"] for row in json.loads((out / "gpu.json").read_text())["checks"]}
        assert checks["weights in PyTorch"] and checks["side by side"] and checks["plugins on cpu"] == (how == "right")


def main() -> None:
    for test in (test_ratios, test_misbehaviour, test_gpu):
        with tempfile.TemporaryDirectory() as folder:
            test(Path(folder))
        print(f"{test.__name__} passed", flush=True)


if __name__ == "__main__":
    main()
