"""Tests the harness itself, with a small stand-in for the tandem binary.

    python benches/self_test.py

The stand-in takes a known time for a step, so a wrong ratio shows; it can also break the line protocol, and the
harness must then say who did what and stop.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import torch
from safetensors.torch import save_file

import gpu
import side_by_side
from bars import judged
from contestants import KEYS, OWN_KEYS
from models import dcgan

STAND_IN = """#!{python}
import json, sys, time
how, words = {how!r}, sys.argv[1:]
settings = dict(w.split("=", 1) for w in words if "=" in w)
def answer(seconds, steps):
    peak = dict(peak_mb=7.0 + steps) if settings["precision"] == "bfloat16" else dict()
    print(json.dumps(dict(seconds=seconds, steps=steps) | peak), flush=True)
if words[0] == "plugin":
    bad = how == "wrong" and words[-1] == {cuda!r}
    for name in ("dcgan", "lsgan"): print(json.dumps(dict(plugin=name, max_relative_error=1e-3 if bad else 1e-15)))
elif words[0] in ("train", "sample"):
    import shutil
    from pathlib import Path
    out = Path(words[words.index("--out") + 1])
    if words[0] == "train":
        folder = out / "checkpoints" / ("step-" + settings["steps"])
        folder.mkdir(parents=True)
        wrong = how == "wrong" and (settings.get("cuda_graph") == "true" or out.name.endswith("-b"))
        source = {files!r} + ("/other.safetensors" if wrong else "/generator.safetensors")
        shutil.copy(source, folder / "generator.safetensors")
    else:
        shutil.copy({files!r} + "/samples.safetensors", words[words.index("--tensors") + 1])
else:
    if how == "early": sys.exit("error: no such plugin: dcgan")
    resnet = "sn-resnet" in words[1]
    missing = [k for k in {keys!r} + {own!r}["sn-resnet" if resnet else "dcgan"] if k not in settings]
    if resnet and "options.norm" in settings: sys.exit("no such option: norm")
    if "--channels" not in words: missing.append("--channels")
    if missing or not settings["batch_size"].isdigit(): sys.exit("missing settings: " + repr(missing))
    per_step = 0.004 if settings["stages"] == "one" else 0.008
    print("ready", flush=True)
    for line in sys.stdin:
        if how == "garbage": print("step 1 of 3", flush=True)
        elif how == "dies" or how == "two-dies" and settings["stages"] == "two": sys.exit("error: out of memory")
        elif how == "fewer": answer(1.0, int(line) - 1)
        else: answer(per_step * int(line), int(line))
