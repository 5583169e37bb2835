"""The answers to what stands under "More": the method and all that belongs to it."""

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import gradio as gr

import gradcam_core as gc
from gradcam_core.maps.explain import check
from gradcam_core.settings import METHODS, SCORES, SMOOTHINGS

from .sentences import answering, as_html
from .showing import PROGRESS, Showing, Shown, apart, is_index

ARTICLE = "VGG16"  # the network of the well-known articles
EVIDENCE = ("for", "against")


class More(Showing):
    """What a visitor sets of how the maps are made. A setting that cannot be used leaves all as it was."""

    @answering
    def instead_of(self, other: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another class to hold the others against, or none -> what is shown."""
        if other is not None and not is_index(other):
            raise gc.TargetError("The class is given by its index, a whole number.")
        return self._set(shown, progress, instead_of=other, beside=apart(shown.beside, other))

    @answering
    def method(self, method: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another method -> what is shown."""
        return self._set(shown, progress, method=_one_of(METHODS, method, "method"))

    @answering
    def score(self, score: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another score -> what is shown."""
        return self._set(shown, progress, score=_one_of(SCORES, score, "score"))

    @answering
    def evidence(self, evidence: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """What speaks for the class, or against it -> what is shown."""
        return self._set(shown, progress, against=_one_of(EVIDENCE, evidence, "evidence") == "against")

    @answering
    def smoothing(self, smoothing: object, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another smoothing -> what is shown."""
        return self._set(shown, progress, smoothing=_one_of(SMOOTHINGS, smoothing, "smoothing"))

    @answering
    def settings(self, shown: Shown) -> tuple[Any, ...]:
        """-> class held against, method, score, evidence, smoothing, the button that stops a method, as they are."""
        evidence = EVIDENCE[shown.against]
        return shown.instead_of, shown.method, shown.score, evidence, shown.smoothing, self.offer_halt(shown.method)

    @answering
    def offer_halt(self, method: object) -> Any:  # noqa: ANN401
        """-> the button that stops a method of hundreds of passes."""
        return gr.Button(visible=method == "scorecam")

    @answering
    def fetch_article(self, progress: gr.Progress = PROGRESS) -> None:
        """Make the articles' network ready."""
        self._fetch(ARTICLE, progress)

    @answering
    def article(self, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """The settings of the well-known articles -> network, chosen layers, layer table, preset, what is shown.

        The network is theirs if it is here by now; otherwise the present one stays, with a word.
        """
        name = shown.network
        try:
            if not self._networks.is_fetched(ARTICLE):
                name = self._networks.load(ARTICLE, progress).name
        except gc.NetworkError:
            pass  # `fetch` has said why
        if name != ARTICLE:
            gr.Warning(f"The other settings are made for {as_html(name)}, which stays.", title=f"{ARTICLE} is not here")
        if name != shown.network:
            shown = replace(shown, network=name, target=None, beside=())
        network = self._networks.load(name)
        convolutions = [layer.name for layer in network.layers if layer.kind == "conv"]
        layers = tuple(convolutions[-1:]) or "last"
        shown = replace(shown, layers=layers, score="probability", method="gradcam", smoothing="none")
        shown = replace(shown, instead_of=None, against=False)
        about, *classes, chosen, table = self._describe(shown)
        grid = None
        if shown.photo is not None:
            *classes, grid = self._explain(shown, progress)
        return about, chosen, table, "choose" if convolutions else "last", shown, *classes, grid

    def _fetch(self, network: object, progress: gr.Progress) -> None:
        is_stopped = self._watch()

        def look() -> None:
            if is_stopped():
                raise gc.NetworkError(f"The download of {network} was stopped. The network before it stays.")

        self._networks.load(network, progress, look)

    def _set(self, shown: Shown, progress: gr.Progress, **changes: Any) -> tuple[Any, ...]:  # noqa: ANN401
        """-> what is shown, once this is changed; nothing where the page itself has set it."""
        changed = replace(shown, **changes)
        if changed.settings == shown.settings:
            return (gr.skip(),) * 5
        if changed.photo is None:  # what cannot be explained is refused now, and not with the first photo
            self._check(changed)
        return changed, *self._explain(changed, progress)

    def _usable(self, shown: Shown) -> Shown:
        """The same, or with the plainest settings where the network does not allow those that are set."""
        try:
            self._check(shown)
        except gc.SettingError as error:
            sentence = f"{as_html(error)} For now it is Grad-CAM without smoothing."
            gr.Warning(sentence, title=f"{shown.network} does not allow all that was set")
            shown = replace(shown, method="gradcam", smoothing="none")
        return shown

    def _check(self, shown: Shown) -> None:
        """Refuse settings that no photo can be explained with."""
        settings = vars(shown.settings)
        layers = shown.layers if isinstance(shown.layers, str) else list(shown.layers)
        is_contrast = settings.pop("instead_of") is not None
        check(self._networks.load(shown.network), layers, is_contrast=is_contrast, **settings)


def settings_of(link: Mapping[str, str]) -> dict[str, Any]:
    """Those that a link asks for, as `Shown` takes them.

    Raises:
        SettingError: there is no such setting.
    """
    known = {"method": METHODS, "score": SCORES, "smoothing": SMOOTHINGS, "evidence": EVIDENCE}
    asked: dict[str, Any] = {name: _one_of(of, link[name], name) for name, of in known.items() if link.get(name)}
    if "evidence" in asked:
        asked["against"] = asked.pop("evidence") == "against"
    return asked


def _one_of(known: Collection[str], value: object, what: str) -> str:
    if not isinstance(value, str) or value not in known:
        raise gc.SettingError(f"The {what} is one of {', '.join(known)}, not {value!r}.")
    return value
