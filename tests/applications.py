"""Every network of keras.applications as Keras itself builds it, once for all tests, without values or downloads."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import Any
from unittest.mock import patch

import keras
from keras.src.utils import file_utils


@dataclass(frozen=True)
class Application:
    """A network with shapes but without values, and the arguments of Keras' own request for its weights."""

    model: keras.Model
    asked: dict[str, Any]


class _Built(Exception):  # noqa: N818
    """Carries the network out of Keras' builder when all that is left is to read the weights."""


@cache
def application(name: str) -> Application:
    """The network that ``keras.applications.NAME(weights="imagenet")`` builds before it reads the weights.

    Variables without values take a third of the time, and no gigabytes; a new thread gives the layers the names
    that they have in a new process.
    """
    asked: dict[str, Any] = {}

    def get_file(fname, origin, **arguments):
        asked.update(arguments, fname=fname, origin=origin)
        return "not fetched.h5"

    def load_weights(model, path):
        raise _Built(model)

    def build() -> keras.Model:
        try:
            with keras.StatelessScope(initialize_variables=False):
                getattr(keras.applications, name)(weights="imagenet", classifier_activation=None)
        except _Built as built:
            return built.args[0]
        raise AssertionError("Keras reads weights at the end")

    with (
        patch.object(file_utils, "get_file", get_file),
        patch.object(keras.Model, "load_weights", load_weights),
        ThreadPoolExecutor(max_workers=1) as thread,
    ):
        return Application(thread.submit(build).result(), asked)
