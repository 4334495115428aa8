#!/usr/bin/env python3
"""Whatever ends a run, the run that goes on from it ends in the same bytes.

    kill_and_resume.py TANDEM CONFIG [--times 100] [--seed 0] [--keep FOLDER] [--set key=value ...]

Trains CONFIG once undisturbed. Then, `--times` times, in a directory of its own: trains it again, interrupts it at a random moment
(and, a third of the time each, what goes on from there once or twice more), goes on with `--resume` to the end, and compares with
the undisturbed run: every file of each of its checkpoints and its samples byte for byte, and each line of metrics.jsonl but for
what was timed. An interruption is SIGKILL, SIGTERM, SIGINT or SIGHUP, at times two of them at once. In half of the trials nobody
reads stderr: it is a pipe without a reader, or closed.

Take a config of a few seconds: a moment is drawn from the time that the undisturbed run took. Needs Python's standard library
alone. Exit codes: 0 all are equal, 1 one is not (its directories are kept and named), 2 usage.
"""

import argparse
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

SIGNALS = [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP]
# How a process may end that was interrupted: saved and left, done, or gone by a signal (which is negative here).
SAVED, DONE = 130, 0
TIMED = {"steps_per_second", "images_per_second", "data_wait"}
# What tells of processes rather than of training.
OF_PROCESSES = {"log", "lock", "sessions.jsonl", "metrics.jsonl", "tensorboard"}
# One line for each step, so that an interruption makes no line that the undisturbed run has not; nothing that is compared is removed.
ALWAYS = ["log_every=1", "keep_checkpoints=0", "threads=1"]


class Unequal(Exception):
    """A trial that did not end as it should."""


class Subject:
    """The binary and the settings, and how a process of it is started."""

    def __init__(self, tandem, config, sets):
        self.command = [tandem, "train", config]
        for pair in ALWAYS + sets:
            self.command += ["--set", pair]
        self.environment = dict(os.environ, OMP_NUM_THREADS="1")

    def start(self, out, stderr):
        # A directory without a configuration is no run yet.
        command = self.command + ["--out", str(out)] + (["--resume"] if (out / "config.toml").exists() else [])
        options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "env": self.environment}
        if stderr == "closed":
            return subprocess.Popen(command, preexec_fn=lambda: os.close(2), **options)
        if stderr == "unread":
            read, write = os.pipe()
            os.close(read)
            try:
                return subprocess.Popen(command, stderr=write, **options)
            finally:
                os.close(write)
        with open(out.with_suffix(".stderr"), "ab") as log:
            return subprocess.Popen(command, stderr=log, **options)


def interrupt(process, moment, chance):
    """Signals a process after so many seconds; the names of what was sent, or nothing if it had ended before."""
    try:
        process.wait(moment)
        return []
    except subprocess.TimeoutExpired:
        pass
    sent = chance.choices(SIGNALS, k=chance.choice([1, 1, 1, 2]))
    for one in sent:
        process.send_signal(one)
        time.sleep(chance.random() * 0.02)
    return [one.name for one in sent]


def ended(process):
    try:
        return process.wait(120)
    except subprocess.TimeoutExpired:
        process.kill()
        raise Unequal("it did not end within two minutes of its signal") from None


def trial(subject, out, seconds, stderr, chance):
    """Interrupts and goes on, to the end; what was sent."""
    sent = []
    for _ in range(chance.choice([1, 2, 3])):
        process = subject.start(out, stderr)
        names = interrupt(process, chance.random() * seconds, chance)
        sent += names
        code = ended(process)
        if code == DONE:
            # It was quicker than the moment, or than its signal.
            continue
        if code != SAVED and not (code < 0 and signal.Signals(-code).name in names):
            raise Unequal(f"it ended with exit code {code} after {', '.join(names) or 'no signal'}")
    process = subject.start(out, stderr)
    process.wait()
    if process.returncode != DONE:
        raise Unequal(f"what went on ended with exit code {process.returncode}")
    return sent


def metrics(run):
    lines = (run / "metrics.jsonl").read_text().splitlines()
    return [{key: value for key, value in json.loads(line).items() if key not in TIMED} for line in lines]


def content(path):
    """A file's bytes without what was timed: the sum of `seconds` is of a time, too."""
    if path.name == "SHA256SUMS":
        return b"".join(line for line in path.read_bytes().splitlines(True) if not line.endswith(b"  seconds\n"))
    return path.read_bytes()


def compare(whole, run):
    for path in sorted(whole.rglob("*")):
        name = path.relative_to(whole)
        if path.is_dir() or path.name == "seconds" or name.parts[0] in OF_PROCESSES:
            continue
        if not (run / name).is_file():
            raise Unequal(f"{name} is missing")
        if content(path) != content(run / name):
            raise Unequal(f"{name} differs")
    if metrics(whole) != metrics(run):
        raise Unequal("metrics.jsonl differs")
    left = [path for path in run.rglob("*.tmp")]
    if left:
        raise Unequal(f"{left[0].relative_to(run)} was left")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("tandem")
    parser.add_argument("config")
    parser.add_argument("--times", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="sets", metavar="key=value")
    parser.add_argument("--keep", type=Path, help="work in this folder and leave everything there")
    asked = parser.parse_args()
    root = asked.keep or Path(tempfile.mkdtemp(prefix="kill-and-resume."))
    root.mkdir(parents=True, exist_ok=True)
    subject = Subject(os.path.abspath(asked.tandem), os.path.abspath(asked.config), asked.sets)
    whole = root / "whole"
    begun = time.monotonic()
    process = subject.start(whole, "file")
    if process.wait() != DONE:
        print(f"the undisturbed run failed: {whole.with_suffix('.stderr').read_text()}", file=sys.stderr)
        return 2
    seconds = time.monotonic() - begun
    print(f"undisturbed: {seconds:.1f} s; seed {asked.seed}", flush=True)
    told, failed = Counter(), 0
    for number in range(asked.times):
        chance = random.Random(f"{asked.seed} {number}")
        stderr = ["file", chance.choice(["unread", "closed"])][number % 2]
        out, sent = root / f"cut-{number}", []
        try:
            while not sent:
                # One that was quicker than its moment was not interrupted: again.
                shutil.rmtree(out, ignore_errors=True)
                sent = trial(subject, out, seconds, stderr, chance)
            compare(whole, out)
            told.update(sent)
            if not asked.keep:
                shutil.rmtree(out)
        except Unequal as what:
            failed += 1
            print(f"trial {number} (stderr {stderr}): {what}; see {out} and {whole}", flush=True)
    sent = ", ".join(f"{count} {name}" for name, count in sorted(told.items()))
    print(f"{asked.times - failed} of {asked.times} are equal, after {sent}")
    if failed:
        return 1
    if not asked.keep:
        shutil.rmtree(root)
    return 0


if __name__ == "__main__":
    sys.exit(main())
