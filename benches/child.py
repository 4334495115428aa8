"""A contestant's process and its line protocol, the same for `tandem __steps` and for the PyTorch peers.

The child prints `ready`; for each line `K` on its stdin it runs K training steps and prints one JSON line
`{"seconds": s, "steps": K}`, to which it may add `peak_mb`, the peak of its tensors on its device; it ends when its
stdin closes. Its stderr is kept and shown if it fails.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import threading
from types import TracebackType
from typing import IO

from memory import forget_peak, status_mb


class ChildError(Exception):
    """A contestant that does not keep to the protocol, with what it said last."""


class Child:
    def __init__(self, name: str, command: list[str], threads: int, timeout: float = 300.0) -> None:
        self.name = name
        self.timeout = timeout
        # The largest `peak_mb` that the child has told.
        self.device_peak_mb: float | None = None
        self.errors: IO[str] = tempfile.TemporaryFile("w+", encoding="utf-8")
        count = {key: str(threads) for key in ("OMP_NUM_THREADS", "MKL_NUM_THREADS")}
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                text=True,
                env=os.environ | count,
            )
        except OSError as error:
            raise ChildError(f"{name}: cannot start {command[0]}: {error}") from error
        line = self._line()
        if line != "ready":
            raise self._error(f"expected `ready`, found {line!r}")
        # MB in this machine's memory: networks built, not one step done; and before the first round, once known.
        self.at_ready_mb = status_mb(self.process.pid, "VmRSS")
        self.before_rounds_mb = float("nan")
        self.peak_of_rounds = False

    def warm_up(self, steps: int) -> None:
        """The steps that do not count: their memory neither, where Linux lets us forget its peak."""
        self.run(steps)
        self.before_rounds_mb = status_mb(self.process.pid, "VmRSS")
        self.peak_of_rounds = forget_peak(self.process.pid)

    def memory(self) -> dict[str, float | bool | None]:
        """MB, of the process and, if it says so, of its device; to be asked before the child ends."""
        peak = status_mb(self.process.pid, "VmHWM")
        return {
            "at_ready_mb": self.at_ready_mb,
            "before_rounds_mb": self.before_rounds_mb,
            "peak_mb": peak,
            "peak_over_ready_mb": peak - self.at_ready_mb,
            "peak_of_rounds_only": self.peak_of_rounds,
            "device_peak_mb": self.device_peak_mb,
        }

    def run(self, steps: int) -> float:
        """Seconds that `steps` steps took, by the child's own clock."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.write(f"{steps}\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise self._error("it has ended") from None
        line = self._line()
        try:
            answer = json.loads(line)
            ran, seconds = int(answer["steps"]), float(answer["seconds"])
            if "peak_mb" in answer:
                self.device_peak_mb = max(self.device_peak_mb or 0.0, float(answer["peak_mb"]))
        except (ValueError, KeyError, TypeError):
            raise self._error(f"expected seconds and steps as JSON, found {line!r}") from None
        if ran != steps or not seconds > 0:
            raise self._error(f"asked for {steps} steps, it answered {line!r}")
        return seconds

    def _line(self) -> str:
        """The next line; a child that says nothing for too long is killed."""
        assert self.process.stdout is not None
        watchdog = threading.Timer(self.timeout, self.process.kill)
        watchdog.start()
        try:
            return self.process.stdout.readline().rstrip("\n")
        finally:
            watchdog.cancel()

    def _error(self, what: str) -> ChildError:
        self.close()
        self.errors.seek(0)
        tail = self.errors.read()[-2000:]
        return ChildError(f"{self.name}: {what}; exit code {self.process.returncode}; its last words:\n{tail}")

    def close(self) -> None:
        """End the child: by its closed stdin, or by force where that does not help."""
        assert self.process.stdin is not None
        try:
            self.process.stdin.close()
        except BrokenPipeError:
            pass
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def __enter__(self) -> Child:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()
