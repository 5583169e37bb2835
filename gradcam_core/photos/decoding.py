"""The bytes of a photo -> its pixels, within limits; whatever a decoder raises becomes a sentence."""

import io
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
from PIL import Image, ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.TiffImagePlugin import PHOTOMETRIC_INTERPRETATION, TILELENGTH, TILEWIDTH, TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from ..errors import PhotoError
from .formats import reader_of
from .limits import MAX_PIXELS, check_size, too_complex
from .pixels import Empty, new_photo, to_rgb

# A progressive JPEG has about ten scans, each a walk over all pixels; 20 MB can hold 300,000 of them.
_MAX_JPEG_SCANS = 100
_YCBCR = 6  # TIFF 6.0, section 21
_JPEG_MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")


def decode(
    content: bytes,
    name: str,
    allow: Callable[[int, int, bool], None] = lambda _width, _height, _has_profile: None,
    empty: Empty = new_photo,
) -> np.ndarray:
    """The pixels of a photo's file: uint8 (H, W, 3), RGB, upright.

    Args:
        content: the bytes of the file.
        name: what errors call it.
        allow: is told width, height and whether there is a colour profile as soon as the header is read, before
            anything is set aside for them.
        empty: makes the array that the pixels are written into.

    Raises:
        PhotoError: whatever is wrong with the photo.
    """
    reader = reader_of(content, name)
    with _as_sentence(name, content):
        if reader is JpegImageFile and _has_endless_scans(content):
            raise ValueError(f"more than {_MAX_JPEG_SCANS} scans")
        if reader is WebPImageFile:  # its decoder sets the whole canvas aside when it is made
            check_size(*_webp_size(content), name)
            allow(*_webp_size(content), b"ICCP" in content[:64])
        image = reader(io.BytesIO(content))
        if isinstance(image, TiffImageFile):  # libtiff sets a whole tile aside, however small the picture
            check_size(image.tag_v2.get(TILEWIDTH, 1), image.tag_v2.get(TILELENGTH, 1), name)
        check_size(*image.size, name)
        allow(*image.size, "icc_profile" in image.info)
    return from_pillow(image, name, content, empty)


def from_pillow(image: Image.Image, name: str, content: bytes = b"", empty: Empty = new_photo) -> np.ndarray:
    """The pixels of a Pillow image, loaded or not; see `gradcam_core.read_image`."""
    check_size(*image.size, name)
    with _as_sentence(name, content):
        if isinstance(image, TiffImageFile) and image.tile:
            _leave_to_libtiff_what_pillow_misreads(image)
        return to_rgb(image, name, empty)


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


def _leave_to_libtiff_what_pillow_misreads(image: TiffImageFile) -> None:
    """Of uncompressed YCbCr Pillow expects four bytes a pixel, where several pixels mostly share their colour."""
    if image.tag_v2.get(PHOTOMETRIC_INTERPRETATION) == _YCBCR and not image.use_load_libtiff:
        arguments = ("RGBX", "raw", False, image.tag_v2.offset)
        image.tile = [ImageFile._Tile("libtiff", (0, 0, *image._tile_size), 0, arguments)]
        image.use_load_libtiff = True


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
        if isinstance(error, MemoryError) or "memory" in str(error).lower():
            raise too_complex(name) from error
        is_short_riff = content[:4] == b"RIFF" and int.from_bytes(content[4:8], "little") + 8 > len(content)
        if is_short_riff or "truncated" in str(error).lower():
            raise PhotoError(f"{name} is cut short: its end is missing. Copy or download it again.") from error
        raise PhotoError(
            f"{name} is damaged, or of a rare kind that cannot be read. Save it again as JPEG or PNG and try that."
        ) from error
