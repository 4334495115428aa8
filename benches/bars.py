"""What the project promises: least ratios of times, by device and precision; and whether a run keeps them."""

from __future__ import annotations

from statistics import median
from typing import Any

# (device, precision) -> [(slower, faster, least)], for every network and size. The authors' scripts always run in
# float32, so a ratio of `a2` in a bfloat16 run is over their float32.
BARS: dict[tuple[str, str], list[tuple[str, str, float]]] = {
    ("cpu", "float32"): [
        ("a2", "tandem-one", 1.6),
        ("a1", "tandem-one", 1.2),
        ("b2", "tandem-one", 1.3),
        ("b1", "tandem-one", 1.0),
        ("b1-joined", "tandem-one", 1.0),
        ("b2-compiled", "tandem-one", 1.0),
        ("b1-compiled", "tandem-one", 1.0),
    ],
    ("cpu", "bfloat16"): [("a2", "tandem-one", 2.7)],
    ("cuda", "bfloat16"): [
        ("a2", "tandem-one", 5.0),
        ("b1", "tandem-one", 2.0),
        ("b1-compiled", "tandem-one", 1.2),
        ("b1-graph", "tandem-one", 1.2),
    ],
}

Times = dict[str, list[float]]


def summary(values: list[float]) -> dict[str, float]:
    return {"median": median(values), "min": min(values), "max": max(values)}


def ratios(times: Times, reference: str) -> dict[str, dict[str, float]]:
    """How many times as long as `reference` each one takes, formed round by round."""
    return {name: summary([a / b for a, b in zip(mine, times[reference], strict=True)]) for name, mine in times.items()}


def judged(times: Times, device: str, precision: str) -> list[dict[str, Any]]:
    """The promises about contestants that ran, each with what was found and whether it holds."""
    promised = BARS.get((device.split(":")[0], precision), [])
    found = []
    for slow, fast, least in promised:
        if slow in times and fast in times:
            ratio = ratios(times, fast)[slow]
            holds = ratio["median"] >= least
            found.append({"ratio": f"{slow} / {fast}", "least": least, "found": ratio, "holds": holds})
    return found
