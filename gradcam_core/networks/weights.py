"""The weights of Keras' networks: fetched from Keras' own store at first use, into Keras' own folder."""

import hashlib
import http.client
import logging
import os
import shutil
import socket
import tempfile
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..errors import WeightsError

Progress = Callable[[str, float, float], None]

STORE = "https://storage.googleapis.com"
TIMEOUT = 30.0  # seconds without a byte after which the server counts as gone
_BLOCK = 1 << 20  # bytes
_LARGER = 1.25  # times what is known of a file's size, which counts its numbers alone
_WITHOUT = "EfficientNetLite0 works without a download."
_DEAD_PART = 3600.0  # seconds without a write after which a part file belongs to nobody
_UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    RuntimeError,
)  # what Keras and h5py raise on a bad file
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class WeightsFile:
    """Where the weights of one network lie in Keras' store, and where they belong here.

    Args:
        network: the network's name, for messages.
        name: the file's name in the folder `folder`.
        address: its path in the store.
        size: in bytes, about; what counts is what the server says.
        digest: its MD5 or SHA-256 as Keras knows it; where Keras knows none, that of the first file that worked
            is kept in KERAS_HOME/digests.
    """

    network: str
    name: str
    address: str
    size: int
    digest: str | None = None

    @property
    def path(self) -> Path:
        """Where the file is, or will be."""
        return folder() / self.name

    @property
    def is_here(self) -> bool:
        """Whether the file is on this machine."""
        return self.path.is_file()

    @property
    def url(self) -> str:
        """Where it is fetched: Keras' store, or the mirror that GRADCAM_WEIGHTS_URL names."""
        return f"{os.environ.get('GRADCAM_WEIGHTS_URL', STORE).rstrip('/')}/{self.address}"


def folder() -> Path:
    """KERAS_HOME/models; without KERAS_HOME it is ~/.keras/models, as in Keras.

    Keras reads the variable once, at its import; here it counts whenever it is set.
    """
    if (home := os.environ.get("KERAS_HOME")) is not None:
        return Path(home).expanduser() / "models"
    user = Path("~").expanduser()
    return (user if os.access(user, os.W_OK) else Path(tempfile.gettempdir())) / ".keras" / "models"


def fetch(
    file: WeightsFile,
    use: Callable[[Path], None],
    *,
    progress: Progress | None = None,
    timeout: float = TIMEOUT,
) -> Path:
    """Put a file of weights to use, after fetching it if it is not here.

    Only a file that has been used without an error ever gets the final name. One that is here and damaged is
    removed and fetched again, once.

    Args:
        file: which one.
        use: reads the weights from the path it is given; an OSError, ValueError, KeyError, TypeError or
            RuntimeError that it raises says that the file is damaged.
        progress: called as progress("download", bytes done, bytes in all), at most ten times a second;
            what it raises ends the download.
        timeout: seconds without a byte after which the server counts as gone.

    Returns:
        The path of the file.

    Raises:
        WeightsError: the file cannot be fetched, read or stored. Nothing is left behind, the next call starts
            anew.
    """
    path = file.path
    state = "are not on this machine"
    if path.is_file():
        if _works(path, file, use):
            return path
        try:
            path.unlink()
        except OSError as error:
            raise WeightsError(
                f"The weights of {file.network} in {path} are damaged and cannot be removed "
                f"({_cause(error)}). Remove that file by hand; {_WITHOUT}"
            ) from error
        state = "on this machine were damaged and have been removed"
    return _download(file, path, state, use, progress, timeout)


class _FetchError(Exception):
    """The download failed; the text is the reason, as the end of a sentence."""


def _download(
    file: WeightsFile,
    path: Path,
    state: str,
    use: Callable[[Path], None],
    progress: Progress | None,
    timeout: float,
) -> Path:
    part = path.with_name(f"{path.stem}.{uuid.uuid4().hex[:8]}.part{path.suffix}")  # Keras goes by the suffix
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_dead_parts(path)
        output = part.open("xb")
    except OSError as error:
        raise WeightsError(
            f"The weights of {file.network} ({_megabytes(file.size)}) {state}, and {path.parent} cannot be "
            f"written ({_cause(error)}). Set KERAS_HOME to a folder that can be written; {_WITHOUT}"
        ) from error
    try:
        with output:
            total = _receive(file, output, progress, timeout)
        if not _works(part, file, use):
            raise _FetchError(f"the {_megabytes(total)} that arrived are damaged")
        try:
            part.replace(path)
        except OSError as error:
            raise WeightsError(f"{path} cannot be written ({_cause(error)}); {_WITHOUT}") from error
    except _FetchError as error:
        raise WeightsError(
            f"The weights of {file.network} ({_megabytes(file.size)}) {state}, and could not be fetched from "
            f"{file.url}: {error}; {_WITHOUT}"
        ) from error.__cause__
    finally:
        part.unlink(missing_ok=True)
    return path


