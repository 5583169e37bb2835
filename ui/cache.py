"""Files for the browser, where Gradio serves them and clears them away."""

import os
import tempfile
from pathlib import Path

from gradio.processing_utils import hash_bytes


def keep(content: bytes, name: str, cache: str) -> str:
    """Store what an answer refers to -> its path.

    The folder is named by the content, so equal answers share a file. `gradio.processing_utils.save_bytes_to_cache`
    writes such a file anew each time, and cuts it short for whoever is just reading it.
    """
    folder = Path(cache).resolve() / hash_bytes(content)
    path = folder / name
    folder.mkdir(parents=True, exist_ok=True)
    if path.is_file():
        os.utime(path)  # files are cleared away by age
        return str(path)
    descriptor, part = tempfile.mkstemp(dir=folder, prefix=".part-")
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
    Path(part).replace(path)
    return str(path)
