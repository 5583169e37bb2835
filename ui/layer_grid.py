"""`LayerGrid`: the answer to a photo. What the network sees, and where each layer found it, side by side.

The server sends the photo once and each heat map at its own resolution, two bytes for a cell: in 256 steps the edge of
a region would be off by pixels of a large photo. The browser resizes them (bilinear, half-pixel centres, the scalar
before the colour, as `gradcam_core.resize_heat` does), colours them and lays them over the photo, so opacity, colour
map, scale and threshold ask the server nothing. The bytes travel in the answer and not as grey PNG files: a browser
that guards against fingerprinting adds noise to pixels read back from a picture, and a file may have expired when it is
asked for.
"""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from gradio.data_classes import FileData, GradioModel

from gradcam_core import COLORMAPS, Explanation, HeatMap
from gradcam_core.pictures import SCRIPTS
from gradcam_core.pictures.render import lookup_table

from .answers import Guess, MapSummary, guesses, summarize_map
from .cache import keep

ASSETS = Path(__file__).resolve().parent.parent / "assets"
# The pieces of the grid's script, each in sight of all others; what the last one does, it does when all are there.
DRAWING = ("heat", "regions", "words")  # of gradcam_core: they know no page
PIECES = (
    *("shared", "colorbar", "painting", "fusion", "cards", "cells", "wipe", "region", "dialog"),
    *("code", "saving", "guesses", "toolbar", "photos", "answer"),
)
LONGEST_SIDE = 1024  # of the photo as it is shown
JPEG_QUALITY = 90
MOST_PHOTOS = 24  # in a strip


class LayerCard(MapSummary):
    """One card: the summary, and the heat map."""

    heat: str  # base64 of uint16 (h, w), little-endian, row by row


class ClassRow(GradioModel):
    """The cards of one class, from shallow to deep."""

    target: Guess
    maps: list[LayerCard]


class LayerGridData(GradioModel):
    """What the browser gets."""

    network: str
    method: str
    score: str
    against: bool
    smoothing: str
    instead_of: Guess | None
    predictions: list[Guess]
    photo: FileData
    photo_size: list[int]  # height, width of the photo as it was given
    rows: list[ClassRow]


class LayerGrid(gr.HTML):
    """Shows the explanations of one photo by one network, a row for each class.

    The event ``select`` carries the index of a class that was clicked, and whether it is to stand ``beside`` the
    others; ``download`` carries what is to be saved, and how the maps are shown. Of several photos ``submit`` carries
    the one that is to be shown, and ``input`` one that is to be looked at without it, by its uploaded file.
    ``file`` is the name of the network that comes from a file, if there is one, ``path`` what that file is called, and
    ``preprocess`` how photos are prepared for it, where that was said.
    """

    data_model = LayerGridData

    def __init__(
        self,
        value: Sequence[Explanation] | None = None,
        *,
        opacity: float = 0.4,
        colormap: str = "jet",
        file: str = "",
        path: str = "",
        preprocess: str = "",
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(
            value=value,
            html_template=(ASSETS / "layer_grid.html").read_text("utf-8"),
            css_template=(ASSETS / "layer_grid.css").read_text("utf-8"),
            js_on_load=script(),
            apply_default_css=False,
            opacity=opacity,
            colormap=colormap,
            file=file,
            most=MOST_PHOTOS,
            path=path,
            preprocess=preprocess,
            colors={name: base64_of(lookup_table(name)) for name in COLORMAPS},
            **kwargs,
        )

    def preprocess(self, payload: Any) -> None:  # noqa: ANN401
        """Nothing: the page never reads its own answer back."""

    def postprocess(  # type: ignore[override]  # gr.HTML says that a value is a string
        self, value: Sequence[Explanation] | None
    ) -> LayerGridData | None:
        """Explanations as the browser takes them; the photo lies in the cache."""
        if not value:
            return None
        first, size = value[0], value[0].photo.shape[:2]
        photo = kept_photo(first.photo, self.GRADIO_CACHE)
        return LayerGridData(
            network=first.network,
            method=first.method,
            score=first.score,
            against=first.against,
            smoothing=first.smoothing,
            instead_of=guesses([first.instead_of])[0] if first.instead_of else None,
            predictions=guesses(first.predictions),
            photo=FileData(path=photo, orig_name="photo.jpg"),
            photo_size=list(size),
            rows=[
                ClassRow(
                    target=guesses([row.target])[0],
                    maps=[
                        LayerCard(**summarize_map(entry, size).model_dump(), heat=base64_of(levels_of(entry)))
                        for entry in row.maps.values()
                    ],
                )
                for row in value
            ],
        )

    def api_info(self) -> dict[str, Any]:
        return LayerGridData.model_json_schema()  # gr.HTML would say that it is a string

    def example_payload(self) -> None:
        return None

    def example_value(self) -> None:
        return None


def script() -> str:
    """The grid's script: its pieces one after another, for Gradio takes one function body, without imports."""
    paths = [SCRIPTS / f"{name}.js" for name in DRAWING] + [ASSETS / "layer_grid" / f"{name}.js" for name in PIECES]
    return "\n".join(path.read_text("utf-8") for path in paths)


def levels_of(heat_map: HeatMap) -> np.ndarray:
    """A heat map as it travels: uint16 (h, w), little-endian."""
    return np.rint(heat_map.heat * 65535).astype("<u2")


def base64_of(array: np.ndarray) -> str:
    """An array's bytes, row by row."""
    return base64.b64encode(array.tobytes()).decode()


def kept_photo(photo: np.ndarray, cache: str) -> str:
    """A photo for the browser, in the size in which it is shown -> its path in the cache."""
    return keep(_jpeg(photo), "photo.jpg", cache)


def _jpeg(photo: np.ndarray) -> bytes:
    height, width = photo.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scale < 1:
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
