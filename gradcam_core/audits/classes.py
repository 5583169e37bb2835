"""What the rows of one class say: how often it is right, where the network looks, which photos are alike."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from .counter_test import Effects, hottest, sign_test
from .groups import Group, groups
from .measures import covered
from .rows import About
from .traits import TRAITS

if TYPE_CHECKING:
    import pyarrow as pa

DESCRIBED = 4000  # photos of a class whose traits are kept
REST = 400  # photos of a class beside a candidate, from which those for its counter-test are drawn
SURE = 0.9  # from this probability on, a wrong answer is a confident one
SURE_ERRORS = 200  # of a class, that are kept
ALPHA_OF_OUTSIDE = 0.01  # for each class
COLUMNS_OF_CLASS = (
    "photo", "label_index", "predicted", "predicted_index", "probability",
    "map", "label_map", "map_height", "map_width", "inside", "label_inside", "border", "label_border",
    "width", "height", "brightness", "contrast", "saturation", "sharpness", "boxes", "error",
)  # fmt: skip
HEIGHTS, SIDES = ("top", "middle", "bottom"), ("left", "centre", "right")


@dataclass(eq=False)
class Suspect:
    """A group of a class, and what its counter-test showed where it was put to one with so many candidates in all."""

    group: Group
    photos: list[str]
    rest: list[str]
    usual: np.ndarray  # bool (rest, h, w): of a candidate, `counter_test.hottest` of each photo of the rest
    effects: Effects | None = None
    candidates: int = 1

    @property
    def is_borne_out(self) -> bool:
        """Whether the counter-test bears it out."""
        return self.effects is not None and self.effects.bears_out(self.candidates)

    @property
    def where(self) -> str:
        """The place of its region in words, such as "at the bottom left"."""
        return place(self.group.region)

    def about(self) -> dict[str, Any]:
        """What findings.json says of it."""
        told: dict[str, Any] = {
            "photos": self.photos,
            "where": self.where,
            "region": self.group.region.astype(int).tolist(),
            "separability": self.group.separability,
            "heat": self.group.heat,
            "elsewhere": self.group.elsewhere,
            "is_candidate": self.group.is_candidate,
            "is_borne_out": self.is_borne_out,
        }
        if self.effects is not None:
            told["log_odds"] = {name: float(np.median(of)) for name, of in self.effects.differences.items()}
            told["left"] = self.effects.left
            told["surer"] = self.effects.surer
            told["least"] = self.effects.least
            told["is_still_surer"] = self.effects.is_still_surer
            told["deficit"] = self.effects.deficit
            told["may_be_the_object"] = self.effects.may_be_the_object(self.candidates)
            told["p_values"] = self.effects.p_values
            told["taken_for"] = [int(count) for count in self.effects.taken_for]
        return told


@dataclass(eq=False)
class OfClass:
    """Numbers of one class.

    Attributes:
        index, name: of the class.
        photos: those of its rows that could be read.
        labelled: how many of them have it as their label; 0 where it is only predicted.
        right: how many of those are right.
        confusions: (what they are taken for, the photos), most frequent first.
        sure_errors: (probability, photo) of wrong answers, surest first, at most 200; sure_count: of SURE and more.
        mean_map: float (h, w), the mean of its heat, each photo's summing up to 1; None without maps.
        inside, area: the mean share of the heat in the boxes, and the share of the photo these cover; None without.
        is_outside: whether less of the heat lies in the boxes than if it were spread evenly; `counter_test.sign_test`.
        traits: by name, float (n,): `traits.TRAITS`.
        suspects: its groups.
    """

    index: int
    name: str
    photos: list[str]
    labelled: int = 0
    right: int = 0
    confusions: list[tuple[str, list[str]]] = field(default_factory=list)
    sure_errors: list[tuple[float, str]] = field(default_factory=list)
    sure_count: int = 0
    mean_map: np.ndarray | None = None
    inside: float | None = None
    area: float | None = None
    is_outside: bool = False
    traits: dict[str, np.ndarray] = field(default_factory=dict)
    suspects: list[Suspect] = field(default_factory=list)

    def about(self) -> dict[str, Any]:
        """What findings.json says of it."""
        return {
            "index": self.index,
            "name": self.name,
            "photos": len(self.photos),
            "labelled": self.labelled,
            "accuracy": self.right / self.labelled if self.labelled else None,
            "confusions": [{"as": name, "photos": len(photos)} for name, photos in self.confusions[:5]],
            "mean_map": None if self.mean_map is None else np.round(self.mean_map, 6).tolist(),
            "inside": self.inside,
            "area": self.area,
            "traits": {name: _median(values) for name, values in self.traits.items()},
            "groups": [suspect.about() for suspect in self.suspects],
        }


def columns_of(table: "pa.Table") -> dict[str, Sequence[Any]]:
    """The columns of rows as lists; of maps, lists of float32 arrays, which share the table's memory."""
    columns = {name: table[name].to_pylist() for name in table.column_names if not name.endswith("map")}
    for name in ("map", "label_map"):
        column = table[name].combine_chunks()
        ends, values, is_null = column.offsets.to_numpy(), column.values.to_numpy(), column.is_null().to_pylist()
        columns[name] = [None if is_null[i] else values[ends[i] : ends[i + 1]] for i in range(len(column))]
    return columns


