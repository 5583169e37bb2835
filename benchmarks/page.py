"""How the page feels, and what it bears: the real server, a real browser, thirty visitors at once.

    python -m benchmarks.page                       # a photo of 12 megapixels, made here
    python -m benchmarks.page PHOTO --visitors 30 --seconds 60 --wait

Prints a table: frames and requests while the opacity slider is dragged; the time from the drop of the photo to painted
cards, against the engine's own time for the same file, turn by turn; the size of the answer; what the server computes
for another class or other layers; what a crowd of visitors got, each with a picture that nobody else has; and whose
files are gone from disk. --wait also waits until the crowd's files are gone, as long as the page keeps them by itself.
It is long because it is one program that prints one table.
"""

import argparse
import base64
import io
import json
import os
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from unittest import mock
from uuid import uuid4

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import httpx
import numpy as np
import psutil
from PIL import Image

import gradcam_core as gc

STEPS = 180  # of the drag
ROUNDS = 5  # drops on an empty page, drops in place of another photo, and the engine alone, in turn
KEEP = 0.15  # minutes that unused files are kept, where a server is started to see them go
PAINTED = """(before) => {
  const cards = [...document.querySelectorAll('.gx-card')];
  return cards.length > 0 && cards[0].querySelector('img').src !== before
    && cards.every((card) => card.querySelector('canvas').levels);
}"""
TEN_PAINTED = """() => {
  const canvases = [...document.querySelectorAll('.gx-card canvas')];
  return canvases.length === 10 && canvases.every((canvas) => canvas.levels);
}"""
FRAMES = """() => {
  window.frames = [];
  let last = 0;
  const tick = (now) => {
    if (last) frames.push(now - last);
    last = now;
    if (window.frames) requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}"""


