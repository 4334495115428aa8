"""Recomputes what `tandem eval` says, from the features that it wrote, and the features from the images.

usage: metrics_reference.py FEATURES.safetensors FIGURES.json [EXTRACTOR.pt]

FEATURES is what `tandem eval ... --features FEATURES` wrote: `generated_features` and `real_features` [n, d], where there are
such `generated_logits` [n, classes], and the images themselves, `generated_images` uint8 [n, c, h, w]. FIGURES is what
`tandem eval --json` printed. Each figure must agree: FID to 1e-6, KID and IS to 1e-9, the neighbours' figures to 1e-12.
With EXTRACTOR, the same TorchScript file in PyTorch must give the same features of the same images, to 1e-4 of their size.
Where torch-fidelity, prdc and scipy can be imported, they compute the figures, too.

Exit codes: 0 equal, 1 not equal, 2 a file cannot be used.
"""
import contextlib
import importlib.util
import io
import json
import sys
import unittest.mock

import numpy as np


def moments(features):
    features = np.asarray(features, np.float64)
    return features.mean(0), np.cov(features, rowvar=False)


def frechet(a, b):
    """Heusel et al. 2017, from the eigenvalues of S1^1/2 S2 S1^1/2."""
    (m1, s1), (m2, s2) = moments(a), moments(b)
    values, vectors = np.linalg.eigh(s1)
    root = (vectors * np.sqrt(np.clip(values, 0, None))) @ vectors.T
    product = root @ s2 @ root
    cross = np.sqrt(np.clip(np.linalg.eigvalsh((product + product.T) / 2), 0, None)).sum()
    return float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * cross)


