"""The HTTP API and the MCP tools, as programs meet them: on this machine, behind a proxy, on a Space."""

import asyncio
import base64
import io
import json
import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest
from browser import Visitor
from conftest import serve
from PIL import Image

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.trust import assess

ROOT = Path(__file__).resolve().parents[2]
FILE = {"_type": "gradio.FileData"}


def client_of(url: str, **options):
    from gradio_client import Client

    return Client(url, verbose=False, **options)


def photo(path: Path):
    from gradio_client import handle_file

    return handle_file(str(path))


def upload(url: str, path: Path) -> str:
    """Where an uploaded file lies on the server."""
    with path.open("rb") as file:
        return httpx.post(f"{url}/gradio_api/upload", files={"files": file}, timeout=30).json()[0]


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    return client_of(server.url, download_files=str(tmp_path_factory.mktemp("answers")))


# --- for gradio_client ---


def test_every_argument_has_a_type_a_default_and_a_description(client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    assert described["/predict"]["description"] == "The most probable classes of a photo."
    assert "each layer of a network finds evidence" in described["/explain"]["description"]
    arguments = {
        (endpoint, p["parameter_name"]): (p["python_type"]["type"].split("[")[0], p["parameter_default"])
        for endpoint, about in described.items()
        for p in about["parameters"]
    }
    assert arguments == {
        ("/predict", "image"): ("filepath", None),
        ("/predict", "network"): ("Literal", DEFAULT),
        ("/predict", "top"): ("int", 5),
        ("/explain", "image"): ("filepath", None),
        ("/explain", "network"): ("Literal", DEFAULT),
        ("/explain", "target"): ("str", ""),
        ("/explain", "layers"): ("str | list", "stages"),
        ("/explain", "score"): ("Literal", "logit"),
        ("/explain", "method"): ("Literal", "gradcam"),
        ("/explain", "instead_of"): ("str", ""),
        ("/explain", "weight"): ("float", 1.0),
        ("/explain", "against"): ("bool", False),
        ("/explain", "smoothing"): ("Literal", "none"),
        ("/test", "image"): ("filepath", None),
        ("/test", "network"): ("Literal", DEFAULT),
        ("/test", "target"): ("str", ""),
        ("/test", "layers"): ("str | list", "stages"),
        ("/test", "score"): ("Literal", "logit"),
        ("/test", "method"): ("Literal", "gradcam"),
        ("/test", "instead_of"): ("str", ""),
        ("/test", "weight"): ("float", 1.0),
        ("/test", "against"): ("bool", False),
        ("/test", "smoothing"): ("Literal", "none"),
        ("/test", "steps"): ("int", 16),
    }
    for about in described.values():
        for parameter in about["parameters"]:
            assert len(parameter["python_type"]["description"]) > 20
        image = about["parameters"][0]
        assert not image["parameter_has_default"]
        assert "uploaded to this server" in image["python_type"]["description"]
    networks = next(p for p in described["/predict"]["parameters"] if p["parameter_name"] == "network")
    assert "VGG16" in networks["type"]["enum"]


@pytest.mark.parametrize(
    ("endpoint", "arguments", "sentence"),
    [
        ("/predict", {"network": "vgg"}, "There is no network 'vgg'"),
        ("/predict", {"network": "bundled"}, f"{DEFAULT} took its place"),
        ("/predict", {"network": None}, "The network is given by its name, as text."),
        ("/predict", {"top": 0}, "top is a whole number from 1 to 1000."),
        ("/predict", {"top": "5"}, "top is a whole number from 1 to 1000."),
        ("/predict", {"top": None}, "top is a whole number from 1 to 1000."),
        ("/explain", {"target": "teapto"}, f"{DEFAULT} knows no class 'teapto'. Nearest: teapot"),
        ("/explain", {"target": "1000"}, "the classes 0 to 999; 1000 is not one of them"),
        ("/explain", {"target": 3}, "The target is given as text: a name, an index or a WordNet id."),
        ("/explain", {"layers": "block9"}, "has no layer 'block9'"),
        ("/explain", {"layers": None}, "Layers are given"),
        ("/explain", {"score": None}, "There is no score None. There is: logit, probability."),
        ("/explain", {"method": "gradcan"}, "There is no method 'gradcan'. There is: gradcam, gradcam++"),
        ("/explain", {"target": "teapot", "instead_of": "teapot"}, "teapot cannot be held against itself."),
        ("/explain", {"instead_of": "teapot", "weight": -1}, "a number from 0 to 1000, not -1."),
        ("/explain", {"instead_of": "teapot", "weight": "1"}, "a number from 0 to 1000, not '1'."),
        ("/explain", {"against": None}, "by True or False, not None"),
        ("/test", {"target": "teapto"}, f"{DEFAULT} knows no class 'teapto'. Nearest: teapot"),
        ("/test", {"steps": 0}, "steps is a whole number from 1 to 64."),
        ("/test", {"steps": "many"}, "steps is a whole number from 1 to 64."),
    ],
)
def test_a_refusal_says_what_was_wrong(client, photos, endpoint, arguments, sentence):
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as caught:
        client.predict(image=photo(photos / "landscape.jpg"), api_name=endpoint, **arguments)
    assert sentence in str(caught.value)


def test_predict_gives_no_more_classes_than_there_are(client, photos):
    assert len(client.predict(image=photo(photos / "landscape.jpg"), top=1000, api_name="/predict")) == 100


def test_what_the_client_refuses_itself_names_the_argument(client, photos):
    with pytest.raises(TypeError, match="image"):
        client.predict(api_name="/explain")
    with pytest.raises(TypeError, match="klass"):
        client.predict(image=photo(photos / "landscape.jpg"), klass="teapot", api_name="/explain")


def test_an_uploaded_photo_can_be_named_by_its_address_and_no_other_file_can(server, photos):
    path = upload(server.url, photos / "landscape.jpg")
    cache = str(Path(path).parents[1])

    def predict(address: str) -> str:
        arguments = {"data": [{"path": address, "meta": FILE}, DEFAULT, 5]}
        event = httpx.post(f"{server.url}/gradio_api/call/predict", json=arguments, timeout=30).json()["event_id"]
        return httpx.get(f"{server.url}/gradio_api/call/predict/{event}", timeout=60).text

    assert predict(f"{server.url}/gradio_api/file={path}").startswith("event: complete")
    for other in ("/etc/hostname", f"{cache}/../secret.jpg", f"{cache}-of-others/a.jpg", "", "app.py", "../app.py"):
        assert "Web addresses are not fetched" in predict(f"{server.url}/gradio_api/file={other}")
    for gone in (cache, f"{cache}/gone.jpg"):
        assert "no longer here" in predict(f"{server.url}/gradio_api/file={gone}")


# --- for MCP clients ---


@pytest.fixture(scope="module")
def tool_server(tmp_path_factory):
    """The page with its tools."""
    with serve(tmp_path_factory.mktemp("tools"), "--mcp") as server:
        yield server


def tools(url: str) -> list:
    """The tools that an MCP client is offered."""
    return _talk(url, lambda session: session.list_tools()).tools


def call(url: str, tool: str, **arguments):
    """A tool's answer to an MCP client."""
    return _talk(url, lambda session: session.call_tool(tool, arguments))


def _talk(url: str, ask):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk():
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (receive, send, _),
            ClientSession(receive, send) as session,
        ):
            await session.initialize()
            return await ask(session)

    with ThreadPoolExecutor(1) as thread:  # the browser's driver has a loop in this one
        return thread.submit(lambda: asyncio.run(talk())).result()