"""
SMALL = ["--size", "32", "--width", "16", "--batch", "2", "--latent", "8", "--threads", "1"]
# Ceilings that take no time, for the tests of something else.
CEILINGS = {"device": "none", "threads": 1, "torch": "2.11", "copy_gb_per_s": 1.0}
CEILINGS["gemm_gflop_per_s"] = {"float32": 100.0, "bfloat16": 200.0}


def stand_in(folder: Path, how: str, cuda: str = "cpu") -> Path:
    path = folder / f"tandem-{how}"
    keys = [*KEYS.values(), "stages", "device", "precision"]
    own = {network: list(more.values()) for network, more in OWN_KEYS.items()}
    path.write_text(STAND_IN.format(python=sys.executable, how=how, keys=keys, own=own, files=str(folder), cuda=cuda))
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
    code, table, errors = run(*common, "--peers", "b1", "--reference", "tandem-two", "--check")
    assert code in (0, 1), errors
    found = json.loads(result.read_text())
    one, two, b1 = (found["contestants"][name] for name in ("tandem-one", "tandem-two", "b1"))
    assert abs(one["seconds_per_step"]["median"] - 0.004) < 1e-9 and abs(one["images_per_s"] - 500) < 1e-6, one
    assert abs(one["ratio"]["median"] - 0.5) < 1e-9 and two["ratio"]["max"] == 1.0, one
    assert one["gflop_per_step"] == b1["gflop_per_step"] < two["gflop_per_step"], found
    gemm = found["machine"]["gemm_gflop_per_s"]["float32"]
    assert abs(one["share_of_gemm"] * gemm * 0.004 / one["gflop_per_step"] - 1) < 1e-9, found
    assert len(b1["rounds"]) == 3 and b1["memory"]["peak_mb"] >= b1["memory"]["at_ready_mb"] > 50, b1
    assert one["memory"]["device_peak_mb"] is None, one
    bar = {bar["ratio"]: bar for bar in found["bars"]}["b1 / tandem-one"]
    pairs = zip(b1["rounds"], one["rounds"], strict=True)
    assert bar["found"]["median"] == sorted(a / b for a, b in pairs)[1], bar
    missed = any(bar["found"]["median"] < bar["least"] for bar in found["bars"])
    assert code == int(missed) and ("MISSED" in table) == missed, table


def test_bars(_: Path) -> None:
    times = {"tandem-one": [1.0, 1.0, 2.0], "a2": [1.5, 1.7, 3.4], "b1": [0.9, 0.9, 4.0]}
    holds = {bar["ratio"]: bar["holds"] for bar in judged(times, "cpu", "float32")}
    assert holds == {"a2 / tandem-one": True, "b1 / tandem-one": False}, holds
    assert [bar["least"] for bar in judged(times, "cuda:0", "bfloat16")] == [5.0, 2.0]
    assert judged(times, "cpu", "float16") == []


def test_precision_and_network(folder: Path) -> None:
    result = folder / "out.json"
    small = ("--width", 4, "--batch", 2, "--threads", 1, "--rounds", 2, "--steps", 2, "--json", result)
    choice = ("--network", "sn-resnet", "--precision", "bfloat16", "--peers")
    code, table, errors = run("--tandem", stand_in(folder, "right"), *small, *choice)
    assert code == 0, errors
    found = json.loads(result.read_text())
    one = found["contestants"]["tandem-one"]
    assert one["precision"] == found["precision"] == "bfloat16" and found["work"]["size"] == 32, found
    assert abs(one["share_of_gemm"] * 200 / one["gflop_per_s"] - 1) < 1e-9, one
    assert one["memory"]["device_peak_mb"] == 9.0 and "device MB" in table, table
    drawn = subprocess.run(
        [sys.executable, str(Path(side_by_side.__file__).with_name("plot.py")), str(result), "--out", folder / "p.png"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    # matplotlib is for the plot alone: where it is missing, the script must say so.
    assert (folder / "p.png").is_file() or "pip install matplotlib" in drawn.stderr, drawn.stderr


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
    result = folder / "out.json"
    some = ("--tandem", stand_in(folder, "two-dies"), *SMALL, "--peers", "--rounds", 1, "--json", result)
    code, table, errors = run(*some, "--keep-going")
    found = json.loads(result.read_text())
    assert code == 2 and list(found["contestants"]) == ["tandem-one"], errors
    assert "out of memory" in found["failed"]["tandem-two"] and "FAILED" in table, table


def trained(folder: Path) -> None:
    """What the stand-in's `train` and `sample` hand out."""
    generator = dcgan.Generator(32, 1, 16, 12)
    save_file(generator.state_dict(), folder / "generator.safetensors")
    doubled = {name: 2 * t for name, t in generator.state_dict().items()}
    save_file(doubled, folder / "other.safetensors")
    latents = torch.randn(3, 12)
    images = generator.eval()(latents).detach()
    save_file({"latents": latents, "images": images}, folder / "samples.safetensors")


def test_gpu(folder: Path) -> None:
    trained(folder)
    out = folder / "gpu"
    args = ["--tandem", stand_in(folder, "right"), "--plugins", folder, "--out", out, "--device", "cpu"]
    with redirect_stdout(StringIO()) as said:
        code = gpu.main([*map(str, args), "--rounds", "2", "--steps", "2", "--", *SMALL, "--peers"])
    assert code == 0, said.getvalue()
    found = json.loads((out / "gpu.json").read_text())
    assert all(row["ok"] for row in found["checks"]) and len(found["checks"]) == 8, found
    assert set(found["bench"]) == {"float32", "bfloat16"} and "b1-tiny" in found["bench"]["float32"]["contestants"]
    args[1], args[5] = stand_in(folder, "wrong"), folder / "wrong"
    wrong = gpu.arguments([str(arg) for arg in args])
    with redirect_stdout(StringIO()) as said:
        row = gpu.attempt("plugins", lambda: gpu.check_plugins(gpu.Machine(wrong), wrong, "cpu"))
        deterministic = gpu.attempt("bytes", lambda: gpu.check_deterministic(gpu.Machine(wrong), wrong))
        graph = gpu.attempt("graph", lambda: gpu.check_graph(gpu.Machine(wrong), wrong))
    assert not row.ok and "0.001" in row.detail, said.getvalue()
    assert not deterministic.ok and "differ" in deterministic.detail, said.getvalue()
    assert not graph.ok and "differs by 1.0e+00" in graph.detail, said.getvalue()


def main() -> None:
    real_probe = side_by_side.probe
    for test in (test_ratios, test_bars, test_precision_and_network, test_misbehaviour, test_gpu):
        side_by_side.probe = real_probe if test is test_ratios else lambda *_: CEILINGS
        with tempfile.TemporaryDirectory() as folder:
            test(Path(folder))
        print(f"{test.__name__} passed", flush=True)


if __name__ == "__main__":
    main()
