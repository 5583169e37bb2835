"""Who computes next: a visitor's photo goes before the frames of cameras."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Turns:
    """Photos and frames of all visitors. A photo waits for the frame that is being explained, and for no other."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._photos = 0  # that are being explained, or wait for it

    @contextmanager
    def photo(self) -> Iterator[None]:
        """To be held while a photo is explained; no frame begins meanwhile."""
        with self._changed:
            self._photos += 1
        try:
            yield
        finally:
            with self._changed:
                self._photos -= 1
                self._changed.notify_all()

    def await_frame(self, seconds: float) -> bool:
        """Wait until no photo is explained, so long at most -> whether that is so."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._photos, seconds)