def of_class(rows: Mapping[str, Sequence[Any]], index: int, about: About, seed: int = 0) -> OfClass:
    """The numbers of one class.

    Args:
        rows: COLUMNS_OF_CLASS of its rows, as `columns_of` gives them.
        index: of the class.
        about: the audit.
        seed: of the clustering.
    """
    read = [i for i, error in enumerate(rows["error"]) if error is None]
    rows = {name: [values[i] for i in read] for name, values in rows.items()}
    photos = list(rows["photo"])
    one = OfClass(index, about.classes[index] if index < len(about.classes) else f"class {index}", photos)
    labelled = [i for i, label in enumerate(rows["label_index"]) if label is not None and about.measures != "value"]
    one.labelled = len(labelled)
    wrong = [i for i in labelled if rows["predicted_index"][i] != index]
    one.right = one.labelled - len(wrong)
    for name, _ in Counter(rows["predicted"][i] for i in wrong).most_common():
        one.confusions.append((name, [photos[i] for i in wrong if rows["predicted"][i] == name]))
    if about.measures == "probability":
        sure = sorted(((float(rows["probability"][i]), photos[i]) for i in wrong), key=lambda pair: (-pair[0], pair[1]))
        one.sure_errors, one.sure_count = sure[:SURE_ERRORS], sum(probability >= SURE for probability, _ in sure)
    # The map of the class itself: of the label where another class was predicted, else of the prediction.
    is_other = [other is not None for other in rows["label_map"]]
    maps, inside, border = (
        [rows[f"label_{name}" if other else name][i] for i, other in enumerate(is_other)]
        for name in ("map", "inside", "border")
    )
    _boxes(one, rows, inside)
    size = np.multiply(*(np.array(rows[side], np.float64) for side in ("width", "height"))) if photos else np.zeros(0)
    some = np.sort(np.random.default_rng(seed).permutation(len(photos))[:DESCRIBED])
    values = {**{name: rows.get(name) for name in TRAITS}, "size": size, "border": border}
    one.traits = {name: np.array(of, np.float64)[some] for name, of in values.items()}
    _groups(one, rows, maps, seed)
    return one


def _boxes(one: OfClass, rows: Mapping[str, Sequence[Any]], inside: Sequence[float | None]) -> None:
    pairs = [
        (share, float(covered(boxes, (1, 1))[0, 0]))
        for share, boxes in zip(inside, rows["boxes"], strict=True)
        if share is not None and boxes
    ]
    if pairs:
        shares, areas = np.transpose(pairs)
        one.inside, one.area = float(shares.mean()), float(areas.mean())
        one.is_outside = bool(shares.mean() < areas.mean()) and sign_test(areas - shares) < ALPHA_OF_OUTSIDE


def _groups(one: OfClass, rows: Mapping[str, Sequence[Any]], maps: Sequence[Any], seed: int) -> None:
    shapes = Counter(zip(rows["map_height"], rows["map_width"], strict=True))
    shapes.pop((None, None), None)
    if not shapes:
        return
    shape = shapes.most_common(1)[0][0]
    usual = [i for i, size in enumerate(zip(rows["map_height"], rows["map_width"], strict=True)) if size == shape]
    raw = np.array([maps[i] for i in usual], np.float32).reshape(-1, *shape)
    heat = np.maximum(raw, 0)
    total = heat.sum((1, 2), keepdims=True)
    one.mean_map = (heat / np.where(total > 0, total, 1)).mean(0, dtype=np.float64)
    names = np.array(one.photos, object)[usual]
    for group in groups(raw, seed):
        others = np.flatnonzero(~group.members)[: REST if group.is_candidate else 0]
        rest, at = names[others].tolist(), hottest(group.region, raw[others])
        one.suspects.append(Suspect(group, names[group.members].tolist(), rest, at))


def place(region: np.ndarray) -> str:
    """Where a region, bool (h, w), lies in the photo, in words.

    >>> place(np.array([[False, False], [True, False]])), place(np.array([[False, True, True, False]] * 3))
    ('at the bottom left', 'in the centre')
    """
    centre = [(np.flatnonzero(region.any(1 - axis)).mean() + 0.5) / region.shape[axis] for axis in (0, 1)]
    row, column = (names[min(int(3 * at), 2)] for names, at in zip((HEIGHTS, SIDES), centre, strict=True))
    if (row, column) == ("middle", "centre"):
        return "in the centre"
    if row == "middle":
        return f"at the {column}"
    return f"at the {row}" if column == "centre" else f"at the {row} {column}"


def _median(values: np.ndarray) -> float | None:
    values = values[np.isfinite(values)]
    return float(np.median(values)) if len(values) else None
