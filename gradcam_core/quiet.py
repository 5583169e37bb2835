"""TensorFlow without its notices, for programs whose output is read by people."""

import os
import sys


def import_tensorflow() -> None:
    """Import TensorFlow silently.

    Its C++ side writes notices to standard error while it loads, before any of its settings can stop them; so
    the descriptor itself is turned away for that moment. A failure to import still arrives as an exception.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        import keras  # noqa: F401
    finally:
        os.dup2(kept, 2)
        os.close(kept)