def large_photo(path: Path) -> Path:
    """A JPEG of 4000 x 3000 pixels and 3.6 MB, with detail of every size, as a camera's."""
    rng, photo = np.random.default_rng(0), np.zeros((3000, 4000, 3), np.float32)
    for cells in (6, 25, 100, 400, 1600, 4000):
        layer = Image.fromarray(rng.integers(0, 256, (cells * 3 // 4, cells, 3), np.uint8))
        photo += np.asarray(layer.resize((4000, 3000), Image.Resampling.BICUBIC), np.float32) / cells**0.2
    photo = 255 * (photo - photo.min()) / np.ptp(photo)
    Image.fromarray(photo.astype(np.uint8)).save(path, quality=90)
    return path


# --- one visitor ---


@dataclass(frozen=True)
class Drop:
    """From the drop of a photo to painted cards: seconds, and the bytes of what the browser got for it."""

    seconds: float
    answer: int
    preview: int  # the photo itself, which Gradio's photo input shows as it was given


def drop(visitor: "object", photo: Path) -> Drop:
    """Drop a photo on the page and wait until every card is painted."""
    page = visitor.page
    traffic = page.context.new_cdp_session(page)
    traffic.send("Network.enable")
    addresses, received = {}, Counter()
    traffic.on("Network.requestWillBeSent", lambda e: addresses.update({e["requestId"]: e["request"]["url"]}))
    traffic.on("Network.dataReceived", lambda e: received.update({addresses.get(e["requestId"], ""): e["dataLength"]}))
    before, held = visitor.photo_shown(), visitor.hold(photo)
    start = time.perf_counter()
    visitor.let_go(held)
    page.wait_for_function(PAINTED, arg=before)
    seconds = time.perf_counter() - start
    page.wait_for_timeout(500)
    traffic.detach()
    preview = sum(size for url, size in received.items() if url.endswith(f"/{photo.name}"))
    return Drop(seconds, sum(size for url, size in received.items() if url.startswith("http")) - preview, preview)


def drag(visitor: "object", name: str) -> tuple[list[float], int]:
    """Drag a slider of the toolbar, then change colours and scale -> frames in ms, and requests made."""
    page, asked, field = visitor.page, len(visitor.requests), visitor.page.locator(f".gx-toolbar [name={name}]")
    before, slider = field.input_value(), field.bounding_box()
    x, y = slider["x"] + 5, slider["y"] + slider["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.evaluate(FRAMES)
    for step in range(STEPS):
        page.mouse.move(x + (slider["width"] - 10) * step / STEPS, y)
    page.mouse.up()
    frames = page.evaluate("() => { const all = frames; frames = null; return all; }")
    if field.input_value() == before:
        sys.exit("The slider did not move.")
    for name in ("viridis", "grey", "jet"):
        page.locator(".gx-colormaps label", has_text=name).click()
    for name in ("shared", "each"):
        page.locator(".gx-toolbar label", has_text=name).click()
    page.wait_for_timeout(500)
    return frames, len(visitor.requests) - asked


def feel(url: str, browser: "object", photo: Path) -> dict[str, str]:
    """What one visitor with this photo meets, and what the engine alone takes for it."""
    from browser import Visitor

    network, content = gc.load(next(iter(gc.NETWORKS))), photo.read_bytes()
    other = photo.with_name("other.jpg")
    Image.open(photo).convert("RGB").resize((640, 480)).save(other)
    gc.explain(network, photo)
    empty, over, alone = [], [], []
    for turn in range(ROUNDS + 1):  # the first is not counted: it warms the server's network up
        for drops in (empty, over):
            fresh = photo.with_name(f"{photo.stem}-{len(empty)}-{len(over)}{photo.suffix}")
            fresh.write_bytes(content + bytes([len(empty), len(over)]))  # the server has not seen this file yet
            context = browser.new_context()  # nor the browser its answer
            visitor = Visitor(context, url)
            if drops is over:
                visitor.explain(other)
            drops.append(drop(visitor, fresh))
            if turn == ROUNDS and drops is over:
                visitor.page.locator(".gx-beside:enabled").first.click()
                visitor.page.wait_for_function(f"({TEN_PAINTED})()")
                drags = {name: drag(visitor, name) for name in ("opacity", "threshold")}
            context.close()
        start = time.perf_counter()
        gc.explain(network, gc.read_image(fresh))
        alone.append(time.perf_counter() - start)
    engine = median(alone[1:])
    rows = {}
    for name, (frames, asked) in drags.items():
        what = f"drag of the {name} slider in {STEPS} steps, ten cards"
        late = sorted(frames)[int(0.95 * len(frames))]
        rows[f"{what}: frame, median / 95th percentile"] = f"{median(frames):.1f} / {late:.1f} ms"
        rows[f"{what}: requests, with three changes of colours and two of scale"] = str(asked)
    rows |= {
        f"{_megapixels(photo)} megapixels, {len(content) / 1e6:.1f} MB: the engine alone": _seconds(alone[1:]),
    }
    for where, drops in (("an empty page", empty[1:]), ("another photo", over[1:])):
        taken = [one.seconds for one in drops]
        rows[f"from the drop on {where} to painted cards"] = _seconds(taken)
        rows[f"from the drop on {where}, beyond the engine"] = f"{median(taken) - engine:.2f} s"
        rows[f"the answer to the drop on {where}: events, maps and photo"] = (
            f"{max(one.answer for one in drops) / 1024:.0f} KiB"
        )
    rows["besides: the photo as it was given, for the preview"] = f"{empty[-1].preview / 1024:.0f} KiB"
    return rows


def _megapixels(photo: Path) -> int:
    width, height = Image.open(photo).size
    return round(width * height / 1e6)


def _seconds(taken: list[float]) -> str:
    return f"{median(taken):.2f} s ({min(taken):.2f} to {max(taken):.2f})"


# --- what is computed ---


@dataclass
class Work:
    """What the page asked of the engine since this was last empty; ``known`` are the maps that were made before."""

    did: Counter = field(default_factory=Counter)
    known: set[tuple[int, str]] = field(default_factory=set)

    def said(self) -> str:
        """What was done, in words; it is empty then."""
        did, self.did = self.did, Counter()
        kinds = ("decodings", "predictions of their own", "maps there already", "maps")
        return ", ".join(f"{did[kind]} {kind}" for kind in kinds)


@contextmanager
def watched() -> Iterator[Work]:
    """Count what the page, in this process, asks of the engine."""
    from gradcam_core.networks.classifier import Classifier

    work, read, explain, predict = Work(), gc.read_image, gc.explain_classes, Classifier.predict_logits

    def reading(source: object) -> np.ndarray:
        work.did["decodings"] += not isinstance(source, np.ndarray)
        return read(source)

    def explaining(network: gc.Classifier, photo: np.ndarray, targets: list, layers: list, **settings: object) -> tuple:
        found = explain(network, photo, targets, layers, **settings)
        asked = {(one.target.index, layer) for one in found for layer in layers}
        work.did["maps"] += len(asked)
        work.did["maps there already"] += len(asked & work.known)
        work.known |= asked
        return found

    def predicting(network: gc.Classifier, batch: np.ndarray) -> np.ndarray:
        work.did["predictions of their own"] += 1  # a pass for the probabilities alone
        return predict(network, batch)

    with (
        mock.patch.object(gc, "read_image", reading),
        mock.patch.object(gc, "explain_classes", explaining),
        mock.patch.object(Classifier, "predict_logits", predicting),
    ):
        yield work


def computed(browser: "object", photo: Path) -> dict[str, str]:
    """What the server computes for what a visitor does. It runs in this process, so that it can be watched."""
    from browser import Visitor
    from serving import free_port

    from ui import page
    from ui.choices import Networks

    blocks, rows = page.build(Networks()), {}
    port = free_port()
    settings = {**page.LAUNCH, "ssr_mode": False, "prevent_thread_lock": True}
    blocks.launch(server_name="127.0.0.1", server_port=port, **settings)
    try:
        with watched() as work:
            context = browser.new_context()
            visitor = Visitor(context, f"http://127.0.0.1:{port}")

            def did(what: str) -> None:
                visitor.page.wait_for_timeout(300)
                rows[f"computed for {what}"] = work.said()

            work.said()
            visitor.explain(photo)
            did("a photo")
            first, second = visitor.page.locator(".gx-guess-name").all_inner_texts()[:2]
            for name, what in ((second, "another class"), (first, "the class before")):
                visitor.page.locator(".gx-guess", has_text=name).first.click()
                visitor.wait_for_title(name)
                did(what)
            visitor.page.locator(".gx-beside:enabled").first.click()
            visitor.page.wait_for_function("document.querySelectorAll('.gx-row').length === 2")
            did("a second class beside it, known already")
            for name in ("Last", "One per stage"):
                count = visitor.page.locator(".gx-card").count()
                visitor.page.get_by_label(name, exact=True).check()
                visitor.page.wait_for_function("(n) => document.querySelectorAll('.gx-card').length !== n", arg=count)
                did(f"the layers: {name.lower()}")
            context.close()
    finally:
        blocks.close(verbose=False)
    return rows


# --- a crowd ---


@dataclass
class Met:
    """What visitors met: how often, how long a photo took in seconds, and the last photo and answer of each.

    Of each photo that was sent one thing is counted: "answered", "another's picture", "refused: <sentence>" (as when
    the queue is full) or "failed: <what>"; and "told the place in the queue" if it was.
    """

    happened: Counter = field(default_factory=Counter)
    waits: list[float] = field(default_factory=list)
    last: list[tuple[bytes, dict]] = field(default_factory=list)

    def __iadd__(self, other: "Met") -> "Met":
        self.happened.update(other.happened)
        self.waits += other.waits
        self.last += other.last
        return self

    def wrong_maps(self) -> int:
        """How many of the last answers hold other maps than the engine makes of the photo that was sent."""
        return sum(not _is_explained(content, grid) for content, grid in self.last)


def _is_explained(content: bytes, grid: dict) -> bool:
    (row,) = grid["rows"]
    expected = gc.explain(gc.load(next(iter(gc.NETWORKS))), content)
    levels = [np.frombuffer(base64.b64decode(card["heat"]), "<u2") / 65535 for card in row["maps"]]
    return row["target"]["index"] == expected.target.index and all(
        np.abs(shown - one.heat.ravel()).max() <= 0.01
        for shown, one in zip(levels, expected.maps.values(), strict=True)
    )


def colour_of(visitor: int) -> tuple[int, int, int]:
    """A colour that no other visitor of a crowd of 100 has, far enough from the others to survive a JPEG."""
    return 30 + 50 * (visitor % 5), 30 + 50 * (visitor // 5 % 5), 30 + 50 * (visitor // 25 % 5)


def picture_of(visitor: int, size: tuple[int, int]) -> bytes:
    """A JPEG of the visitor's colour, with clouds of its own."""
    clouds = np.random.default_rng().integers(-20, 21, (18, 24, 3))
    pixels = Image.fromarray((colour_of(visitor) + clouds).astype(np.uint8))
    file = io.BytesIO()
    pixels.resize(size, Image.Resampling.BILINEAR).save(file, "JPEG", quality=90)
    return file.getvalue()


def crowd(url: str, visitors: int, seconds: float, size: tuple[int, int] = (320, 240)) -> Met:
    """So many visitors for so long, each dropping pictures of its own colour, one or more, as the page does."""
    config = httpx.get(f"{url}/config", timeout=60).json()
    photo = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "photo")
    step = next(d["id"] for d in config["dependencies"] if [photo, "change"] in [list(t) for t in d["targets"]])
    until, everyone = time.monotonic() + seconds, Met()

    def one(number: int) -> Met:
        met, session = Met(), uuid4().hex
        while not met.happened or time.monotonic() < until:
            content, start = picture_of(number, size), time.monotonic()
            try:
                happened, grid = _ask(client, session, step, number, content)
            except httpx.HTTPError as error:
                happened, grid = Counter([f"failed: {type(error).__name__}"]), None
            met.happened.update(happened)
            if grid:
                met.waits.append(time.monotonic() - start)
                met.last = [(content, grid)]
            else:
                time.sleep(1)
        return met

    limits = httpx.Limits(max_connections=2 * visitors)
    with (
        httpx.Client(base_url=f"{url}/gradio_api", timeout=120, limits=limits) as client,
        ThreadPoolExecutor(visitors) as pool,
    ):
        for met in pool.map(one, range(visitors)):
            everyone += met
    return everyone


def _ask(client: httpx.Client, session: str, step: int, number: int, content: bytes) -> tuple[Counter, dict | None]:
    """Upload a picture, and listen until the answer to it is there."""
    path = client.post("/upload", files={"files": ("mine.jpg", content)}).json()[0]
    given = {"path": path, "orig_name": "mine.jpg", "meta": {"_type": "gradio.FileData"}}
    answer = client.post("/queue/join", json={"data": [given, None], "fn_index": step, "session_hash": session})
    if answer.status_code != 200:
        return Counter([f"refused: {answer.json().get('detail', answer.status_code)}"]), None
    happened = Counter()
    with client.stream("GET", "/queue/data", params={"session_hash": session}) as events:
        for line in events.iter_lines():
            message = json.loads(line[6:]) if line.startswith("data: ") else {"msg": None}
            if message["msg"] == "estimation" and message.get("rank") is not None:
                happened["told the place in the queue"] = 1
            if message["msg"] == "process_completed":
                break
        else:
            message = {"success": False, "output": {"error": "no answer"}}
    if not message["success"]:
        return happened + Counter([f"failed: {message['output'].get('error')}"]), None
    grid = message["output"]["data"][-1]
    grid = grid.get("value", grid)
    picture = Image.open(io.BytesIO(client.get(f"/file={grid['photo']['path']}").content))
    is_mine = np.abs(np.asarray(picture).mean((0, 1)) - colour_of(number)).max() < 10
    return happened + Counter(["answered" if is_mine else "another's picture"]), grid


def bear(server: "object", visitors: int, seconds: float) -> dict[str, str]:
    """What a crowd meets, and what becomes of the server's memory."""
    process, early = psutil.Process(server.pid), min(15, seconds / 2)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(crowd, server.url, visitors, seconds, (1280, 960))
        time.sleep(early)
        warm = process.memory_info().rss
        met = coming.result()
    grown = process.memory_info().rss - warm
    waits = sorted(met.waits)
    what = f"{visitors} visitors for {seconds:.0f} s"
    return {
        what: ", ".join(f"{count} {what}" for what, count in met.happened.most_common()),
        f"{what}: another's picture, other maps (the last answer of each)": (
            "{}, {} of {}".format(met.happened["another's picture"], met.wrong_maps(), len(met.last))
        ),
        f"{what}: from the upload to the answer, median / 95th percentile": (
            f"{median(waits):.1f} / {waits[int(0.95 * len(waits))]:.1f} s"
        ),
        f"the server's memory after {early:.0f} s of that, and growth to the end": (
            f"{warm / 2**20:.0f} MiB, {grown / 2**20:+.0f} MiB"
        ),
        "errors in the server's log": str(server.log.read_text().count("Traceback")),
    }


# --- files ---


@dataclass(frozen=True)
class Files:
    """Of visitors who have left, before and after the time that files are kept; and of one who went on all the time."""

    left: set[Path]
    still: set[Path]
    used: set[Path]


def files_in_time(context: "object", server: "object", cache: Path, photos: list[Path], seconds: float) -> Files:
    """One visitor takes all there is and leaves, one goes on with another photo for so long: whose files are there?"""
    from browser import Visitor

    def files() -> set[Path]:
        return {path for path in cache.rglob("*") if path.is_file()}

    examples, left = files(), set[Path]()
    leaver, stayer = Visitor(context, server.url), Visitor(context, server.url)
    leaver.explain(photos[0])
    for button in (".gx-save", ".gx-all"):
        with leaver.page.expect_download():
            leaver.page.locator(button).first.click()
        left |= files()  # now, for what is slow may be cleared away before the last is made
    with httpx.Client(base_url=f"{server.url}/gradio_api", timeout=60) as client:
        path = client.post("/upload", files={"files": ("left.jpg", photos[0].read_bytes())}).json()[0]
        given = {"path": path, "meta": {"_type": "gradio.FileData"}}
        arguments = [given, next(iter(gc.NETWORKS)), "", "stages", "logit", "gradcam", "", 1.0, False, "none", None]
        event = client.post("/call/explain", json={"data": arguments}).json()["event_id"]
        client.get(f"/call/explain/{event}")
    left |= files()
    left -= examples
    leaver.page.close()
    stayer.explain(photos[1])
    used = files() - left - examples
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stayer.page.locator(".gx-guess[aria-pressed=false]").first.click()
        stayer.page.wait_for_timeout(1000)
    stayer.page.close()
    return Files(left, left & files(), used & files())


def main() -> None:
    import chromium
    from playwright.sync_api import sync_playwright
    from serving import serve

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--keep", type=float, default=8, help="minutes that the crowd's server keeps unused files")
    parser.add_argument("--wait", action="store_true", help="until the crowd's files are gone, or should be")
    options = parser.parse_args()
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name, sync_playwright() as driver:
        folder, short = Path(name), Path(name) / "short"
        short.mkdir()
        browser = driver.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox", "--disable-gpu"])
        photo = folder / (options.photo.name if options.photo else "large.jpg")
        photo.write_bytes(options.photo.read_bytes()) if options.photo else large_photo(photo)
        rows = {f"load of the {os.cpu_count()} cores before": f"{load:.1f}"}
        with serve(folder, "--keep", options.keep, from_scratch=True) as server:
            rows |= feel(server.url, browser, photo)
            rows |= bear(server, options.visitors, options.seconds)
            cache, start = folder / "cache", time.monotonic()
            if options.wait:
                files = [path for path in cache.rglob("*") if path.name in ("mine.jpg", "photo.jpg")]
                while any(path.exists() for path in files) and time.monotonic() - start < 75 * options.keep:
                    time.sleep(5)
                rows[f"the crowd's files, kept for {options.keep:g} min: at the end, later"] = (
                    f"{len(files)}, {sum(path.exists() for path in files)} after {time.monotonic() - start:.0f} s"
                )
        with serve(short, "--keep", KEEP, from_scratch=True) as server:
            photos = [photo.with_name("other.jpg"), short / "second.jpg"]
            photos[1].write_bytes(picture_of(7, (640, 480)))
            files = files_in_time(browser.new_context(), server, short / "cache", photos, 100 * KEEP)
            rows[f"files of one who left on disk, kept for {60 * KEEP:.0f} s: before, after {100 * KEEP:.0f} s"] = (
                f"{len(files.left)}, {len(files.still)}"
            )
            rows["files of one who went on, after that time"] = ", ".join(sorted(path.name for path in files.used))
        os.environ["GRADIO_TEMP_DIR"] = name  # for the page in this process
        rows |= computed(browser, photo)
        browser.close()
    print("| | |\n| --- | ---: |")
    for what, figure in rows.items():
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
