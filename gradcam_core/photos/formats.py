"""What kind of file the bytes are: who reads it, or what to say of it."""

import re

from PIL import ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ..errors import PhotoError

READABLE = "JPEG, PNG, WebP, AVIF, GIF, BMP and TIFF"

# The classes themselves, not Image.open: that warns or raises above its own, process-wide pixel limit.
_READERS: tuple[tuple[re.Pattern[bytes], type[ImageFile.ImageFile]], ...] = (
    (re.compile(rb"\xff\xd8\xff"), JpegImageFile),
    (re.compile(rb"\x89PNG\r\n\x1a\n"), PngImageFile),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), WebPImageFile),
    (re.compile(rb"GIF8[79]a"), GifImageFile),
    (re.compile(rb"BM"), BmpImageFile),
    (re.compile(rb"II[*+]\0|MM\0[*+]"), TiffImageFile),
)
_FOREIGN: tuple[tuple[re.Pattern[bytes], str], ...] = (
    (re.compile(rb"%PDF"), "a PDF document, not a photo. Save its picture as PNG or JPEG first"),
    (re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"), "a JPEG XL picture. Save it as JPEG or PNG first"),
    (re.compile(rb"\xff\x4f\xff\x51|\0\0\0\x0cjP  "), "a JPEG 2000 picture. Save it as JPEG or PNG first"),
    (re.compile(rb"PK\x03\x04|\x1f\x8b|7z\xbc\xaf|Rar!"), "an archive. Unpack it and choose a photo in it"),
    (re.compile(rb"\x1a\x45\xdf\xa3|RIFF....AVI ", re.DOTALL), "a video, not a photo"),
)
_HEIF_BRANDS = {b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"}


def reader_of(content: bytes, name: str) -> type[ImageFile.ImageFile]:
    if not content:
        raise PhotoError(f"{name} is empty (0 bytes).")
    for beginning, reader in _READERS:
        if beginning.match(content):
            return reader
    if content[4:8] == b"ftyp":
        box = content[: min(int.from_bytes(content[:4], "big"), 256)]
        brands = {box[at : at + 4] for at in (8, *range(16, len(box), 4))}
        if brands & {b"avif", b"avis"}:
            return AvifImageFile
        if brands & _HEIF_BRANDS:
            raise PhotoError(
                f"{name} is a HEIC photo, as iPhones take them. Save it as JPEG first "
                "(or set the phone's camera to “Most Compatible”)."
            )
        raise PhotoError(f"{name} is a video, not a photo. Readable are {READABLE}.")
    kind = next((kind for beginning, kind in _FOREIGN if beginning.match(content)), None) or _kind_of_text(content)
    if kind is None:
        raise PhotoError(f"{name} is not a picture that can be read. Readable are {READABLE}.")
    raise PhotoError(f"{name} is {kind}. Readable are {READABLE}.")


def _kind_of_text(content: bytes) -> str | None:
    head = content[:1024]
    encoding = "utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    text = head.decode(encoding, errors="replace")
    if len(head) == 1024:
        text = text[:-1]  # may be half a character
    if any(character == "\ufffd" or not (character.isprintable() or character.isspace()) for character in text):
        return None
    if re.search(r"<svg[\s>]", text):
        return "an SVG drawing, not a photo. Save it as PNG first"
    if re.match(r"\s*<(!doctype )?html", text, re.IGNORECASE):
        return "a web page, not a photo. Save the picture itself, not the page around it"
    return "text, not a photo"
