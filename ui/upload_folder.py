"""The folder of visitors' photos and of what is made from them: claimed at the start, emptied by age, gone at the end.

Several pages may share it. Each has a folder of its own in it, whose date tells the others that it is alive.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path

from gradcam_core import GradcamError

NAME = "gradcam-explorer"
EVERY = 1.0  # seconds between two looks at the folder
ASLEEP = 10.0  # seconds without a look after which the machine has slept, and nobody could keep a folder alive


def claim() -> Path:
    """A folder of this page's own, which Gradio uses from now on: in the one that GRADIO_TEMP_DIR names.

    Raises:
        GradcamError: it cannot be written.
    """
    asked = os.environ.get("GRADIO_TEMP_DIR")
    own = None
    try:
        temporary = Path(tempfile.gettempdir())
        shared = Path(asked or temporary).absolute()
        foreign = (Path("~").expanduser(), Path.cwd(), temporary)  # what lies there is not ours to clear away
        if not asked or any(folder.is_relative_to(shared) for folder in foreign):
            shared /= NAME
        shared.mkdir(parents=True, exist_ok=True)
        own = Path(tempfile.mkdtemp(prefix="page-", dir=shared))
        (own / "probe").write_bytes(bytes(1 << 16))  # on a full disk a folder can still be made
        (own / "probe").unlink()
    except OSError as error:
        if own:
            shutil.rmtree(own, ignore_errors=True)
        raise GradcamError(
            f"The folder for visitors' photos cannot be written ({(error.strerror or str(error)).lower()}: "
            f"{error.filename or asked}). Make room there, or set GRADIO_TEMP_DIR to another folder."
        ) from error
    os.environ["GRADIO_TEMP_DIR"] = str(own)
    return own


class Sweeper:
    """Clears away what nobody has used for ``seconds``, in ``own`` file by file and beside it what dead pages left."""

    def __init__(self, own: Path, seconds: float) -> None:
        self._own = own
        self._seconds = seconds
        self._last = time.time()

    def sweep(self, kept: Collection[str] = ()) -> None:
        """One look at the folder; the files ``kept`` stay, however old."""
        now, before = time.time(), self._last
        self._last = now
        with suppress(OSError):
            os.utime(self._own)  # alive
        for path in list(_tree(self._own)):
            if str(path) not in kept and _age(path, now) > self._seconds:
                _remove(path)
        if now - before > ASLEEP:
            return
        with suppress(OSError):
            for path in list(self._own.parent.iterdir()):
                if path != self._own and min(_age(each, now) for each in (path, *_tree(path))) > self._seconds:
                    _remove(path, whole=True)


def _tree(folder: Path) -> Iterator[Path]:
    """Everything in a folder, what lies deepest first; no link is followed."""
    for root, folders, files in os.walk(folder, topdown=False):
        yield from (Path(root, name) for name in (*files, *folders))


def _age(path: Path, now: float) -> float:
    try:
        return now - path.lstat().st_mtime
    except OSError:  # another has removed it
        return 0.0


def _remove(path: Path, whole: bool = False) -> None:
    is_folder = path.is_dir() and not path.is_symlink()
    with suppress(OSError):  # not empty, in use, another's, or gone
        if whole and is_folder:
            shutil.rmtree(path)
        else:
            path.rmdir() if is_folder else path.unlink()
