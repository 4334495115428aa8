"""Plots ms/step by contestant, with the fastest and the slowest round, of results that side_by_side.py wrote.

python benches/plot.py RESULT.json... --out FILE.png
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

try:
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot
    from matplotlib.axes import Axes
except ModuleNotFoundError:
    sys.exit("error: plot.py needs matplotlib: python -m pip install matplotlib")

COLOURS = {"tandem": "tab:orange", "a": "tab:grey", "b": "tab:blue"}


def colour(name: str) -> str:
    """Tandem, the authors' ways and the best ways each have their own."""
    return COLOURS["tandem" if name.startswith("tandem") else name[0]]


def draw(axes: Axes, result: dict[str, Any]) -> None:
    # The fixed cost's contestants do other work than the rest.
    rows = {name: row for name, row in result["contestants"].items() if "gflop_per_step" in row}
    times = [{key: 1e3 * t for key, t in row["seconds_per_step"].items()} for row in rows.values()]
    middles = [t["median"] for t in times]
    errors = [[t["median"] - t["min"] for t in times], [t["max"] - t["median"] for t in times]]
    axes.barh(list(rows), middles, xerr=errors, capsize=3, color=[colour(name) for name in rows])
    labels = [
        f"{middle:.1f} ms, {row['images_per_s']:.0f}/s" for middle, row in zip(middles, rows.values(), strict=True)
    ]
    for i, (t, label) in enumerate(zip(times, labels, strict=True)):
        axes.annotate(label, (t["max"], i), (6, 0), textcoords="offset points", va="center", size=8)
    axes.invert_yaxis()
    # Room for the labels.
    axes.set_xlim(0, 1.25 * max(t["max"] for t in times))
    axes.set_xlabel("ms/step, median; lines from the fastest to the slowest round")
    work, machine = result["work"], result["machine"]
    precision = result["precision"] + (" (a*: float32)" if result["precision"] != "float32" else "")
    sizes = f"{work['size']} px, width {work['width']}, batch {work['batch']}"
    axes.set_title(
        f"{work['network']}, {sizes}, {precision}\n{machine['device']}, {machine['threads']} threads", size=10
    )


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="plot results of side_by_side.py")
    parser.add_argument("results", nargs="+", type=Path, metavar="RESULT.json")
    parser.add_argument("--out", type=Path, required=True, metavar="FILE.png")
    args = parser.parse_args(argv)
    try:
        results = [json.loads(path.read_text(encoding="utf-8")) for path in args.results]
        heights = [1.3 + 0.32 * len(result["contestants"]) for result in results]
        figure, all_axes = pyplot.subplots(
            len(results), figsize=(9, sum(heights)), squeeze=False, height_ratios=heights, layout="constrained"
        )
        for axes, result in zip(all_axes[:, 0], results, strict=True):
            draw(axes, result)
        figure.savefig(args.out, dpi=150)
    except (OSError, ValueError, KeyError, TypeError) as error:
        print(f"error: not results of side_by_side.py, or no place to write to: {error!r}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
