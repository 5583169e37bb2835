"""What a visitor takes away, whatever the class is called and wherever the disk is full."""

import io
import tempfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_networks import colour_network, noise

import gradcam_core as gc
from ui.downloads import Style, card, everything


@pytest.fixture(scope="module")
def explanation():
    """Of a class whose name is too long for a file's, and leads out of every folder."""
    found = gc.explain(colour_network(), noise(20), 0)
    return replace(found, network="../net", target=replace(found.target, name="../" + "long " * 600))


def test_a_class_of_three_thousand_characters_can_be_taken_away(explanation, tmp_path):
    layer = next(iter(explanation.maps))
    for path in (
        card([explanation], 0, layer, Style(), str(tmp_path)),
        everything([explanation], Style(), str(tmp_path)),
    ):
        assert Path(path).resolve().parents[1] == tmp_path.resolve()
        assert Path(path).stat().st_size > 100
    with zipfile.ZipFile(io.BytesIO(Path(path).read_bytes())) as file:
        (folder,) = {Path(name).parts[0] for name in file.namelist()}
        assert folder.startswith("000-")
        assert all(len(Path(name).parts) == 2 for name in file.namelist())


def test_a_disk_that_is_full_is_said_without_a_place(explanation, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("no folder")
    for nowhere in (str(tmp_path / "file"), str(tmp_path / "missing")):
        monkeypatch.setattr(tempfile, "tempdir", nowhere)
        with pytest.raises(gc.WriteError) as error:
            everything([explanation], Style(), str(tmp_path))
        assert str(error.value) == "The disk of this server is full or cannot be written. Try again in a few minutes."


def test_a_wrong_style_is_still_named(explanation, tmp_path):
    with pytest.raises(gc.SettingError, match="rainbow"):
        everything([explanation], Style(colormap="rainbow"), str(tmp_path))
