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


MODULES = {
    "means": Means,
    "return-features": ReturnFeatures,
    "unflattened": Unflattened,
    "whole-numbers": WholeNumbers,
    "wants-floats": WantsFloats,
    "not-finite": NotFinite,
    "tires": Tires,
}


if __name__ == "__main__":
    torch.manual_seed(0)
    for name, module in MODULES.items():
        torch.jit.save(torch.jit.script(module().eval()), str(pathlib.Path(sys.argv[1]) / f"{name}.pt"))
