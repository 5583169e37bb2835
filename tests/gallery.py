"""A page with nothing but the grid, for the tests that choose its answers: real component, real browser, no network."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import gradio as gr
import numpy as np
from browser import Visitor
from serving import free_port

import gradcam_core as gc
from ui.layer_grid import LayerGrid

LAYERS = {"fine": (7, 5), "middle": (4, 3), "coarse": (3, 2), "finest": (104, 45)}  # name -> (rows, columns) of its map
SIZE = {"width": 1280, "height": 1800}  # of the window: all cards are near enough to be painted
OWL, LYNX, NEWT = (
    gc.Prediction(7, "n001", "tawny_owl", 0.62),
    gc.Prediction(3, "n002", "lynx", 0.0004),
    gc.Prediction(11, None, "newt", 0.042),
)
SEEN = (OWL, NEWT)  # the lynx is not among the most probable


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


ONE = [explanation(OWL, {"fine": 2.0, "middle": 0.0, "coarse": 4.0}, SEEN)]
TWO = [  # the highest peak is in the second row
    explanation(OWL, {"fine": 2.0, "middle": 1.0, "coarse": 4.0}, SEEN),
    explanation(LYNX, {"fine": 16.0, "middle": 8.0, "coarse": 12.0}, SEEN),
]
HELD = [
    explanation(row, {"coarse": 0.0}, SEEN, instead_of=NEWT, method="layercam", score="probability")
    for row in (OWL, LYNX)
]
AGAINST = [explanation(OWL, {"fine": 0.0, "coarse": 2.0}, SEEN, against=True, smoothing="noise")]
MANY = [explanation(row, {f"layer{i}": float(i) for i in range(1, 9)}, SEEN) for row in (OWL, NEWT)]
VALUE = [explanation(gc.Prediction(0, None, "age", None, 30.5), {"coarse": 1.0})]
SHARE = [explanation(gc.Prediction(2, None, "road", None, share=0.4), {"finest": 1.0})]
MARKUP = '<img src=x onerror="window.hit = 1">&amp;'
WILD = [  # names that are markup, end a line of code, and close quotes
    explanation(row, {f"{MARKUP} '1'": 1.0, "b": 0.0}, network=MARKUP, instead_of=gc.Prediction(1, None, MARKUP, 0.1))
    for row in (gc.Prediction(0, None, f"{MARKUP}\nimport no_such_module", 0.5), gc.Prediction(2, None, MARKUP, 0.2))
]
LATE, LOST = ([explanation(NEWT, {"coarse": 1.0}, SEEN, photo=photo(height, 240))] for height in (150, 160))
COARSE = [explanation(OWL, {"coarse": 1.0}, SEEN)]
OWN = [explanation(OWL, {"coarse": 1.0}, SEEN, network="own")]  # it comes from a file
SET = {  # as COARSE, but for one setting
    "coarse-layercam": [explanation(OWL, {"coarse": 1.0}, SEEN, method="layercam")],
    "coarse-probability": [explanation(OWL, {"coarse": 1.0}, SEEN, score="probability")],
    "coarse-against": [explanation(OWL, {"coarse": 1.0}, SEEN, against=True)],
    "coarse-noise": [explanation(OWL, {"coarse": 1.0}, SEEN, smoothing="noise")],
}
ANSWERS = {
    "against": AGAINST,
    "coarse": COARSE,
    "own": OWN,
    **SET,
    "one": ONE,
    "two": TWO,
    "held": HELD,
    "many": MANY,
    "value": VALUE,
    "share": SHARE,
    "wild": WILD,
    "late": LATE,
    "lost": LOST,
    "none": None,
}
TITLES = {"own": "tawny owl", "one": "tawny owl", "two": "tawny owl, lynx", "held": "tawny owl, lynx rather than newt"}
TITLES |= {"many": "tawny owl, newt", "value": "age", "share": "road"}
TITLES |= {"against": "tawny owl", "coarse": "tawny owl", **dict.fromkeys(SET, "tawny owl")}
TITLES["wild"] = f"{MARKUP} import no such module, {MARKUP} rather than {MARKUP}"


@contextmanager
def gallery(cache: Path, answers: dict[str, list[gc.Explanation] | None] = ANSWERS) -> Iterator[str]:
    """The address of a page with the grid, and a button for each answer it can be given. Its files go to ``cache``."""

    numbers = itertools.count()  # no two clicks are heard alike

    def hear(event: gr.EventData) -> str:
        return json.dumps([next(numbers), event._data])

    with gr.Blocks(analytics_enabled=False) as page:
        buttons = [gr.Button(name, elem_id=f"show-{name}") for name in answers]
        grid = LayerGrid(elem_id="grid", file="own", path="own.h5", preprocess="-1..1")
        grid.GRADIO_CACHE = str(cache)
        heard = gr.Textbox(elem_id="heard", label="heard")
        for button, answer in zip(buttons, answers.values(), strict=True):
            button.click(lambda answer=answer: answer, None, [grid], show_progress="hidden")
        for event in (grid.select, grid.download, grid.submit, grid.input):
            event(hear, None, [heard], show_progress="hidden", trigger_mode="multiple")
    port = free_port()
    page.launch(
        server_name="127.0.0.1",
        server_port=port,
        quiet=True,
        ssr_mode=False,
        prevent_thread_lock=True,
        run_history=False,
        allowed_paths=[str(cache)],
    )
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        page.close(verbose=False)


class Onlooker(Visitor):
    """Somebody in the gallery."""

    def __init__(self, context, url: str):
        self.url, self.requests, self.complaints = url, [], []
        self.now = ""  # the answer that is shown
        self.page = context.new_page()
        self.page.set_default_timeout(60_000)
        self.page.set_viewport_size(SIZE)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.goto(url)
        self.page.locator(".gx").wait_for()

    def show(self, name: str) -> None:
        """Have the server send an answer, without waiting for it."""
        self.now = name
        self.page.locator(f"#show-{name}").click()

    def see(self, name: str) -> None:
        """Have the server send an answer, and wait until it is shown."""
        if name == self.now:
            return
        self.page.evaluate("for (const row of document.querySelectorAll('.gx-row')) row.isOld = true")
        self.show(name)
        self.page.wait_for_function(
            """(title) => {
                const [rows, cards] = ['.gx-row', '.gx-row .gx-card'].map((of) => document.querySelectorAll(of));
                return document.querySelector('.gx-title').textContent === title && rows.length && !rows[0].isOld
                    && [...cards].every((card) => card.canvas.levels && card.querySelector('img').complete);
            }""",
            arg=f"Evidence {'against' if name.endswith('against') else 'for'} {TITLES[name]}",
        )

    def reset(self) -> None:
        """The toolbar as a new visitor finds it, no dialog, no strip, and nothing that the server is still asked."""
        self.complaints.clear()
        self.page.evaluate(
            """() => {
                document.querySelector('.gx-code').open = false;
                document.querySelector('.gx-strip .gx-close').click();
                dispatchEvent(new CustomEvent('gradcam-said', { detail: {} }));
                dispatchEvent(new CustomEvent('gradcam-view', { detail: { mode: 'alpha', fusion: 'none' } }));
            }"""
        )
        self.show_as_at_first()

    def hear(self, click) -> dict:
        """What the grid tells the server at a click."""
        field = self.page.locator("#heard textarea")
        before = field.input_value()
        click()
        self.page.wait_for_function(
            "(before) => document.querySelector('#heard textarea').value !== before", arg=before
        )
        return json.loads(field.input_value())[1]

    def enlarge(self, card: int):
        """Open a card's dialog."""
        self.page.locator(".gx-open").nth(card).click()
        dialog = self.page.locator("dialog[open]")
        dialog.wait_for()
        return dialog
