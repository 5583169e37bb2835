"""Small files that are made to cost a decoder much time or memory."""

import struct
import zlib

from photo_files import chunk, encode, png
from PIL import Image

MANY = 5000


def _directory(entries: list[tuple[int, int, int, int]], size: int) -> bytes:
    """A little-endian TIFF of one directory, with ``size`` zeros for its entries to point at."""
    packed = b"".join(struct.pack("<HHII", *entry) for entry in sorted(entries))
    head = b"II*\0" + struct.pack("<IH", 8, len(entries)) + packed + struct.pack("<I", 0)
    return head.ljust(8 + size, b"\0")


def overlapping_exif(size: int = 1_000_000) -> bytes:
    """An orientation, and then thousands of entries that are all the same bytes."""
    return _directory([(274, 3, 1, 6), *((1000 + i, 7, size, 8) for i in range(MANY))], size)


def overlapping_jpeg() -> bytes:
    plain, exif = encode(Image.new("RGB", (64, 48), (9, 99, 200)), "JPEG"), overlapping_exif()
    parts = (b"Exif\0\0" + exif[at : at + 65_000] for at in range(0, len(exif), 65_000))
    return plain[:2] + b"".join(b"\xff\xe1" + struct.pack(">H", len(part) + 2) + part for part in parts) + plain[2:]


def overlapping_png() -> bytes:
    return png(8, 6, 8, 2, [bytes(24)] * 6, chunk(b"eXIf", overlapping_exif()))


def overlapping_webp() -> bytes:
    return encode(Image.new("RGB", (64, 48), (9, 99, 200)), "WEBP", exif=overlapping_exif())


def _tiff(width: int, height: int, rows: int, offsets: tuple[int, int], counts: tuple[int, int]) -> list:
    """The entries of a grey picture; ``offsets`` and ``counts`` are of its strips: how many, and where they stand."""
    fields = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: rows}
    return [(tag, 4, 1, value) for tag, value in fields.items()] + [(273, 4, *offsets), (279, 4, *counts)]


def overlapping_tiff(size: int = 1_000_000) -> bytes:
    picture = _tiff(8, 6, 6, (1, 8), (1, 48))
    return _directory(picture + [(1000 + i, 7, size, 8) for i in range(MANY)], size)


def tiff_of_many_strips(count: int = 2_400_000) -> bytes:
    picture = _tiff(1, count, 1, (count, 200), (count, 200 + 4 * count))
    head = _directory(picture, 192)
    return head + struct.pack("<I", 200) * count + struct.pack("<I", 1) * count


def _with_gif_comments(comments: bytes) -> bytes:
    plain = encode(Image.new("P", (8, 6)), "GIF")
    at = plain.index(b"\x2c")  # where the picture begins
    return plain[:at] + comments + plain[at:]


def gif_of_a_long_comment() -> bytes:
    return _with_gif_comments(b"\x21\xfe" + b"\x01c" * 9_500_000 + b"\0")


def gif_of_many_comments() -> bytes:
    return _with_gif_comments(b"\x21\xfe\x01c\0" * 3_800_000)


def jpeg_of_many_segments() -> bytes:
    plain = encode(Image.new("RGB", (64, 48)), "JPEG")
    return plain[:2] + b"\xff\xe5\0\x02" * 4_800_000 + plain[2:]


def png_of_many_chunks() -> bytes:
    return png(8, 6, 8, 2, [bytes(24)] * 6, *[chunk(b"tEXt", b"a\0b")] * 1_200_000)


def png_of_one_column() -> bytes:
    header = struct.pack(">IIBBBBB", 1, 40_000_000, 8, 0, 0, 0, 0)
    pixels = zlib.compress(bytes(80_000_000))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def bmp_of_empty_runs() -> bytes:
    head = struct.pack("<IIIIiiHHIIiiII", 0, 0, 54 + 1024, 40, 64, 48, 1, 8, 1, 0, 0, 0, 256, 0)
    return b"BM" + head + bytes(1024) + b"\0\x02\0\0" * 4_800_000 + b"\0\1"


HOSTILE = [
    overlapping_jpeg,
    overlapping_png,
    overlapping_webp,
    overlapping_tiff,
    tiff_of_many_strips,
    gif_of_a_long_comment,
    gif_of_many_comments,
    jpeg_of_many_segments,
    png_of_many_chunks,
    png_of_one_column,
    bmp_of_empty_runs,
]
