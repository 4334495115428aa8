"""Writes tests/golden/metrics.json: what the published packages say of features that any language can make again.

usage: metrics_golden.py OUT.json      (needs torch, numpy, scipy below 1.18, torch-fidelity and prdc)

Features: s = s * 6364136223846793005 + 1442695040888963407 mod 2^64, u = (s >> 11) / 2^53, row by row, from a seed.
Every number must come out of a package and of `metrics_reference.py` alike, or nothing is written.
"""
import json
import sys

import numpy as np

import metrics_reference as reference


def uniform(rows, columns, seed):
    values = np.empty(rows * columns)
    for i in range(rows * columns):
        seed = (seed * 6364136223846793005 + 1442695040888963407) % 2**64
        values[i] = (seed >> 11) / 2**53
    return values.reshape(rows, columns)


def agreed(what, tolerance, *values):
    first = np.asarray(values[0], float)
    for other in values[1:]:
        if not np.allclose(first, other, rtol=tolerance, atol=0):
            sys.exit(f"{what}: {values}")
    return values[0]


def main(out):
    known = reference.packages()
    fidelity, prdc, scipy = known["torch-fidelity"], known["prdc"], known["scipy"]
    x, y, logits = uniform(200, 16, 1), uniform(250, 16, 2) ** 2, uniform(100, 10, 3) * 6
    wide, narrow, short = uniform(300, 40, 3), uniform(20, 40, 4) ** 2, uniform(30, 40, 5)

    def fid(a, b, tolerance):
        return agreed("FID", tolerance, reference.frechet(a, b), fidelity["fid"](a, b), scipy["fid"](a, b))

    kid = agreed("KID", 1e-9, fidelity["kid"](x, y, 100, 50), reference.kernel(x, y, 100, 50))
    score = agreed("IS", 1e-12, fidelity["is"](logits), reference.inception_score(logits))
    random = np.random.RandomState(2020)
    golden = {
        "fid": {
            "200x16 against 250x16": fid(x, y, 1e-9),
            "300x40 against 20x40": fid(wide, narrow, 1e-5),
            "30x40 against 20x40": fid(short, narrow, 1e-4),
        },
        "kid": {"mean": kid[0], "std": kid[1]},
        "is": {"mean": score[0], "std": score[1]},
        "prdc": {str(k): agreed("PRDC", 1e-12, prdc["prdc"](x, y, k), reference.neighbours(x, y, k)) for k in (3, 5)},
        "permutations": {
            "first of 10": random.permutation(10).tolist(),
            "second of 8": random.permutation(8).tolist(),
            "third of 1000": random.permutation(1000)[:20].tolist(),
        },
    }
    with open(out, "w", encoding="utf-8") as file:
        json.dump(golden, file, indent=1)
        file.write("\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
