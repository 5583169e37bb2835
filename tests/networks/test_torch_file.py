"""PyTorch's older files: tensors are views of storages; whatever else is in a file is refused, and nothing runs."""

import hashlib
import pickle
import struct
import zipfile

import numpy as np
import pytest

from gradcam_core.errors import WeightsError
from gradcam_core.networks.torch_file import MAGIC, VERSION, read_tensors

FACTS = {"protocol_version": VERSION, "little_endian": True, "type_sizes": {"short": 2, "int": 4, "long": 4}}


def opcodes(value) -> bytes:
    """A pickle of protocol 2, written by hand as torch.save writes it, but for its end."""
    match value:
        case bool():
            return b"\x88" if value else b"\x89"
        case None:
            return b"N"
        case int():
            return b"I%d\n" % value
        case str():
            return b"V%s\n" % value.encode()
        case tuple():
            return b"(" + b"".join(map(opcodes, value)) + b"t"
        case bytes():
            return value
    raise TypeError(value)


def tensor(storage, size, offset, shape, strides, kind="FloatStorage") -> bytes:
    reference = opcodes(("storage", b"ctorch\n%s\n" % kind.encode(), storage, "cpu", size, None)) + b"Q"
    arguments = (reference, offset, shape, strides, False, b"ccollections\nOrderedDict\n)R")
    return b"ctorch._utils\n_rebuild_tensor_v2\n" + opcodes(arguments) + b"R"


def state_dict(**tensors: bytes) -> bytes:
    entries = b"".join(opcodes(name) + content for name, content in tensors.items())
    metadata = b"}(V_metadata\nccollections\nOrderedDict\n)Rub"  # what torch.save sets as an attribute
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + entries + b"u" + metadata + b"."


def legacy_file(folder, state: bytes, storages: dict, /, **other: bytes):
    """A file with these tensors and storages; ``other`` replaces one of the other pickles."""
    pickles = {
        "magic": pickle.dumps(MAGIC, 2),
        "version": pickle.dumps(VERSION, 2),
        "facts": pickle.dumps(FACTS, 2),
        "state": state,
        "keys": pickle.dumps(list(storages), 2),
    } | other
    blocks = [struct.pack("<q", values.size) + values.tobytes() for values in storages.values()]
    path = folder / "weights.pth"
    path.write_bytes(b"".join(pickles.values()) + b"".join(blocks))
    return path


