"""TensorFlow without its notices, for programs whose output is read by people."""

import gc
import os
import sys

from .collecting import uncollected
from .errors import SettingError


def import_tensorflow() -> None:
    """Import TensorFlow silently.

    Its C++ side writes notices to standard error while it loads, before any of its settings can stop them; so
    the descriptor itself is turned away for that moment. A failure to import still arrives as an exception.

    What is there after the first import stays: the collector of garbage, which would stop the program for half a second
    now and then to look at all of it, passes it over.
    """
    choose_backend()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    is_first = "keras" not in sys.modules
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        with uncollected():
            import keras  # noqa: F401

            if is_first:
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
