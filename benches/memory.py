"""How much memory a process holds, as Linux counts it: the same way for every contestant on the CPU."""

from __future__ import annotations

from pathlib import Path


def status_mb(pid: int, key: str) -> float:
    """`VmRSS`, what the process holds now, or `VmHWM`, its peak; NaN where there is no such line."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024 / 1e6
    except OSError:
        pass
    return float("nan")


def forget_peak(pid: int) -> bool:
    """Has the peak start again from what the process holds now, so that neither imports nor compilers count."""
    try:
        Path(f"/proc/{pid}/clear_refs").write_text("5", encoding="utf-8")
    except OSError:
        return False
    return True
