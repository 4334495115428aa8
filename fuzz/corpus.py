"""What fuzzing starts from, made with the standard library alone.

    corpus.py FOLDER         small sound data sets of each kind, as `data_source` takes them: a byte for the kind, the file
    corpus.py FOLDER RUN     the files of a run, as `run_directory` takes them: a byte for the place, the file
"""

import gzip
import io
import json
import pickle
import struct
import sys
import tarfile
import zipfile
from pathlib import Path

PNG = (Path(__file__).parent / "seeds" / "one.png").read_bytes()


def zipped(entries):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return out.getvalue()


def tarred(entries, form):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for name, content in entries:
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type, info.linkname = tarfile.SYMTYPE, content
                archive.addfile(info)
            else:
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def lmdb():
    """One page of each kind: two metas, a leaf with one node. The layout is LMDB's own, 0.9."""
    page = 4096
    meta = struct.pack("<QHHI", 0, 0, 8, 0) + struct.pack("<IIQQ", 0xBEEFC0DE, 1, 0, 1 << 20)
    free = struct.pack("<IHHQQQQQ", page, 0, 0, 0, 0, 0, 0, (1 << 64) - 1)
    main = struct.pack("<IHHQQQQQ", 0, 0, 1, 0, 1, 0, 1, 2)
    metas = [(meta + free + main + struct.pack("<QQ", 2, txn)).ljust(page, b"\0") for txn in (0, 1)]
    node = struct.pack("<HHHH", len(PNG) & 0xFFFF, len(PNG) >> 16, 0, 1) + b"k" + PNG
    node += b"\0" * (len(node) % 2)
    at = page - len(node)
    leaf = struct.pack("<QHHHH", 2, 0, 2, 18, at) + struct.pack("<H", at)
    return b"".join(metas) + leaf.ljust(at, b"\0") + node


def idx(kind, dims, content):
    return bytes([0, 0, 8, kind]) + b"".join(struct.pack(">I", d) for d in dims) + content


def seeds():
    labels = json.dumps({"labels": [["a/1.png", 0], ["b/2.png", 1]]}).encode()
    pictures = [("a/1.png", PNG), ("b/2.png", PNG)]
    yield "zip", 0, zipped(pictures)
    yield "zip-json", 0, zipped([*pictures, ("dataset.json", labels)])
    yield "tar", 1, tarred([("1.png", PNG), ("1.cls", b"1"), ("2.png", PNG), ("2.cls", b"0")], tarfile.USTAR_FORMAT)
    yield "tar-pax", 1, tarred([("é" * 80 + "/1.png", PNG), ("l/2.png", "../" + "é" * 80 + "/1.png")], tarfile.PAX_FORMAT)
    yield "tar-gnu", 1, tarred([("n" * 120 + "/1.png", PNG)], tarfile.GNU_FORMAT)
    yield "lmdb", 2, lmdb()
    yield "listing", 3, b"a/1.png\nb/2.png\n.hidden/3.png\nc>a\nd/up>..\nb/._2.png\nx.tar\nlost>gone"
    yield "json", 4, labels
    yield "celeba", 5, b"2\nMale Young\n000001.png -1 1\n000002.png 1 1\n"
    yield "celeba-csv", 5, b"image_id,Male,Young\n000001.png,-1,1\n"
    yield "idx", 6, idx(3, (1, 2, 2), b"\1\2\3\4") + idx(1, (1,), b"\1").ljust(20, b"\0")
    yield "idx-gz", 7, idx(3, (1, 2, 2), b"\1\2\3\4")
    yield "gz-members", 7, gzip.compress(b"a")
    yield "cifar", 8, pickle.dumps({b"data": bytes(3072), b"labels": [0]}, 2)


def of_run(run):
    """As `run_directory` counts them: sorted, and again without what checkpoints of earlier versions have not."""
    files = sorted(path.relative_to(run) for path in run.rglob("*") if path.is_file())
    new = ("SHA256SUMS", "config.toml", "data.json")
    earlier = [path for path in files if path.parts[0] != "checkpoints" or path.name not in new]
    for which, listed in ((0, files), (0x80, earlier)):
        for at, path in enumerate(listed):
            yield f"{which | at:02x}-{path.name}", which | at, (run / path).read_bytes()


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    for name, kind, content in of_run(Path(sys.argv[2])) if len(sys.argv) > 2 else seeds():
        (folder / name).write_bytes(bytes([kind]) + content)
