"""The tensors in a file of PyTorch's older format, read without PyTorch and without running anything in it.

Such a file (what torch.save wrote before version 1.6; it is not a zip) holds five pickles: a magic number, the
format's version, facts about the machine, the tensors by name, and the keys of their storages in order; then for each
storage the number of its values (int64) and the values themselves. A tensor is a view of a storage, by offset and
strides.

Source: torch/serialization.py of PyTorch, `_legacy_save` and `_legacy_load`.
"""

import hashlib
import io
import pickle
import struct
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..errors import WeightsError

MAGIC = 0x1950A86A20F9469CFC6C
VERSION = 1001

# What pickle, struct and NumPy raise on content that is not what it should be.
_UNREADABLE = (
    pickle.UnpicklingError,
    EOFError,
    ValueError,
    TypeError,
    LookupError,
    AttributeError,
    ArithmeticError,
    MemoryError,
    struct.error,
)


class _ForeignNameError(Exception):
    """The file names something that weights do not need."""


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    size: int  # in values


class _Tensor(NamedTuple):
    """The arguments of torch._utils._rebuild_tensor_v2; offset and strides count values, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]
    requires_grad: bool
    backward_hooks: Any


_KNOWN = {
    "collections.OrderedDict": OrderedDict,
    "torch._utils._rebuild_tensor_v2": _Tensor,
    "torch.FloatStorage": np.dtype("<f4"),
    "torch.LongStorage": np.dtype("<i8"),
}


class _Unpickler(pickle.Unpickler):
    """Knows the names that a file of weights needs and refuses every other: whatever else it names could run."""

    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401
        full = f"{module}.{name}"
        if full not in _KNOWN:
            raise _ForeignNameError(full)
        return _KNOWN[full]

    def persistent_load(self, reference: tuple) -> _Storage:
        _, dtype, key, _device, size, _view = reference
        return _Storage(key, dtype, size)


def read_tensors(path: Path, sha256: str) -> dict[str, np.ndarray]:
    """Every tensor of a file by its name: float32 or int64, in its own shape, read-only views of what was read.

    Args:
        path: a file as torch.save wrote it before PyTorch 1.6, of a state_dict.
        sha256: the digest of the one file that is meant, in hexadecimal; another one is not opened.

    Raises:
        WeightsError: the file cannot be read, is not the one that is meant, or holds anything but weights.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise WeightsError(f"{path.name} cannot be read: {(error.strerror or str(error)).lower()}.") from error
    found = hashlib.sha256(content).hexdigest()
    if found != sha256:
        raise WeightsError(
            f"{path.name} is damaged, cut short or another file: its SHA-256 is {found[:12]}..., not {sha256[:12]}..."
        )
    try:
        return _tensors(content)
    except _ForeignNameError as error:
        raise WeightsError(f"{path.name} names {error}, which weights do not need; nothing of it was run.") from error
    except _UNREADABLE as error:
        raise WeightsError(f"{path.name} is cut short, or not of PyTorch's older format.") from error


def _tensors(content: bytes) -> dict[str, np.ndarray]:
    stream = io.BytesIO(content)
    magic, version, machine, tensors, keys = (_Unpickler(stream).load() for _ in range(5))
    if (magic, version) != (MAGIC, VERSION) or not machine["little_endian"]:
        raise ValueError("it does not begin as such a file does")
    storages = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    values: dict[str, memoryview] = {}
    start = stream.tell()
    for key in keys:
        storage = storages[key]
        (size,) = struct.unpack_from("<q", content, start)
        end = start + 8 + size * storage.dtype.itemsize
        if size != storage.size or end > len(content):
            raise ValueError(f"storage {key} has {size} values, not {storage.size}, or is cut short")
        values[key] = memoryview(content)[start + 8 : end]
        start = end
    return {name: _view(tensor, values[tensor.storage.key]) for name, tensor in tensors.items()}


def _view(tensor: _Tensor, values: memoryview) -> np.ndarray:
    """The tensor as a view of its storage; NumPy refuses strides that lead out of it."""
    dtype = tensor.storage.dtype
    strides = [stride * dtype.itemsize for stride in tensor.strides]
    return np.ndarray(tensor.shape, dtype, values, tensor.offset * dtype.itemsize, strides)