def test_method_and_contrast_reach_the_maps(client, photos):
    settings = {"method": "layercam", "instead_of": "teapot", "weight": 0.5, "against": True, "smoothing": "flips"}
    summary, _, maps = client.predict(
        image=photo(photos / "landscape.jpg"), target="goldfish", api_name="/explain", **settings
    )
    assert summary["instead_of"]["name"] == "teapot"
    assert (summary["method"], summary["against"], summary["smoothing"]) == ("layercam", True, "flips")
    expected = gc.explain(gc.load(DEFAULT), photos / "landscape.jpg", "goldfish", **settings)
    with np.load(maps) as found:
        for name, heat_map in expected.maps.items():
            np.testing.assert_allclose(found[name], heat_map.raw, atol=1e-4 * np.abs(heat_map.raw).max())


def test_the_test_of_the_maps_is_that_of_the_package(client, photos):
    answer = client.predict(image=photo(photos / "landscape.jpg"), layers="last", steps=4, api_name="/test")
    network = gc.load(DEFAULT)
    found = assess(network, gc.explain(network, photos / "landscape.jpg", layers="last"), steps=4)
    assert answer["target"]["name"] == found.target.name
    assert list(answer["maps"]) == list(found.maps)
    for name, test in [*found.maps.items(), (None, found.random), (None, found.centre)]:
        said = answer["maps"][name] if name else answer["random" if test is found.random else "centre"]
        assert said["sentence"] == test.sentence
        np.testing.assert_allclose(said["deletion"], test.curves.deletion, atol=1e-4)
        np.testing.assert_allclose(said["insertion"], test.curves.insertion, atol=1e-4)
        assert said["hidden"] == pytest.approx(test.hidden, abs=1e-4)


