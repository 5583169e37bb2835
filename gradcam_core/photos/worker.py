"""The process that decodes: it is kept warm, and answers each request in a fork of itself, within limits.

`workers` starts it and asks. It never sees a photo itself: a fork takes it, and whatever happens to that one, be it
the kernel that ends it at a limit, costs one answer, and all its memory goes with it.
"""

import gc
import json
import mmap
import os
import resource
import signal
import socket
import warnings
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import AvifImagePlugin

from ..errors import PhotoError
from .decoding import decode
from .limits import MAX_BYTES, MAX_PIXELS

# What a photo may take: processor time in seconds and memory in bytes, until its header is read and then for each
# pixel more. The dearest honest ones of 40 megapixels (WebP, AVIF, progressive CMYK, floats in TIFF) take 0.03e-6 to
# 0.045e-6 and 16 a pixel on two slow cores, a phone's JPEG a quarter of that; a profile adds 0.05e-6 to 0.09e-6. Twice
# that is allowed: a photo that is read here must be read on a machine of half the speed.
HEADER_SECONDS, SECONDS_A_PIXEL, PROFILE_SECONDS_A_PIXEL = 0.12, 0.1e-6, 0.2e-6
HEADER_MEMORY, MEMORY_A_PIXEL = 128 << 20, 20
SHARE = 64  # of the square of its shorter side: the pixels that count of a photo of one row, or of one column
KEPT_MEMORY = 96 << 20  # between two photos
CLOCK_SECONDS = 30  # nobody waits for the answer any more
THREADS = 2  # of one decoder: each takes address space


def main() -> None:
    """Answer until the process that has started this one ends."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # what the other one blocks or ignores was handed down
    for ends in (signal.SIGALRM, signal.SIGPROF, signal.SIGXFSZ):
        signal.signal(ends, signal.SIG_DFL)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the forks
    with suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text("1000")  # where memory runs out, this goes first
    _limit(resource.RLIMIT_CORE, 0)
    _limit(resource.RLIMIT_FSIZE, 3 * MAX_PIXELS)
    warnings.simplefilter("ignore")
    AvifImagePlugin.DEFAULT_MAX_THREADS = THREADS
    gc.freeze()  # the forks share these pages for as long as nobody writes to them
    requests = socket.socket(fileno=0)
    requests.send(b"ready")
    while True:
        _, descriptors, _, _ = socket.recv_fds(requests, 16, 2)
        if not descriptors:
            os._exit(0)
        is_fork = False
        with suppress(OSError):  # too many processes: the socket closes without a word
            is_fork = os.fork() == 0
        if is_fork:
            try:
                requests.close()
                _serve(socket.socket(fileno=descriptors[0]), _Memory(descriptors[1]))
            finally:
                os._exit(0)
        for descriptor in descriptors:
            os.close(descriptor)


@dataclass
class _Memory:
    """What the photo's file comes in and its pixels go out in. It stays mapped, with its pages."""

    descriptor: int
    mapped: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint8))

    def photo(self, shape: tuple[int, int, int]) -> np.ndarray:
        size = int(np.prod(shape))
        if size > self.mapped.size:
            os.ftruncate(self.descriptor, max(size, os.fstat(self.descriptor).st_size))
            self.mapped = np.frombuffer(mmap.mmap(self.descriptor, size), np.uint8)
        return self.mapped[:size].reshape(shape)


def _serve(questions: socket.socket, memory: _Memory) -> None:
    """Answer one photo after the other, until nobody asks any more, or so much memory is kept that a new one is due."""
    questions.send(str(os.getpid()).encode())
    at_first = _address_space()
    is_last = False
    while not is_last:
        question, descriptors, _, _ = socket.recv_fds(questions, 8192, 1)
        if not descriptors:
            return
        questions.send(b"begun")
        name, size = json.loads(question)
        answer = _answer(descriptors[0], min(size, MAX_BYTES), name, memory)
        os.close(descriptors[0])
        is_last = _address_space() > at_first + KEPT_MEMORY
        questions.send(json.dumps(answer | {"is_last": is_last}).encode())


def _answer(file: int, size: int, name: str, memory: _Memory) -> dict:
    own = _address_space()

    def allow(width: int, height: int, has_profile: bool) -> None:
        pixels = width * height
        _limit(resource.RLIMIT_AS, own + HEADER_MEMORY + 4 * size + MEMORY_A_PIXEL * pixels)
        rate = SECONDS_A_PIXEL + PROFILE_SECONDS_A_PIXEL * has_profile
        seconds = HEADER_SECONDS + HEADER_SECONDS * has_profile + rate * min(pixels, SHARE * min(width, height) ** 2)
        signal.setitimer(signal.ITIMER_PROF, seconds)

    allow(0, 0, False)
    signal.setitimer(signal.ITIMER_REAL, CLOCK_SECONDS)
    try:
        return {"shape": decode(os.pread(file, size, 0), name, allow, memory.photo).shape}
    except OSError as error:
        return {"sentence": f"{name} cannot be read: {error.strerror}.", "cause": repr(error)}
    except PhotoError as error:
        return {"sentence": str(error), "cause": error.__cause__ and repr(error.__cause__)[:1000]}
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.setitimer(signal.ITIMER_REAL, 0)


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * mmap.PAGESIZE


def _limit(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (value if hard == resource.RLIM_INFINITY else min(value, hard), hard))
