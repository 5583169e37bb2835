"""Live on the page, with the camera that Chromium makes up: a round thing that turns, before green."""

import io
import re
import time

import cv2
import httpx
import numpy as np
import pytest
from gallery import MARKUP
from PIL import Image

from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.pictures.render import lookup_table
from ui.live import SILENCE

# How many frames are under way at most, and how many there were.
WATCH = """() => {
    window.frames = { now: 0, most: 0, all: 0 };
    const before = window.fetch;
    window.fetch = async (address, settings) => {
        const isFrame = /live\\/[0-9a-f]+$/.test(address);
        if (!isFrame) return before(address, settings);
        Object.assign(frames, { now: frames.now + 1, all: frames.all + 1, last: address });
        frames.most = Math.max(frames.most, frames.now);
        try { return await before(address, settings); } finally { frames.now--; }
    };
}"""
# The server's answers, with peaks that are made by hand: the highest is neither the first nor the last.
PEAKS = [4, 1, 8, 2, 6]
SET_PEAKS = """(peaks) => {
    const before = window.fetch;
    window.fetch = async (...asked) => {
        const reply = await before(...asked);
        if (!/live\\/[0-9a-f]+$/.test(asked[0])) return reply;
        const said = await reply.json();
        said.maps.forEach((map, i) => { map.peak = peaks[i]; });
        return new Response(JSON.stringify(said));
    };
}"""
# The server's answers with one name in place of all.
SET_NAMES = """(name) => {
    const before = window.fetch;
    window.fetch = async (...asked) => {
        const reply = await before(...asked);
        if (!/live(\\/[0-9a-f]+)?$/.test(asked[0])) return reply;
        const said = await reply.json();
        said.layers?.forEach((one) => { one.layer = name; });
        said.guesses?.forEach((one) => { one.name = name; });
        for (const of of ['about', 'error']) if (said[of]) said[of] = name;
        return new Response(JSON.stringify(said), { status: reply.status });
    };
}"""
PAINTED = "[...document.querySelectorAll('.lv-cards canvas')].length && document.querySelector('.lv-rate').textContent"
PICTURES = """() => ['.lv-card canvas:not(.lv-heat)', '.lv-heat'].map((of) =>
    [...document.querySelectorAll(of)].map((canvas) => canvas.toDataURL()))"""

# A camera that is opened when the test lets it.
SLOW = """() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wish) => {
        window.media = null;
        await new Promise((then) => { window.letOpen = () => { letOpen = null; then(); }; });
        return window.media = await open(wish);
    };
}"""
OFF = "window.media?.getTracks().every((track) => track.readyState === 'ended')"

# A camera that sees red at the left or at the top, whichever way the phone is held, and blue beside it.
STILL = """() => {
    const see = (width, height) => {
        Object.assign(camera, { width, height });
        const [a, b] = width > height ? [width / 2, height] : [width, height / 2];
        Object.assign(colors, { fillStyle: '#d02010' }).fillRect(0, 0, width, height);
        Object.assign(colors, { fillStyle: '#1030c0' }).fillRect(width - a, height - b, a, b);
    };
    const camera = document.createElement('canvas'), colors = camera.getContext('2d');
    window.held = [480, 360];
    setInterval(() => see(...held), 30);
    navigator.mediaDevices.getUserMedia = async () => camera.captureStream(30);
}"""


def go_live(visitor) -> None:
    visitor.page.evaluate(WATCH)
    visitor.page.locator("#go-live").click()
    visitor.page.wait_for_function(PAINTED)


def wait_for_room(server, count: int) -> None:
    """Until so many more visitors may go live; sooner than a stream's silence would end it."""
    until = time.monotonic() + 0.8 * SILENCE
    while (room := room_for(server)) != count:
        assert time.monotonic() < until, f"{room} may go live, not {count}"
        time.sleep(0.1)


def room_for(server) -> int:
    """How many more visitors may go live now."""
    with httpx.Client(base_url=f"{server.url}/gradio_api", timeout=60) as client:
        found = []
        while (answer := client.post("/live", json={"network": DEFAULT})).status_code == 200:
            found.append(answer.json()["stream"])
        for stream in found:
            client.post(f"/live/{stream}/end")
    return len(found)


def test_the_maps_of_every_stage_follow_the_camera(visitor, stages):
    go_live(visitor)
    page = visitor.page
    assert page.locator(".lv-card code").all_inner_texts() == [layer.name for layer in stages]
    photos, maps = page.evaluate(PICTURES)
    assert len(set(photos)) == 1  # one frame under all maps
    assert len(set(maps)) == len(maps) == len(stages)
    stream = page.evaluate("frames.last")
    page.locator("#go-live").click()  # it is live already
    seen = page.evaluate("frames.all")
    page.wait_for_function("(seen) => frames.all > seen + 5", arg=seen)
    later, later_maps = page.evaluate(PICTURES)
    assert set(later).isdisjoint(photos)  # it moves
    assert set(later_maps).isdisjoint(maps)
    assert (visitor.colors(0, ".lv-heat")[..., 3] == 255).all()
    assert page.evaluate("[frames.most, frames.last]") == [1, stream]
    assert "%" in page.locator(".lv-text").inner_text()
    assert not page.locator("#grid").is_visible()


