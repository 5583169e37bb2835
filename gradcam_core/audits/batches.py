"""From photos to rows: the one class of work that a run on this machine and one on a cluster both do."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from ..errors import GradcamError, NetworkError, PhotoError, SettingError
from ..photos.channels import picture_of
from ..photos.workers import AT_ONCE
from .listing import Item
from .measures import Boxes, of_map, of_photo
from .rows import filesystem, suffixes

if TYPE_CHECKING:
    import pyarrow as pa

    from ..networks.classifier import Classifier

READERS = AT_ONCE + 1  # threads that read photos while a batch is computed; `photos.workers` decodes them
PATIENCE = 8  # batches that a photo whose label is another class waits for others of its kind
TOP = 5

Row = dict[str, Any]
Rows = Generator[Row, None, None]
T = TypeVar("T")
U = TypeVar("U")


@dataclass(frozen=True)
class Asked:
    """What is asked of every photo.

    Attributes:
        layers: names, in network order; the columns of the last one have no suffix.
        method, score, smoothing: as `explain` takes them.
        precision: "float32" or "bfloat16".
        batch: how many photos go through the network at once.
    """

    layers: tuple[str, ...]
    method: str = "gradcam"
    score: str = "logit"
    smoothing: str = "none"
    precision: str = "float32"
    batch: int = 16


@dataclass
class _Photo:
    """A photo on its way: its row so far, what the network takes, and its boxes as shares."""

    row: Row
    taken: np.ndarray | None = None  # float32 (h, w, c); None: it could not be read
    boxes: Boxes | None = None
    since: int = 0  # the number of the batch in which it was predicted


class Explainer:
    """Makes rows of photos, in batches.

    Args:
        network: a loaded network.
        asked: what is asked of every photo.
        readers: threads that read photos.

    Raises:
        LayerError, SettingError: what is asked for cannot be had.
    """

    def __init__(self, network: "Classifier", asked: Asked, readers: int = READERS) -> None:
        from ..maps.many import many
        from ..maps.selection import select

        self.network = network
        self.asked = asked
        self.readers = readers
        self.suffixes = suffixes(asked.layers)
        layers = select(network, asked.layers, asked.method)
        self._run = many(network, layers, asked.method, asked.score, asked.smoothing)
        self._preparing = threading.Lock()  # preprocessing may be anybody's: one photo at a time

    def rows(self, items: Iterable[Item]) -> Rows:
        """A row for each photo, as `rows.schema` has it; not always in their order.

        Photos are read ahead while others are computed, a few batches at most. One that cannot be read, or that the
        network gives no numbers for, has an error in its row.
        """
        size, number = self.asked.batch, 0
        first: list[_Photo] = []  # to be predicted, and explained for what is predicted
        second: list[_Photo] = []  # to be explained for their label, which is another class
        for photo in _ahead(self._read, items, 2 * size, self.readers):
            if photo.taken is None:
                yield photo.row
                continue
            first.append(photo)
            if len(first) == size:
                number += 1
                yield from self._predicted(first, second, number)
                first = []
            while len(second) >= size or (second and second[0].since + PATIENCE < number):
                yield from self._labelled(second[:size])
                del second[:size]
        yield from self._predicted(first, second, number)
        for start in range(0, len(second), size):
            yield from self._labelled(second[start : start + size])

    def _read(self, item: Item) -> _Photo:
        label = None if item.label is None else self.network.labels[item.label].name
        photo = _Photo({"photo": item.photo, "label": label, "label_index": item.label})
        try:
            image = self.network.read(source(item.path))
            height, width = image.shape[:2]
            with self._preparing:
                photo.taken = self.network.to_input(image)[0]
        except GradcamError as error:
            photo.row["error"] = str(error)
            return photo
        if item.boxes:
            scale = [width, height, width, height] if item.in_pixels else [1, 1, 1, 1]
            boxes = np.clip(np.array(item.boxes) / scale, 0, 1)
            photo.boxes = boxes[(boxes[:, :2] < boxes[:, 2:]).all(1)].tolist() or None  # some lie beside the photo
        photo.row |= {"width": width, "height": height, "boxes": photo.boxes}
        photo.row |= of_photo(picture_of(image, self.network.shown))
        return photo

    def _predicted(self, photos: Sequence[_Photo], second: list[_Photo], number: int) -> Iterator[Row]:
        """Predict photos and explain what is predicted; those whose label is another class are put into ``second``."""
        nothing = np.zeros(len(self.network.labels), np.float32)  # stands for the most probable class
        for photo, found in zip(photos, self._explained(photos, [nothing] * len(photos)), strict=True):
            if isinstance(found, NetworkError):
                yield self._failed(photo, found)
                continue
            answers, maps = found
            probabilities = self.network.probabilities(answers)
            best = self.network.top(probabilities, TOP)
            photo.row |= {
                "predicted": best[0].name,
                "predicted_index": best[0].index,
                "probability": probabilities[best[0].index],
                "top_indices": [one.index for one in best],
                "top_probabilities": [probabilities[one.index] for one in best],
            }
            self._describe(photo, "", maps)
            label = photo.row["label_index"]
            if label is not None:
                photo.row["label_probability"] = probabilities[label]
            if label in (None, best[0].index):
                yield photo.row
            else:
                photo.since = number
                second.append(photo)

    def _labelled(self, photos: Sequence[_Photo]) -> Iterator[Row]:
        """Explain photos for their label."""
        weights = np.eye(len(self.network.labels), dtype=np.float32)[[photo.row["label_index"] for photo in photos]]
        for photo, found in zip(photos, self._explained(photos, list(weights)), strict=True):
            if isinstance(found, NetworkError):
                yield self._failed(photo, found)
            else:
                self._describe(photo, "label_", found[1])
                yield photo.row

    def _explained(
        self, photos: Sequence[_Photo], weights: Sequence[np.ndarray]
    ) -> Iterator[tuple[np.ndarray, dict[str, np.ndarray]] | NetworkError]:
        """Answers and maps of each photo; where one of them gives no numbers, each goes alone, to find out which."""
        from ..capture.precision import computing_in

        if not photos:
            return
        try:
            with computing_in(self.asked.precision):
                answers, maps = self._run(
                    np.stack([photo.taken for photo in photos if photo.taken is not None]), np.stack(weights)
                )
        except NetworkError as error:
            if len(photos) == 1:
                yield error
            else:
                for photo, row in zip(photos, weights, strict=True):
                    yield from self._explained([photo], [row])
            return
        for i in range(len(photos)):
            yield answers[i], {name: values[i] for name, values in maps.items()}

    def _describe(self, photo: _Photo, which: str, maps: dict[str, np.ndarray]) -> None:
        for name, raw in maps.items():
            ending = self.suffixes[name]
            photo.row[f"{which}map{ending}"] = raw.ravel()
            photo.row[f"map_height{ending}"], photo.row[f"map_width{ending}"] = raw.shape
            for measure, value in of_map(raw, photo.boxes).items():
                photo.row[f"{which}{measure}{ending}"] = value

    @staticmethod
    def _failed(photo: _Photo, error: NetworkError) -> Row:
        return {name: photo.row[name] for name in ("photo", "label", "label_index")} | {"error": str(error)}


_reached = cache(filesystem)  # to find out about a bucket takes a while


def source(path: str) -> "str | pa.NativeFile":
    """A path as it is; of a photo at an address elsewhere (s3://...), its file, opened.

    Raises:
        PhotoError: the address cannot be read.
    """
    if "://" not in path:
        return path
    scheme, _, rest = path.partition("://")
    host, _, inner = rest.partition("/")
    place = f"{scheme}://{host}/x"
    try:
        there, base = _reached(place)
        return there.open_input_stream(base.removesuffix("x") + inner)
    except SettingError as error:
        raise PhotoError(str(error).replace(place, path)) from error
    except OSError as error:
        raise PhotoError(f"{path} cannot be read: {error}.") from error


def _ahead(make: Callable[[T], U], things: Iterable[T], count: int, threads: int) -> Iterator[U]:
    """What is made of things, in their order, by threads that are up to ``count`` things ahead."""
    things = iter(things)
    pool = ThreadPoolExecutor(threads, thread_name_prefix="audit")
    try:
        waiting: deque[Future[U]] = deque(pool.submit(make, one) for one in itertools.islice(things, count))
        while waiting:
            made = waiting.popleft().result()
            waiting.extend(pool.submit(make, one) for one in itertools.islice(things, 1))
            yield made
    finally:
        pool.shutdown(cancel_futures=True)
