"""The README is true: its Python and its commands run as they are written."""

import os
import re
import subprocess
import sys
from pathlib import Path

import cv2
import keras
import pytest
from networks import noise

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


# `make` is what runs these tests, `pip install .` is part of it, and VGG16's weights are half a gigabyte.
COMMANDS = [
    line.split("  #")[0].strip()
    for block in blocks("sh")
    for line in block.splitlines()
    if line.startswith("gradcam") and "--network VGG16" not in line
]


@pytest.fixture
def folder(tmp_path):
    cv2.imwrite(str(tmp_path / "photo.jpg"), noise(120))
    inputs = keras.Input((32, 32, 3))
    x = keras.layers.Conv2D(4, 3, activation="relu")(inputs)
    outputs = keras.layers.Dense(3, activation="softmax")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(inputs, outputs).save(tmp_path / "flowers.keras")
    return tmp_path


def test_the_python_of_the_readme_runs(folder):
    program = "\n".join(blocks("python"))
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    assert "Prediction(index=" in answer.stdout
    assert (folder / "out" / "manifest.json").exists()


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_readme_runs(folder, command):
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    answer = subprocess.run(
        ["bash", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout


def test_the_pictures_and_the_gradio_of_the_readme_are_those_of_the_project():
    for picture in re.findall(r"!\[[^]]*\]\(([^)]+)\)", README):
        assert cv2.imread(str(ROOT / picture)) is not None
    (version,) = re.findall(r"^sdk_version: (.+)$", README, re.MULTILINE)
    assert f"gradio=={version}\n" in (ROOT / "requirements.txt").read_text()
