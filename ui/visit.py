"""One visitor's page: what is shown, and the answer to each thing that can be done.

Every step changes one thing of what is shown and leaves the rest, so an error leaves all of it in place.
"""

import functools
import html
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ParamSpec, TypeVar

import gradio as gr

import gradcam_core as gc

from .choices import PRESETS, Networks, class_choices, layer_choices, layer_rows, network_note
from .photo_input import TITLE as PHOTO_TITLE

log = logging.getLogger("gradcam")

PROGRESS = gr.Progress()  # as a default value it tells Gradio to hand one in
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
            sentence = "Something broke on our side, and it has been logged. Try again, or with another photo."
            raise refusal(sentence, "Internal error") from error

    return answer


def refusal(sentence: str, title: str) -> gr.Error:
    """An error for the visitor. Gradio shows it as HTML, and it may quote a file name."""
    return gr.Error(html.escape(sentence, quote=False), title=title, print_exception=False)


@dataclass(frozen=True)
class Shown:
    """What one visitor sees. It lives on the server: no request can point it at another file."""

    network: str
    photo: str | None = None  # path in Gradio's cache
    target: int | None = None  # None: the most probable class
    layers: str | tuple[str, ...] = "stages"
    before: "Shown | None" = None  # what was shown until the photo was taken away


class Steps:
    """The answers to what a visitor does. The types of arguments are not to be trusted: anyone may call."""

    def __init__(self, networks: Networks) -> None:
        self._networks = networks

    @answering
    def open(self, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """The page is opened -> shown, network, class, chosen layers, layer table.

        When the network of the start cannot be had, the page goes on with the built-in one and says so.
        """
        try:
            self._networks.load(shown.network, progress)
        except gc.NetworkError as error:
            sentence = f"{html.escape(str(error), quote=False)} The built-in network is used for now."
            gr.Warning(sentence, title="Another network is used")
            shown = replace(shown, network="bundled")
        return shown, *self._describe(shown)

    @answering
    def photo(self, photo: str | None, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another photo -> shown, class, grid."""
        if photo is None or photo == shown.photo:  # taken away, which is `clear`; or put back
            return gr.skip(), gr.skip(), gr.skip()
        shown = replace(shown, photo=photo, target=None, before=None)
        return shown, *self._explain(shown, progress)

    @answering
    def clear(self, shown: Shown) -> tuple[Any, ...]:
        """The photo is taken away, perhaps for another that is coming up -> shown, class, grid."""
        shown = replace(shown, photo=None, target=None, before=shown if shown.photo else shown.before)
        return shown, *self._explain(shown, PROGRESS)

    @answering
    def put_back(self, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """The new photo cannot be used -> shown, photo, class, grid, as they were before it."""
        if shown.photo or not shown.before:
            return shown, shown.photo, gr.skip(), gr.skip()
        shown = replace(shown.before, network=shown.network)
        return shown, shown.photo, *self._explain(shown, progress)

    @answering
    def fetch(self, network: object, progress: gr.Progress = PROGRESS) -> None:
        """Make a network ready. A step of its own, so that nobody else waits for a download."""
        self._networks.load(network, progress)

    @answering
    def network(self, network: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another network -> shown, network, class, chosen layers, layer table, preset, grid."""
        layers = shown.layers if isinstance(shown.layers, str) else "stages"
        shown = replace(shown, network=self._networks.load(network).name, target=None, layers=layers)
        about, classes, chosen, table = self._describe(shown)
        if shown.photo is None:
            return shown, about, classes, chosen, table, layers, None
        classes, grid = self._explain(shown, progress)
        return shown, about, classes, chosen, table, layers, grid

    @answering
    def target(self, target: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another class, from the list -> shown, class, grid."""
        if target is not None and (isinstance(target, bool) or not isinstance(target, int)):
            raise gc.TargetError("The class is given by its index, a whole number.")
        shown = replace(shown, target=target)
        return shown, *self._explain(shown, progress)

    @answering
    def guess(self, event: gr.EventData, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another class, by a click on its bar -> shown, class, grid."""
        return self.target((event._data or {}).get("index"), shown, progress)

    @answering
    def preset(self, preset: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another choice of layers -> shown, chosen layers, grid. "choose" starts with those that are shown."""
        if not isinstance(preset, str) or preset not in PRESETS:
            raise gc.LayerError(f"The layers are one of {', '.join(PRESETS)}.")
        is_list = preset == "choose"
        if is_list:  # all layers in a list would be no help
            shown = replace(shown, layers="stages" if shown.layers == "all" else shown.layers)
            shown = replace(shown, layers=tuple(self._layer_names(shown)))
        else:
            shown = replace(shown, layers=preset)
        chosen = gr.Dropdown(value=self._layer_names(shown), visible=is_list)
        return shown, chosen, self._explain(shown, progress)[1]

    @answering
    def chosen(self, names: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Layers by name -> shown, grid."""
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise gc.LayerError("The layers are given as a list of names.")
        if isinstance(shown.layers, str) or set(names) == set(shown.layers):  # the page itself has set the list
            return gr.skip(), gr.skip()
        if not names:
            raise gc.LayerError("Choose at least one layer. What is shown stays until then.")
        shown = replace(shown, layers=tuple(names))
        return shown, self._explain(shown, progress)[1]

    def _layer_names(self, shown: Shown) -> list[str]:
        network = self._networks.load(shown.network)
        return [layer.name for layer in gc.select(network, shown.layers)]

    def _describe(self, shown: Shown) -> tuple[Any, ...]:
        network = self._networks.load(shown.network)
        return (
            gr.Dropdown(self._networks.choices(), value=network.name, info=network_note(network)),
            gr.Dropdown(class_choices(network), value=None, interactive=True),
            gr.Dropdown(layer_choices(network), value=self._layer_names(shown), visible=False),
            layer_rows(network),
        )

    def _explain(self, shown: Shown, progress: gr.Progress) -> tuple[Any, gc.Explanation | None]:
        """-> class, grid."""
        progress(0, desc=f"Loading {shown.network}")
        network = self._networks.load(shown.network, progress)
        if shown.photo is None:
            return gr.Dropdown(class_choices(network), value=None), None
        progress(0.4, desc="Looking for evidence")
        layers = shown.layers if isinstance(shown.layers, str) else list(shown.layers)
        explanation = gc.explain(network, shown.photo, shown.target, layers)
        choices = class_choices(network, explanation.predictions)
        return gr.Dropdown(choices, value=explanation.target.index), explanation
