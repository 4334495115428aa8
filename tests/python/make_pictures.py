"""Pictures of every format that is read, with the pixels that Pillow sees in them: tests/fixtures/pictures.

usage: make_pictures.py FOLDER      (needs Pillow 12 or newer and numpy)

Each file lies in FOLDER under its own name, and FOLDER/pixels.json has for each its width, height, channels and pixels
(hex, row by row), after its orientation and on white where it is transparent. What Pillow sees otherwise than the standard
has it (16 bits, which it cuts off) is worked out here.
"""

import io
import json
import pathlib
import struct
import sys
import zlib

import numpy as np
from PIL import Image, ImageOps

SIDE = (13, 9)  # odd, so that rows do not end at a word


def scene(channels):
    """Slopes, with an edge: no two rows, columns or quarters alike, and smooth enough for JPEG."""
    y, x = np.mgrid[0 : SIDE[1], 0 : SIDE[0]].astype(np.float64)
    planes = [x * 15 + y * 4, 200 - y * 17 + x * 2, 60 + 5 * x + 9 * y, 255 - x * 19]
    pixels = np.stack(planes[:channels], -1).clip(0, 255).astype(np.uint8)
    return pixels[..., 0] if channels == 1 else pixels


def exif(orientation, order="<"):
    head = b"II*\0" if order == "<" else b"MM\0*"
    return head + struct.pack(order + "IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def saved(image, **how):
    file = io.BytesIO()
    image.save(file, **how)
    return file.getvalue()


def on_white(image):
    image = image.convert("RGBA")
    white = Image.new("RGBA", image.size, (255, 255, 255, 255))
    # Pillow's own blending rounds otherwise in places; this is the definition.
    colour, alpha = np.asarray(image)[..., :3].astype(int), np.asarray(image)[..., 3:].astype(int)
    assert white.size == image.size
    return ((colour * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


def seen(data):
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    if image.mode in ("LA", "PA", "RGBA") or "transparency" in image.info:
        return on_white(image)
    if image.mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    assert image.mode in ("P", "RGB", "CMYK"), image.mode
    return np.asarray(image.convert("RGB"))


def ycck(cmyk):
    """The same scans, said to be of luma, chroma and black: byte 11 after the name of Adobe's segment."""
    at = cmyk.index(b"Adobe") + 11
    return cmyk[:at] + b"\x02" + cmyk[at + 1 :]


def adobe_rgb(jpeg):
    """RGB as Photoshop stores it: components 1, 2, 3, and Adobe's segment says that nothing was converted."""
    at = jpeg.index(b"\xff\xc0")
    frame = bytearray(jpeg)
    assert jpeg[at + 9] == 3
    scan = jpeg.index(b"\xff\xda")
    for i in range(3):
        frame[at + 10 + 3 * i] = i + 1
        frame[scan + 5 + 2 * i] = i + 1
    return bytes(frame)


def pictures():
    grey, rgb, rgba, cmyk = (Image.fromarray(scene(c), m) for c, m in ((1, "L"), (3, "RGB"), (4, "RGBA"), (4, "CMYK")))
    palette = rgb.quantize(16)
    see_through = palette.copy()
    see_through.info["transparency"] = 3
    yield "grey.bmp", saved(grey, format="BMP")
    yield "rgb.bmp", saved(rgb, format="BMP")
    yield "alpha.bmp", saved(rgba, format="BMP")
    yield "palette.bmp", saved(palette, format="BMP")
    yield "one-bit.bmp", saved(grey.convert("1"), format="BMP")
    for name, how in (("raw", None), ("lzw", "tiff_lzw"), ("deflate", "tiff_adobe_deflate"), ("packbits", "packbits")):
        yield f"rgb-{name}.tif", saved(rgb, format="TIFF", compression=how)
    yield "grey.tiff", saved(grey, format="TIFF")
    yield "alpha.tif", saved(rgba, format="TIFF")
    yield "cmyk.tif", saved(cmyk, format="TIFF")
    yield "one-bit.tif", saved(grey.convert("1"), format="TIFF")
    yield "pages.tif", saved(rgb, format="TIFF", save_all=True, append_images=[Image.new("RGB", (3, 3))])
    yield "palette.gif", saved(palette, format="GIF")
    yield "see-through.gif", saved(see_through, format="GIF", transparency=3)
    yield "frames.gif", saved(palette, format="GIF", save_all=True, append_images=[rgb.rotate(180).quantize(8)])
    yield "rgb.ppm", saved(rgb, format="PPM")
    yield "grey.pgm", saved(grey, format="PPM")
    yield "one-bit.pbm", saved(grey.convert("1"), format="PPM")
    yield "words.ppm", b"P3 # a remark\n2 2 255\n0 1 2  3 4 5\n250 251 252\n253 254 255\n"
    yield "rgb.tga", saved(rgb, format="TGA")
    yield "packed.tga", saved(rgb, format="TGA", compression="tga_rle")
    yield "alpha.tga", saved(rgba, format="TGA")
    yield "grey.tga", saved(grey, format="TGA")
    yield "palette.tga", saved(palette, format="TGA")
    yield "rgb.qoi", saved(rgb, format="QOI")
    yield "alpha.qoi", saved(rgba, format="QOI")
    yield "alpha.ico", saved(rgba.resize((16, 16)), format="ICO", sizes=[(16, 16)])
    yield "rgb.jfif", saved(rgb, format="JPEG", quality=90)
    yield "smooth.jpe", saved(rgb, format="JPEG", quality=90, subsampling=0)
    yield "grey.jpg", saved(grey, format="JPEG", quality=90)
    yield "progressive.jpg", saved(rgb, format="JPEG", quality=90, progressive=True)
    yield "restarts.jpg", saved(rgb, format="JPEG", quality=90, restart_marker_blocks=1)
    yield "restarts-progressive.jpg", saved(rgb, format="JPEG", quality=90, progressive=True, restart_marker_blocks=1)
    yield "cmyk.jpg", saved(cmyk, format="JPEG", quality=95)
    yield "ycck.jpg", ycck(saved(cmyk, format="JPEG", quality=95))
    yield "kept-rgb.jpg", saved(rgb, format="JPEG", quality=95, keep_rgb=True)
    yield "adobe-rgb.jpg", adobe_rgb(saved(rgb, format="JPEG", quality=95, keep_rgb=True))
    yield "rgb.webp", saved(rgb, format="WEBP", lossless=True)
    yield "alpha.webp", saved(rgba, format="WEBP", lossless=True, exact=True)
    yield "frames.webp", saved(rgb, format="WEBP", lossless=True, save_all=True, append_images=[rgb.rotate(180)])
    yield "palette.png", saved(see_through, format="PNG", transparency=3)
    for n in range(1, 9):
        order = "<" if n % 2 else ">"
        yield f"turned-{n}.jpg", saved(rgb, format="JPEG", quality=95, subsampling=0, exif=b"Exif\0\0" + exif(n, order))
        yield f"turned-{n}.webp", saved(rgb, format="WEBP", lossless=True, exif=exif(n, order))
        yield f"turned-{n}.tif", saved(rgb, format="TIFF", tiffinfo={0x112: n})
        plain = saved(rgb, format="PNG")
        eXIf = chunk(b"eXIf", exif(n, order))
        yield f"turned-{n}-first.png", plain[:33] + eXIf + plain[33:]
        yield f"turned-{n}-last.png", plain[:-12] + eXIf + plain[-12:]


def sixteen():
    """16 bits a value: each becomes the nearest of 8."""
    wide = (scene(1).astype(np.uint32) * 257 + 100).clip(0, 65535).astype(np.uint16)
    yield "sixteen.png", saved(Image.fromarray(wide), format="PNG"), wide
    yield "sixteen.tif", saved(Image.fromarray(wide), format="TIFF"), wide
    yield "sixteen.pgm", b"P5 13 9 65535\n" + wide.astype(">u2").tobytes(), wide


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    expected = {}

    def keep(name, data, pixels):
        (folder / name).write_bytes(data)
        channels = 1 if pixels.ndim == 2 else 3
        height, width = pixels.shape[:2]
        expected[name] = {"width": width, "height": height, "channels": channels, "pixels": pixels.tobytes().hex()}

    for name, data in pictures():
        keep(name, data, seen(data))
    for name, data, wide in sixteen():
        keep(name, data, ((wide.astype(np.uint32) + 128) // 257).astype(np.uint8))
    rows = ",\n".join(f'  "{name}": {json.dumps(found)}' for name, found in sorted(expected.items()))
    (folder / "pixels.json").write_text("{\n" + rows + "\n}\n")


main()
