"""The answer to each thing that a visitor can do.

Every step changes one thing of what is shown and leaves the rest, so an error leaves all of it in place.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import gradio as gr

import gradcam_core as gc
from gradcam_core.networks import zoo
from gradcam_core.pictures.render import MODES
from gradcam_core.settings import FUSIONS

from .choices import PRESETS
from .downloads import Style, card, everything
from .map_tests import assessment_html, hidden_html, sanity_html
from .more import settings_of
from .sentences import answering, as_html
from .several import Several
from .showing import (
    BESIDE,
    LONGEST_WAIT,
    PROGRESS,
    Shown,
    apart,
    is_index,
    time_of_request,
    visitor_of_request,
    wish_of,
)


class Steps(Several):
    """The answers to what a visitor does. The types of arguments are not to be trusted: anyone may call."""

    @answering
    def open(self, shown: Shown, request: gr.Request, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """The page is opened, perhaps by a link -> shown, network, class, compared classes, class held against them,
        preset, chosen layers, layer table, method, score, evidence, smoothing, overlay, fusion.

        When the network cannot be had, the page goes on with the default one and says so. What a link asks for and is
        not there is left out, with a word.
        """
        asked = dict(request.query_params)
        try:
            shown = replace(shown, network=self._networks.load(asked.get("network") or shown.network, progress).name)
        except gc.NetworkError as error:
            sentence = f"{as_html(error)} {zoo.DEFAULT} is used for now."
            gr.Warning(sentence, title="Another network is used")
            shown = replace(shown, network=zoo.DEFAULT)
        network = self._networks.load(shown.network)
        try:
            target = network.resolve_target(asked.get("class") or None)
            named = (network.resolve_target(name) for name in asked.get("beside", "").split(",") if name)
            beside = [index for index in named if index is not None]
            other = network.resolve_target(asked.get("instead_of") or None)
            layers = asked.get("layers") or shown.layers
            if isinstance(layers, str) and (layers not in PRESETS or layers == "choose"):
                layers = tuple(layer.name for layer in gc.select(network, layers.split(",")))
            followed = replace(shown, target=target, beside=apart(beside, target), layers=layers)
            followed = replace(followed, instead_of=None if other == target else other, **settings_of(asked))
            self._check(followed)
            shown = followed
        except gc.GradcamError as error:
            gr.Warning(f"The link asks for something else: {as_html(error)}", title="Link")
        preset = shown.layers if isinstance(shown.layers, str) else "choose"
        about, classes, beside, other, chosen, table = self._describe(shown)
        _, *settings, _ = self.settings(shown)
        mode, fusion = (
            value if (value := asked.get(name)) in known else known[0]
            for name, known in (("mode", MODES), ("fusion", ("none", *FUSIONS)))
        )
        return shown, about, classes, beside, other, preset, chosen, table, *settings, mode, fusion

    @answering
    def photo(self, photo: str | None, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another photo -> what is shown. A class chosen beforehand holds for the first one."""
        if photo is None or photo == shown.photo:  # taken away, which is `clear`; put back; or turned to
            return (gr.skip(),) * 5
        if shown.photo or shown.before:
            shown = replace(shown, target=None, beside=(), instead_of=None)
        shown = replace(shown, photo=photo, before=None)
        return shown, *self._explain(shown, progress)

    @answering
    def clear(self, shown: Shown) -> tuple[Any, ...]:
        """The photo is taken away, perhaps for another that is coming up -> what is shown."""
        before = shown if shown.photo else shown.before
        shown = replace(shown, photo=None, target=None, beside=(), instead_of=None, before=before)
        return shown, *self._explain(shown, PROGRESS)

    @answering
    def put_back(self, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """The new photo cannot be used -> photo, and what is shown: the photo before it and its classes."""
        if shown.photo or not shown.before:
            return shown.photo, shown, *(gr.skip(),) * 4
        before, shown = shown.before, replace(shown, photo=shown.before.photo, before=None)
        if before.network == shown.network:  # else its classes are others there
            shown = replace(shown, target=before.target, beside=before.beside, instead_of=before.instead_of)
        return shown.photo, shown, *self._explain(shown, progress)

    @answering
    def fetch(self, network: object, progress: gr.Progress = PROGRESS) -> None:
        """Make a network ready. A step of its own, so that nobody else waits for a download."""
        self._fetch(network, progress)

    @answering
    def stop(self) -> None:
        """The visitor no longer wants what is being fetched, computed or tested for them, or waits for that."""
        now = time_of_request()
        self._stops = {visitor: at for visitor, at in self._stops.items() if at > now - LONGEST_WAIT}
        self._stops[visitor_of_request()] = now

    @answering
    def offer_stop(self, network: object) -> Any:  # noqa: ANN401
        """-> the stop button, to be seen while weights are fetched."""
        return gr.Button(visible=isinstance(network, str) and self._networks.is_fetched(network))

    @answering
    def network(self, network: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another network -> network, chosen layers, layer table, preset, and what is shown.

        A method that not every network allows makes way for the first one.
        """
        if network == shown.network:  # the list was only passed by
            return (gr.skip(),) * 9
        layers = shown.layers if isinstance(shown.layers, str) else "stages"
        method = "gradcam" if shown.method in ("cam", "guided") else shown.method
        shown = replace(shown, network=self._networks.load(network).name, layers=layers, method=method)
        shown = self._usable(replace(shown, target=None, beside=(), instead_of=None))
        about, classes, beside, other, chosen, table = self._describe(shown)
        grid = None
        if shown.photo is not None:
            classes, beside, other, grid = self._explain(shown, progress)
        return about, chosen, table, layers, shown, classes, beside, other, grid

    @answering
    def target(self, target: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another class, from the list -> what is shown."""
        if target is not None and not is_index(target):
            raise gc.TargetError("The class is given by its index, a whole number.")
        shown = replace(shown, target=target, beside=apart(shown.beside, target))
        if shown.instead_of == target:
            shown = replace(shown, instead_of=None)
        return shown, *self._explain(shown, progress)

    @answering
    def beside(self, targets: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Classes to compare with, from the list -> what is shown."""
        if not isinstance(targets, list) or not all(map(is_index, targets)):
            raise gc.TargetError("The classes are given as a list of indices, whole numbers.")
        if len(targets) > BESIDE:
            raise gc.TargetError(f"At most {BESIDE} classes can stand beside the first. Take one away.")
        if tuple(targets) == shown.beside:  # the page itself has set the list
            return (gr.skip(),) * 5
        shown = replace(shown, beside=apart(targets, shown.target))
        return shown, *self._explain(shown, progress)

    @answering
    def guess(self, event: gr.EventData, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another class, by a click on its bar, or one more beside it -> what is shown."""
        wish = wish_of(event)
        index = wish.get("index")
        if not wish.get("beside"):
            return self.target(index, shown, progress)
        others = [other for other in shown.beside if other != index]
        return self.beside([*others, index] if index not in shown.beside else others, shown, progress)

    @answering
    def take(self, event: gr.EventData, shown: Shown, progress: gr.Progress = PROGRESS) -> str:
        """A file to take away -> its path: one card at the photo's own size, or everything that is shown (.zip)."""
        wish = wish_of(event)
        style = Style.of(wish)
        progress(0.4, desc="Making the file")
        _, explanations = self._shown_maps(shown, progress)
        if wish.get("what") == "card":
            return card(explanations, wish.get("target"), wish.get("layer"), style, self._cache)
        return everything(explanations, style, self._cache)

    @answering
    def renew(self, shown: Shown) -> tuple[Any, ...]:
        """Other maps are shown -> findings of both tests, maps that can be hidden, the photo without it."""
        names = self._layer_names(shown) if shown.photo else []
        return "", "", gr.Dropdown(names, value=names[-1] if names else None), ""

    @answering
    def test(self, shown: Shown, progress: gr.Progress = PROGRESS) -> str:
        """Hide and bring back what each map marks -> the findings."""
        from gradcam_core.trust import assess

        network, explanations = self._shown_maps(shown, progress)
        count = len(explanations)

        def report(row: int) -> Callable[[int, int], None]:
            return self._report(progress, lambda share: (row + share) / count, "Hiding parts of the photo")

        return "".join(
            assessment_html(assess(network, explanation, progress=report(row)))
            for row, explanation in enumerate(explanations)
        )

    @answering
    def sanity(self, shown: Shown, progress: gr.Progress = PROGRESS) -> str:
        """Make the network's weights random, on a copy -> what is left of each map of the first class."""
        from gradcam_core.trust import sanity_check

        network, explanations = self._shown_maps(shown, progress)
        first = explanations[0]
        report = self._report(progress, lambda share: share, "Making weights random, on a copy")
        if first.method == "scorecam":
            raise gc.SettingError("Score-CAM takes too long to be made a dozen times. Choose another method to check.")
        check = sanity_check(
            network,
            first.photo,
            first.target.index,
            list(first.maps),
            draws=2,
            progress=report,
            **vars(shown.settings),
        )
        return sanity_html(check, first.target.name)

    @answering
    def hide(self, layer: object, percent: object, shown: Shown) -> str:
        """Hide the hottest share of the photo for the first class -> the photo, and what the network says now."""
        from gradcam_core.trust import hide_hottest

        if not isinstance(percent, (int, float)):
            raise gc.SettingError("The share to hide is a number from 0 to 100.")
        network, explanations = self._shown_maps(shown, PROGRESS)
        first = explanations[0]
        if not isinstance(layer, str) or layer not in first.maps:
            raise gc.LayerError("This map is no longer shown. Choose one that is.")
        return hidden_html(
            hide_hottest(network, first.photo, first.target.index, first.maps[layer].heat, percent / 100), first.target
        )

    @answering
    def back_to_layers(self, shown: Shown) -> tuple[Any, ...]:
        """These layers cannot be explained -> preset, chosen layers, as before."""
        is_list = not isinstance(shown.layers, str)
        return "choose" if is_list else shown.layers, gr.Dropdown(value=self._layer_names(shown), visible=is_list)

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
        return shown, chosen, self._explain(shown, progress)[-1]

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
        return shown, self._explain(shown, progress)[-1]
