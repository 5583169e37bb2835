"""Photos: any source -> upright pixels, within limits. Knows nothing of networks."""

from .limits import MAX_BYTES, MAX_PIXELS
from .reading import Source, read_image

__all__ = ["MAX_BYTES", "MAX_PIXELS", "Source", "read_image"]