def test_stop_ends_it_and_shows_what_was_there_before(visitor, server, photos):
    visitor.explain(photos / "landscape.jpg")
    title = visitor.title()
    go_live(visitor)
    with visitor.page.expect_response("**/live/*/end"):
        visitor.page.locator(".lv-stop").click()
    visitor.page.wait_for_function("document.querySelector('.lv').hidden && !frames.now")
    assert visitor.page.evaluate("document.activeElement.id") == "go-live"
    assert (visitor.title(), visitor.page.locator("#grid").is_visible()) == (title, True)
    count = visitor.page.evaluate("frames.all")
    visitor.page.wait_for_timeout(300)
    assert visitor.page.evaluate("frames.all") == count
    assert room_for(server) == 5


def test_the_frame_on_which_it_pauses_becomes_the_photo(visitor):
    go_live(visitor)
    visitor.page.locator(".lv-pause").click()
    visitor.page.wait_for_selector(".gx-card")
    shown = visitor.colors(0, ".lv-card canvas:not(.lv-heat)")[..., :3].astype(int)
    address = visitor.photo_shown()
    photo = Image.open(io.BytesIO(httpx.get(address, timeout=60).content)).convert("RGB")
    assert photo.size == (640, 480)
    height, width, _ = shown.shape
    assert (width > 120, height) == (True, round(width * 3 / 4))
    difference = np.abs(np.asarray(photo.resize((width, height))) - shown).mean(2)
    assert difference.mean() < 4
    assert np.percentile(difference, 99) < 40  # what turns has not turned
    assert not visitor.page.locator(".lv").is_visible()


def test_a_photo_takes_the_place_of_the_camera(visitor, server, photos):
    go_live(visitor)
    visitor.page.locator("#network input").focus()
    with visitor.page.expect_response("**/live/*/end"):
        visitor.explain(photos / "landscape.jpg")
    assert visitor.page.evaluate("document.activeElement.closest('#network') !== null")
    assert visitor.page.locator("#grid").is_visible()
    assert not visitor.page.locator(".lv").is_visible()
    assert room_for(server) == 5


def test_another_method_goes_on_at_once(visitor):
    go_live(visitor)
    before = visitor.page.evaluate("frames.last")
    visitor.choose("#method-choice", "LayerCAM")
    visitor.page.wait_for_function("(before) => frames.last !== before && frames.now", arg=before)
    visitor.page.wait_for_function(PAINTED)
    visitor.choose("#method-choice", "Score-CAM")
    visitor.page.locator(".lv-status", has_text="a method of one pass").wait_for()
    visitor.complaints[:] = [line for line in visitor.complaints if "400" not in line]  # Chromium's own


@pytest.mark.usefixtures("_late_frames")
def test_what_comes_late_of_an_older_stream_does_not_end_the_newer(visitor):
    go_live(visitor)
    page, held, frame = visitor.page, [], re.compile(r"/live/[0-9a-f]+$")
    page.route(frame, lambda route: route.continue_() if held else held.append(route))
    with page.expect_request(frame):
        pass
    visitor.choose("#method-choice", "LayerCAM")
    page.wait_for_function("(old) => frames.last !== old", arg=held[0].request.url)
    with page.expect_response(lambda answer: answer.request == held[0].request) as late:
        held[0].continue_()
    assert late.value.status == 410
    page.unroute(frame)
    seen = page.evaluate("() => new Promise((then) => requestAnimationFrame(() => setTimeout(() => then(frames.all))))")
    assert page.locator(".lv").is_visible()
    page.wait_for_function("(seen) => frames.all > seen + 2", arg=seen)
    assert page.locator(".lv-status").inner_text() == ""


def test_a_camera_is_let_go_when_it_is_stopped_before_its_first_frame(visitor, server):
    """While it is being opened, and while the server makes room for it."""
    page, held = visitor.page, []

    def begin() -> None:
        page.locator("#go-live").click()
        page.wait_for_function("Boolean(window.letOpen)")
        assert page.locator(".lv-pause").is_disabled()  # there is no frame yet

    page.evaluate(SLOW)
    begin()
    page.locator(".lv-stop").click()
    page.evaluate("letOpen()")
    page.wait_for_function(OFF)
    assert not [url for url in visitor.requests if url.endswith("/live")]
    page.route("**/live", lambda route: held.append(route))
    begin()
    with page.expect_request("**/live"):
        page.evaluate("letOpen()")
    page.locator(".lv-stop").click()
    with page.expect_response("**/live/*/end"):
        held[0].continue_()
    page.wait_for_function(OFF)
    assert not page.locator(".lv").is_visible()
    assert room_for(server) == 5


