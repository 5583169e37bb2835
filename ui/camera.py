"""`Camera`: what a visitor's camera sees, and the maps of every stage over it, as `live` explains them."""

from typing import Any

import gradio as gr

from gradcam_core import COLORMAPS
from gradcam_core.pictures import SCRIPTS
from gradcam_core.pictures.render import lookup_table

from .layer_grid import ASSETS, base64_of

# Hands over what the page has set; runs in the browser.
GO = """(network, method) => document.querySelector('#live .lv').dispatchEvent(
  new CustomEvent('begin', { detail: { network, method } }))"""


class Camera(gr.HTML):
    """Nothing until a "begin" event comes to its section; then the camera, until it is stopped or paused."""

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
