"""What is saved stays in its folder, whatever a layer, a class or a network is called."""

import json
import zipfile
from io import BytesIO

import keras
import numpy as np
import pytest
from tiny_networks import noise, seeded

import gradcam_core as gc
from gradcam_core.pictures.saving import file_name, write_maps

BAD = ["..", ".", "...", "a/../../b", "\\..\\x", "/etc/x", "C:x", "a\0b", "a\nb", "x" * 3000, "ж" * 3000, "~", "", "  "]


@pytest.mark.parametrize("text", BAD)
def test_no_text_leads_out_of_a_folder_or_is_too_long_for_a_disk(tmp_path, text):
    name = file_name(text)
    path = tmp_path / name
    assert path.resolve().parent == tmp_path.resolve()
    assert name not in ("", ".", "..")
    assert len(name.encode()) <= 60
    path.write_text("")


def network_of(names: list[str], label: str) -> gc.Classifier:
    """A convolution for each name, one after the other."""
    x = inputs = keras.Input((12, 16, 3))
    for name in names:
        x = keras.layers.Conv2D(3, 3, padding="same", activation="relu", name=name)(x)
    x = keras.layers.GlobalAveragePooling2D()(x)
    model = keras.Model(inputs, keras.layers.Dense(2, name="head")(x))
    return gc.Classifier("../net", seeded(model), labels=[label, "other"])


def test_everything_lies_in_the_folder_and_is_found_by_its_layer(tmp_path):
    names = ["..", "...", "file", "allow_pickle", "a b", "a_b", "A_b", "x" * 3000, "x" * 2999 + "y", "con:1"]
    explanation = gc.explain(network_of(names, "../" * 1000), noise(20), 0, "all")
    folder = tmp_path / "in" / "out"
    manifest = json.loads(explanation.save(folder).read_text())
    assert [path.name for path in tmp_path.iterdir()] == ["in"]
    assert [path.name for path in (tmp_path / "in").iterdir()] == ["out"]
    files = [entry[kind] for entry in manifest["maps"] for kind in ("overlay", "heat")]
    assert len({file.casefold() for file in files}) == len(files) == 2 * len(manifest["maps"])
    assert {*files, "manifest.json", "maps.npz", "contact_sheet.jpg"} == {path.name for path in folder.iterdir()}
    assert set(names) <= {entry["layer"] for entry in manifest["maps"]}
    with np.load(folder / "maps.npz") as maps:
        for name, heat_map in explanation.maps.items():
            np.testing.assert_array_equal(maps[name], heat_map.raw)


def test_equal_maps_are_equal_files():
    def bytes_of(maps) -> bytes:
        write_maps(file := BytesIO(), maps)
        return file.getvalue()

    maps = {"conv": np.arange(6, dtype=np.float32).reshape(2, 3)}
    assert bytes_of(maps) == bytes_of(maps)
    with zipfile.ZipFile(BytesIO(bytes_of(maps))) as archive:
        assert archive.infolist()[0].compress_type == zipfile.ZIP_DEFLATED


def test_a_folder_that_cannot_be_written_is_said_and_no_part_is_left(tmp_path):
    explanation = gc.explain(network_of(["conv"], "one"), noise(20), 0)
    (tmp_path / "file").write_text("")
    with pytest.raises(gc.WriteError, match="cannot be written: Not a directory"):
        explanation.save(tmp_path / "file" / "out")
    folder = tmp_path / "out"
    (folder / "manifest.json").mkdir(parents=True)  # where the manifest belongs
    with pytest.raises(gc.WriteError, match="cannot be written"):
        explanation.save(folder)
    assert not (folder / "manifest.part").exists()
