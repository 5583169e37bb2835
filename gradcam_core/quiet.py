"""TensorFlow without its notices, for programs whose output is read by people, and Python without its pauses."""

import gc
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .errors import SettingError

_switch = threading.Lock()  # held while the collector of garbage is switched


@contextmanager
def uncollected() -> Iterator[None]:
    """Let Python's collector of garbage rest while packages are imported or a network is made, all of which is kept."""
    with _switch:  # else one that begins while another ends might never switch it on again
        was_on = gc.isenabled()
        gc.disable()
    try:
        yield
    finally:
        with _switch:
            if was_on:
                gc.enable()


def import_tensorflow() -> None:
    """Import TensorFlow silently.

    Its C++ side writes notices to standard error while it loads, before any of its settings can stop them; so
    the descriptor itself is turned away for that moment. A failure to import still arrives as an exception.

    What is imported by then stays for good: the collector of garbage, which would stop the program for half a second
    now and then to look at all of it, need not.
    """
    choose_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        with uncollected():
            import keras  # noqa: F401
        gc.freeze()
    finally:
        os.dup2(kept, 2)
        os.close(kept)


def choose_backend() -> None:
    """Let Keras use TensorFlow, whatever its settings say: for programs of our own, before Keras is imported."""
    os.environ["KERAS_BACKEND"] = "tensorflow"


def require_backend() -> None:
    """Raise a SettingError where Keras uses something else than TensorFlow."""
    try:
        import keras

        backend = keras.config.backend()
    except ImportError as error:  # the backend that its settings name is not installed
        if error.name in ("keras", "tensorflow"):
            raise
        backend = error.name or "another"
    if backend != "tensorflow":
        raise SettingError(
            f"Keras is set to the backend {backend}, and TensorFlow is needed to look inside a network. Set "
            'KERAS_BACKEND=tensorflow in the environment, or "backend": "tensorflow" in keras.json, and start again.'
        )