def as_text(path: Path) -> str:
    """A photo as a data: URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"


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
    settings = {"score", "method", "instead_of", "weight", "against", "smoothing"}
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
    there = Image.open(io.BytesIO(httpx.get(picture_address.text.removeprefix("Image URL: ")).content))
    assert np.array_equal(np.asarray(sheet), np.asarray(there))
    maps = np.load(io.BytesIO(httpx.get(maps_address.text).content))
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
    assert httpx.get(f"{server.url}/gradio_api/mcp/schema").status_code == 404


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


# --- behind a proxy ---


@contextmanager
def proxy(target: str, prefix: str):
    """A reverse proxy as nginx is set up in the README: it takes ``prefix`` off and says whom the visitor asked."""

    class Proxy(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def forward(self) -> None:
            if not self.path.startswith(prefix + "/"):  # what else the host serves: browsers ask it for its icon
                self.send_response(204 if self.path == "/favicon.ico" else 404)
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            headers = {name: value for name, value in self.headers.items() if name.lower() != "connection"}
            headers |= {"X-Forwarded-Host": self.headers["Host"], "X-Forwarded-Proto": "http"}
            path = self.path.removeprefix(prefix)
            with httpx.stream(self.command, target + path, headers=headers, content=body, timeout=None) as answer:
                self.send_response(answer.status_code)
                for name, value in answer.headers.multi_items():
                    if name.lower() not in ("transfer-encoding", "connection"):
                        self.send_header(name, value)
                self.send_header("Connection", "close")
                self.end_headers()
                for part in answer.iter_raw():
                    self.wfile.write(part)
                    self.wfile.flush()
            self.close_connection = True

        do_GET = do_POST = do_HEAD = do_DELETE = forward  # noqa: N815

        def log_message(self, *_) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_) -> None:
            """A visitor or the page has gone in the middle of a stream."""

    proxy = Server(("127.0.0.1", 0), Proxy)
    proxy.daemon_threads = True
    Thread(target=proxy.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{proxy.server_port}{prefix}"
    finally:
        proxy.shutdown()
        proxy.server_close()


@pytest.fixture(scope="module")
def proxied(tmp_path_factory):
    """The page's address under a path of a proxy."""
    with (
        serve(tmp_path_factory.mktemp("proxied"), "--mcp", GRADIO_ROOT_PATH="/cam") as server,
        proxy(server.url, "/cam") as url,
    ):
        yield url


def test_behind_a_proxy_the_page_knows_its_address(proxied):
    assert httpx.get(f"{proxied}/config").json()["root"] == proxied
    assert httpx.get(proxied.removesuffix("/cam") + "/config").status_code == 404


def test_behind_a_proxy_the_api_answers(proxied, photos, tmp_path):
    client = client_of(proxied + "/", download_files=str(tmp_path))
    summary, sheet, maps = client.predict(image=photo(photos / "landscape.jpg"), api_name="/explain")
    assert summary["network"] == DEFAULT
    assert Image.open(sheet).format == "PNG"
    assert set(np.load(maps)) == {entry["layer"] for entry in summary["maps"]}


def test_behind_a_proxy_the_tools_answer(proxied, photos):
    address = f"{proxied}/gradio_api/file={upload(proxied, photos / 'landscape.jpg')}"
    answer = call(proxied, "explain", image=address, layers="last")
    assert not answer.isError
    assert answer.content[-1].text.startswith(f"{proxied}/gradio_api/file=")
    assert httpx.get(answer.content[-1].text).status_code == 200


def test_behind_a_proxy_the_page_explains(browser_context, proxied, photos):
    visitor = Visitor(browser_context, proxied + "/")
    visitor.explain(photos / "landscape.jpg")
    assert visitor.layers()
    visitor.page.close()
    assert visitor.complaints == []
    assert all(url.startswith(proxied) for url in visitor.requests if url.startswith("http"))


# --- as a Space starts it ---


@pytest.mark.parametrize("ssr", ["false", "node", "no node"])
def test_it_starts_as_a_space_does(browser_context, photos, tmp_path, ssr):
    """A Space sets the environment and gives no arguments; its server-side rendering needs Node.js."""
    if ssr == "node" and not shutil.which("node"):
        pytest.skip("needs Node.js")
    space = {
        "SYSTEM": "spaces",
        "SPACE_ID": "user/grad-cam",
        "SPACE_HOST": "user-grad-cam.hf.space",
        "GRADIO_SERVER_NAME": "127.0.0.1",
        "GRADIO_SSR_MODE": str(ssr != "false"),
        "GRADIO_CACHE_EXAMPLES": "lazy",
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADCAM_NETWORK": "VGG16",  # cannot be had here: the page begins with the default one
        "GRADCAM_MCP": "1",
    }
    if ssr == "no node":
        space["GRADIO_NODE_PATH"] = str(tmp_path / "node")
    with serve(tmp_path, **space) as server:
        config = httpx.get(f"{server.url}/config").json()
        assert config["space_id"] == "user/grad-cam"
        image = photo(photos / "landscape.jpg")
        assert client_of(server.url).predict(image=image, network=DEFAULT, api_name="/predict")
        assert {tool.name for tool in tools(server.url)} == {"grad_cam_predict", "grad_cam_explain", "grad_cam_test"}
        visitor = Visitor(browser_context, server.url)
        visitor.explain(photos / "landscape.jpg")
        assert visitor.layers()
        visitor.page.close()
        assert "Internal error" not in server.log.read_text()