def test_a_phone_that_is_turned_gives_a_picture_that_is_turned(visitor):
    visitor.page.evaluate(STILL)
    go_live(visitor)
    lying = visitor.colors(0, ".lv-card canvas:not(.lv-heat)")[..., :3].astype(int)
    visitor.page.evaluate("held = [360, 480]")
    shape = "(([{ width, height }]) => height > width)(document.querySelectorAll('.lv-card canvas'))"
    visitor.page.wait_for_function(shape)
    upright = visitor.colors(0, ".lv-card canvas:not(.lv-heat)")[..., :3].astype(int)
    heat = visitor.colors(0, ".lv-heat")
    assert upright.shape == (*heat.shape[:2], 3)
    for seen, turned in ((lying, lying), (upright, upright.swapaxes(0, 1))):
        height, width = seen.shape[:2]
        assert max(width, height) == pytest.approx(4 / 3 * min(width, height), abs=1)
        middle = turned.shape[1] // 2
        assert np.abs(turned[:, : middle - 8] - (208, 32, 16)).mean() < 5
        assert np.abs(turned[:, middle + 8 :] - (16, 48, 192)).mean() < 5


def test_colours_that_are_added_to_the_photo_are_added_to_the_frame(visitor):
    visitor.page.evaluate(STILL)
    visitor.page.evaluate("dispatchEvent(new CustomEvent('gradcam-view', { detail: { mode: 'add', opacity: 0.6 } }))")
    visitor.page.evaluate("dispatchEvent(new CustomEvent('gradcam-view', { detail: { fusion: 'none' } }))")
    go_live(visitor)
    stack = visitor.page.locator(".lv-stack").last
    visitor.page.wait_for_function("document.querySelector('.lv-heat').style.opacity === '0.6'")
    seen = np.asarray(Image.open(io.BytesIO(stack.screenshot())).convert("RGB")).astype(float)
    frame, heat = (
        cv2.resize(visitor.colors(-1, of)[..., :3], seen.shape[1::-1], interpolation=cv2.INTER_LINEAR).astype(float)
        for of in (".lv-card canvas:not(.lv-heat)", ".lv-heat")
    )
    assert heat.max() > 100  # there is something to be added
    assert np.quantile(np.abs(seen - np.minimum(255, frame + 0.6 * heat)), 0.95) <= 12


def test_the_colours_and_the_scale_of_the_toolbar_are_those_of_the_frames(visitor):
    visitor.page.evaluate(STILL)
    visitor.page.evaluate(SET_PEAKS, PEAKS)
    go_live(visitor)

    def painted(scale: str, colormap: str) -> list[np.ndarray]:
        seen = visitor.page.evaluate(
            "(detail) => { dispatchEvent(new CustomEvent('gradcam-view', { detail })); return frames.all; }",
            {"scale": scale, "colormap": colormap},
        )
        visitor.page.wait_for_function("(seen) => frames.all > seen + 2", arg=seen)
        return [visitor.colors(i, ".lv-heat")[..., :3].astype(int) for i in range(len(PEAKS))]

    alone = [int(one.max()) for one in painted("each", "grey")]
    assert min(alone[1:]) > 100
    expected = [level * peak / max(PEAKS) for level, peak in zip(alone, PEAKS, strict=True)]
    assert [int(one.max()) for one in painted("shared", "grey")] == pytest.approx(expected, abs=6)
    known = {tuple(color) for color in lookup_table("viridis").tolist()}
    assert {tuple(color) for one in painted("each", "viridis") for color in one.reshape(-1, 3).tolist()} <= known


@pytest.mark.usefixtures("_late_frames")
def test_names_stay_text_beside_the_camera(visitor, stages):
    visitor.page.evaluate(SET_NAMES, MARKUP)
    go_live(visitor)
    texts = {of: visitor.page.locator(of).all_inner_texts() for of in (".lv-name", ".lv-about", ".lv-card code")}
    assert texts == {".lv-name": [MARKUP], ".lv-about": [MARKUP], ".lv-card code": [MARKUP] * len(stages)}
    assert visitor.page.locator(".lv-others").inner_text().count(MARKUP) == 2
    httpx.post(f"{visitor.page.evaluate('frames.last')}/end", timeout=60)
    visitor.page.locator(".lv-status", has_text=MARKUP).wait_for()
    assert visitor.page.locator("#live :is([onerror], [src=x])").count() == 0


def test_a_visitor_who_leaves_makes_room_at_once(visitor, server):
    go_live(visitor)
    assert room_for(server) == 4
    visitor.page.goto("about:blank")
    wait_for_room(server, 5)


@pytest.mark.usefixtures("_late_frames")
def test_what_ends_a_stream_is_said(visitor):
    go_live(visitor)
    httpx.post(f"{visitor.page.evaluate('frames.last')}/end", timeout=60)
    visitor.page.locator(".lv-status", has_text="Live ends after 3 minutes").wait_for()
    assert visitor.page.locator(".lv-status").is_visible()
    assert not visitor.page.locator(".lv").is_visible()


def test_a_camera_that_may_not_be_used_is_a_sentence(visitor):
    visitor.page.evaluate(
        """() => {
            navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('', 'NotAllowedError'));
        }"""
    )
    visitor.page.locator("#go-live").click()
    visitor.page.locator(".lv-status", has_text="does not let this page use the camera").wait_for()
