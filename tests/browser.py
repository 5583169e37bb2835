"""What a visitor does on the page, for the tests in a browser."""

import base64
import mimetypes
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

CARDS = ".gx-card"
PHOTO = "#photo [aria-label*='upload' i]"
TOAST = "[data-testid=toast-text]"


class Visitor:
    """A page in a browser, and what it asked for and complained about meanwhile."""

    def __init__(self, context, url: str, width: int = 1280, height: int = 800, scheme: str = "light"):
        self.url = url
        self.requests: list[str] = []
        self.complaints: list[str] = []
        self.page = context.new_page()
        self.page.set_default_timeout(120_000)  # a busy machine is slow, and nothing is tested by its end
        self.page.set_viewport_size({"width": width, "height": height})
        self.page.emulate_media(color_scheme=scheme)
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.goto(url)
        self.page.wait_for_selector(PHOTO)
        # The class list is filled when the network is loaded and the page has introduced itself.
        self.page.wait_for_function("document.querySelector('#network')?.textContent.includes('classes')")

    def drop(self, *paths: Path) -> None:
        """Drag a file onto the photo, or several."""
        self.let_go(self.hold(*paths))

    def hold(self, *paths: Path) -> object:
        """Files at the pointer, ready to be let go."""
        return self.page.evaluate_handle(
            """async (files) => {
                const transfer = new DataTransfer();
                for (const [content, name, type] of files) {
                    const packed = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
                    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream('deflate'));
                    transfer.items.add(new File([await new Response(stream).arrayBuffer()], name, { type }));
                }
                return transfer;
            }""",
            [
                [
                    base64.b64encode(zlib.compress(path.read_bytes(), 1)).decode(),
                    path.name,
                    mimetypes.guess_type(path.name)[0] or "",
                ]
                for path in paths
            ],
        )

    def let_go(self, transfer: object) -> None:
        """Drop what `hold` gave onto the photo."""
        target = PHOTO if not self.page.locator("#photo .image-frame").count() else "#photo .image-frame"
        for event in ("dragenter", "dragover", "drop"):
            self.page.dispatch_event(target, event, {"dataTransfer": transfer})

    def explain(self, path: Path) -> None:
        """Drop a photo and wait for its cards, and for the photo on each."""
        before = self.photo_shown()
        self.drop(path)
        self.page.wait_for_function(
            """(before) => {
                const photos = [...document.querySelectorAll('.gx-card img')];
                return photos.length && photos[0].src !== before && photos.every((photo) => photo.complete);
            }""",
            arg=before,
        )

    def photo_shown(self) -> str:
        """The address of the photo under the heat maps; empty where there is none."""
        return self.page.evaluate("document.querySelector('.gx-card img')?.src ?? ''")

    def layers(self) -> list[str]:
        """The names on the cards, as they are read."""
        return self.page.locator(f"{CARDS} .gx-name").all_inner_texts()

    def title(self) -> str:
        return self.page.locator(".gx-title").inner_text()

    def wait_for_title(self, name: str) -> None:
        self.page.wait_for_function(
            "(name) => document.querySelector('.gx-title').textContent === 'Evidence for ' + name", arg=name
        )

    def wait_for_toast(self, text: str) -> str:
        toast = self.page.locator(TOAST, has_text=re.compile(re.escape(text)))
        toast.first.wait_for()
        return toast.first.inner_text()

    def choose(self, dropdown: str, text: str) -> None:
        """Search in a dropdown and take what is called so, or else the first that fits."""
        if not self.page.locator(dropdown).count():
            self.open_more()
        field, options = self.page.locator(f"{dropdown} input"), self.page.locator(f"{dropdown} [role=option]")
        field.click()
        field.fill(text)
        field.press("Shift")  # a list of a thousand shows a hundred, and follows what is written at the next key
        self.page.wait_for_function(
            """([options, text]) => {
                const left = [...document.querySelectorAll(options)];
                return left.length && left.every((option) => option.textContent.toLowerCase().includes(text));
            }""",
            arg=[f"{dropdown} [role=option]", text.lower()],
        )
        same = options.filter(has_text=re.compile(rf"^\W*{re.escape(text)}\s*$"))
        if same.count():
            same.click()
        else:
            field.press("Enter")

    def open_settings(self) -> None:
        """On a small screen they are a drawer."""
        if self.page.locator("#open-settings").is_visible() and not self.page.locator("#settings").is_visible():
            self.page.locator("#open-settings button").click()

    def close_settings(self) -> None:
        """Take the drawer away where there is one."""
        if self.page.locator("#settings-head button").is_visible():
            self.page.locator("#settings-head button").click()

    def open_more(self) -> None:
        """Unfold what stands under "More"."""
        self.open_settings()
        self.page.locator("#more > button").click()
        self.page.locator("#article").wait_for()

    def show_as_at_first(self) -> None:
        """The toolbar as a new visitor finds it, and no dialog."""
        self.page.evaluate(
            """() => {
                document.querySelector('dialog')?.close();
                const form = document.querySelector('.gx-toolbar');
                Object.assign(form.opacity, { value: 0.4 });
                Object.assign(form.threshold, { value: 0 });
                Object.assign(form.colormap, { value: 'jet' });
                Object.assign(form.scale, { value: 'each' });
                form.dispatchEvent(new Event('input'));
            }"""
        )

    def colors(self, number: int = -1, of: str = ".gx-card canvas") -> np.ndarray:
        """The pixels of a canvas, by its place among those ``of`` selects: uint8 (height, width, 4), RGBA."""
        width, height, content = self.page.evaluate(
            """([i, of]) => {
                const canvas = [...document.querySelectorAll(of)].at(i), { width, height } = canvas;
                const { data } = canvas.getContext('2d').getImageData(0, 0, width, height);
                return [width, height, new Uint8Array(data.buffer).toBase64()];
            }""",
            [number, of],
        )
        return np.frombuffer(base64.b64decode(content), np.uint8).reshape(height, width, 4)

    def opacity(self) -> float:
        return float(self.page.evaluate("getComputedStyle(document.querySelector('.gx-card canvas')).opacity"))


@contextmanager
def visit(context, url: str, size: tuple[int, int] = (1280, 800), scheme: str = "light") -> Iterator[Visitor]:
    """A visit during which the page complains about nothing and asks no other host for anything."""
    visitor = Visitor(context, url, *size, scheme)
    try:
        yield visitor
    finally:
        visitor.page.close()
    assert visitor.complaints == []
    asked = {urlsplit(address) for address in visitor.requests}
    assert {address.netloc for address in asked if address.scheme not in ("data", "blob")} == {urlsplit(url).netloc}
