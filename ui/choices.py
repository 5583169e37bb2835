"""What can be chosen on the page: networks, classes and layers, with the words that describe them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import gradio as gr

import gradcam_core as gc
from gradcam_core.networks import loading, zoo
from gradcam_core.settings import METHODS

PRESETS = {"stages": "One per stage", "last": "Last", "all": "All", "choose": "Choose"}
SCORES = {"logit": "score", "probability": "probability"}
EVIDENCE = {"for": "for the class", "against": "against it"}
SMOOTHINGS = {"none": "none", "flips": "2 views", "shifts": "10 views", "noise": "16, noisy"}
MODES = {"alpha": "mixed", "add": "added"}
FUSIONS = {"none": "none", "maximum": "highest", "product": "product"}
LAYER_COLUMNS = ("stage", "layer (★ one per stage)", "kind", "output (h × w × c)", "parameters", "cell, input pixels")


class Networks:
    """The networks that the page offers: those of the zoo, and the file it was started with, if any.

    ``path`` is what that file is called, and ``preprocess`` how photos are prepared for it, where that was said.
    """

    def __init__(
        self, start: str = zoo.DEFAULT, started: "gc.Classifier | None" = None, preprocess: str | None = None
    ) -> None:
        self.start = started.name if started else zoo.find(start).name
        self._started = started
        self.file = started.name if started else ""
        self.path = Path(start).name if started else ""
        self.preprocess = preprocess or ""

    def is_fetched(self, name: str) -> bool:
        """Whether a network's weights must be fetched before `load` gives it, which finds names in any case."""
        if name == self.file:
            return False
        try:
            return not zoo.weights_here(name)
        except gc.NetworkError:
            return False  # there is none of that name, as `load` says

    def load(
        self, name: object, progress: gr.Progress | None = None, look: Callable[[], None] = lambda: None
    ) -> "gc.Classifier":
        """A network by the name that the page shows; never a path, whoever asks.

        ``look`` is called again and again meanwhile; what it raises ends the loading.

        Raises:
            NetworkError: there is none of that name, or its weights cannot be had.
        """
        if self._started and name == self._started.name:
            return self._started
        if not isinstance(name, str):
            raise gc.NetworkError("The network is given by its name, as text.")
        entry = zoo.find(name)

        def report(stage: str, done: float, total: float) -> None:
            look()
            if progress is not None and stage == "download":
                progress((round(done / 1e6), round(total / 1e6)), desc=f"Fetching {entry.name}", unit="MB")
            elif progress is not None:
                progress(0, desc=f"Loading {entry.name}")

        return loading.load(entry.name, progress=report)

    def choices(self) -> list[tuple[str, str]]:
        """(what is shown, name) of each network, the one of the start first."""
        named = [(_network_label(entry), name) for name, entry in gc.NETWORKS.items()]
        if self._started:
            named.insert(0, (f"{self._started.name} · from a file", self._started.name))
        return named


def _network_label(entry: zoo.Entry) -> str:
    size = f"{entry.megabytes} MB"  # no more is said: the list is narrow
    where = f"{size} here" if zoo.weights_here(entry.name) else f"fetch {size}"
    return f"{entry.name} · {where}"


def network_note(network: "gc.Classifier") -> str:
    """What stands under the network: what it knows, where to find more, and what it does not show plainly."""
    if network.name == zoo.DEFAULT:
        return f"A small network that knows ImageNet's {len(network.labels)} classes, here without a download."
    what = f"{len(network.labels)} classes"
    if network.measures == "value":
        what = "One value" if len(network.labels) == 1 else f"{len(network.labels)} values"
    about = [f"{what}, {network.parameters / 1e6:.1f} million parameters."]
    if network.name not in gc.NETWORKS:
        about.append(network.about)  # nobody has said so yet
    return " ".join([*about, *network.notes])


def class_choices(network: "gc.Classifier", predictions: Sequence["gc.Prediction"] = ()) -> list[tuple[str, int]]:
    """(what is shown, index) of every class, the most probable first."""
    top = {prediction.index: prediction.text for prediction in predictions}
    names = {label.index: label.name.replace("_", " ") for label in network.labels}
    likely = [(f"{names[index]} · {text}", index) for index, text in top.items()]
    others = sorted(
        ((name, index) for index, name in names.items() if index not in top), key=lambda choice: choice[0].casefold()
    )
    return likely + others


def named(names: Mapping[str, str]) -> list[tuple[str, str]]:
    """(what is shown, name) of each, as Gradio's lists take them."""
    return [(text, name) for name, text in names.items()]


def method_choices() -> list[tuple[str, str]]:
    """(title, name) of every method."""
    return [(info.title, name) for name, info in METHODS.items()]


def layer_choices(network: "gc.Classifier") -> list[tuple[str, str]]:
    """(what is shown, name) of every layer that can be explained, in network order."""
    return [(f"{layer.name} · {layer.kind}", layer.name) for layer in network.layers]


def layer_rows(network: "gc.Classifier") -> list[list[str]]:
    """The rows under LAYER_COLUMNS: what ``model.summary()`` shows, for what can be explained."""
    return [
        [
            str(layer.stage),
            layer.name + (" ★" if layer.preset else ""),
            layer.kind,
            " × ".join(map(str, layer.shape)),
            f"{layer.parameters:,}",
            " × ".join(f"{side:.4g}" for side in layer.cell),
        ]
        for layer in network.layers
    ]
