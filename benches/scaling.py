"""How a step's time grows with the batch, the width, the image and D's depth, against the cost model.

    python benches/scaling.py --tandem target/release/tandem --plugins target/release --json scaling.json --out scaling.png

Each point is one `tandem bench` (both ways of training, turn by turn). The line is the cost model: the FLOPs that
Tandem predicts for the point, at the rate measured at the panel's base point, so that line and points meet there by
construction and nowhere else. The images are noise of any size, made here. Needs pillow, and matplotlib for --out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image

CONFIG = Path(__file__).resolve().parent.parent / "configs" / "mnist-32" / "dcgan-non-saturating-one.toml"
SNGAN = CONFIG.with_name("sngan-non-saturating-one.toml")

# Per panel: its axis, the config, the settings that all points share, what varies, the values and the base point.
PANELS: dict[str, tuple[Path, list[str], str, list[Any], Any]] = {
    "batch": (CONFIG, ["options.width=64"], "batch_size={}", [16, 32, 64, 128, 256], 64),
    "width": (CONFIG, ["batch_size=64"], "options.width={}", [16, 32, 64, 96, 128], 64),
    "image, pixels a side (SNGAN's ResNets)": (
        SNGAN,
        ["batch_size=16", "options.width=64", 'options.network="resnet"'],
        "data.image_size={}",
        [32, 48, 64],
        32,
    ),
    "networks (weighted layers in D)": (
        SNGAN,
        ["batch_size=32", "options.width=64"],
        'options.network="{}"',
        ["dcgan", "sn-dcgan", "resnet"],
        "dcgan",
    ),
}
DEPTHS = {"dcgan": "dcgan (4)", "sn-dcgan": "sn-dcgan (8)", "resnet": "resnet (11)"}


def measure(tandem: Path, plugins: Path, config: Path, settings: list[str], rounds: int) -> dict[str, Any]:
    command = [str(tandem), "bench", str(config), "--json", "--rounds", str(rounds), "--steps", "1", "--warmup", "2"]
    for setting in settings:
        command += ["--set", setting]
    env = {**os.environ, "TANDEM_PLUGIN_PATH": str(plugins)}
    run = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        sys.exit(f"error: {' '.join(command)}\n{run.stderr}")
    report = json.loads(run.stdout)
    return {
        way["name"]: {"gflop": way["gflop_per_step"], **way["seconds_per_step"]} for way in report["ways"]
    } | {"device": report["device"]}


def noise(folder: Path, count: int, size: int) -> None:
    for i in range(count):
        Image.frombytes("RGB", (size, size), os.urandom(3 * size * size)).save(folder / f"{i}.png")


def run(args: argparse.Namespace) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        noise(Path(folder), 256, 128)
        return measured(args, ['data.kind="folder"', f'data.path="{folder}"'])


def measured(args: argparse.Namespace, data: list[str]) -> dict[str, Any]:
    result: dict[str, Any] = {"rounds": args.rounds, "panels": {}}
    for name, (config, shared, varied, values, base) in PANELS.items():
        points = {}
        for value in values:
            settings = [*data, *shared, varied.format(value)]
            points[str(value)] = measure(args.tandem, args.plugins, config, settings, args.rounds)
            one, two = points[str(value)]["one stage"], points[str(value)]["two stages, new fakes"]
            rate = one["gflop"] / one["median"]
            print(
                f"{name} {value}: one stage {1e3 * one['median']:.1f} ms ({rate:.0f} GFLOP/s), "
                f"two stages {1e3 * two['median']:.1f} ms ({two['median'] / one['median']:.2f}, "
                f"predicted {two['gflop'] / one['gflop']:.2f})",
                flush=True,
            )
        result["device"] = points[str(base)].pop("device")
        result["panels"][name] = {"base": str(base), "points": points}
    return result


def draw(result: dict[str, Any], out: Path) -> None:
    try:
        import matplotlib

        matplotlib.use("Agg")
        from matplotlib import pyplot
    except ModuleNotFoundError:
        sys.exit("error: --out needs matplotlib: python -m pip install matplotlib")
    figure, grid = pyplot.subplots(2, 2, figsize=(11, 8))
    colours = {"one stage": "tab:orange", "two stages, new fakes": "tab:grey"}
    for axes, (name, panel) in zip(grid.flat, result["panels"].items(), strict=True):
        labels = list(panel["points"])
        categories = labels[0] in DEPTHS
        places = list(range(len(labels))) if categories else [float(label) for label in labels]
        for way, colour in colours.items():
            points = [panel["points"][label][way] for label in labels]
            base = panel["points"][panel["base"]][way]
            errors = [[1e3 * (p["median"] - p["min"]) for p in points], [1e3 * (p["max"] - p["median"]) for p in points]]
            middles = [1e3 * p["median"] for p in points]
            axes.errorbar(places, middles, yerr=errors, fmt="o", capsize=3, color=colour, label=f"{way}, measured")
            model = [1e3 * p["gflop"] * base["median"] / base["gflop"] for p in points]
            axes.plot(places, model, "--", color=colour, linewidth=1, label="its cost model")
        axes.set_yscale("log")
        if categories:
            axes.set_xticks(places, [DEPTHS[label] for label in labels])
        else:
            axes.set_xscale("log", base=2)
            axes.set_xticks(places, labels)
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")
        axes.tick_params(axis="y", which="minor", labelsize=7)
        axes.set_xlabel(name)
        axes.set_ylabel("ms/step")
    grid.flat[0].legend(fontsize=8)
    figure.suptitle(f"A step's time against its FLOPs at the base point's rate ({result['device']})", size=11)
    figure.tight_layout()
    figure.savefig(out, dpi=120)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="how a step's time scales")
    parser.add_argument("--tandem", type=Path, required=True)
    parser.add_argument("--plugins", type=Path, required=True, help="the folder of the plugins")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path, required=True, help="where the figures go, or where they are with --plot-only")
    parser.add_argument("--plot-only", action="store_true", help="draw the figures of --json again")
    parser.add_argument("--out", type=Path, metavar="FILE.png")
    args = parser.parse_args(argv)
    result = json.loads(args.json.read_text()) if args.plot_only else run(args)
    args.json.write_text(json.dumps(result, indent=2) + "\n")
    if args.out:
        draw(result, args.out)
    return 0


if __name__ == "__main__":
    sys.exit(main())