def read(path):
    return read_tensors(path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture
def path(tmp_path):
    """Three tensors over two storages: one by columns, one of the same values from the fifth on, one of counts."""
    state = state_dict(
        columns=tensor("8", 12, 3, (2, 3), (1, 2)),
        rest=tensor("8", 12, 5, (7,), (1,)),
        count=tensor("2", 1, 0, (), (), "LongStorage"),
    )
    storages = {"2": np.array([70_000_000_000]), "8": np.arange(100, 112, dtype=np.float32)}
    return legacy_file(tmp_path, state, storages)


def test_a_tensor_is_a_view_of_its_storage_by_offset_and_strides(path):
    tensors = read(path)
    assert list(tensors) == ["columns", "rest", "count"]
    np.testing.assert_array_equal(tensors["columns"], [[103, 105, 107], [104, 106, 108]])
    np.testing.assert_array_equal(tensors["rest"], [105, 106, 107, 108, 109, 110, 111])
    np.testing.assert_array_equal(tensors["count"], 70_000_000_000)
    assert [values.dtype for values in tensors.values()] == [np.float32, np.float32, np.int64]


def test_a_file_that_is_not_the_one_meant_is_not_opened(path, tmp_path):
    meant = hashlib.sha256(path.read_bytes()).hexdigest()
    flipped = bytearray(path.read_bytes())
    flipped[-2] ^= 1
    path.write_bytes(flipped)
    with pytest.raises(WeightsError, match=r"^weights.pth is damaged, cut short or another file: its SHA-256 is"):
        read_tensors(path, meant)


def test_a_file_that_ends_anywhere_too_early_is_refused(path):
    content = path.read_bytes()
    for length in range(len(content)):
        path.write_bytes(content[:length])
        with pytest.raises(WeightsError, match="is cut short, or not of PyTorch's older format"):
            read(path)


@pytest.mark.parametrize("place", ["magic", "version", "facts", "state", "keys"])
@pytest.mark.parametrize(
    ("name", "call"),
    [
        ("os.system", b"cos\nsystem\n(Vtouch {mark}\ntR"),
        ("posix.system", b"(Vtouch {mark}\niposix\nsystem\n"),
        ("pathlib.Path.touch", b"\x80\x04\x8c\x07pathlib\x8c\x0aPath.touch\x93V{mark}\n\x85R"),
        (
            "collections.OrderedDict.fromkeys",
            b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.fromkeys\x93V{mark}\n\x85R",
        ),
        ("torch.storage._load_from_bytes", b"ctorch.storage\n_load_from_bytes\n(V{mark}\ntR"),
    ],
)
def test_a_name_that_weights_do_not_need_is_refused_and_nothing_runs(tmp_path, place, name, call):
    mark = tmp_path / "it_ran"
    call = call.replace(b"{mark}", str(mark).encode())
    one = {"8": np.zeros(1, np.float32)}
    state = state_dict(one=tensor("8", 1, 0, (1,), (1,)))
    path = legacy_file(tmp_path, state, one, **{place: b"\x80\x02" + call + b"."})
    with pytest.raises(WeightsError, match=f"^weights.pth names {name}, .*; nothing of it was run") as caught:
        read(path)
    assert not mark.exists()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        tensor("8", 12, 3, (2, 5), (1, 2)),  # its last value would be the thirteenth
        tensor("8", 12, -1, (2,), (1,)),
        tensor("8", 12, 0, (3,), (-1,)),
        tensor("8", 12, 0, (-3,), (1,)),
        tensor("8", 12, 0, (2, 2), (1,)),
        tensor("8", 13, 0, (2,), (1,)),  # says another size than the block
        tensor("9", 12, 0, (2,), (1,)),  # a storage that is not in the file
        tensor("8", 12, 0, (6,), (1,), "LongStorage"),
        b"I3\n",
        b"ctorch\nFloatStorage\n)R",
        b"ctorch._utils\n_rebuild_tensor_v2\n)R",
    ],
)
def test_a_tensor_that_is_none_is_refused(tmp_path, given):
    path = legacy_file(tmp_path, state_dict(one=given), {"8": np.zeros(12, np.float32)})
    with pytest.raises(WeightsError, match="older format"):
        read(path)


def zip_file(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("archive/data.pkl", b"\x80\x02}.")


@pytest.mark.parametrize(
    "write",
    [
        zip_file,  # what torch.save has written since version 1.6
        lambda path: path.write_bytes(b""),
        lambda path: path.write_text("<!DOCTYPE html>"),
        lambda path: path.write_bytes(np.random.default_rng(0).bytes(1000)),
        lambda path: path.write_bytes(b"".join(pickle.dumps([], 2) for _ in range(5))),
    ],
)
def test_another_format_is_refused(tmp_path, write):
    path = tmp_path / "weights.pth"
    write(path)
    with pytest.raises(WeightsError, match="is cut short, or not of PyTorch's older format"):
        read(path)


@pytest.mark.parametrize(
    "other", [{"magic": MAGIC + 1}, {"version": VERSION + 1}, {"facts": FACTS | {"little_endian": False}}]
)
def test_a_file_that_begins_otherwise_is_refused(tmp_path, other):
    state = state_dict(one=tensor("8", 1, 0, (1,), (1,)))
    other = {name: pickle.dumps(value, 2) for name, value in other.items()}
    path = legacy_file(tmp_path, state, {"8": np.zeros(1, np.float32)}, **other)
    with pytest.raises(WeightsError, match="older format"):
        read(path)


def test_a_file_that_is_not_there_is_a_sentence(tmp_path):
    with pytest.raises(WeightsError, match=r"^absent.pth cannot be read: no such file"):
        read_tensors(tmp_path / "absent.pth", "")