def _receive(file: WeightsFile, output: BinaryIO, progress: Progress | None, timeout: float) -> int:
    """Copy what the server sends into ``output``; how many bytes it was."""
    try:
        response = urllib.request.urlopen(file.url, timeout=timeout)
    except (OSError, ValueError, http.client.HTTPException) as error:
        raise _FetchError(_reason(error, timeout)) from error
    with response:
        length = response.headers.get("Content-Length", "")
        total = int(length) if length.isdecimal() and len(length) < 20 else None
        expected = total or file.size
        done = 0
        reported = 0.0
        _check_room(file, expected)
        _check_size(file, expected)
        while True:
            try:
                block = response.read1(_BLOCK)
            except (OSError, http.client.HTTPException) as error:
                raise _FetchError(f"{_reason(error, timeout)} after {_of(done, expected)}") from error
            if not block:
                break
            try:
                output.write(block)
                output.flush()
            except OSError as error:
                raise WeightsError(
                    f"The weights of {file.network} ({_megabytes(expected)}) could not be stored in "
                    f"{folder()} ({_cause(error)}); {_WITHOUT}"
                ) from error
            done += len(block)
            _check_size(file, done)
            if time.monotonic() - reported >= 0.1:
                reported = time.monotonic()
                _check_room(file, expected - done)
                if progress is not None:
                    progress("download", done, expected)
    if total is not None and done < total:
        raise _FetchError(f"the connection was cut off after {_of(done, expected)}")
    if progress is not None:
        progress("download", done, done)
    return done


def _check_size(file: WeightsFile, size: int) -> None:
    """Stop at what the file can have at most: a server that goes on for ever would fill the disk."""
    if size > _LARGER * file.size + _BLOCK:
        raise _FetchError(f"the server sends {_megabytes(size)} or more, and the file has {_megabytes(file.size)}")


def _check_room(file: WeightsFile, needed: int) -> None:
    free = shutil.disk_usage(folder()).free
    if free < needed:
        raise WeightsError(
            f"The weights of {file.network} need {_megabytes(needed)} more in {folder()}, where "
            f"{_megabytes(free)} are free. Make room, or set KERAS_HOME to another folder; {_WITHOUT}"
        )


def _works(path: Path, file: WeightsFile, use: Callable[[Path], None]) -> bool:
    """Whether the file is the one Keras knows, and can be used."""
    known = file.digest or (_remembered(path) if path == file.path else None)
    algorithm = "md5" if known is not None and len(known) == 32 else "sha256"
    try:
        with path.open("rb") as content:
            found = hashlib.file_digest(content, lambda: hashlib.new(algorithm, usedforsecurity=False)).hexdigest()
        if known is not None and found != known:
            _log.warning("%s: its %s is %s, not %s", path, algorithm, found, known)
            return False
    except PermissionError as error:
        raise WeightsError(
            f"The weights of {file.network} in {path} cannot be read ({_cause(error)}); {_WITHOUT}"
        ) from error
    except OSError as error:
        _log.warning("%s cannot be read: %s", path, error)
        return False
    try:
        use(path)
    except _UNREADABLE as error:
        _log.warning("%s cannot be used: %s", path, error)
        return False
    if known is None:
        _remember(file.path, found)
    return True


def _digest_file(path: Path) -> Path:
    return path.parent.with_name("digests") / f"{path.name}.sha256"


def _remembered(path: Path) -> str | None:
    """The digest that the file had when it was first used, if it was."""
    with suppress(OSError, ValueError, IndexError):
        digest = _digest_file(path).read_text("ascii").split()[0]
        return digest if len(digest) == 64 else None
    return None


def _remember(path: Path, digest: str) -> None:
    """As ``sha256sum`` writes it. Where the owner has made KERAS_HOME read-only nothing is written, as root either."""
    kept = _digest_file(path)
    with suppress(OSError):
        if kept.parent.parent.stat().st_mode & 0o200:
            kept.parent.mkdir(exist_ok=True)
            kept.write_text(f"{digest}  {path.name}\n", "ascii")


def _remove_dead_parts(path: Path) -> None:
    """Remove what killed processes left; a download that lives writes to its part all the time."""
    for part in path.parent.glob(f"{path.stem}.*.part{path.suffix}"):
        try:
            if time.time() - part.stat().st_mtime > _DEAD_PART:
                part.unlink()
        except OSError as error:
            _log.warning("%s cannot be removed: %s", part, error)


def _reason(error: BaseException, timeout: float) -> str:
    if isinstance(error, urllib.error.HTTPError):
        return f"the server answers {error.code}" + (" (not found)" if error.code == 404 else "")
    if isinstance(error, urllib.error.URLError) and isinstance(error.reason, BaseException):
        return _reason(error.reason, timeout)
    if isinstance(error, TimeoutError):
        return f"the server sent nothing for {timeout:g} s"
    if isinstance(error, socket.gaierror):
        return "the server is not known here, or there is no network"
    if isinstance(error, ConnectionRefusedError):
        return "the connection was refused"
    if isinstance(error, (ConnectionError, http.client.HTTPException)):
        return "the connection was cut off"
    return f"there is no connection ({_cause(error)})"


def _cause(error: BaseException) -> str:
    return (getattr(error, "strerror", None) or str(error)).lower()


def _of(done: int, expected: int) -> str:
    return f"{done / 1e6:.1f} of {expected / 1e6:.1f} MB"


def _megabytes(size: int) -> str:
    return f"{size / 1e6:.0f} MB" if size >= 9_500_000 else f"{size / 1e6:.1f} MB"
