"""Trains `mnist-classifier-v1`, the extractor of digits' features that ships with Tandem, and writes it as TorchScript.

usage: mnist_classifier.py MNIST_FOLDER OUT.pt      (needs Python 3.11, torch 2.11 and numpy; about 3 minutes on one thread)

MNIST_FOLDER holds the four IDX files, gzipped or not. The module takes uint8 [n, 3, h, w] and gives a pair: features,
float32 [n, 128], and logits, float32 [n, 10]. It takes the mean of the channels, brings images that are not 32x32 to
32x32 (bilinear, antialiased), and maps v to v / 127.5 - 1. Digits of 28x28 are learned inside a black border, as
Tandem's 32x32 data set has them, and stretched, as its 64x64 one has them, moved, turned and scaled a little.
The seed is fixed and one thread computes, so one version of PyTorch on one kind of CPU gives the same file again.
Prints the accuracy on the 10,000 test images, of both forms.
"""
import gzip
import math
import pathlib
import sys

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

SEED = 1
EPOCHS = 4
BATCH = 128
RATE = 4e-3


class Classifier(nn.Module):
    """Five convolutions; the mean over space is the features."""

    def __init__(self):
        super().__init__()

        def block(cin, cout, size, stride):
            return [nn.Conv2d(cin, cout, size, stride, size // 2, bias=False), nn.BatchNorm2d(cout), nn.ReLU(inplace=True)]

        self.body = nn.Sequential(
            *block(1, 16, 5, 2),
            *block(16, 32, 3, 1),
            *block(32, 64, 3, 2),
            *block(64, 128, 3, 2),
            *block(128, 128, 3, 1),
        )
        self.logits = nn.Linear(128, 10)

    def forward(self, grey):
        features = self.body(grey).mean((2, 3))
        return features, self.logits(features)


class Extractor(nn.Module):
    """What is written: 8-bit images in, features and logits out."""

    def __init__(self, classifier):
        super().__init__()
        self.classifier = classifier

    def forward(self, images):
        grey = images.to(torch.float32).mean(1, keepdim=True)
        if grey.size(2) != 32 or grey.size(3) != 32:
            grey = F.interpolate(grey, size=[32, 32], mode="bilinear", align_corners=False, antialias=True)
        return self.classifier(grey / 127.5 - 1.0)


def idx(folder, name):
    path = pathlib.Path(folder) / name
    data = gzip.decompress(path.with_name(name + ".gz").read_bytes()) if not path.exists() else path.read_bytes()
    rank = data[3]
    shape = np.frombuffer(data, ">i4", rank, 4)
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=4 + 4 * rank).reshape(shape).copy())


def split(folder, name):
    return idx(folder, f"{name}-images-idx3-ubyte"), idx(folder, f"{name}-labels-idx1-ubyte").long()


def distorted(images, generator):
    """28x28 digits as 32x32: scaled, turned and moved by chance, over all that both forms of the data set have."""
    n = len(images)

    def uniform(low, high):
        return low + (high - low) * torch.rand(n, generator=generator)

    angle = uniform(-10, 10) * math.pi / 180
    # In affine_grid's terms: how much of the 28x28 image 32 pixels span. 32/28 is the border, 1 the stretched form.
    scale = uniform(0.97, 1.18)
    shift = [uniform(-0.08, 0.08) for _ in range(2)]
    cos, sin = scale * torch.cos(angle), scale * torch.sin(angle)
    theta = torch.stack([torch.stack([cos, -sin, shift[0]], 1), torch.stack([sin, cos, shift[1]], 1)], 1)
    grid = F.affine_grid(theta, [n, 1, 32, 32], align_corners=False)
    return F.grid_sample(images.float()[:, None] / 127.5, grid, align_corners=False) - 1.0


def accuracy(module, images, labels):
    right = 0
    with torch.no_grad():
        for some, of_some in zip(images.split(500), labels.split(500)):
            right += (module(some.expand(-1, 3, -1, -1))[1].argmax(1) == of_some).sum().item()
    return right / len(labels)


def main(folder, out):
    torch.set_num_threads(1)
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    images, labels = split(folder, "train")
    net = Classifier()
    optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=EPOCHS * (len(labels) // BATCH))
    for epoch in range(EPOCHS):
        order = torch.randperm(len(labels), generator=generator)
        for some in order[: len(labels) // BATCH * BATCH].split(BATCH):
            loss = F.cross_entropy(net(distorted(images[some], generator))[1], labels[some], label_smoothing=0.05)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
        print(f"epoch {epoch + 1}: loss {loss.item():.4f}", flush=True)
    extractor = torch.jit.script(Extractor(net).eval())
    extractor = torch.jit.freeze(extractor)
    torch.jit.save(extractor, out)
    loaded = torch.jit.load(out)
    images, labels = split(folder, "t10k")
    bordered = F.pad(images[:, None], [2, 2, 2, 2])
    stretched = F.interpolate(images[:, None].float(), size=[64, 64], mode="bilinear", antialias=True).round().to(torch.uint8)
    print(f"test accuracy: {accuracy(loaded, bordered, labels):.4f} at 32x32, {accuracy(loaded, stretched, labels):.4f} at 64x64")


if __name__ == "__main__":
    main(*sys.argv[1:])
