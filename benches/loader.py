"""A folder of photographs into 64x64 images: `tandem data prepare` beside torchvision's DataLoader, turn by turn.

    python benches/loader.py --tandem target/release/tandem FOLDER...      # needs torch, torchvision, pillow
    python benches/loader.py --crops FROM 2000 500x375 FOLDER              # makes a folder of JPEG crops to try it on

Tandem's time is taken twice. Whole is that of its process: start, decode, resize, sum, write and sync the cache. Work is
what the process itself says it took (`seconds` of `--json`): the same without the start, a good quarter of a second of
libtorch's static initialisers, and without the reading of the configuration. PyTorch's is one pass over a DataLoader with
as many worker processes as cores that decodes with Pillow (the default; with pillow-simd where that is installed), resizes
antialiased and hands out batches of uint8; the start of Python and importing torch, seconds, are not in it, nothing is
written. So the ratio of work leaves out either side's start and is the one to read for small folders; that of whole
leaves out PyTorch's alone. Both take the central square. A ratio is formed within a round; below 1 Tandem is slower.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

try:
    from PIL import Image
except ModuleNotFoundError:
    sys.exit("error: loader.py needs pillow, and torchvision to compare with: python -m pip install pillow torchvision")

SIZE = 64
BATCH = 64


def photographs(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg"})


class Photographs:
    """A data set as ImageFolder's loader reads it; at the top, so that workers can unpickle it."""

    def __init__(self, paths: list[Path]) -> None:
        from torchvision.transforms import v2

        self.paths = paths
        self.transform = v2.Compose([v2.Resize(SIZE, antialias=True), v2.CenterCrop(SIZE), v2.PILToTensor()])

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int):
        with open(self.paths[index], "rb") as file:
            return self.transform(Image.open(file).convert("RGB"))


def with_torchvision(folder: Path, workers: int) -> float:
    from torch.utils.data import DataLoader

    data = Photographs(photographs(folder))
    begun = time.perf_counter()
    seen = sum(len(batch) for batch in DataLoader(data, batch_size=BATCH, num_workers=workers))
    elapsed = time.perf_counter() - begun
    assert seen == len(data)
    return elapsed


def with_tandem(tandem: Path, folder: Path) -> tuple[float, float]:
    """Seconds of the whole process, and of its work."""
    with tempfile.TemporaryDirectory() as cache:
        keys = {"kind": '"folder"', "path": f'"{folder}"', "cache": f'"{cache}"', "image_size": SIZE, "channels": '"rgb"'}
        keys |= {"crop": '"resize-center"', "use_labels": "false"}
        sets = [word for key, value in keys.items() for word in ("--set", f"data.{key}={value}")]
        begun = time.perf_counter()
        done = subprocess.run([tandem, "data", "prepare", "--json", *sets], check=True, stdout=subprocess.PIPE)
        return time.perf_counter() - begun, json.loads(done.stdout)["seconds"]


def rounds(tandem: Path, folder: Path, count: int, workers: int) -> Iterator[tuple[float, float, float]]:
    # Both once for nothing, so that the files lie in the system's memory for each.
    with_tandem(tandem, folder)
    with_torchvision(folder, workers)
    for _ in range(count):
        yield *with_tandem(tandem, folder), with_torchvision(folder, workers)


def summary(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f} .. {max(ratios):.2f})"


def crops(source: Path, count: int, size: str, target: Path) -> None:
    """JPEGs cut out of larger ones, at the places that seed 0 gives."""
    width, height = map(int, size.split("x"))
    draw = random.Random(0)
    found = photographs(source)
    target.mkdir(parents=True)
    for number in range(count):
        with Image.open(found[number % len(found)]) as image:
            x, y = draw.randint(0, image.width - width), draw.randint(0, image.height - height)
            cut = image.convert("RGB").crop((x, y, x + width, y + height))
        cut.save(target / f"{number:05}.jpg", quality=90)


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="tandem data prepare beside torchvision's DataLoader")
    parser.add_argument("folders", type=Path, nargs="*", metavar="FOLDER")
    parser.add_argument("--tandem", type=Path, default=Path("target/release/tandem"))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--crops", nargs=4, metavar=("FROM", "COUNT", "SIZE", "FOLDER"))
    args = parser.parse_args(argv)
    if args.crops:
        source, count, size, target = args.crops
        crops(Path(source), int(count), size, Path(target))
        return 0
    results = []
    for folder in map(Path.absolute, args.folders):
        count = len(photographs(folder))
        if count == 0:
            sys.exit(f"error: {folder} holds no JPEG")
        times = list(rounds(args.tandem.absolute(), folder, args.rounds, args.workers))
        whole = [theirs / process for process, _, theirs in times]
        work = [theirs / own for _, own, theirs in times]
        process, own, theirs = (count / median(column) for column in zip(*times, strict=True))
        results.append({"folder": folder.name, "images": count, "seconds": times, "whole": whole, "work": work})
        print(
            f"{folder.name}: {count} images, {args.workers} workers, images/s: tandem {process:.0f} whole, {own:.0f} work, "
            f"torchvision {theirs:.0f}; ratio {summary(whole)} whole, {summary(work)} work"
        )
    if args.json:
        args.json.write_text(json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
