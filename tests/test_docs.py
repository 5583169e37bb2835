"""The README is true: its Python and its commands run as they are written."""

import getpass
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import cv2
import httpx
import keras
import pytest
from conftest import free_port, serve
from tiny_networks import noise

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
ADDRESS = "http://127.0.0.1:7860"


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


def run(program: str, folder: Path) -> str:
    """What a program prints that is run beside photo.jpg."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    return answer.stdout


def test_the_python_of_the_readme_runs(folder):
    printed = run("\n".join(block for block in blocks("python") if ADDRESS not in block), folder)
    assert "Prediction(index=" in printed
    assert (folder / "out" / "manifest.json").exists()


def test_the_clients_of_the_readme_get_answers(folder):
    http, mcp = (block for block in blocks("python") if ADDRESS in block)
    with serve(folder, "--mcp") as server:
        assert gc.select(gc.load(DEFAULT), "last")[0].name in run(http.replace(ADDRESS, server.url), folder)
        assert json.loads(run(mcp.replace(ADDRESS, server.url), folder))["network"] == DEFAULT


@pytest.mark.skipif(not shutil.which("nginx"), reason="needs nginx")
def test_the_nginx_of_the_readme_serves_the_page(folder):
    from gradio_client import Client, handle_file

    port = free_port()
    (location,) = blocks("nginx")
    with serve(folder, GRADIO_ROOT_PATH="/cam") as server:
        temporary = "".join(
            f"{of}_temp_path {folder}/{of};" for of in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; user {getpass.getuser()}; pid {folder}/pid; error_log {folder}/error; events {{}}\n"
            f"http {{ access_log off; {temporary}\n"
            f"server {{ listen 127.0.0.1:{port}; {location.replace(ADDRESS, server.url)} }} }}"
        )
        nginx = subprocess.Popen(["nginx", "-c", str(folder / "nginx.conf")], stderr=subprocess.DEVNULL)
        try:
            transport = httpx.HTTPTransport(retries=5)
            page = f"http://127.0.0.1:{port}/cam"
            assert httpx.Client(transport=transport).get(f"{page}/config").json()["root"] == page
            client = Client(page + "/", verbose=False)
            assert client.predict(image=handle_file(folder / "photo.jpg"), top=2, api_name="/predict")
        finally:
            nginx.terminate()
            nginx.wait(20)


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
