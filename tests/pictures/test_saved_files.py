"""The files of a saved explanation: what is in them, and that a failure leaves nothing that looks whole."""

import json
import resource
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from tiny_networks import noise, oblong_network

import gradcam_core as gc
from gradcam_core.pictures.colorbar import colorbar, with_colorbar
from gradcam_core.pictures.regions import outlined
from gradcam_core.pictures.render import resize_heat

PHOTO = cv2.resize(noise(6, width=9), (270, 174), interpolation=cv2.INTER_CUBIC)


@pytest.fixture(scope="module")
def explained() -> gc.Explanation:
    return gc.explain(oblong_network("softmax"), PHOTO, 2, ["conv1", "relu2"])


def picture(path: Path) -> np.ndarray:
    """RGB, or grey where the file is."""
    read = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
    return read if read.ndim == 2 else read[..., ::-1]


def assert_is_this_picture(path: Path, expected: np.ndarray) -> None:
    """But for what JPEG changes. Any other colours, or a picture turned over, differ by ten times as much."""
    found = picture(path)
    assert found.shape == expected.shape
    assert np.abs(found.astype(int) - expected).mean() < 3
    assert path.read_bytes()[:2] == b"\xff\xd8"


def test_a_heat_file_is_white_where_the_evidence_is_and_black_where_there_is_none(explained, tmp_path):
    content = json.loads(explained.save(tmp_path).read_text())
    for entry in content["maps"]:
        heat = picture(tmp_path / entry["heat"])
        assert (heat.shape, heat.dtype) == ((174, 270), np.uint8)
        expected = resize_heat(explained.maps[entry["layer"]].heat, width=270, height=174) * 255
        assert np.abs(heat - expected).max() <= 0.5 + 1e-4  # lossless, to the nearest level
        assert heat.max() > 200


STYLES = [{}, {"opacity": 0.8, "colormap": "viridis", "mode": "add"}]


@pytest.mark.parametrize("style", STYLES)
def test_every_picture_shows_what_was_asked_in_the_style_that_was_asked(explained, tmp_path, style):
    content = json.loads(explained.save(tmp_path, fusion="product", **style).read_text())
    assert content["display"] == {"opacity": 0.4, "colormap": "jet", "mode": "alpha", "highest": None} | style
    heats = {name: heat_map.heat for name, heat_map in explained.maps.items()}
    for entry in content["maps"]:
        assert_is_this_picture(tmp_path / entry["overlay"], gc.overlay(PHOTO, heats[entry["layer"]], **style))
    assert_is_this_picture(tmp_path / content["contact_sheet"], gc.contact_sheet(PHOTO, heats, **style))
    assert_is_this_picture(tmp_path / content["fused"], gc.overlay(PHOTO, explained.fused("product"), **style))


@pytest.mark.parametrize("share", [0.4, 3.0])
def test_what_is_painted_as_the_hottest_is_so_in_all_pictures(explained, tmp_path, share):
    highest = share * max(heat_map.peak for heat_map in explained.maps.values())
    content = json.loads(explained.save(tmp_path, highest=highest).read_text())
    assert content["display"]["highest"] == highest
    heats = {name: heat_map.scaled(highest) for name, heat_map in explained.maps.items()}
    for entry in content["maps"]:
        expected = resize_heat(heats[entry["layer"]], width=270, height=174) * 255
        assert np.abs(picture(tmp_path / entry["heat"]) - expected).max() <= 0.5 + 1e-4
        assert_is_this_picture(tmp_path / entry["overlay"], gc.overlay(PHOTO, heats[entry["layer"]]))
        assert entry["peak"] == explained.maps[entry["layer"]].peak
    assert_is_this_picture(tmp_path / content["contact_sheet"], gc.contact_sheet(PHOTO, heats, highest=highest))
    with np.load(tmp_path / content["raw"]) as raw:
        for name, heat_map in explained.maps.items():
            np.testing.assert_array_equal(raw[name], heat_map.raw)


def test_the_manifest_says_everything_that_is_known(explained, tmp_path):
    content = json.loads(explained.save(tmp_path / "new" / "folder").read_text())
    folder = tmp_path / "new" / "folder"
    assert content["photo"] == {"height": 174, "width": 270}
    assert content["network"] == "oblong"
    assert content["target"] == {
        "index": 2, "wordnet_id": None, "name": "class 2", "probability": explained.target.probability, "value": None,
            "share": None,
    }  # fmt: skip
    assert [found["index"] for found in content["predictions"]] == [p.index for p in explained.predictions]
    assert (content["method"], content["score"], content["smoothing"]) == ("gradcam", "logit", "none")
    assert (content["instead_of"], content["weight"], content["against"]) == (None, 1.0, False)
    assert content["versions"] == dict(explained.versions)
    assert (content["raw"], content["contact_sheet"], content["fused"]) == ("maps.npz", "contact_sheet.jpg", None)
    assert content["boxes"] is None
    for entry, heat_map in zip(content["maps"], explained.maps.values(), strict=True):
        assert {name: entry[name] for name in ("layer", "kind", "stage", "peak", "is_empty")} == {
            "layer": heat_map.layer.name,
            "kind": heat_map.layer.kind,
            "stage": heat_map.layer.stage,
            "peak": heat_map.peak,
            "is_empty": False,
        }
        assert entry["shape"] == list(heat_map.layer.shape)
    named = {content["raw"], content["contact_sheet"], "manifest.json"}
    named |= {entry[kind] for entry in content["maps"] for kind in ("overlay", "heat")}
    assert {path.name for path in folder.iterdir()} == named


