"""A run's result as a table to read."""

from __future__ import annotations

from typing import Any


def spread(values: dict[str, float], scale: float, digits: int) -> str:
    middle, low, high = (f"{scale * values[key]:.{digits}f}" for key in ("median", "min", "max"))
    return f"{middle} ({low} .. {high})"


def heading(result: dict[str, Any]) -> list[str]:
    machine = result["machine"]
    work = ", ".join(f"{key} {value}" for key, value in result["work"].items())
    gemm = ", ".join(f"{name} {rate:.0f}" for name, rate in machine["gemm_gflop_per_s"].items())
    lines = [
        f"{machine['device']}, {machine['threads']} threads, torch {machine['torch']}; {work}; {result['precision']}",
        f"ceilings: GEMM in GFLOP/s: {gemm}; copy {machine['copy_gb_per_s']:.1f} GB/s",
        f"{result['rounds']} rounds of {result['steps']} steps; median (min .. max)",
        "MB: the peak in the rounds, and that less what the process held before its first step",
    ]
    if any(row["precision"] != result["precision"] for row in result["contestants"].values()):
        lines.append("the authors' steps (a*) always run in float32, as their scripts do; % is of each one's own GEMM")
    return lines


def line(name: str, row: dict[str, Any]) -> str:
    cells = [f"{name:<16}", f"{spread(row['seconds_per_step'], 1e3, 2):>28}", f"{spread(row['ratio'], 1, 3):>23}"]
    cells.append(f"{row['images_per_s']:>9.1f}")
    if "gflop_per_s" in row:
        share = 100 * row["share_of_gemm"]
        cells.append(f"{row['gflop_per_step']:>7.1f} {row['gflop_per_s']:>9.1f} {share:>5.0f}%")
    else:
        cells.append(" " * 24)
    memory = row["memory"]
    cells.append(f"{memory['peak_mb']:>7.0f} {memory['peak_over_ready_mb']:>7.0f}")
    if memory["device_peak_mb"] is not None:
        cells.append(f"{memory['device_peak_mb']:>9.0f}")
    return " ".join(cells)


def print_table(result: dict[str, Any]) -> None:
    print("\n".join(heading(result)) + "\n")
    rows = result["contestants"]
    device = f" {'device MB':>9}" if any(r["memory"]["device_peak_mb"] is not None for r in rows.values()) else ""
    over = f"over {result['reference']}"
    head = f"{'contestant':<16} {'ms/step':>28} {over:>23} {'images/s':>9} {'GFLOP':>7} {'GFLOP/s':>9} {'GEMM':>6}"
    print(f"{head} {'peak MB':>7} {'- start':>7}{device}")
    for name, row in rows.items():
        print(line(name, row))
    for name, why in result["failed"].items():
        print(f"{name:<16} FAILED: {why.splitlines()[0]}")
    for bar in result["bars"]:
        verdict = "holds" if bar["holds"] else "MISSED"
        print(f"{bar['ratio']} >= {bar['least']}: {spread(bar['found'], 1, 3)} {verdict}")
