"""A page with nothing but the grid, for the tests that choose its answers: real component, real browser, no network."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

import gradio as gr
import numpy as np
from browser import Visitor
from conftest import free_port

import gradcam_core as gc
from ui.layer_grid import LayerGrid

LAYERS = {"fine": (7, 5), "middle": (4, 3), "coarse": (3, 2)}  # name -> (rows, columns) of its map


def photo(height: int = 260, width: int = 180) -> np.ndarray:
    """A portrait without symmetry: uint8 (height, width, 3), redder to the right, bluer downwards."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([40 + 200 * x / width, 90 + 0 * x, 30 + 180 * y / height], axis=2).astype(np.uint8)


def heat_map(name: str, raw: np.ndarray, stage: int = 1) -> gc.HeatMap:
    """A map that says what a test wants: ``raw`` is float32 (rows, columns)."""
    layer = gc.Layer(name, "conv", (*raw.shape, 8), 10 * stage, stage, (16.0 * stage, 12.0 * stage))
    return gc.HeatMap(layer, raw)


def explanation(
    target: gc.Prediction, peaks: dict[str, float], predictions: tuple[gc.Prediction, ...] = (), **changes: object
) -> gc.Explanation:
    """Maps that differ from class to class and reach the given peaks; a peak of 0 is an empty map."""
    rng = np.random.default_rng(target.index)
    maps = {}
    for stage, (name, peak) in enumerate(peaks.items(), 1):
        raw = rng.uniform(-1, 1, LAYERS.get(name, (6, 4))).astype(np.float32)
        raw = raw / raw.max() * np.float32(peak) if peak else -np.abs(raw)
        maps[name] = heat_map(name, raw, stage)
    settings = {"network": "handmade", "photo": photo(), "score": "logit", "method": "gradcam", "versions": {}}
    return gc.Explanation(**{**settings, **changes}, predictions=predictions or (target,), target=target, maps=maps)


@contextmanager
def gallery(answers: dict[str, list[gc.Explanation] | None]) -> Iterator[str]:
    """The address of a page with the grid, and a button for each answer that it can be given."""

    def hear(event: gr.EventData) -> str:
        return json.dumps(event._data)

    with gr.Blocks(analytics_enabled=False) as page:
        for name in answers:
            gr.Button(name, elem_id=f"show-{name}")
        grid = LayerGrid(elem_id="grid")
        heard = gr.Textbox(elem_id="heard", label="heard")
        for name, button in zip(answers, list(page.blocks.values())[1:], strict=False):
            button.click(lambda name=name: answers[name], None, [grid], show_progress="hidden")
        for event in (grid.select, grid.download):
            event(hear, None, [heard], show_progress="hidden")
    port = free_port()
    page.launch(
        server_name="127.0.0.1", server_port=port, quiet=True, ssr_mode=False, prevent_thread_lock=True, run_history=False
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        page.close(verbose=False)


class Onlooker(Visitor):
    """Somebody in the gallery."""

    def __init__(self, context, url: str, query: str = ""):
        self.url, self.requests, self.complaints = url, [], []
        self.page = context.new_page()
        self.page.set_viewport_size({"width": 1280, "height": 1100})
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.goto(url + query)
        self.page.locator(".gx").wait_for()

    def show(self, name: str) -> None:
        """Have the server send an answer, without waiting for it."""
        self.page.locator(f"#show-{name}").click()

    def see(self, name: str, title: str) -> None:
        """Have the server send an answer, and wait until it is shown."""
        self.show(name)
        self.wait_for_title(title)
        self.page.wait_for_function("[...document.querySelectorAll('.gx-card')].every((card) => card.canvas.levels)")

    def hear(self, click) -> dict:
        """What the grid tells the server at a click."""
        field = self.page.locator("#heard textarea")
        before = field.input_value()
        click()
        self.page.wait_for_function(
            "(before) => ![before, ''].includes(document.querySelector('#heard textarea').value)", arg=before
        )
        return json.loads(field.input_value())

    def enlarge(self, card: int):
        """Open a card's dialog."""
        self.page.locator(".gx-open").nth(card).click()
        dialog = self.page.locator("dialog[open]")
        dialog.wait_for()
        return dialog
