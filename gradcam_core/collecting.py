"""Python's collector of garbage, kept from looking again and again at what stays for good."""

import gc
import threading
from collections.abc import Iterator
from contextlib import contextmanager

_switch = threading.Lock()
_resting = 0  # how many want it to rest now
_was_on = False  # before the first of them


@contextmanager
def uncollected() -> Iterator[None]:
    """Let the collector rest, for all threads, while packages are imported or networks are made, which all stay."""
    global _resting, _was_on
    with _switch:
        if not _resting:
            _was_on = gc.isenabled()
            gc.disable()
        _resting += 1
    try:
        yield
    finally:
        with _switch:
            _resting -= 1
            if not _resting and _was_on:
                gc.enable()
