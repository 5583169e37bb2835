"""Decode a stranger's bytes in other processes, which have limits: the worst of them cost their own answer.

This process never looks into the bytes. A worker reads them, from the opened file or from memory that has no name (so
nothing is left behind, whoever is killed), and the pixels come back in that memory.
"""

import atexit
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np

from ..errors import PhotoError
from . import decoding
from .limits import busy, too_complex
from .sources import read_file

log = logging.getLogger("gradcam")

AT_ONCE = max(2, min(8, (os.cpu_count() or 2) // 4))  # photos that are decoded: memory has to do for all of them
START_SECONDS = 60
ANSWER_SECONDS = 10  # by the clock; what a worker limits is its processor time, whatever else the machine does

# An empty package stands in for gradcam_core itself: the process has no use for the rest of it.
_RUN = """
import importlib, json, sys, types
folder, sys.path[:] = json.loads(sys.argv[1])
package = sys.modules["gradcam_core"] = types.ModuleType("gradcam_core")
package.__path__ = [folder]
importlib.import_module("gradcam_core.photos.worker").main()
"""
# Fewer threads and pools take less address space, and large pages are there sooner.
_ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "1", "GLIBC_TUNABLES": "glibc.malloc.hugetlb=1"}


@dataclass(frozen=True)
class _Source:
    """The process that workers are forks of."""

    process: subprocess.Popen
    requests: socket.socket

    def close(self) -> None:
        self.requests.close()
        self.process.kill()  # its forks go on
        self.process.wait()


@dataclass(frozen=True)
class _Worker:
    pid: int
    questions: socket.socket
    memory: BinaryIO

    def close(self) -> None:
        self.questions.close()  # which ends it
        self.memory.close()


@dataclass
class _State:
    """What this process has; a fork of it begins anew."""

    slots: threading.BoundedSemaphore = field(default_factory=lambda: threading.BoundedSemaphore(AT_ONCE))
    lock: threading.Lock = field(default_factory=threading.Lock)
    source: _Source | None = None
    has_started: bool | None = None  # None: not tried yet
    idle: list[_Worker] = field(default_factory=list)


_state = _State()


class _GoneError(Exception):
    """The process that workers are forks of has ended, or cannot fork."""


def slots() -> threading.BoundedSemaphore:
    """To be held while a photo is decoded, wherever."""
    return _state.slots


def decode(content: bytes | BinaryIO, name: str) -> np.ndarray:
    """`decoding.decode` within limits, in a worker; in this process where none can be started.

    Args:
        content: the bytes of the photo's file, or that file, opened from the disk.
        name: what errors call it.

    Raises:
        PhotoError: also where the photo takes more memory or time than any photo of its size.
    """
    with slots():
        worker = _asked(content, name)
        if worker is None:
            return decoding.decode(content if isinstance(content, bytes) else read_file(content)[0], name)
        answer = _answer(worker)
        try:
            if answer is None:
                raise too_complex(name)
            if "sentence" in answer:
                cause = answer["cause"] and ValueError(answer["cause"])
                raise PhotoError(answer["sentence"]) from cause
            photo = np.empty(answer["shape"], np.uint8)
            os.preadv(worker.memory.fileno(), [photo.data], 0)
            return photo
        finally:
            if answer is None or answer["is_last"]:
                worker.close()
            else:
                _state.idle.append(worker)


def _asked(content: bytes | BinaryIO, name: str) -> _Worker | None:
    """A worker that has taken the photo up; None where there are no workers."""
    try:
        for _ in range(AT_ONCE + 2):
            worker = _state.idle.pop() if _state.idle else _new_worker()
            if worker is None:
                return None
            if isinstance(content, bytes):
                os.pwrite(worker.memory.fileno(), content, 0)
                file, size = worker.memory, len(content)
            else:
                file, size = content, os.fstat(content.fileno()).st_size
            if _is_taken_up(worker, json.dumps([name, size]).encode(), file):
                return worker
            worker.close()
    except OSError as error:  # too many open files or processes
        raise busy(name) from error
    raise busy(name)


def _is_taken_up(worker: _Worker, question: bytes, file: BinaryIO) -> bool:
    try:
        socket.send_fds(worker.questions, [question], [file.fileno()])
        return bool(worker.questions.recv(8))
    except ConnectionError:  # it was killed while it had nothing to do
        return False
    except TimeoutError:
        os.kill(worker.pid, signal.SIGKILL)  # it still holds its end: the number is its own
        return False


def _answer(worker: _Worker) -> dict | None:
    try:
        answer = worker.questions.recv(8192)
    except TimeoutError:
        os.kill(worker.pid, signal.SIGKILL)
        return None
    except ConnectionError:
        return None
    return json.loads(answer) if answer else None  # it has ended: at a limit, or by somebody's hand


def _new_worker() -> _Worker | None:
    with _state.lock:
        for _ in range(2):
            source = _running_source()
            if source is None:
                return None
            try:
                return _fork_of(source)
            except _GoneError:
                source.close()
                _state.source = None
    raise OSError("the process that workers are forks of has ended twice")


def _fork_of(source: _Source) -> _Worker:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    ours.settimeout(ANSWER_SECONDS)
    memory = open(os.memfd_create("photo"), "r+b", buffering=0)  # noqa: PTH123, SIM115
    try:
        with theirs:
            socket.send_fds(source.requests, [b"fork"], [theirs.fileno(), memory.fileno()])
        return _Worker(int(ours.recv(32)), ours, memory)
    except (ConnectionError, TimeoutError, ValueError) as error:
        ours.close()
        memory.close()
        raise _GoneError from error


def _running_source() -> _Source | None:
    if _state.source is None and _state.has_started is not False:
        try:
            _state.source = _start() if _state.has_started or _is_possible() else None
        except (OSError, subprocess.SubprocessError) as error:
            if _state.has_started:
                raise
            log.warning("No process to decode photos in can be started (%s); they are decoded in this one.", error)
        _state.has_started = _state.source is not None
    return _state.source


def _is_possible() -> bool:
    if not hasattr(os, "memfd_create") or getattr(sys, "frozen", False):
        return False
    return Path(sys.executable or "").name.startswith("python")  # another program would start itself once more


def _start() -> _Source:
    """A program of its own, not a fork: that of a process with threads, such as TensorFlow's, may hang."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    paths = [str(Path(__file__).resolve().parents[1]), [os.path.abspath(path) for path in sys.path]]  # noqa: PTH100
    with theirs:
        process = subprocess.Popen(
            [sys.executable, "-I", "-c", _RUN, json.dumps(paths)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=os.environ | _ENVIRONMENT,
            start_new_session=True,  # Ctrl-C is not meant for it: it ends when this process has ended
        )
    source = _Source(process, ours)
    ours.settimeout(START_SECONDS)
    try:
        is_ready = ours.recv(8) == b"ready"
    except OSError:
        is_ready = False
    if not is_ready:
        source.close()
        raise OSError("it has ended at once, or is not ready in time")
    return source


@atexit.register
def _end_with_the_interpreter() -> None:
    if _state.source:
        _state.source.close()


def _begin_anew() -> None:
    """In a fork of this process, whose workers are not its own."""
    global _state
    before, _state = _state, _State()
    for worker in before.idle:
        worker.close()
    if before.source:
        before.source.requests.close()
        before.source.process.returncode = 0  # not to be waited for


os.register_at_fork(after_in_child=_begin_anew)