def kernel(generated, real, subsets=100, size=1000, seed=2020):
    """Mean and deviation of the unbiased squared MMD over subsets."""
    generated, real = np.asarray(generated, np.float64), np.asarray(real, np.float64)
    random = np.random.RandomState(seed)
    values = []
    for _ in range(subsets):
        x = generated[random.choice(len(generated), size, replace=False)]
        y = real[random.choice(len(real), size, replace=False)]
        k_xx, k_yy, k_xy = ((a @ b.T / a.shape[1] + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
        within = sum((k.sum() - np.trace(k)) / (size * (size - 1)) for k in (k_xx, k_yy))
        values.append(within - 2 * k_xy.mean())
    return float(np.mean(values)), float(np.std(values))


def inception_score(logits, splits=10, seed=2020):
    logits = np.asarray(logits, np.float64)[np.random.RandomState(seed).permutation(len(logits))]
    logits = logits - logits.max(1, keepdims=True)
    log_p = logits - np.log(np.exp(logits).sum(1, keepdims=True))
    scores = []
    for i in range(splits):
        part = log_p[i * len(log_p) // splits : (i + 1) * len(log_p) // splits]
        p = np.exp(part)
        scores.append(np.exp((p * (part - np.log(p.mean(0)))).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def neighbours(real, generated, k):
    """Precision, recall, density and coverage."""

    def distances(a, b):
        squares = (a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * a @ b.T
        return np.sqrt(np.maximum(squares, 0))

    def radius(a):
        d = distances(a, a)
        np.fill_diagonal(d, 0)
        return np.partition(d, k, axis=1)[:, k]

    real, generated = np.asarray(real, np.float64), np.asarray(generated, np.float64)
    of_real, of_generated, d = radius(real), radius(generated), distances(real, generated)
    within = d < of_real[:, None]
    return [
        float(within.any(0).mean()),
        float((d < of_generated).any(1).mean()),
        float(within.sum(0).mean() / k),
        float((d.min(1) < of_real).mean()),
    ]


def quietly(compute, *args, **kwargs):
    with contextlib.redirect_stdout(io.StringIO()):
        return compute(*args, **kwargs)


def packages():
    """What the published packages compute, by metric; nothing for those that are not installed."""
    found = {}
    try:
        import scipy.linalg

        def of_scipy(a, b):
            (m1, s1), (m2, s2) = moments(a), moments(b)
            cross = np.trace(scipy.linalg.sqrtm(s1 @ s2)).real
            return float(((m1 - m2) ** 2).sum() + np.trace(s1) + np.trace(s2) - 2 * cross)

        found["scipy"] = {"fid": of_scipy}
    except ImportError:
        pass
    try:
        import torch

        # torch-fidelity imports torchvision for its extractors alone, which are not used here.
        if importlib.util.find_spec("torchvision") is None:
            for name in ("torchvision", "torchvision.transforms", "torchvision.transforms.functional", "torchvision.datasets"):
                sys.modules[name] = unittest.mock.MagicMock()
        from torch_fidelity import metric_fid, metric_isc, metric_kid

        def tensor(a):
            return torch.from_numpy(np.asarray(a, np.float64))

        def fid(a, b):
            of = [metric_fid.fid_features_to_statistics(tensor(x)) for x in (a, b)]
            return float(metric_fid.fid_statistics_to_metric(*of, False)["frechet_inception_distance"])

        def kid(a, b, subsets=100, size=1000):
            known = metric_kid.kid_features_to_metric(
                tensor(a), tensor(b), kid_subsets=subsets, kid_subset_size=size, verbose=False
            )
            return known["kernel_inception_distance_mean"], known["kernel_inception_distance_std"]

        def isc(logits):
            known = metric_isc.isc_features_to_metric(tensor(logits))
            return known["inception_score_mean"], known["inception_score_std"]

        found["torch-fidelity"] = {"fid": fid, "kid": kid, "is": isc}
    except (ImportError, AttributeError, TypeError) as why:
        print(f"without torch-fidelity: {why}", file=sys.stderr)
    try:
        import prdc

        def neighbourhoods(real, generated, k):
            known = quietly(prdc.compute_prdc, np.asarray(real, np.float64), np.asarray(generated, np.float64), k)
            return [float(known[name]) for name in ("precision", "recall", "density", "coverage")]

        found["prdc"] = {"prdc": neighbourhoods}
    except ImportError:
        pass
    return found


class Check:
    def __init__(self):
        self.wrong = 0

    def close(self, what, found, expected, relative, absolute=0.0):
        error = abs(found - expected)
        good = error <= relative * abs(expected) + absolute
        self.wrong += not good
        print(f"{'ok  ' if good else 'FAIL'} {what}: {found!r}, expected {expected!r}")


def main(features, figures, extractor=None):
    try:
        from safetensors.numpy import load_file

        arrays = load_file(features)
        with open(figures, encoding="utf-8") as file:
            told = json.load(file)
        generated, real = arrays["generated_features"], arrays["real_features"]
    except (OSError, KeyError, ValueError) as why:
        print(f"cannot be used: {why!r}", file=sys.stderr)
        return 2
    check = Check()
    by_metric = {figure["metric"]: figure for figure in told["figures"]}
    size = min(1000, len(generated), len(real))
    ours = {
        "fid": frechet,
        "kid": lambda a, b: kernel(a, b, size=size),
        "is": inception_score,
        "prdc": neighbours,
    }
    known = {"numpy": ours, **packages()}
    for source, has in known.items():
        if "fid" in by_metric and "fid" in has:
            short = min(len(generated), len(real)) <= generated.shape[1]
            # torch-fidelity and scipy take roots of a product that is not symmetric: short of rank they are the coarse ones.
            tolerance = 1e-5 if short else 1e-6
            check.close(f"FID, {source}", by_metric["fid"]["value"], has["fid"](generated, real), tolerance)
        if "kid" in by_metric and "kid" in has:
            value = has["kid"](generated, real) if source == "numpy" else has["kid"](generated, real, size=size)
            check.close(f"KID, {source}", by_metric["kid"]["value"], value[0], 1e-9, 1e-12)
            check.close(f"KID's deviation, {source}", by_metric["kid"]["std"], value[1], 1e-9, 1e-12)
        if "is" in by_metric and "is" in has:
            value = has["is"](arrays["generated_logits"])
            check.close(f"IS, {source}", by_metric["is"]["value"], value[0], 1e-9)
            check.close(f"IS's deviation, {source}", by_metric["is"]["std"], value[1], 1e-9, 1e-12)
        if "prdc" in has and "precision" in by_metric and "density" in by_metric:
            of_3, of_5 = has["prdc"](real, generated, 3), has["prdc"](real, generated, 5)
            expected = of_3[:2] + of_5[2:]
            for name, value in zip(("precision", "recall", "density", "coverage"), expected):
                check.close(f"{name}, {source}", by_metric[name]["value"], value, 1e-12)
    if extractor:
        import torch

        module = torch.jit.load(extractor).eval()
        images = torch.from_numpy(arrays["generated_images"])
        with torch.no_grad():
            found = [module(part.expand(-1, 3, -1, -1)) for part in images.split(64)]
        found = torch.cat([f[0] if isinstance(f, tuple) else f for f in found]).double().numpy()
        error = np.abs(found - generated).max() / np.abs(found).max()
        check.close("largest error of a feature, relative", float(error), 0.0, 0.0, 1e-4)
    return 1 if check.wrong else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
