from .decoding import MAX_BYTES, MAX_PIXELS, Source, read_image  # noqa: F401
