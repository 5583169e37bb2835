"""`Page`: `gr.Blocks` in which calls with wrong arguments, and what breaks outside of a step, end in a sentence too."""

import logging
from collections.abc import Callable
from typing import Any

import gradio as gr
from gradio.blocks import BlockFunction
from gradio.state_holder import SessionState

from gradcam_core import GradcamError

from .photo_input import PhotoInput
from .sentences import INTERNAL, refusal

log = logging.getLogger("gradcam")

TITLE = "This call cannot be answered"


class Page(gr.Blocks):
    """A page that anyone may call, with whatever arguments."""

    forget: Callable[[], None] = staticmethod(lambda: None)  # what was made for visitors: called when all have gone

    async def preprocess_data(
        self, block_fn: BlockFunction, inputs: list[Any], state: SessionState | None, explicit_call: bool = False
    ) -> list[Any]:
        """The arguments of a call as its step takes them.

        Raises:
            gr.Error: there are too few, or one is not of the kind that its component takes.
        """
        if len(inputs) < len(block_fn.inputs):
            raise refusal(f"This call has {len(inputs)} of its {len(block_fn.inputs)} arguments.", TITLE)
        for component, value in zip(block_fn.inputs, inputs, strict=False):
            if isinstance(component, PhotoInput):
                component.check(value)
            elif _holds_file(value):
                raise refusal(
                    f"A file is not what {getattr(component, 'label', None) or 'this argument'} takes.", TITLE
                )
        try:
            return await super().preprocess_data(block_fn, inputs, state, explicit_call)
        except gr.Error:
            raise
        except Exception as error:
            log.warning("A call with arguments of a wrong kind: %r", error)
            raise refusal(
                'An argument is not of the kind that is taken here. "Use via API" at the foot of the page lists them.',
                TITLE,
            ) from error

    async def process_api(self, *args: Any, **kwargs: Any) -> dict[str, Any]:  # noqa: ANN401
        """A call's answer.

        Raises:
            gr.Error: with a sentence, whatever went wrong.
        """
        try:
            return await super().process_api(*args, **kwargs)
        except gr.Error:
            raise
        except GradcamError as error:
            raise refusal(str(error), TITLE) from error
        except Exception as error:
            log.exception("Internal error outside of the steps")
            raise refusal(INTERNAL, "Internal error") from error


def _holds_file(value: object) -> bool:
    """Whether Gradio would take a file, or an address to fetch one from, for this argument."""
    if isinstance(value, dict):
        return {"path", "meta"} <= value.keys() or any(map(_holds_file, value.values()))
    return isinstance(value, list) and any(map(_holds_file, value))
