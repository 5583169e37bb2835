"""The controls under "More": what most visitors need not set."""

import json
from typing import NamedTuple

import gradio as gr

from gradcam_core import NETWORKS

from .choices import EVIDENCE, FUSIONS, MODES, SCORES, SMOOTHINGS, method_choices, named
from .more import ARTICLE
from .showing import BESIDE

ARTICLE_NOTE = f"""
Sets what the picture of the well-known articles needs: {ARTICLE}'s last convolution (fetched once,
{NETWORKS[ARTICLE].megabytes} MB), measured by the probability, in *jet*, added to the photo.
"""

# The page tells the grid how maps are shown: nothing is computed for it.
VIEW = "dispatchEvent(new CustomEvent('gradcam-view', { detail: %s }))"
SET_MODE = f"(mode) => {VIEW % '{ mode }'}"
SET_FUSION = f"(fusion) => {VIEW % '{ fusion }'}"
LIKE_THE_ARTICLE = f"() => {VIEW % json.dumps({'opacity': 0.4, 'colormap': 'jet', 'scale': 'each', 'mode': 'add'})}"


class Controls(NamedTuple):
    """What stands under "More", from above."""

    beside: gr.Dropdown
    other: gr.Dropdown
    method: gr.Dropdown
    halt: gr.Button
    evidence: gr.Radio
    score: gr.Radio
    smoothing: gr.Radio
    mode: gr.Radio
    fusion: gr.Radio
    article: gr.Button

    @property
    def settings(self) -> list[gr.Dropdown | gr.Radio]:
        """What `More.settings` fills."""
        return [self.other, self.method, self.score, self.evidence, self.smoothing]


def controls() -> Controls:
    """The controls, inside of what they are built in."""
    beside = gr.Dropdown(
        [],
        label="Compare with",
        multiselect=True,
        max_choices=BESIDE,
        elem_id="beside",
        interactive=True,
        info=f"Up to {BESIDE} more classes, a row each",
    )
    other = gr.Dropdown(
        [],
        label="Instead of",
        elem_id="instead",
        interactive=True,
        info="Only what speaks for the class and not for this one. Empty: all that speaks for it",
    )
    method = gr.Dropdown(
        method_choices(),
        value="gradcam",
        label="Method",
        elem_id="method-choice",
        interactive=True,
        info="How evidence is weighed. Each with a picture: “What the methods do”, below",
    )
    halt = gr.Button("Stop Score-CAM", visible=False, elem_id="halt", size="sm")
    evidence = gr.Radio(
        named(EVIDENCE),
        value="for",
        label="Evidence",
        elem_id="evidence",
        info="What raises the class's score, or what lowers it",
    )
    score = gr.Radio(
        named(SCORES),
        value="logit",
        label="Measured by",
        elem_id="score",
        info="The score, or the probability, which hardly moves where the network is sure: maps fade",
    )
    smoothing = gr.Radio(
        named(SMOOTHINGS),
        value="none",
        label="Smoothing",
        elem_id="smoothing",
        info="The mean of so many views of the photo: mirrored, moved, or with noise",
    )
    mode = gr.Radio(
        named(MODES),
        value="alpha",
        label="Colours on the photo",
        elem_id="mode",
        info="Mixed with it, or added to it, as in many articles",
    )
    fusion = gr.Radio(
        named(FUSIONS),
        value="none",
        label="All layers in one card",
        elem_id="fusion",
        info="Where any layer is hot (highest), or where all are (product)",
    )
    article = gr.Button("As in the article", elem_id="article", size="sm")
    gr.Markdown(ARTICLE_NOTE, elem_id="article-note")
    return Controls(beside, other, method, halt, evidence, score, smoothing, mode, fusion, article)
