"""How large a photo may be, and the sentences for those that are larger."""

import math

from ..errors import PhotoError

MAX_PIXELS = 40_000_000
MAX_BYTES = 20 * 1024 * 1024


def check_bytes(count: int, name: str) -> None:
    if count > MAX_BYTES:
        megabytes = math.ceil(count / 2**20 * 10) / 10
        raise PhotoError(
            f"{name} is {megabytes:.1f} MB; a photo may have {MAX_BYTES >> 20} MB. Make it smaller and try again."
        )


def check_size(width: int, height: int, name: str) -> None:
    if width < 1 or height < 1:
        raise PhotoError(f"{name} has no pixels ({width} x {height}).")
    if width * height > MAX_PIXELS:
        raise PhotoError(
            f"{name} is {width} x {height} pixels ({width * height / 1e6:.1f} megapixels); "
            f"a photo may have {MAX_PIXELS // 1_000_000} megapixels. Make it smaller and try again."
        )


def too_complex(name: str) -> PhotoError:
    """What to say of a photo that takes more memory or time than any photo of its size."""
    return PhotoError(f"{name} is too complex to be read. Save it again as JPEG or PNG and try that.")


def busy(name: str) -> PhotoError:
    """What to say where the photo is not to blame."""
    return PhotoError(f"{name} cannot be read just now. Try again in a moment.")
