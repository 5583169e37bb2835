"""`Camera`: what a visitor's camera sees, and the maps of every stage over it, as `live` explains them."""

from typing import Any

import gradio as gr

from gradcam_core import COLORMAPS
from gradcam_core.pictures import SCRIPTS
from gradcam_core.pictures.render import lookup_table

from .layer_grid import ASSETS, base64_of

# What the page tells the camera, in the browser: to begin with what is set, to go on with what is set now, to end.
TELL = """(network, method, score, evidence) => document.querySelector('#live .lv')?.dispatchEvent(
  new CustomEvent('EVENT', { detail: { network, method, score, evidence } }))"""
BEGIN, GO_ON, END = (TELL.replace("EVENT", event) for event in ("begin", "go-on", "finish"))


class Camera(gr.HTML):
    """Nothing until it is told to begin; then the camera, until it is stopped or paused."""

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        pieces = [SCRIPTS / "heat.js", SCRIPTS / "words.js", ASSETS / "live.js"]
        super().__init__(
            html_template=(ASSETS / "live.html").read_text("utf-8"),
            css_template=(ASSETS / "live.css").read_text("utf-8"),
            js_on_load="\n".join(piece.read_text("utf-8") for piece in pieces),
            apply_default_css=False,
            padding=False,
            colors={name: base64_of(lookup_table(name)) for name in COLORMAPS},
            **kwargs,
        )
