"""Pictures as files, made byte by byte where Pillow cannot write them."""

import io
import struct
import zlib

import numpy as np
from PIL import Image

WHITE, BLACK, RED, BLUE = (255, 255, 255), (0, 0, 0), (255, 0, 0), (0, 0, 255)
HALF_RED = (255, 127, 127)  # red of alpha 128 over white
SIXTEEN = [0, 128, 257, 32768, 65407, 65535]
EIGHT = [0, 0, 1, 128, 255, 255]  # v / 257, to the nearest

KINDS = [
    ("JPEG", {}),
    ("PNG", {}),
    ("WEBP", {}),
    ("WEBP", {"lossless": True}),
    ("AVIF", {}),
    ("GIF", {}),
    ("BMP", {}),
    ("TIFF", {}),
    ("TIFF", {"compression": "tiff_lzw"}),
    ("TIFF", {"compression": "jpeg"}),
]


def encode(image, kind, **options):
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def chunk(kind, content):
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width, height, bits, colour_type, rows, *extra):
    """A PNG from its raw rows, for the kinds that Pillow cannot write."""
    header = struct.pack(">IIBBBBB", width, height, bits, colour_type, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows), 9)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(extra) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def few_colours(height=24, width=32):
    """(H, W, 3) with every corner different and few enough colours for a palette."""
    photo = np.zeros((height, width, 3), np.uint8)
    photo[: height // 2, : width // 2] = (250, 20, 10)
    photo[: height // 2, width // 2 :] = (10, 240, 30)
    photo[height // 2 :, : width // 2] = (20, 30, 230)
    photo[2, 5] = (255, 255, 0)
    return photo


def smooth(height=48, width=64):
    """(H, W, 3) of gentle gradients, which lossy formats keep well."""
    y, x = np.mgrid[:height, :width]
    return np.stack([x * 3 + 20, y * 4 + 30, 220 - x - y], axis=2).astype(np.uint8)


def assert_is_a_photo(photo, height, width):
    assert (photo.dtype, photo.shape) == (np.uint8, (height, width, 3))
    assert photo.flags.c_contiguous
    assert photo.flags.writeable


def noise(kind, options, size=(24, 20)):
    pixels = np.random.default_rng(1).integers(0, 256, (*size, 3), np.uint8)
    return encode(Image.fromarray(pixels), kind, **options)


def tiff(width, height, pixels, **tags):
    """An uncompressed little-endian TIFF from raw pixels, for the kinds that Pillow cannot write."""
    fields = {256: width, 257: height, 259: 1, 273: 0, 278: height, 279: len(pixels)}
    fields |= {int(tag[1:]): value for tag, value in tags.items()}
    longer = {tag: value for tag, value in fields.items() if isinstance(value, tuple) and len(value) > 2}
    after = 8 + 2 + 12 * len(fields) + 4
    offsets, tail = {}, b""
    for tag, values in longer.items():
        offsets[tag] = after + len(tail)
        tail += struct.pack(f"<{len(values)}H", *values)
    fields[273] = after + len(tail)
    directory = struct.pack("<H", len(fields))
    for tag, value in sorted(fields.items()):
        if tag in offsets:
            directory += struct.pack("<HHII", tag, 3, len(value), offsets[tag])
        elif isinstance(value, tuple):
            directory += struct.pack("<HHIHH", tag, 3, 2, *value)
        else:
            directory += struct.pack("<HHII", tag, 4, 1, value)
    return b"II*\0" + struct.pack("<I", 8) + directory + struct.pack("<I", 0) + tail + pixels


def giant_png(side=13_000):
    line = zlib.compressobj(9)
    rows = b"".join(line.compress(bytes(1 + side * 3)) for _ in range(8)) + line.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    filler = chunk(b"prVt", bytes(500_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + filler + chunk(b"IEND", b"")


def giant_webp(side=16_000):
    extended = struct.pack("<I", 2) + (side - 1).to_bytes(3, "little") * 2
    body = b"WEBPVP8X" + struct.pack("<I", 10) + extended + b"ANIM" + struct.pack("<IIH", 6, 0, 0)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def giant_bmp(side=13_000):
    return b"BM" + struct.pack("<IIIIiiHHIIiiII", 500, 0, 54, 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(500)


def giant_gif(side=13_000):
    content = bytearray(encode(Image.new("L", (1, 1)), "GIF"))
    content[6:10] = struct.pack("<HH", side, side)
    return bytes(content)


def giant_jpeg(side=13_000):
    content = bytearray(encode(Image.new("L", (8, 8)), "JPEG"))
    at = content.index(b"\xff\xc0")
    content[at + 5 : at + 9] = struct.pack(">HH", side, side)
    return bytes(content)


def giant_tiff(side=13_000):
    return tiff(side, side, bytes(100), t258=8, t262=1, t277=1)


def giant_avif(side=13_000):
    content = bytearray(encode(Image.new("RGB", (64, 64)), "AVIF"))
    at = content.index(b"ispe")
    content[at + 8 : at + 16] = struct.pack(">II", side, side)
    return bytes(content)


GIANTS = [giant_avif, giant_png, giant_webp, giant_bmp, giant_gif, giant_jpeg, giant_tiff]
