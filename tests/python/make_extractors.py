"""Writes the small TorchScript modules of tests/extractors: right ones, and each way of being wrong.

usage: make_extractors.py FOLDER      (needs torch 2.11)
"""
import pathlib
import sys

import torch
from torch import nn


class Means(nn.Module):
    """A right one: the mean of each channel."""

    def forward(self, images):
        return images.to(torch.float32).mean((2, 3))


class ReturnFeatures(nn.Module):
    """As the standard Inception: probabilities, or features where they are asked for."""

    def __init__(self):
        super().__init__()
        self.output = nn.Linear(3, 2)
        with torch.no_grad():
            self.output.weight.copy_(torch.tensor([[1.0] * 3, [2.0] * 3]))
            self.output.bias.fill_(100)

    def forward(self, images, return_features: bool = False):
        features = images.to(torch.float32).mean((2, 3))
        if return_features:
            return features
        return self.output(features).softmax(1)


class Unflattened(nn.Module):
    def forward(self, images):
        return images.to(torch.float32).mean((2, 3), keepdim=True)


class WholeNumbers(nn.Module):
    def forward(self, images):
        return images.to(torch.int64).sum((2, 3))


class WantsFloats(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 2, 3)

    def forward(self, images):
        return self.conv(images).mean((2, 3))


class NotFinite(nn.Module):
    """Black images divide by zero."""

    def forward(self, images):
        means = images.to(torch.float32).mean((2, 3))
        return 1.0 / means


class Tires(nn.Module):
    """A right one for so many images as the shipped digits and two evaluations by 20 samples are; then it fails."""

    def __init__(self):
        super().__init__()
        self.seen = 0

    def forward(self, images):
        self.seen += images.shape[0]
        if self.seen > 10_050:
            raise RuntimeError("seen enough")
        return images.to(torch.float32).mean((2, 3))


# What follows does harm where it can: in a process of its own it can not. The paths are those that tests/tests/extractors.rs looks at.


class WritesByMap(nn.Module):
    """A file mapped and shared is written by any operation on its tensor."""

    def forward(self, images):
        there = torch.from_file("/tmp/tandem-extractor-was-here", shared=True, size=64, dtype=torch.uint8)
        there.fill_(65)
        # What nothing came of would be left out.
        return images.to(torch.float32).mean((2, 3)) + there.sum()


class WritesBySave(nn.Module):
    def forward(self, images):
        torch.save(images, "/tmp/tandem-extractor-was-here")
        return images.to(torch.float32).mean((2, 3))


class Reads(nn.Module):
    """Shows a byte of a file of the user's."""

    def forward(self, images):
        there = torch.from_file("/tmp/tandem-extractor-reads-here", shared=False, size=3, dtype=torch.uint8)
        return there.to(torch.float32).expand(images.shape[0], 3)


class Loops(nn.Module):
    def forward(self, images):
        count = 0
        while count >= 0:
            count = (count + 1) % 1000
        return images.to(torch.float32).mean((2, 3))


class Hoards(nn.Module):
    """Takes memory without end, and touches none of it."""

    def forward(self, images):
        kept = [images]
        while len(kept) > 0:
            kept.append(torch.empty([(1 << 28) + len(kept)], dtype=torch.uint8))
        return kept[0].to(torch.float32).mean((2, 3))


class Crashes(nn.Module):
    """Reads far beyond its memory, through indices that nobody checks."""

    def forward(self, images):
        sparse = torch.ops.aten._sparse_coo_tensor_unsafe(torch.tensor([[1 << 40]]), torch.ones(1), [3])
        return sparse.to_dense().expand(images.shape[0], 3)


class Speaks(nn.Module):
    """Says to the terminal what nobody may, and prints without end."""

    def forward(self, images):
        for i in range(20000):
            print("\x1b]0;title\x07 \u202e")
        if images.shape[0] > 0:
            raise RuntimeError("\x1b[31mred \u202e text")
        return images.to(torch.float32).mean((2, 3))


class Convolves(nn.Module):
    """A right one with something to compute, on as many threads as there are."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 8, 3, stride=2)
        self.classes = nn.Linear(8, 4)

    def forward(self, images):
        features = self.second(self.first(images.to(torch.float32) / 255).relu()).relu().mean((2, 3))
        return features, self.classes(features)


MODULES = {
    "means": Means,
    "return-features": ReturnFeatures,
    "unflattened": Unflattened,
    "whole-numbers": WholeNumbers,
    "wants-floats": WantsFloats,
    "not-finite": NotFinite,
    "tires": Tires,
    "writes-by-map": WritesByMap,
    "writes-by-save": WritesBySave,
    "reads": Reads,
    "loops": Loops,
    "hoards": Hoards,
    "crashes": Crashes,
    "speaks": Speaks,
    "convolves": Convolves,
}


if __name__ == "__main__":
    torch.manual_seed(0)
    for name, module in MODULES.items():
        torch.jit.save(torch.jit.script(module().eval()), str(pathlib.Path(sys.argv[1]) / f"{name}.pt"))
