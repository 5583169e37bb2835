"""The tools for MCP clients."""

import base64
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import httpx
import numpy as np
import pytest
from callers import FILE, as_text, call, client_of, photo, tools, upload
from PIL import Image
from serving import serve

from gradcam_core.networks.zoo import DEFAULT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def tool_server(tmp_path_factory):
    """The page with its tools."""
    with serve(tmp_path_factory.mktemp("tools"), "--mcp") as server:
        yield server


def test_the_tools_are_predict_explain_and_test_with_types_and_descriptions(tool_server):
    found = {tool.name: tool for tool in tools(tool_server.url)}
    assert set(found) == {"predict", "explain", "test"}
    assert found["predict"].description.startswith("The most probable classes of a photo.")
    assert found["explain"].description.startswith("Where each layer of a network finds evidence for a class")
    for tool in found.values():
        assert tool.inputSchema["required"] == ["image"]
        assert all(argument["description"] for argument in tool.inputSchema["properties"].values())
    predict, explain = (found[name].inputSchema["properties"] for name in ("predict", "explain"))
    assert set(predict) == {"image", "network", "top"}
    settings = {"score", "method", "instead_of", "weight", "against", "smoothing", "threshold"}
    assert set(explain) == {"image", "network", "target", "layers", *settings}
    assert (predict["image"]["type"], predict["top"]["type"], predict["top"]["default"]) == ("string", "integer", 5)
    assert "VGG16" in explain["network"]["enum"]
    assert explain["score"]["enum"] == ["logit", "probability"]
    assert [kind["type"] for kind in explain["layers"]["anyOf"]] == ["string", "array"]


def test_a_tool_takes_a_photo_as_text_or_as_an_upload(tool_server, photos):
    path = photos / "landscape.jpg"
    address = f"{tool_server.url}/gradio_api/file={upload(tool_server.url, path)}"
    expected = client_of(tool_server.url).predict(image=photo(path), top=3, api_name="/predict")
    for image in (as_text(path), address):
        answer = call(tool_server.url, "predict", image=image, top=3)
        assert not answer.isError
        (text,) = answer.content
        assert json.loads(text.text) == expected


def test_explain_answers_with_a_summary_a_picture_and_the_address_of_the_maps(tool_server, photos):
    answer = call(tool_server.url, "explain", image=as_text(photos / "landscape.jpg"), target="teapot", layers="last")
    assert not answer.isError
    summary, picture, picture_address, maps_address = answer.content
    summary = json.loads(summary.text)
    assert summary["target"]["name"] == "teapot"
    assert picture.mimeType == "image/png"
    sheet = Image.open(io.BytesIO(base64.b64decode(picture.data)))
    there = Image.open(io.BytesIO(httpx.get(picture_address.text.removeprefix("Image URL: "), timeout=60).content))
    assert np.array_equal(np.asarray(sheet), np.asarray(there))
    maps = np.load(io.BytesIO(httpx.get(maps_address.text, timeout=60).content))
    (last,) = summary["maps"]
    assert list(maps[last["layer"]].shape) == last["shape"][:2]
    assert max(float(maps[last["layer"]].max()), 0) == pytest.approx(last["peak"])


@pytest.mark.parametrize(
    "image",
    [
        "/etc/hostname",
        "app.py",
        "file:///etc/hostname",
        "http://127.0.0.1:1/a.jpg",
        "{url}/gradio_api/file=/etc/hostname",
        "{url}/gradio_api/file={cache}/../secret.jpg",
        {"path": "{secret}", "meta": FILE},
        {"path": "{secret}"},
        {"url": "file://{secret}", "meta": FILE},
        ["{secret}"],
        None,
    ],
)
@pytest.mark.parametrize("tool", ["predict", "explain"])
def test_no_tool_reads_a_file_of_the_server_or_an_address(tool_server, photos, tool, image):
    """The secret is a photo that would be explained if it were read."""
    secret = tool_server.log.parent / "secret.jpg"
    shutil.copy(photos / "landscape.jpg", secret)
    places = {"{url}": tool_server.url, "{cache}": str(tool_server.log.parent / "cache"), "{secret}": str(secret)}
    image = json.dumps(image)
    for name, place in places.items():
        image = image.replace(name, place)
    answer = call(tool_server.url, tool, image=json.loads(image))
    assert answer.isError
    assert len(answer.content) == 1
    assert "probability" not in answer.content[0].text


@pytest.mark.parametrize("argument", ["network", "target", "layers", "score"])
def test_no_file_can_be_slipped_into_another_argument(tool_server, photos, argument):
    file = {"path": str(photos / "turned.jpg"), "meta": FILE}
    for value in (file, [file]):
        answer = call(tool_server.url, "explain", image=as_text(photos / "landscape.jpg"), **{argument: value})
        assert answer.isError
        assert "Input validation error" in answer.content[0].text


@pytest.mark.parametrize(
    ("tool", "arguments", "sentence"),
    [
        ("predict", {"network": "vgg"}, f"'vgg' is not one of ['{DEFAULT}', 'VGG16'"),
        ("predict", {"top": 0}, "0 is less than the minimum of 1"),
        ("predict", {"top": 1001}, "1001 is greater than the maximum of 1000"),
        ("test", {"steps": 65}, "65 is greater than the maximum of 64"),
        ("explain", {"target": "teapto"}, "Nearest: teapot"),
        ("explain", {"layers": ["block9"]}, "has no layer 'block9'"),
        ("explain", {"image": "data:image/png;base64,AAAA"}, "is not a picture that can be read"),
        ("predict", {"klass": 7}, "klass"),
        ("open", {}, "Unknown tool"),
    ],
)
def test_a_tool_says_what_was_wrong(tool_server, photos, tool, arguments, sentence):
    answer = call(tool_server.url, tool, **{"image": as_text(photos / "landscape.jpg"), **arguments})
    assert answer.isError
    assert sentence in answer.content[0].text


def test_there_are_no_tools_unless_asked_for(server):
    assert httpx.get(f"{server.url}/gradio_api/mcp/schema", timeout=60).status_code == 404


def test_without_its_package_mcp_is_one_line(tmp_path):
    hidden = 'import sys\n\nif "mcp" in sys.argv[-1]:\n    sys.modules["mcp"] = None\n'
    (tmp_path / "sitecustomize.py").write_text(hidden)
    answer = subprocess.run(
        [sys.executable, "app.py", "--mcp"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr == 'app.py: --mcp needs the package mcp. Install it with: pip install ".[mcp]"\n'
