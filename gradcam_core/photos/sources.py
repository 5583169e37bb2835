"""A path or a file of any kind -> what a photo can be decoded from, and a name to call it by."""

import os
import re
import stat
from pathlib import Path
from typing import BinaryIO

from ..errors import PhotoError
from .limits import MAX_BYTES, check_bytes


def shown_name(path: object) -> str:
    """The file's own name, fit to be shown: no folder, no control characters, not endless."""
    if not isinstance(path, str | bytes | os.PathLike):
        return "The photo"
    name = Path(os.fsdecode(path)).name
    name = printable(name)
    if len(name) > 60:
        name = f"{name[:30]}…{name[-29:]}"
    return name or "The photo"


def printable(text: str) -> str:
    """A text in one line, which no terminal takes for commands.

    >>> printable("red\\n2. \\x1b[31mfake")
    'red?2. ?[31mfake'
    """
    return "".join(character if character.isprintable() else "?" for character in text)


def open_path(path: str) -> tuple[BinaryIO, str]:
    """The opened file, unread: whoever decodes it reads it."""
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]+://|data:", path):
        raise PhotoError("The photo is given as a web address. Save the picture to a file and give its path.")
    if not path:
        raise PhotoError("The path of the photo is empty.")
    name = shown_name(path)
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise PhotoError(f"{name} is a folder, not a photo. Give the path of one file in it.")
        if not stat.S_ISREG(status.st_mode):  # opening a pipe would wait for ever
            raise PhotoError(f"{name} is not an ordinary file.")
        check_bytes(status.st_size, name)
        return Path(path).open("rb", buffering=0), name
    except (FileNotFoundError, NotADirectoryError) as error:
        raise PhotoError(f"There is no file {name}. Check the path.") from error
    except PermissionError as error:
        raise PhotoError(f"{name} cannot be read: permission denied.") from error
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "its path is not valid"
        raise PhotoError(f"{name} cannot be read: {reason}.") from error


def read_file(file: BinaryIO) -> tuple[bytes, str]:
    """Its bytes from where it stands, read no further than is needed to know that they are too many."""
    name = shown_name(getattr(file, "name", None))
    parts, left = [], MAX_BYTES + 1
    try:
        while left > 0 and (part := file.read(left)):
            if not isinstance(part, bytes | bytearray):
                raise PhotoError(f'{name} is opened as text. Open it in binary mode: open(path, "rb").')
            parts.append(part)
            left -= len(part)
    except PhotoError:
        raise
    except (OSError, ValueError) as error:  # ValueError: the file is closed, or text that is no UTF-8
        raise PhotoError(f'{name} cannot be read. Is it still open, and in binary mode ("rb")?') from error
    except Exception as error:  # whoever wrote the reader may raise anything
        raise PhotoError(
            f"{name} cannot be read: its read(size) fails, or takes no size. Give a file in binary mode, or bytes."
        ) from error
    if left <= 0:
        raise PhotoError(f"{name} is larger than {MAX_BYTES >> 20} MB. Make it smaller and try again.")
    return b"".join(parts), name
