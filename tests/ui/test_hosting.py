"""The page behind a proxy, and as a Space starts it."""

import shutil
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import numpy as np
import pytest
from browser import Visitor
from callers import call, client_of, photo, tools, upload
from PIL import Image
from serving import serve

from gradcam_core.networks.zoo import DEFAULT

ROOT = Path(__file__).resolve().parents[2]


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
    assert httpx.get(f"{proxied}/config", timeout=60).json()["root"] == proxied
    assert httpx.get(proxied.removesuffix("/cam") + "/config", timeout=60).status_code == 404


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
    assert httpx.get(answer.content[-1].text, timeout=60).status_code == 200


def test_behind_a_proxy_the_page_explains(browser_context, proxied, photos):
    visitor = Visitor(browser_context, proxied + "/")
    visitor.explain(photos / "landscape.jpg")
    assert visitor.layers()
    visitor.page.close()
    assert visitor.complaints == []
    assert all(url.startswith(proxied) for url in visitor.requests if url.startswith("http"))


@pytest.mark.parametrize("ssr", ["node", "no node", pytest.param("false", marks=pytest.mark.long)])
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
    with serve(tmp_path, from_scratch=ssr != "node", **space) as server:
        config = httpx.get(f"{server.url}/config", timeout=60).json()
        assert config["space_id"] == "user/grad-cam"
        image = photo(photos / "landscape.jpg")
        assert client_of(server.url).predict(image=image, network=DEFAULT, api_name="/predict")
        assert {tool.name for tool in tools(server.url)} == {"grad_cam_predict", "grad_cam_explain", "grad_cam_test"}
        visitor = Visitor(browser_context, server.url)
        visitor.explain(photos / "landscape.jpg")
        assert visitor.layers()
        visitor.page.close()
        assert "Internal error" not in server.log.read_text()
