"""`LayerGrid`: the answer to a photo. What the network sees, and where each layer found it, side by side.

The server sends the photo once and the bytes of each heat map at its own resolution (6 KB for 80 x 80). The browser
resizes them (bilinear, half-pixel centres, the scalar before the colour, as `gradcam_core.resize_heat` does), colours
them and lays them over the photo, so opacity, colour map and scale ask the server nothing. The bytes travel in the
answer and not as grey PNG files: a browser that guards against fingerprinting adds noise to pixels read back from a
picture, and a file may have expired when it is asked for.
"""

import base64
import io
from pathlib import Path
from typing import Any

import cv2
import gradio as gr
import numpy as np
from gradio.data_classes import FileData

from gradcam_core import COLORMAPS, Explanation, HeatMap
from gradcam_core.render import lookup_table

from .answers import ExplanationSummary, MapSummary, summarize
from .cache import keep

ASSETS = Path(__file__).resolve().parent.parent / "assets"
LONGEST_SIDE = 1024  # of the photo as it is shown
JPEG_QUALITY = 90


class LayerCard(MapSummary):
    """One card: the summary, and the heat map."""

    heat: str  # base64 of uint8 (h, w), row by row


class LayerGridData(ExplanationSummary):
    """What the browser gets."""

    photo: FileData
    photo_size: list[int]  # height, width of the photo as it was given
    raw: FileData
    maps: list[LayerCard]


class LayerGrid(gr.HTML):
    """Shows an `Explanation`; the event ``select`` carries the index of a class that was clicked.

    ``file`` is the name of the network that comes from a .keras file, if there is one.
    """

    data_model = LayerGridData

    def __init__(
        self,
        value: Explanation | None = None,
        *,
        opacity: float = 0.4,
        colormap: str = "jet",
        file: str = "",
        **kwargs: Any,  # noqa: ANN401
    ) -> None:
        super().__init__(
            value=value,
            html_template=(ASSETS / "layer_grid.html").read_text("utf-8"),
            css_template=(ASSETS / "layer_grid.css").read_text("utf-8"),
            js_on_load=(ASSETS / "layer_grid.js").read_text("utf-8"),
            apply_default_css=False,
            opacity=opacity,
            colormap=colormap,
            file=file,
            colors={name: _base64(lookup_table(name)) for name in COLORMAPS},
            **kwargs,
        )

    def preprocess(self, payload: Any) -> None:  # noqa: ANN401
        """Nothing: the page never reads its own answer back."""

    def postprocess(self, value: Explanation | None) -> LayerGridData | None:
        """An explanation as the browser takes it; the files lie in the cache, where Gradio clears them up."""
        if value is None:
            return None
        summary = summarize(value)
        return LayerGridData(
            network=summary.network,
            score=summary.score,
            target=summary.target,
            predictions=summary.predictions,
            photo=self._file("photo.jpg", _jpeg(value.photo)),
            photo_size=list(value.photo.shape[:2]),
            raw=self._file("gradcam-maps.npz", raw_maps(value)),
            maps=[
                LayerCard(**entry.model_dump(), heat=_base64(_levels(heat_map)))
                for entry, heat_map in zip(summary.maps, value.maps.values(), strict=True)
            ],
        )

    def _file(self, name: str, content: bytes) -> FileData:
        return FileData(path=keep(content, name, self.GRADIO_CACHE), orig_name=name)

    def api_info(self) -> dict[str, Any]:
        return LayerGridData.model_json_schema()  # gr.HTML would say that it is a string

    def example_payload(self) -> None:
        return None

    def example_value(self) -> None:
        return None


def raw_maps(explanation: Explanation) -> bytes:
    """The signed float32 maps by layer name, as the bytes of an .npz file."""
    file = io.BytesIO()
    np.savez_compressed(file, **{name: heat_map.raw for name, heat_map in explanation.maps.items()})
    return file.getvalue()


def _levels(heat_map: HeatMap) -> np.ndarray:
    return np.rint(heat_map.heat * 255).astype(np.uint8)


def _base64(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array)).decode()


def _jpeg(photo: np.ndarray) -> bytes:
    height, width = photo.shape[:2]
    scale = min(1.0, LONGEST_SIDE / max(height, width))
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    if scale < 1:
        photo = cv2.resize(photo, size, interpolation=cv2.INTER_AREA)
    return cv2.imencode(".jpg", photo[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()
