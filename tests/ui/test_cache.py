"""What was computed or written once is used again, by whoever it belongs to and by nobody else."""

import os
import resource
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_networks import deep_network

import gradcam_core as gc
from ui.cache import keep
from ui.explained import Explained, Settings
from ui.layer_grid import kept_photo

LONG_AGO = 1_000_000_000  # seconds since 1970


@pytest.fixture(scope="module")
def network() -> gc.Classifier:
    return deep_network()


@pytest.fixture(scope="module")
def twin() -> gc.Classifier:
    """Another network whose layers and classes are called the same."""
    return gc.Classifier("twin", deep_network(seed=2).model)


@pytest.fixture(scope="module")
def pair(tmp_path_factory) -> tuple[str, str]:
    """Two photos, neither of them square, that visitors call the same: Gradio keeps each in a folder of its own."""
    paths = [str(tmp_path_factory.mktemp("upload") / "photo.png") for _ in range(2)]
    for seed, (path, size) in enumerate(zip(paths, [(40, 24), (18, 30)], strict=True)):
        noise = np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)
        cv2.imwrite(path, noise)
    return paths[0], paths[1]


def assert_same(found: gc.Explanation, expected: gc.Explanation) -> None:
    assert found.network == expected.network
    assert found.method == expected.method
    assert found.target == expected.target
    assert found.instead_of == expected.instead_of
    assert list(found.maps) == list(expected.maps)
    for name, heat_map in expected.maps.items():
        scale = np.abs(heat_map.raw).max()
        np.testing.assert_allclose(found.maps[name].raw, heat_map.raw, atol=1e-4 * scale, err_msg=name)


# --- explanations ---


@pytest.mark.parametrize(
    "asked",
    [
        {"network": "twin"},
        {"photo": 1},
        {"target": 2},
        {"target": 3},
        {"method": "layercam"},
        {"instead_of": 1},
        {"instead_of": 2},
        {"score": "probability"},
        {"against": True},
        {"smoothing": "flips"},
        {"layers": "last"},
        {"layers": ["conv1", "add2"]},
    ],
    ids=str,
)
@pytest.mark.parametrize("target", [None, 0])
def test_an_answer_to_another_question_is_never_given(network, twin, pair, asked, target):
    """Whatever differs, in whichever order it is asked, and when it is asked again."""
    explained = Explained()
    plain = {"network": "deep", "photo": 0, "target": target, "layers": "all", **vars(Settings())}
    for question in (plain, {**plain, **asked}, plain, {**plain, **asked}):
        settings = {name: question[name] for name in vars(Settings())}
        of = {"deep": network, "twin": twin}[question["network"]]
        path, target, layers = pair[question["photo"]], question["target"], question["layers"]
        (found,) = explained.explain(of, path, [target], layers, Settings(**settings))
        assert_same(found, gc.explain(of, path, target, layers, **settings))


def test_the_most_probable_class_is_not_the_one_that_was_asked_for_first(network, pair):
    explained = Explained()
    first, second = (prediction.index for prediction in network.predict(gc.read_image(pair[0]), 2))
    assert explained.explain(network, pair[0], [second], "last")[0].target.index == second
    assert explained.explain(network, pair[0], [None], "last")[0].target.index == first
    assert [row.target.index for row in explained.explain(network, pair[0], [second, None], "all")] == [second, first]


def test_a_photo_that_is_asked_about_counts_as_used(network, pair, tmp_path):
    """Files that nobody uses are cleared away by their age."""
    photo = tmp_path / "photo.png"
    photo.write_bytes(Path(pair[0]).read_bytes())
    explained = Explained()
    for target in (None, None, 2):  # decoded, known, computed again
        os.utime(photo, (LONG_AGO, LONG_AGO))
        explained.explain(network, str(photo), [target], "last")
        assert photo.stat().st_mtime > LONG_AGO


def test_maps_count_as_memory_and_not_only_photos(network, pair):
    explained = Explained(limit=8000)  # both photos are 4.5 KB, the maps of all layers of one are 10 KB
    first, second = (explained.photo(path) for path in pair)
    assert explained.photo(pair[0]) is first
    explained.explain(network, pair[1], [None], "all")
    assert explained.photo(pair[1]) is second
    assert explained.photo(pair[0]) is not first


def test_the_photo_that_was_not_used_for_longest_is_forgotten_first(network, pair, tmp_path):
    photo = tmp_path / "photo.png"
    photo.write_bytes(Path(pair[1]).read_bytes())
    paths = [*pair, str(photo)]
    explained = Explained(limit=6000)  # 2880 + 1620 + 1620 bytes are too many, with a map
    kept = [explained.photo(path) for path in paths]
    explained.photo(paths[0])  # the first one again: now the second has waited longest
    explained.explain(network, paths[2], [None], "last")
    assert explained.photo(paths[0]) is kept[0]
    assert explained.photo(paths[1]) is not kept[1]


# --- files for the browser ---


def test_equal_content_is_one_file_that_is_not_written_twice(tmp_path):
    path = Path(keep(b"heat", "a.png", str(tmp_path)))
    written = path.stat()
    assert keep(b"heat", "a.png", str(tmp_path)) == str(path)
    assert (path.stat().st_ino, path.read_bytes()) == (written.st_ino, b"heat")
    assert path.is_relative_to(tmp_path)
    assert path.name == "a.png"


def test_other_content_of_the_same_name_is_another_file(tmp_path):
    paths = [Path(keep(content, "a.png", str(tmp_path))) for content in (b"heat", b"heap", b"heat")]
    assert [path.read_bytes() for path in paths] == [b"heat", b"heap", b"heat"]


def test_a_file_that_is_given_out_again_counts_as_used(tmp_path):
    path = keep(b"heat", "a.png", str(tmp_path))
    os.utime(path, (LONG_AGO, LONG_AGO))
    keep(b"heat", "a.png", str(tmp_path))
    assert Path(path).stat().st_mtime > LONG_AGO


@pytest.mark.parametrize(("size", "shown"), [((600, 2048), (300, 1024)), ((2048, 600), (1024, 300))])
def test_a_large_photo_is_kept_with_1024_pixels_on_its_longer_side(tmp_path, size, shown):
    path = kept_photo(np.zeros((*size, 3), np.uint8), str(tmp_path))
    assert cv2.imread(path).shape[:2] == shown


def test_a_file_that_could_not_be_written_whole_is_not_there(tmp_path):
    """The disk is full in the middle: here this process may not write longer files."""
    content = bytes(range(256)) * 4000
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limit[1]))
    try:
        with pytest.raises(Exception):  # noqa: B017, PT011 - whatever it is called, it is not given out
            keep(content, "a.png", str(tmp_path))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert not list(tmp_path.rglob("a.png"))
    assert Path(keep(content, "a.png", str(tmp_path))).read_bytes() == content
