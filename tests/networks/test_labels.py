"""Class names in the forms in which people have them."""

import enum
import json

import numpy as np
import pytest
from tiny_networks import small_model

import gradcam_core as gc
from gradcam_core.errors import NetworkError
from gradcam_core.networks.labels import names_of, read_labels

NAMES = ("cat", "dog", "emu")


class Column:
    """As a column of a table: `Series` of pandas."""

    def __init__(self, index, values):
        self.index, self.values = index, values

    def to_dict(self):
        return dict(zip(self.index, self.values, strict=True))


@pytest.mark.parametrize(
    "labels",
    [
        list(NAMES),
        NAMES,
        np.array(NAMES),
        np.array(NAMES, object),
        np.array([b"cat", b"dog", b"emu"]),
        (name for name in NAMES),
        dict.fromkeys(NAMES).keys(),
        {0: "cat", 1: "dog", 2: "emu"},
        {2: "emu", 0: "cat", 1: "dog"},
        {"2": "emu", "0": "cat", "1": "dog"},
        {np.int64(1): "dog", np.int64(0): "cat", np.int64(2): "emu"},
        {"emu": 2, "cat": 0, "dog": 1},
        {"emu": np.int32(2), "cat": np.int32(0), "dog": np.int32(1)},
        {"emu": 2, "cat": 0, "dog": 1}.items(),
        enumerate(NAMES),
        Column([0, 1, 2], NAMES),
        Column(["emu", "cat", "dog"], [2, 0, 1]),
    ],
    ids=lambda labels: type(labels).__name__,
)
def test_every_form_with_one_meaning_is_taken_in_the_order_of_the_outputs(labels):
    assert names_of(labels) == NAMES


def test_numbers_and_ids_are_names_too():
    assert names_of([0, 1, 2]) == names_of(np.arange(3)) == names_of({"0": 0, "1": 1, "2": 2}) == ("0", "1", "2")
    assert names_of({0: 7, 1: 3}) == ("7", "3")
    assert names_of({"0": "cat", "1": 7}) == ("cat", "7")
    pair = ("n02084071", "dog")
    assert names_of([pair]) == names_of([list(pair)]) == names_of(["n02084071 dog"]) == names_of({"0": pair}) == (pair,)


class Kind(enum.Enum):
    CAT = 0


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        ({"cat", "dog"}, "a set, which has no order"),
        (frozenset(NAMES), "a set, which has no order"),
        ("cat", "'cat', and there is no such file"),
        (b"cat", "The class names are b'cat'"),
        (7, "The class names are 7"),
        (np.array("cat"), "one class name for each output"),
        ([None, "dog"], "Entry 0 "),
        (["cat", ""], "Entry 1 "),
        (["cat", float("nan")], "Entry 1 "),
        ([["cat", "dog", "emu"]], "Entry 0 "),
        ({0: "cat", 2: "emu"}, "the indices 0 to 1, each once; these have 0, 2"),
        ({1: "cat", 2: "emu"}, "the indices 0 to 1, each once; these have 1, 2"),
        ({"cat": 0, "dog": 0}, "the indices 0 to 1, each once; these have 0, 0"),
        ({"cat": "Katze"}, "the indices 0 to 0, each once; these have cat"),
        ([(0, "cat"), (0, "dog")], "the indices 0 to 1, each once; these have 0, 0"),
        (Kind, "Entry 0 "),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, set | frozenset) else str(value),
)
def test_what_has_no_one_meaning_gets_a_sentence(labels, sentence):
    with pytest.raises(NetworkError, match=sentence):
        names_of(labels)


def test_hidden_folders_and_files_beside_them_are_no_classes(tmp_path):
    for name in ("emu", "cat", ".ipynb_checkpoints", "dog"):
        (tmp_path / name).mkdir()
    (tmp_path / "about.txt").write_text("of animals")
    assert names_of(tmp_path) == NAMES


@pytest.mark.parametrize(
    ("name", "content", "names"),
    [
        ("tm.txt", "0 cat\n1 big dog\n2 emu\n", ("cat", "big dog", "emu")),
        ("turned.txt", "2 emu\n0 cat\n1 dog", NAMES),
        ("commas.txt", "0,cat\n1,dog\n2,emu", NAMES),
        ("blank.txt", "cat\ndog\nemu\n\n \n", NAMES),
        ("numbers.txt", "0\n1\n2\n", ("0", "1", "2")),
        ("counted.txt", "1 man\n2 men\n", ("1 man", "2 men")),
        ("some.txt", "0 cat\ndog\n", ("0 cat", "dog")),
        ("list.json", json.dumps(NAMES), NAMES),
        ("by_index.json", json.dumps({"1": "dog", "0": "cat", "2": "emu"}), NAMES),
        ("by_name.JSON", json.dumps({"dog": 1, "cat": 0, "emu": 2}), NAMES),
        ("imagenet.json", json.dumps({"0": ["n02084071", "dog"]}), (("n02084071", "dog"),)),
    ],
)
def test_files_have_names_by_line_or_by_index(tmp_path, name, content, names):
    path = tmp_path / name
    path.write_text(content, encoding="utf-8")
    assert read_labels(path) == names_of(str(path)) == names


@pytest.mark.parametrize("labels", [{"emu": 2, "cat": 0, "dog": 1}, np.array(NAMES), iter(NAMES)])
def test_the_names_reach_the_network_by_both_doors(model_file, labels):
    labels = list(labels) if hasattr(labels, "__next__") else labels
    for network in (gc.load(model_file, labels=labels), gc.Classifier("own", small_model(), labels)):
        assert tuple(label.name for label in network.labels) == NAMES
        assert network.resolve_target("emu") == 2


def test_a_wrong_number_of_names_is_said_with_both_numbers(model_file):
    for labels in ([], ["cat"], {0: "cat", 1: "dog"}):
        with pytest.raises(NetworkError, match=f"3 classes, but {len(labels)} names"):
            gc.load(model_file, labels=labels)
        with pytest.raises(NetworkError, match=f"3 classes, but {len(labels)} names"):
            gc.Classifier("own", small_model(), labels)
