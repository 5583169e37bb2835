"""Files for the browser, where Gradio serves them and where they are cleared away by age."""

import logging
import os
import tempfile
from pathlib import Path

from gradio.processing_utils import hash_bytes

from gradcam_core import WriteError

log = logging.getLogger("gradcam")


def keep(content: bytes, name: str, cache: str) -> str:
    """Store what an answer refers to -> its path.

    The folder is named by the content, so equal answers share a file. `gradio.processing_utils.save_bytes_to_cache`
    writes such a file anew each time, and cuts it short for whoever is just reading it.

    Raises:
        WriteError: the folder is full or cannot be written.
    """
    folder = Path(cache).resolve() / hash_bytes(content)
    path = folder / name
    part = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if path.is_file():
            os.utime(path)  # it is in use again
            return str(path)
        descriptor, part = tempfile.mkstemp(dir=folder, prefix=".part-")
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        Path(part).replace(path)
    except OSError as error:
        if part:
            Path(part).unlink(missing_ok=True)
        raise unwritable(error) from error
    return str(path)


def unwritable(error: Exception) -> WriteError:
    """What a visitor is told when the answer could not be stored. Where, and why, is in the log."""
    log.error("Files for visitors cannot be written: %s", error)
    return WriteError("The disk of this server is full or cannot be written. Try again in a few minutes.")
