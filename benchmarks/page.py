"""How the page feels, and what it bears: the real server, a real browser, thirty visitors at once.

    python -m benchmarks.page                       # a photo of 12 megapixels, made here
    python -m benchmarks.page --visitors 30 --seconds 60 --wait

Prints a table: frames and requests while the opacity slider is dragged; the time from the drop of the photo to painted
cards, against the engine's own time for the same file; the size of the answer; and what a crowd of visitors got, each
with a picture that nobody else has. --wait also waits until the visitors' files are gone from disk.
"""

import argparse
import io
import json
import os
import shutil
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median
from uuid import uuid4

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

import httpx
import numpy as np
import psutil
from PIL import Image

import gradcam_core as gc

STEPS = 180  # of the drag
PAINTED = """() => {
  const all = [...document.querySelectorAll('.gx-card canvas')];
  return all.length > 0 && all.every((canvas) => canvas.levels);
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
    """A JPEG of 4000 x 3000 pixels with detail of every size, as a camera's."""
    rng, photo = np.random.default_rng(0), np.zeros((3000, 4000, 3), np.float32)
    for cells in (6, 25, 100, 400, 1600):
        layer = Image.fromarray(rng.integers(0, 256, (cells * 3 // 4, cells, 3), np.uint8))
        photo += np.asarray(layer.resize((4000, 3000), Image.Resampling.BICUBIC), np.float32) / cells**0.5
    photo = 255 * (photo - photo.min()) / np.ptp(photo)
    Image.fromarray(photo.astype(np.uint8)).save(path, quality=90)
    return path


def feel(server, photo: Path) -> dict[str, str]:
    """What one visitor with this photo meets."""
    import chromium
    from browser import Visitor
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=chromium.find(), args=["--no-sandbox", "--disable-gpu"])
        visitor = Visitor(browser.new_context(), server.url)
        page = visitor.page
        small = photo.with_name("first.jpg")
        Image.open(photo).resize((640, 480)).save(small)
        visitor.explain(small)  # the network is warm from now on
        traffic = page.context.new_cdp_session(page)
        traffic.send("Network.enable")
        addresses, received = {}, Counter()
        traffic.on("Network.requestWillBeSent", lambda e: addresses.update({e["requestId"]: e["request"]["url"]}))
        traffic.on("Network.dataReceived", lambda e: received.update({addresses.get(e["requestId"]): e["dataLength"]}))
        before = visitor.photo_shown()
        dropped = visitor.hold(photo)
        start = time.perf_counter()
        visitor.let_go(dropped)
        page.wait_for_function(
            "(b) => ![b, undefined].includes(document.querySelector('.gx-card img')?.src)", arg=before
        )
        page.wait_for_function(PAINTED)
        painted = time.perf_counter() - start
        page.wait_for_timeout(500)
        own = sum(size for url, size in received.items() if url and url.endswith("/large.jpg"))  # shown as it was given
        slider = page.locator(".gx-opacity input").bounding_box()
        asked, (x, y) = len(visitor.requests), (slider["x"] + 5, slider["y"] + slider["height"] / 2)
        page.mouse.move(x, y)
        page.mouse.down()
        page.evaluate(FRAMES)
        for step in range(STEPS):
            page.mouse.move(x + (slider["width"] - 10) * step / STEPS, y)
        page.mouse.up()
        frames = sorted(page.evaluate("() => { const all = frames; frames = null; return all; }"))
        for name in ("viridis", "grey", "jet"):
            page.locator(".gx-colormaps label", has_text=name).click()
        page.locator(".gx-toolbar label", has_text="shared").click()
        page.wait_for_timeout(500)
        asked = len(visitor.requests) - asked
        browser.close()
    network = gc.load("bundled")
    engine = []
    for _ in range(6):
        start = time.perf_counter()
        gc.explain(network, gc.read_image(photo))
        engine.append(time.perf_counter() - start)
    return {
        f"drag of the opacity slider in {STEPS} steps: frame, median / 95th percentile": (
            f"{median(frames):.1f} / {frames[int(0.95 * len(frames))]:.1f} ms"
        ),
        "requests during the drag, three changes of colours and one of scale": str(asked),
        "12 megapixels, from the drop to painted cards": f"{painted:.2f} s",
        "beyond the engine's own time": f"{painted - median(engine[1:]):.2f} s",
        "the answer to it: maps, numbers and the photo as it is shown": f"{(received.total() - own) / 1024:.0f} KiB",
    }


def colour_of(visitor: int) -> tuple[int, int, int]:
    """A colour that no other visitor of a crowd of 100 has, far enough from the others to survive a JPEG."""
    return 30 + 50 * (visitor % 5), 30 + 50 * (visitor // 5 % 5), 30 + 50 * (visitor // 25 % 5)


def crowd(url: str, visitors: int, seconds: float) -> Counter:
    """So many visitors for so long, each dropping one picture of its own colour after the other.

    Returns:
        How often something happened: "answered", "told the place in the queue", "refused: <sentence>" (as when the
        queue is full), "another's picture", "failed: <what>".
    """
    config = httpx.get(f"{url}/config", timeout=60).json()
    photo = next(c["id"] for c in config["components"] if c["props"].get("elem_id") == "photo")
    step = next(d for d in config["dependencies"] if [photo, "change"] in [list(t) for t in d["targets"]])
    until, happened = time.monotonic() + seconds, Counter()

    def one(number: int) -> Counter:
        found, random = Counter(), np.random.default_rng()
        with httpx.Client(base_url=f"{url}/gradio_api", timeout=120) as client:
            session = uuid4().hex
            while time.monotonic() < until:
                pixels = np.clip(colour_of(number) + random.normal(0, 2, (240, 320, 3)), 0, 255).astype(np.uint8)
                file = io.BytesIO()
                Image.fromarray(pixels).save(file, "JPEG", quality=95)
                path = client.post("/upload", files={"files": ("mine.jpg", file.getvalue())}).json()[0]
                given = {"path": path, "orig_name": "mine.jpg", "meta": {"_type": "gradio.FileData"}}
                asked = {"data": [given, None], "fn_index": step["id"], "session_hash": session}
                answer = client.post("/queue/join", json=asked)
                if answer.status_code != 200:
                    found[f"refused: {answer.json().get('detail', answer.status_code)}"] += 1
                    time.sleep(1)
                    continue
                found.update(_listen(client, session, number))
        return found

    with ThreadPoolExecutor(visitors) as pool:
        for found in pool.map(one, range(visitors)):
            happened.update(found)
    return happened


def _listen(client: httpx.Client, session: str, number: int) -> Counter:
    """What the server says until the answer is there."""
    found = Counter()
    with client.stream("GET", "/queue/data", params={"session_hash": session}) as events:
        for line in events.iter_lines():
            if not line.startswith("data: "):
                continue
            message = json.loads(line[6:])
            if message["msg"] == "estimation" and message.get("rank") is not None:
                found["told the place in the queue"] += 1
            elif message["msg"] == "process_completed":
                if not message["success"]:
                    found[f"failed: {message['output'].get('error')}"] += 1
                    break
                grid = message["output"]["data"][-1]
                grid = grid.get("value", grid)
                picture = client.get(f"/file={grid['photo']['path']}").content
                colour = np.asarray(Image.open(io.BytesIO(picture))).mean((0, 1))
                mine = np.abs(colour - colour_of(number)).max() < 10
                found["answered" if mine else "another's picture"] += 1
            elif message["msg"] == "close_stream":
                break
    return found


def main() -> None:
    from conftest import serve

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photo", type=Path, nargs="?")
    parser.add_argument("--visitors", type=int, default=30)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--wait", action="store_true", help="until the visitors' files are gone, up to ten minutes")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        photo = Path(folder) / "large.jpg"
        shutil.copy(options.photo, photo) if options.photo else large_photo(photo)
        with serve(Path(folder)) as server:
            rows = feel(server, photo)
            process = psutil.Process(server.pid)
            crowd(server.url, options.visitors, options.seconds / 4)
            warm = process.memory_info().rss
            happened = crowd(server.url, options.visitors, options.seconds)
            grown = process.memory_info().rss - warm
            rows[f"{options.visitors} visitors for {options.seconds:.0f} s"] = ", ".join(
                f"{count} {what}" for what, count in happened.most_common()
            )
            rows["the server's memory after a quarter of that time, and growth from there"] = (
                f"{warm / 2**20:.0f} MiB, {grown / 2**20:+.0f} MiB"
            )
            cache, start = Path(folder) / "cache", time.monotonic()
            if options.wait:
                while (left := sum(path.is_file() for path in cache.rglob("*"))) and time.monotonic() - start < 600:
                    time.sleep(5)
                rows["visitors' files left on disk"] = f"{left} after {time.monotonic() - start:.0f} s"
    print("| | |\n| --- | ---: |")
    for what, figure in rows.items():
        print(f"| {what} | {figure} |")


if __name__ == "__main__":
    main()
