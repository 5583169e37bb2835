"""Any source of a photo -> upright RGB uint8 (H, W, 3), within limits, with errors that can be acted on."""

import io
import math
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TILELENGTH, TILEWIDTH, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ..errors import PhotoError

MAX_PIXELS = 40_000_000
MAX_BYTES = 20 * 1024 * 1024

Source = str | os.PathLike | bytes | BinaryIO | Image.Image | np.ndarray

READABLE = "JPEG, PNG, WebP, AVIF, GIF, BMP and TIFF"

# A progressive JPEG has about ten scans, each a walk over all pixels; 20 MB can hold 300,000 of them.
_MAX_JPEG_SCANS = 100
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
# Pixels are converted so many rows at a time, which keeps the peak at the decoded picture plus the result.
_BAND = 256
_DECODING = threading.BoundedSemaphore(2)

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

_TURNS: dict[int, Callable[[np.ndarray], np.ndarray]] = {  # EXIF orientation -> what sets it upright
    2: lambda photo: photo[:, ::-1],
    3: lambda photo: photo[::-1, ::-1],
    4: lambda photo: photo[::-1],
    5: lambda photo: photo.transpose(1, 0, 2),
    6: lambda photo: np.rot90(photo, -1),
    7: lambda photo: photo[::-1, ::-1].transpose(1, 0, 2),
    8: lambda photo: np.rot90(photo),
}


def read_image(source: Source) -> np.ndarray:
    """Read a photo from wherever it is, as the pixels a person would see.

    EXIF orientation is applied, transparency is laid over white, 16-bit values are scaled (65535 -> 255; of
    16-bit *colour* files the high byte is kept), and an animation gives its first frame.

    Args:
        source: a path; the bytes of a JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF file; a binary file object
            (read from where it stands, not closed); a Pillow image (its current frame; never modified); or
            an array (H, W), (H, W, 1), (H, W, 3) or (H, W, 4) of uint8, uint16, bool, or floats in [0, 1].

    Returns:
        uint8 (H, W, 3), RGB, C-contiguous, sharing no memory with the source.

    Raises:
        PhotoError: missing, unreadable, empty, damaged, not a photo, more than 20 MB or 40 megapixels. The
            message names the file but never its folder.

    >>> read_image(np.full((2, 3), 0.5)).shape
    (2, 3, 3)
    >>> read_image(b"hello")
    Traceback (most recent call last):
    gradcam_core.errors.PhotoError: The photo is text, not a photo. Readable are JPEG, PNG, WebP, ...
    """
    if isinstance(source, np.ndarray):
        return _from_array(source)
    if isinstance(source, Image.Image):
        return _from_pillow(source, _shown(getattr(source, "filename", "")))
    if isinstance(source, bytes | bytearray | memoryview):
        _check_bytes(memoryview(source).nbytes, "The photo")
        return _decode(bytes(source), "The photo")
    if isinstance(source, str | os.PathLike):
        return _decode(*_read_path(os.fsdecode(source)))
    if callable(getattr(source, "read", None)):
        return _decode(*_read_file(source))
    raise PhotoError(
        "A photo is given as a path, bytes, a binary file, a Pillow image or a NumPy array; "
        f"this is {type(source).__name__}."
    )


# --- from a source to bytes ---


def _shown(path: object) -> str:
    """The file's own name, fit to be shown: no folder, no control characters, not endless."""
    if not isinstance(path, str | bytes | os.PathLike):
        return "The photo"
    name = Path(os.fsdecode(path)).name
    name = "".join(character if character.isprintable() else "?" for character in name)
    if len(name) > 60:
        name = f"{name[:30]}…{name[-29:]}"
    return name or "The photo"


