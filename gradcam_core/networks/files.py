"""A network of one's own: the model in a .keras file, the class names in a text or JSON file."""

import json
import os
import re
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import NetworkError
from .keras_hub import MISSING, is_missing

if TYPE_CHECKING:
    import keras

Labels = Sequence[str | tuple[str, str]]

# What Keras, zipfile and h5py raise on a damaged file.
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    EOFError,
    zipfile.BadZipFile,
    zlib.error,
)


def read_model(path: Path) -> "keras.Model":
    """The model in a .keras file, without running code that the file may hold.

    Classes of the caller's own are found when they are registered (keras.saving.register_keras_serializable),
    or in the scope of keras.saving.custom_object_scope.

    Raises:
        NetworkError: the file is damaged, or holds code or classes that Keras does not know.
    """
    import keras

    try:
        return keras.models.load_model(path, compile=False, safe_mode=True)
    except _UNREADABLE as error:
        text = str(error)
        if is_missing(text):
            reason = MISSING
        elif unknown := re.search(r"Could not locate (?:class|function) '([^']+)'", text):
            reason = (
                f"holds {unknown[1]!r}, which Keras does not know; register it first with "
                "keras.saving.register_keras_serializable()"
            )
        elif "safe_mode" in text or "nsafe" in text or "ambda" in text:
            reason = "holds code of its own (a Lambda layer), which is not run; replace it with a layer of Keras"
        elif not zipfile.is_zipfile(path):
            reason = "is damaged, or was not saved by Keras 3"
        else:
            reason = f"cannot be read: {text.strip().partition(chr(10))[0][:200] or type(error).__name__}"
        raise NetworkError(f"{path} {reason}.") from error


def read_labels(path: str | os.PathLike[str]) -> tuple[str | tuple[str, str], ...]:
    """Class names from a text file (one "name" or "n01440764 name" a line) or a .json file with a list.

    Raises:
        NetworkError: the file cannot be read, or is neither.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8-sig")
        entries = json.loads(text) if path.suffix.lower() == ".json" else text.rstrip().splitlines()
    except OSError as error:
        raise NetworkError(
            f"The class names in {path} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise NetworkError(f"The class names in {path} are not UTF-8 text, or not JSON: {error}.") from error
    names: list[str | tuple[str, str]] = []
    for entry in entries if isinstance(entries, list) else [None]:
        if (name := _label(entry)) is not None:
            names.append(name)
            continue
        raise NetworkError(
            f"{path} must hold one class name for each output, in order: a line each, or a JSON list of "
            f"names or [WordNet id, name] pairs. Entry {len(names)} (counted from 0) is not one."
        )
    return tuple(names)


def _label(entry: object) -> str | tuple[str, str] | None:
    """A name, or a pair of WordNet id and name; None where it is neither."""
    if isinstance(entry, str) and entry.strip():
        with_id = re.fullmatch(r"(n\d{8})\s+(\S.*)", entry.strip())
        return (with_id[1], with_id[2]) if with_id else entry.strip()
    if isinstance(entry, list) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
        return (entry[0], entry[1])
    return None
