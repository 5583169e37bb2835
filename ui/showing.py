"""What one visitor sees, and how the page is told of it."""

import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, TypeGuard

import gradio as gr
from gradio.context import LocalContext

import gradcam_core as gc
from gradcam_core.settings import METHODS

from .choices import Networks, class_choices, layer_choices, layer_rows, network_note
from .doors import ASKED
from .explained import Explained, Settings
from .sentences import refusal
from .turns import Turns

BESIDE = 3  # so many classes can stand beside the first
LONGEST_WAIT = 3600.0  # seconds: no request is as old that is still to be stopped
PROGRESS = gr.Progress()  # as a default value it tells Gradio to hand one in


@dataclass(frozen=True)
class Shown:
    """What one visitor sees. It lives on the server: no request can point it at another file."""

    network: str
    photo: str | None = None  # path in Gradio's cache
    target: int | None = None  # None: the most probable class
    beside: tuple[int, ...] = ()  # other classes, each a row of its own
    layers: str | tuple[str, ...] = "stages"
    method: str = "gradcam"
    instead_of: int | None = None  # the class that the others are held against
    score: str = "logit"
    against: bool = False  # what speaks against the classes is shown
    smoothing: str = "none"
    before: "Shown | None" = None  # what was shown until the photo was taken away

    @property
    def settings(self) -> Settings:
        """How the maps are made."""
        return Settings(self.method, self.instead_of, self.score, self.against, self.smoothing)


class Showing:
    """From what is shown to what the page's components take, for all visitors."""

    def __init__(self, networks: Networks, cache: str, turns: Turns | None = None) -> None:
        self._networks = networks
        self._turns = turns or Turns()
        self._cache = cache  # where files for the browser lie
        self._explained = Explained()
        self._stops: dict[str, float] = {}  # when each visitor said that they no longer want what they had asked for

    def forget(self) -> None:
        """Nobody is here any more: nothing that was made for visitors is needed."""
        self._explained.clear()
        self._stops.clear()

    def _shown_maps(self, shown: Shown, progress: gr.Progress) -> tuple["gc.Classifier", tuple[gc.Explanation, ...]]:
        network = self._networks.load(shown.network, progress)
        return network, self._explanations(network, shown)

    def _report(self, progress: gr.Progress, total: Callable[[float], float], what: str) -> Callable[[int, int], None]:
        """Tells the visitor how far the work is, and ends it when they want no more of it."""
        is_stopped = self._watch()

        def report(done: int, count: int) -> None:
            if is_stopped():
                raise refusal("Stopped. What is shown stays.", "Stopped")
            progress(total(done / count), desc=what)

        return report

    def _watch(self) -> Callable[[], bool]:
        """-> whether the visitor has pressed Stop since this request came, also while it waited."""
        visitor, asked = visitor_of_request(), time_of_request()
        return lambda: self._stops.get(visitor, asked) > asked

    def _layer_names(self, shown: Shown) -> list[str]:
        network = self._networks.load(shown.network)
        return [layer.name for layer in gc.select(network, shown.layers, shown.method)]

    def _describe(self, shown: Shown) -> tuple[Any, ...]:
        """-> network, class, compared classes, class held against them, chosen layers, layer table."""
        network = self._networks.load(shown.network)
        classes, is_list = class_choices(network), not isinstance(shown.layers, str)
        return (
            gr.Dropdown(self._networks.choices(), value=network.name, info=network_note(network)),
            gr.Dropdown(classes, value=shown.target, interactive=True),
            gr.Dropdown(classes, value=list(shown.beside), interactive=True),
            gr.Dropdown(classes, value=shown.instead_of, interactive=True),
            gr.Dropdown(layer_choices(network), value=self._layer_names(shown), visible=is_list),
            layer_rows(network),
        )

    def _explanations(
        self, network: "gc.Classifier", shown: Shown, progress: gr.Progress = PROGRESS
    ) -> tuple[gc.Explanation, ...]:
        if shown.photo is None:
            raise gc.PhotoError("There is no photo. Choose one first.")
        layers = shown.layers if isinstance(shown.layers, str) else list(shown.layers)
        title = METHODS[shown.method].title
        with self._turns.photo() if shown.settings.is_one_pass else nullcontext():
            found = self._explained.explain(
                network,
                shown.photo,
                (shown.target, *shown.beside),
                layers,
                shown.settings,
                progress=self._report(progress, lambda share: share, title),
                say=lambda what: progress(0.4, desc=what),
            )
        return found[:1] + tuple(row for row in found[1:] if row.target.index != found[0].target.index)

    def _explain(self, shown: Shown, progress: gr.Progress) -> tuple[Any, ...]:
        """-> class, compared classes, class held against them, grid."""
        progress(0, desc=f"Loading {shown.network}")
        network = self._networks.load(shown.network, progress)
        choices = class_choices(network)
        explanations = None
        target, beside = shown.target, list(shown.beside)
        if shown.photo is not None:
            explanations = self._explanations(network, shown, progress)
            choices = class_choices(network, explanations[0].predictions)
            target, *beside = (row.target.index for row in explanations)
        return (
            gr.Dropdown(choices, value=target),
            gr.Dropdown(choices, value=beside),
            gr.Dropdown(choices, value=shown.instead_of),
            explanations,
        )


def visitor_of_request() -> str:
    """Whose request this is; "" where there is none, or it does not say."""
    request = LocalContext.request.get(None)
    return (request and request.session_hash) or ""


def time_of_request() -> float:
    """When this request came, in seconds of `time.monotonic`; now where there is none."""
    request = LocalContext.request.get(None)
    return getattr(request and request.request, "scope", {}).get(ASKED, time.monotonic())


def apart(beside: Sequence[int], target: int | None) -> tuple[int, ...]:
    """Each class once, and not the one they stand beside."""
    return tuple(dict.fromkeys(other for other in beside if other != target))[:BESIDE]


def is_index(value: object) -> TypeGuard[int]:
    """Whether this is a class by its index."""
    return isinstance(value, int) and not isinstance(value, bool)


def wish_of(event: gr.EventData) -> dict[str, Any]:
    """What an event of the page's own components says; nothing where it is no such thing."""
    return event._data if isinstance(event._data, dict) else {}