def _read_path(path: str) -> tuple[bytes, str]:
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", path):
        raise PhotoError("The photo is given as a web address. Save the picture to a file and give its path.")
    if not path:
        raise PhotoError("The path of the photo is empty.")
    name = _shown(path)
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise PhotoError(f"{name} is a folder, not a photo. Give the path of one file in it.")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise PhotoError(f"{name} is not an ordinary file.")
        _check_bytes(status.st_size, name)
        with Path(path).open("rb") as file:
            return _read_file(file)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoError(f"There is no file {name}. Check the path.") from error
    except PermissionError as error:
        raise PhotoError(f"{name} cannot be read: permission denied.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its path is not valid"
        raise PhotoError(f"{name} cannot be read: {reason}.") from error


def _read_file(file: BinaryIO) -> tuple[bytes, str]:
    name = _shown(getattr(file, "name", None))
    parts, left = [], MAX_BYTES + 1
    try:
        while left > 0 and (part := file.read(left)):
            if not isinstance(part, bytes | bytearray):
                raise PhotoError(f'{name} is opened as text. Open it in binary mode: open(path, "rb").')
            parts.append(part)
            left -= len(part)
    except (OSError, ValueError) as error:  # ValueError: the file is closed, or text that is no UTF-8
        raise PhotoError(f'{name} cannot be read. Is it still open, and in binary mode ("rb")?') from error
    if left <= 0:
        raise PhotoError(f"{name} is larger than {MAX_BYTES >> 20} MB. Make it smaller and try again.")
    return b"".join(parts), name


def _check_bytes(count: int, name: str) -> None:
    if count > MAX_BYTES:
        megabytes = math.ceil(count / 2**20 * 10) / 10
        raise PhotoError(
            f"{name} is {megabytes:.1f} MB; a photo may have {MAX_BYTES >> 20} MB. Make it smaller and try again."
        )


def _check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise PhotoError(f"{name} has no pixels ({width} x {height}).")
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"{name} is {width} x {height} pixels ({width * height / 1e6:.1f} megapixels); "
            f"a photo may have {MAX_PIXELS // 1_000_000} megapixels. Make it smaller and try again."
        )


# --- from bytes to a Pillow image ---


def _decode(content: bytes, name: str) -> np.ndarray:
    reader = _reader_of(content, name)
    with _as_sentence(name, content):
        if reader is JpegImageFile and _has_endless_scans(content):
            raise ValueError(f"more than {_MAX_JPEG_SCANS} scans")
        if reader is WebPImageFile:  # its decoder sets the whole canvas aside when it is made
            _check_size(*_webp_size(content), name)
        image = reader(io.BytesIO(content))
        if isinstance(image, TiffImageFile):  # libtiff sets a whole tile aside, however small the picture
            _check_size(image.tag_v2.get(TILEWIDTH, 1), image.tag_v2.get(TILELENGTH, 1), name)
    return _from_pillow(image, name, content)


def _reader_of(content: bytes, name: str) -> type[ImageFile.ImageFile]:
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


def _has_endless_scans(content: bytes) -> bool:
    position, scans = 2, 0
    while marker := _JPEG_MARKER.search(content, position):
        code, position = content[marker.end() - 1], marker.end()
        if code == 0xD9:  # end of the picture; a phone may store a film after it
            break
        scans += code == 0xDA
        if scans > _MAX_JPEG_SCANS:
            return True
        if code not in (0x01, 0xD8):
            position += int.from_bytes(content[position : position + 2], "big")
    return False


