"""What takes long shows how far it is, and can be stopped."""

import contextlib
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import cv2
import gradio as gr
import numpy as np
import pytest
import starlette.requests
from browser import Visitor
from gradio.context import LocalContext
from serving import serve

from ui.doors import ASKED
from ui.showing import LONGEST_WAIT, Shown


class _Slow(BaseHTTPRequestHandler):
    """Sends half a megabyte of MobileNetV2 and then waits until the test is over."""

    over = threading.Event()

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "14000000")
        self.end_headers()
        self.wfile.write(bytes(500_000))
        with contextlib.suppress(OSError):  # the other side has hung up
            while not self.over.wait(0.2):
                self.wfile.write(bytes(50_000))

    def log_message(self, *_):
        pass


def test_a_download_shows_its_progress_and_can_be_stopped(browser_context, photos, tmp_path):
    store = ThreadingHTTPServer(("127.0.0.1", 0), _Slow)
    threading.Thread(target=store.serve_forever, daemon=True).start()
    try:
        with serve(tmp_path, GRADCAM_WEIGHTS_URL=f"http://127.0.0.1:{store.server_port}") as server:
            visitor = Visitor(browser_context, server.url)
            visitor.explain(photos / "landscape.jpg")
            before, chosen = visitor.layers(), visitor.page.locator("#network input").input_value()
            visitor.choose("#network", "MobileNetV2")
            visitor.page.get_by_text("Fetching MobileNetV2").first.wait_for()
            visitor.page.locator("#grid", has_text="/14").wait_for()
            visitor.page.locator(".gx-guess").nth(1).wait_for()
            visitor.page.get_by_role("button", name="Stop the download").click()
            visitor.wait_for_toast("was stopped")
            visitor.page.wait_for_function(
                "(name) => document.querySelector('#network input').value === name", arg=chosen
            )
            visitor.page.get_by_role("button", name="Stop the download").wait_for(state="hidden")
            assert visitor.layers() == before
            visitor.page.close()
    finally:
        _Slow.over.set()
        store.shutdown()


def test_score_cam_can_be_stopped_and_what_was_shown_stays(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator("#layers label", has_text="All").click()
    visitor.page.wait_for_function("document.querySelectorAll('.gx-card').length > 20")
    visitor.choose("#method-choice", "Score-CAM")
    visitor.page.get_by_role("button", name="Stop Score-CAM").click()
    visitor.wait_for_toast("Stopped. What is shown stays.")
    visitor.page.wait_for_function("document.querySelector('#method-choice input').value === 'Grad-CAM'")
    visitor.page.get_by_role("button", name="Stop Score-CAM").wait_for(state="detached")
    assert len(visitor.layers()) > 20


@pytest.mark.filterwarnings("ignore:The value passed into gr.Dropdown")  # the choices lie in the browser
def test_who_stops_while_they_wait_is_stopped_when_their_turn_comes_and_not_later(steps, tmp_path):
    photo = tmp_path / "photo.png"
    cv2.imwrite(str(photo), np.random.default_rng(0).integers(0, 256, (40, 24, 3), np.uint8))

    def ask(visitor: str, seconds: float) -> None:
        request = starlette.requests.Request({"type": "http", ASKED: seconds})
        LocalContext.request.set(gr.Request(request, session_hash=visitor))

    def score_cam() -> object:
        return steps.method("scorecam", Shown("own", str(photo), layers="last"))

    try:
        ask("one", 5000)
        steps.stop()
        ask("one", 4999)
        with pytest.raises(gr.Error, match="What is shown stays"):
            score_cam()
        ask("one", 5001)
        assert score_cam()[-1][0].method == "scorecam"
        ask("other", 5000 + 2 * LONGEST_WAIT)
        steps.stop()
        assert list(steps._stops) == ["other"]  # nobody waits any more since the first
    finally:
        LocalContext.request.set(None)
