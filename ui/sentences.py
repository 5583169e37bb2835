"""What goes wrong, as a sentence for whoever asked."""

import functools
import html
import logging
import re
from collections.abc import Callable
from typing import ParamSpec, TypeVar

import gradio as gr

import gradcam_core as gc

from .photo_input import TITLE as PHOTO_TITLE

log = logging.getLogger("gradcam")

INTERNAL = "Something broke on our side, and it has been logged. Try again, or with another photo."
TITLES = {
    gc.PhotoError: PHOTO_TITLE,
    gc.NetworkError: "This network cannot be used",
    gc.TargetError: "This class cannot be explained",
    gc.LayerError: "These layers cannot be explained",
}

Parameters = ParamSpec("Parameters")
Answer = TypeVar("Answer")


def answering(step: Callable[Parameters, Answer]) -> Callable[Parameters, Answer]:
    """Turn what goes wrong into a sentence for the visitor; what nobody foresaw is logged whole."""

    @functools.wraps(step)
    def answer(*args: Parameters.args, **kwargs: Parameters.kwargs) -> Answer:
        try:
            return step(*args, **kwargs)
        except gr.Error:
            raise
        except gc.GradcamError as error:
            title = next((title for kind, title in TITLES.items() if isinstance(error, kind)), "Not possible")
            raise refusal(str(error), title) from error
        except Exception as error:
            log.exception("Internal error in %s", step.__name__)
            raise refusal(INTERNAL, "Internal error") from error

    return answer


def refusal(sentence: str, title: str) -> gr.Error:
    """An error for the visitor."""
    return gr.Error(as_html(sentence), title=title, print_exception=False)


def as_html(sentence: object) -> str:
    """A sentence as Gradio shows it, as HTML. It may quote a file name, or what else was sent, however long."""
    return html.escape(re.sub(r"\S{120,}", lambda long: f"{long[0][:60]}...", str(sentence)), quote=False)