def _webp_size(content: bytes) -> tuple[int, int]:
    kind, at = content[12:16], int.from_bytes
    if kind == b"VP8X":
        return at(content[24:27], "little") + 1, at(content[27:30], "little") + 1
    if kind == b"VP8L":
        bits = at(content[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return at(content[26:28], "little") & 0x3FFF, at(content[28:30], "little") & 0x3FFF


@contextmanager
def _as_sentence(name: str, content: bytes = b"") -> Iterator[None]:
    """Whatever a decoder raises (it may be anything, MemoryError and struct.error too) -> a PhotoError."""
    try:
        yield
    except PhotoError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PhotoError(
            f"{name} has more than {MAX_PIXELS // 1_000_000} megapixels. Make it smaller and try again."
        ) from error
    except Exception as error:
        is_short_riff = content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content)
        if is_short_riff or "truncated" in str(error).lower():
            raise PhotoError(f"{name} is cut short: its end is missing. Copy or download it again.") from error
        raise PhotoError(
            f"{name} is damaged, or of a rare kind that cannot be read. Save it again as JPEG or PNG and try that."
        ) from error


# --- from a Pillow image or an array to RGB ---


def _from_pillow(image: Image.Image, name: str, content: bytes = b"") -> np.ndarray:
    _check_size(*image.size, name)
    raw_mode, frame = _stored_as(image)
    with _DECODING, _as_sentence(name, content):
        image.load()
        if image.mode == "F" or image.mode.startswith("I"):
            photo = _grey_numbers(image, raw_mode, name)
        else:
            photo = _colours(image, raw_mode)
        if frame:  # what a GIF's first frame leaves open is transparent
            left, top, right, bottom = frame
            inside = photo[top:bottom, left:right].copy()
            photo[:] = 255
            photo[top:bottom, left:right] = inside
        turn = _TURNS.get(_orientation(image))
        return np.ascontiguousarray(turn(photo)) if turn else photo


def _stored_as(image: Image.Image) -> tuple[str, tuple[int, int, int, int] | None]:
    """What Pillow forgets in loading: how the pixels are stored, and the box of a GIF's partial frame."""
    tiles = getattr(image, "tile", None)
    if not tiles:
        return "", None
    arguments, box = tiles[0][3], tiles[0][1]
    raw_mode = arguments if isinstance(arguments, str) else str(arguments[0]) if arguments else ""
    is_partial = image.format == "GIF" and image.tell() == 0 and tuple(box) != (0, 0, *image.size)
    return raw_mode, tuple(box) if is_partial else None


def _orientation(image: Image.Image) -> int:
    try:  # after loading: Pillow turns a TIFF itself, and a PNG may store its EXIF after the pixels
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # noqa: BLE001 - a photo with broken EXIF is still a photo
        return 1


def _colours(image: Image.Image, raw_mode: str) -> np.ndarray:
    photo = np.empty((image.height, image.width, 3), np.uint8)
    for top in range(0, image.height, _BAND):
        bottom = min(top + _BAND, image.height)
        band = image.crop((0, top, image.width, bottom))
        hidden = band.info.get("transparency")
        if raw_mode in ("L;2", "L;4") and isinstance(hidden, int):  # Pillow widens the pixels, not this
            band.info["transparency"] = hidden * {"L;2": 85, "L;4": 17}[raw_mode]
        elif raw_mode == "RGB;16B" and isinstance(hidden, tuple):
            band.info["transparency"] = tuple(value >> 8 for value in hidden)
        photo[top:bottom] = _over_white(band)
    return photo


def _over_white(image: Image.Image) -> Image.Image:
    if image.mode == "La":
        image = image.convert("LA")
    if not image.has_transparency_data:
        return image.convert("RGB")
    image = image.convert("RGBA")
    white = Image.new("RGB", image.size, "white")
    white.paste(image, mask=image.getchannel("A"))
    return white


def _grey_numbers(image: Image.Image, raw_mode: str, name: str) -> np.ndarray:
    values = np.asarray(image)
    if image.mode == "I":  # 32 bits that hold 16, by Pillow's custom
        lowest, highest = int(values.min()), int(values.max())
        if lowest < 0 or highest > 65535:
            raise PhotoError(
                f"{name} holds 32-bit numbers from {lowest} to {highest}, and only 0 to 65535 can be shown. "
                "Save it with 8 or 16 bits."
            )
        values = values.astype(np.uint16)
    elif raw_mode == "I;12":
        values = (values.astype(np.uint32) * 65535 // 4095).astype(np.uint16)
    grey = _to_uint8(values, name)
    if (
        getattr(image, "tag_v2", {}).get(PHOTOMETRIC_INTERPRETATION) == 0
    ):  # WhiteIsZero, which Pillow inverts for 8 bits only
        grey = 255 - grey
    hidden = image.info.get("transparency")
    if isinstance(hidden, int):
        grey[values == hidden] = 255
    return np.repeat(grey[..., None], 3, axis=2)


def _from_array(array: np.ndarray) -> np.ndarray:
    if array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        hint = " Give one photo of the batch, batch[0]." if array.ndim == 4 else ""
        raise PhotoError(
            "An array must have the shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4); "
            f"this one has {tuple(array.shape)}.{hint}"
        )
    _check_size(array.shape[1], array.shape[0], "The array")
    photo = _to_uint8(array, "The array")
    if photo.ndim == 2 or photo.shape[2] == 1:
        return np.repeat(photo.reshape(*photo.shape[:2], 1), 3, axis=2)
    if photo.shape[2] == 4:
        return _colours(Image.fromarray(np.ascontiguousarray(photo)), "")
    return np.ascontiguousarray(photo)


def _to_uint8(values: np.ndarray, name: str) -> np.ndarray:
    """uint8 as it is, uint16 and floats in [0, 1] to the nearest level, bool to 0 and 255; always a copy."""
    if values.dtype == np.uint8:
        return values.copy()
    if values.dtype == bool:
        return values.astype(np.uint8) * np.uint8(255)
    if values.dtype.kind == "u" and values.dtype.itemsize == 2:
        return ((np.arange(65536) + 128) // 257).astype(np.uint8)[values]
    if values.dtype.kind != "f":
        raise PhotoError(
            f"{name} holds numbers of type {values.dtype}. Give uint8 (0 to 255), uint16, bool, or floats from 0 to 1."
        )
    lowest, highest = float(values.min()), float(values.max())
    if math.isnan(lowest):
        raise PhotoError(f"{name} holds values that are not numbers (NaN).")
    if lowest < 0 or highest > 1:
        raise PhotoError(
            f"{name} holds floats from {lowest:g} to {highest:g}, but floats must lie from 0 to 1. "
            "Scale them, or give uint8 (0 to 255)."
        )
    scaled = np.empty(values.shape, np.uint8)
    for top in range(0, len(values), _BAND):
        scaled[top : top + _BAND] = np.rint(values[top : top + _BAND].astype(np.float64) * 255)
    return scaled