@pytest.mark.parametrize("highest", [None, 2.5])
def test_a_colour_bar_under_each_overlay_says_what_its_colours_stand_for(explained, tmp_path, highest):
    content = json.loads(explained.save(tmp_path, colorbar=True, highest=highest, fusion="maximum").read_text())
    for entry in content["maps"]:
        plain = gc.overlay(PHOTO, explained.maps[entry["layer"]].scaled(highest))
        assert_is_this_picture(tmp_path / entry["overlay"], with_colorbar(plain, "jet", highest))
        assert picture(tmp_path / entry["heat"]).shape == (174, 270)
    fused = with_colorbar(gc.overlay(PHOTO, explained.fused()), "jet")  # of peaks, whatever the others are scaled to
    assert_is_this_picture(tmp_path / content["fused"], fused)


def test_a_colour_bar_has_the_colours_of_what_it_stands_under(explained, tmp_path):
    content = json.loads(explained.save(tmp_path, colorbar=True, colormap="viridis", fusion="product").read_text())
    for name in (*(entry["overlay"] for entry in content["maps"]), content["fused"]):
        assert np.abs(picture(tmp_path / name)[174:].astype(int) - colorbar("viridis", 270)).mean() < 3


def test_the_bar_of_a_saved_sheet_says_what_is_painted_as_the_hottest(explained, tmp_path):
    explained.save(tmp_path, highest=2.5)
    bar = picture(tmp_path / "contact_sheet.jpg")[-48:-8, 16:416].astype(int)
    right, wrong = (np.abs(bar - colorbar("jet", 400, highest)).mean() for highest in (2.5, None))
    assert right < wrong / 2


def test_boxes_are_written_as_coco_and_drawn_on_the_photo(explained, tmp_path):
    content = json.loads(explained.save(tmp_path, boxes=0.6, photo_name="street.png", highest=1e9).read_text())
    assert content["boxes"] == "boxes.json"
    found = json.loads((tmp_path / "boxes.json").read_text())
    assert found["images"] == [{"id": 1, "file_name": "street.png", "width": 270, "height": 174}]
    assert found["categories"] == [{"id": 2, "name": "class 2"}]
    for entry in content["maps"]:
        heat_map = explained.maps[entry["layer"]]
        boxes = [one for one in found["annotations"] if one["layer"] == entry["layer"]]
        expected = heat_map.boxes(0.6)  # of its own peak, whatever is painted as the hottest
        assert expected
        assert [one["bbox"] for one in boxes] == [[b.x0, b.y0, b.x1 - b.x0, b.y1 - b.y0] for b in expected]
        drawn = outlined(PHOTO, heat_map.mask(0.6), expected)
        assert_is_this_picture(tmp_path / entry["boxes"], drawn)


def test_a_wrong_threshold_leaves_what_was_saved_before(explained, tmp_path):
    manifest = explained.save(tmp_path)
    with pytest.raises(gc.SettingError, match="threshold"):
        explained.save(tmp_path, boxes=1.5)
    assert manifest.exists()


def test_a_manifest_is_whole_or_not_there(tmp_path):
    """The disk takes every picture, and then a part of the manifest, which is longer than any of them."""
    network = oblong_network("softmax")
    labels = ["a class with a long name " * 3000] * 4
    network = gc.Classifier("verbose", network.model, labels)
    result = gc.explain(network, PHOTO, 2, "relu2")
    whole = result.save(tmp_path / "whole")
    sizes = sorted((path.stat().st_size, path.name) for path in whole.parent.iterdir())
    assert sizes[-1][1] == "manifest.json"
    limit = (sizes[-2][0] + sizes[-1][0]) // 2
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, before[1]))
    try:
        with pytest.raises(gc.GradcamError, match="cannot be written"):
            result.save(tmp_path / "cut")
        with pytest.raises(gc.GradcamError, match="cannot be written"):
            result.save(tmp_path / "whole")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (tmp_path / "cut" / "contact_sheet.jpg").exists()
    assert not (tmp_path / "cut" / "manifest.json").exists()
    assert list(tmp_path.rglob("*.part")) == []
    assert not whole.exists()  # of the explanation before, whose pictures have been written over


def test_layers_whose_names_differ_in_unsafe_characters_alone_have_files_of_their_own(explained, tmp_path):
    (heat_map, *_) = explained.maps.values()
    names = ["a/b", "a_b", "A_B", "a b", "a:b", "a.b-c", "ä"]
    content = json.loads(replace(explained, maps=dict.fromkeys(names, heat_map)).save(tmp_path).read_text())
    stems = ["a_b", "a_b-2", "A_B-3", "a_b-4", "a_b-5", "a.b-c", "ä"]
    assert [entry["overlay"] for entry in content["maps"]] == [f"{stem}_overlay.jpg" for stem in stems]
    files = [entry[kind] for entry in content["maps"] for kind in ("overlay", "heat")]
    assert len({file.casefold() for file in files}) == 2 * len(names)
    assert all((tmp_path / file).is_file() and Path(file).name == file for file in files)
    with np.load(tmp_path / "maps.npz") as raw:
        assert list(raw) == names
