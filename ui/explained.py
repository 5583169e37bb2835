"""What was computed lately, so that no visitor waits for the same thing twice."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

import gradcam_core as gc
from gradcam_core.settings import METHODS

LIMIT = 256e6  # bytes of photos and maps


@dataclass(frozen=True)
class Settings:
    """How maps are made: what `gradcam_core.explain` takes under the same names."""

    method: str = "gradcam"
    instead_of: int | None = None
    score: str = "logit"
    against: bool = False
    smoothing: str = "none"

    @property
    def is_one_pass(self) -> bool:
        """Whether the maps take one pass through the network, and so next to no time."""
        return METHODS[self.method].is_one_pass and self.smoothing == "none"


@dataclass
class Seen:
    """A decoded photo, and its explanations by (network, `Settings`, class).

    The class is None for the most probable one.
    """

    photo: np.ndarray
    explanations: dict[tuple[str, "Settings", int | None], gc.Explanation] = field(default_factory=dict)

    @property
    def size(self) -> int:
        """Bytes: of the photo, and of each map twice, as it is and as it is shown."""
        maps = (entry.raw.nbytes for found in self.explanations.values() for entry in found.maps.values())
        return self.photo.nbytes + 2 * sum(maps)


class Explained:
    """Explanations by photo, network, settings, class and layer: only what is not there yet is computed.

    Photos are known by the path of the uploaded file, which Gradio names by its content; the least recently used go
    first.
    """

    def __init__(self, limit: float = LIMIT) -> None:
        self._limit = limit
        self._seen: OrderedDict[str, Seen] = OrderedDict()
        self._lock = threading.Lock()

    def photo(self, path: str) -> np.ndarray:
        """The decoded photo: uint8 (H, W, 3), RGB."""
        return self._look(path).photo

    def explain(
        self,
        network: "gc.Classifier",
        path: str,
        targets: Sequence[int | None],
        layers: str | Sequence[str],
        settings: Settings = Settings(),  # it is frozen
        *,
        progress: Callable[[int, int], None] | None = None,
        say: Callable[[str], None] = lambda _what: None,
    ) -> tuple[gc.Explanation, ...]:
        """`gradcam_core.explain_classes`, without repeating what is known already; says what is being done."""
        seen, how = self._look(path), (network.name, settings)
        chosen = [layer.name for layer in gc.select(network, layers, settings.method)]

        def lacking(target: int | None) -> set[str]:
            known = seen.explanations.get((*how, target))
            return set(chosen).difference(known.maps if known else ())

        wanted = [target for target in dict.fromkeys(targets) if lacking(target)]
        if wanted:
            missing = set().union(*map(lacking, wanted))
            names = [name for name in chosen if name in missing]
            if settings.is_one_pass:
                from gradcam_core.maps.gradients import trace  # TensorFlow, and the page must stand before that

                say("Tracing the layers")  # the first time; from then on it takes no time
                trace(network, tuple(names), settings.method, settings.score)
            say("Looking for evidence")
            explanations = gc.explain_classes(network, seen.photo, wanted, names, **vars(settings), progress=progress)
            for target, found in zip(wanted, explanations, strict=True):
                known = seen.explanations.get((*how, found.target.index))
                maps = {**(known.maps if known else {}), **found.maps}
                kept = replace(found, photo=seen.photo, maps=maps)  # one copy of the photo, not one each
                keys = {target, found.target.index}
                if found.predictions[0].index == found.target.index:
                    keys.add(None)
                with self._lock:  # `_forget` goes through them
                    seen.explanations.update({(*how, key): kept for key in keys})
            self._forget()
        whole = (seen.explanations[(*how, target)] for target in targets)
        return tuple(replace(one, maps={name: one.maps[name] for name in chosen}) for one in whole)

    def _look(self, path: str) -> Seen:
        with self._lock:
            seen = self._seen.get(path)
        if seen is None:
            if not Path(path).is_file():
                raise gc.PhotoError("The photo was not used for so long that it was cleared away. Choose it again.")
            seen = Seen(gc.read_image(path))
        with self._lock:
            seen = self._seen.setdefault(path, seen)
            self._seen.move_to_end(path)
        if Path(path).is_file():
            Path(path).touch()  # uploaded files are cleared away by age: this one is in use
        return seen

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._seen.clear()

    def _forget(self) -> None:
        with self._lock:
            while len(self._seen) > 1 and sum(seen.size for seen in self._seen.values()) > self._limit:
                self._seen.popitem(last=False)
