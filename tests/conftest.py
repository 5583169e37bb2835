"""What the tests share: photos that they make themselves, the real page in a process of its own, a real browser."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import chromium
import pytest
from serving import Server, serve

ROOT = Path(__file__).resolve().parents[1]

# Processes that share the machine's cores only get in each other's way where each takes all of them.
os.environ.setdefault("TF_NUM_INTRAOP_THREADS", "1")
# Each new client of httpx reads all certificates that it is given, 25 ms, and no test asks anything over https.
os.environ |= {"SSL_CERT_FILE": "", "SSL_CERT_DIR": os.devnull}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let files that need a browser and those that do not take turns: two browsers at once get in each other's way."""
    files = list(dict.fromkeys(item.path for item in items))
    place = dict.fromkeys(files, 1.0)  # examples of docstrings, which take no time, at the end
    for is_page in (True, False):
        group = [path for path in files if "tests" in path.parts and ("ui" in path.parts) == is_page]
        # Before them stand short files, so that no process has a long one to itself.
        place.update({path: i / len(group) * (0.9 if is_page else 1) for i, path in enumerate(group)})
    items.sort(key=lambda item: place[item.path])


def pytest_collection_finish() -> None:
    """What is imported stays: the collector of garbage need not look at it again and again."""
    gc.freeze()


@pytest.fixture(scope="session")
def shared() -> Path:
    """Real photos and weights that lie beside the checkout; the project does not depend on them."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("needs ../shared (real photos and weights beside the checkout)")
    return folder


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of pictures as visitors have them, made here.

    ``landscape.jpg`` (640 x 480), ``turned.jpg`` (stored 640 x 480, upright 480 x 640 by its EXIF), ``moving.gif``
    (320 x 240, two frames), ``cut.jpg`` (its end is missing), ``text.jpg`` (no picture at all), ``huge.png`` (far too
    many pixels in a small file).
    """
    import numpy as np
    from PIL import Image

    folder = tmp_path_factory.mktemp("photos")
    scene = Image.fromarray(_scene(480, 640))
    scene.save(folder / "landscape.jpg", quality=92)
    exif = Image.Exif()
    exif[274] = 6
    scene.save(folder / "turned.jpg", quality=92, exif=exif)
    frames = [Image.fromarray(_scene(240, 320)), Image.fromarray(_scene(240, 320)[:, ::-1])]
    frames[0].save(folder / "moving.gif", save_all=True, append_images=frames[1:], duration=200)
    content = (folder / "landscape.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(content[: len(content) // 3])
    (folder / "text.jpg").write_text("This is not a picture.\n")
    Image.fromarray(np.zeros((9000, 9000), np.uint8)).convert("1").save(folder / "huge.png")
    return folder


def _scene(height: int, width: int) -> "object":
    """uint8 (height, width, 3): a sky, a lawn, a sun and a round thing with stripes."""
    import numpy as np

    y, x = np.mgrid[0:height, 0:width].astype(np.float32) / height
    scene = np.stack([110 + 80 * y, 150 + 60 * y, 235 - 40 * y], axis=2)
    lawn = np.stack([60 + 40 * np.sin(90 * x), 130 + 30 * np.sin(70 * y), 50 + 0 * x], axis=2)
    scene = np.where((y > 0.62)[..., None], lawn, scene)
    ball = (x - 0.7) ** 2 + (y - 0.6) ** 2 < 0.06
    stripes = np.where((np.sin(40 * x) > 0)[..., None], (235, 120, 20), (30, 25, 25))
    scene = np.where(ball[..., None], stripes, scene)
    sun = (x - 0.2) ** 2 + (y - 0.2) ** 2 < 0.008
    scene = np.where(sun[..., None], (255, 240, 160), scene)
    noise = np.random.default_rng(0).normal(0, 5, scene.shape)
    return np.clip(scene + noise, 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page as it starts by itself, with its default network."""
    with serve(tmp_path_factory.mktemp("server")) as server:
        yield server


@pytest.fixture(scope="session")
def browser_context() -> Iterator["object"]:
    """Chromium, driven by playwright. One context for all pages, which share what they have loaded."""
    executable = chromium.find()
    if not executable:
        pytest.skip("needs Chromium: install it, or set CHROMIUM to its path")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright: pip install .[test]")
    with playwright.sync_playwright() as driver:
        options = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
        options += ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]  # a camera, allowed
        # One process for all pages, which stays as long as one of them is open: what it has compiled is at hand.
        options += ["--renderer-process-limit=1"]
        browser = driver.chromium.launch(executable_path=executable, headless=True, args=options)
        context = browser.new_context()
        context.new_page()
        yield context
        browser.close()


@pytest.fixture
def visitor(browser_context, server):
    """Somebody on the page, who meets no error and no other host."""
    from browser import visit

    with visit(browser_context, server.url) as visitor:
        yield visitor


@pytest.fixture(scope="session")
def _gallery(browser_context, tmp_path_factory):
    """A page with the grid and answers made by hand, in this process."""
    from gallery import Onlooker, gallery

    with gallery(tmp_path_factory.mktemp("gallery")) as url:
        yield Onlooker(browser_context, url)


@pytest.fixture
def onlooker(_gallery):
    """Somebody before the grid, as it is before anything is set; the page is not loaded again for each test."""
    _gallery.reset()
    yield _gallery
    assert _gallery.complaints == []
