"""Writes tests/fixtures/lsun/data.mdb.gz: six small photographs as LSUN keeps them, one of which fills pages of its own.

usage: make_lmdb.py OUT.gz      (needs lmdb 1 or newer and pillow)
"""
import gzip
import io
import pathlib
import sys
import tempfile

import lmdb
from PIL import Image


def photograph(number, side):
    image = Image.new("RGB", (side + 8 * number, side))
    image.putdata([((x * 7 + number * 40) % 256, (y * 5) % 256, (x * y) % 256) for y in range(side) for x in range(image.width)])
    out = io.BytesIO()
    image.save(out, "WEBP", quality=90)
    return out.getvalue()


def main(out):
    with tempfile.TemporaryDirectory() as folder:
        with lmdb.open(folder, map_size=1 << 20) as env, env.begin(write=True) as txn:
            for number in range(6):
                txn.put(b"%040d" % number, photograph(number, 96 if number == 3 else 24))
        data = (pathlib.Path(folder) / "data.mdb").read_bytes()
    pathlib.Path(out).write_bytes(gzip.compress(data, mtime=0))


if __name__ == "__main__":
    main(*sys.argv[1:])
