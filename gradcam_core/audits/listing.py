"""What is audited: photos in a folder for each class, in a table, or in COCO's JSON; their labels and boxes."""

import csv
import hashlib
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import SettingError, TargetError
from .extras import needed

if TYPE_CHECKING:
    from ..networks.classifier import Classifier

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".avif", ".gif", ".bmp", ".tif", ".tiff", ".npy"}
TABLES = {".csv", ".tsv", ".parquet", ".pq"}
HEADINGS = {
    "path": ("path", "photo", "file", "filename", "file_name", "filepath", "image", "image_path", "img"),
    "label": ("label", "class", "class_name", "category", "target", "y"),
    "boxes": ("boxes", "bboxes", "box", "bbox"),
}


class Item(NamedTuple):
    """A photo that is audited.

    Attributes:
        photo: what its row calls it: its path below the root, with "/" between.
        path: where it lies.
        label: the index of its class, or None.
        boxes: where things of this class lie, (x0, y0, x1, y1) each, or None.
        in_pixels: whether these are pixels of the upright photo; else they are shares of its width and height.
    """

    photo: str
    path: str
    label: int | None = None
    boxes: list[list[float]] | None = None
    in_pixels: bool = False


@dataclass(frozen=True)
class Listing:
    """All photos of an audit, which are gone through one by one and always in the same order.

    Attributes:
        root: the folder that their paths are below.
        count: how many there are.
        make: makes a pass through them.
        checksum: of the table or file that has their labels and boxes; "" where folders do.
    """

    root: Path
    count: int
    make: Callable[[], Iterator[Item]]
    checksum: str = ""

    def __iter__(self) -> Iterator[Item]:
        try:
            yield from self.make()
        except OSError as error:  # a folder was taken away meanwhile
            raise _unreadable(error, self.root) from error


def listed(
    network: "Classifier",
    source: str | os.PathLike[str],
    root: str | os.PathLike[str] | None = None,
    labelled: bool = True,
) -> Listing:
    """The photos of a folder, a table or a COCO file, with labels that the network knows.

    Args:
        network: whose classes the labels are.
        source: a folder, with a folder for each class or with photos alone; a table (.csv, .tsv, .parquet) with a
            column ``path`` and, where there are some, ``label`` and ``boxes``; or a .json file as COCO writes it.
            Classes are named as `class_of` takes them. Boxes are [[x0, y0, x1, y1], ...], in pixels where one of them
            is above 1, else as shares of the width and height. Of a photo in which COCO marks things of several
            categories, the label is the one whose boxes are the largest together, and only its boxes count.
        root: the folder that paths in a table or COCO file start from; None takes that of the file.
        labelled: False takes no labels, so that what is predicted is audited; boxes stay.

    Raises:
        SettingError: there is nothing to audit, or a label that does not fit: each says what is wrong and where.
    """
    source = Path(source)
    for path in (source.absolute(), Path(root or ".")):
        if _text(str(path)) != str(path):
            raise SettingError(f"The name of {_text(str(path))!r} is no text in UTF-8. Give the folder another name.")
    match = _matching(network) if labelled else None
    try:
        if source.is_dir():
            if root is not None:
                raise SettingError("A root goes with a table or a COCO file; the photos of a folder lie in it.")
            found = _folder(source, match)
        elif not source.exists():
            raise SettingError(f"There is no folder and no file {str(source)!r}. Check the path.")
        elif source.suffix.lower() in TABLES:
            found = _checked(source, Path(root or source.parent), lambda base: _table(source, base, match))
        elif source.suffix.lower() == ".json":
            content = _coco_content(source)
            found = _checked(source, Path(root or source.parent), lambda base: _coco(source, content, base, match))
        else:
            raise SettingError(
                f"{str(source)!r} is no folder, no table (.csv, .tsv, .parquet) and no COCO file (.json). Give one of "
                "these."
            )
    except OSError as error:
        raise _unreadable(error, source) from error
    if not found.count:
        raise SettingError(f"There are no photos in {str(source)!r}. Looked for: {', '.join(sorted(SUFFIXES))}.")
    return found


def _unreadable(error: OSError, source: Path) -> SettingError:
    where = error.filename or source
    return SettingError(f"{str(where)!r} cannot be read: {(error.strerror or str(error)).lower()}.")


Match = Callable[[str | int, str], int]  # (a class, what names it) -> its index


def _matching(network: "Classifier") -> Match:
    @cache
    def match(name: str | int, what: str) -> int:
        if network.measures == "value":
            raise SettingError(f"{what.format(name)} is a class, and this network gives values. Audit without labels.")
        try:
            return class_of(network, name)
        except TargetError as error:
            numbered = all(label.name == f"class {label.index}" for label in network.labels)
            hint = (
                "Give the class names: labels= takes a file, or a folder whose folders are the classes in alphabetical "
                "order, as Keras numbers them."
                if numbered
                else "Call it by its name, index or WordNet id, or audit without labels."
            )
            raise SettingError(f"{what.format(name)} is no class of this network. {error} {hint}") from error

    return match


def class_of(network: "Classifier", name: str | int) -> int:
    """The index of the class that a folder or a label of somebody else's stands for.

    Args:
        network: whose classes they are.
        name: an index, a name or a WordNet id, as `Classifier.resolve_target` takes it; or with "-" for a space, or
            with a number or a WordNet id before the name: "n02099601_golden_retriever", "207 golden retriever",
            "001.golden-retriever" (of these the name counts, for people number in their own ways).

    Raises:
        TargetError: it is none, or stands for several; the nearest names are listed.
    """
    forms: list[str | int] = [name]
    if isinstance(name, str) and re.search(r"[^\W\d_]", name):  # "-1" is no name, and not the class 1
        forms.append(name.replace("-", " "))
        if with_id := re.match(r"(n\d{8})\W*_*", name):
            forms.append(with_id[1])
        if numbered := re.fullmatch(r"(?:n\d{8}|\d{1,6})[\s_.-]+(.*\D.*)", name):
            forms += [numbered[1], numbered[1].replace("-", " ")]
    errors = []
    for form in forms:
        try:
            index = network.resolve_target(form)
        except TargetError as error:
            errors.append(error)
        else:
            assert index is not None
            return index
    raise errors[0]


def _folder(folder: Path, match: Match | None) -> Listing:
    """Each folder in it is a class, if labels are wanted and it holds photos; photos beside them have none."""
    tops: list[tuple[Path, int | None]] = []
    count = sum(1 for entry in _entries(folder) if _is_photo(entry))
    for entry in _entries(folder):
        if entry.is_dir() and (photos := sum(1 for _ in _photos_below(Path(entry.path)))):
            tops.append((Path(entry.path), None if match is None else match(entry.name, "The folder {!r}")))
            count += photos

    def items() -> Iterator[Item]:
        for entry in _entries(folder):
            if _is_photo(entry):
                yield Item(_text(entry.name), entry.path)
        for top, label in tops:
            for path in _photos_below(top):
                yield Item(_text(Path(path).relative_to(folder).as_posix()), path, label)

    return Listing(folder, count, items)


def _entries(folder: Path) -> list[os.DirEntry[str]]:
    with os.scandir(folder) as entries:
        return sorted((entry for entry in entries if not entry.name.startswith(".")), key=lambda entry: entry.name)


def _is_photo(entry: os.DirEntry[str]) -> bool:
    return Path(entry.name).suffix.lower() in SUFFIXES and not entry.is_dir()


def _photos_below(folder: Path) -> Iterator[str]:
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            yield from _photos_below(Path(entry.path))
        elif _is_photo(entry):
            yield entry.path


def _text(name: str) -> str:
    """A name of a file as Parquet takes it: some disks have names that are no text."""
    return name.encode("utf-8", "backslashreplace").decode()


def _checked(source: Path, root: Path, make: Callable[[Path], Iterator[Item]]) -> Listing:
    """A listing that was gone through once: each label is known, and no photo is in it twice."""
    seen: set[int] = set()
    for count, item in enumerate(make(root), 1):
        seen.add(hash(item.photo))
        if len(seen) < count:
            raise SettingError(f"{source.name} has {item.photo!r} more than once. Leave it in once.")
    with source.open("rb") as file:
        checksum = hashlib.file_digest(file, "blake2b").hexdigest()[:16]
    return Listing(root, len(seen), lambda: make(root), checksum)


def _item(name: str, root: Path, label: int | None, boxes: list[list[float]] | None, in_pixels: bool) -> Item:
    if "://" in name:
        return Item(_text(name), name, label, boxes, in_pixels)
    path = root / name
    photo = path.relative_to(root) if path.is_relative_to(root) else path
    return Item(_text(photo.as_posix()), str(path), label, boxes, in_pixels)


def _table(source: Path, root: Path, match: Match | None) -> Iterator[Item]:
    names: dict[str, str] = {}
    for number, row in enumerate(_rows_of(source), 1):
        if not names:
            known = {str(column).strip().lower(): column for column in row}
            names = {kind: known[name] for kind, aka in HEADINGS.items() for name in reversed(aka) if name in known}
            if "path" not in names:
                raise SettingError(
                    f'{source.name} has no column for the photos\' paths. Call one "path"; it has: {", ".join(known)}.'
                )
        path = row[names["path"]]
        if not isinstance(path, str) or not path.strip():
            raise SettingError(f"Row {number} of {source.name} has no path.")
        boxes = _boxes(row[names["boxes"]], f"Row {number} of {source.name}") if "boxes" in names else None
        label = _label(row[names["label"]]) if "label" in names and match else None
        index = None if label is None or match is None else match(label, f"The label {{!r}} in {source.name}")
        in_pixels = any(edge > 1 for box in boxes or () for edge in box)
        yield _item(path, root, index, boxes, in_pixels)


def _rows_of(source: Path) -> Iterator[Mapping[str, Any]]:
    if source.suffix.lower() in (".parquet", ".pq"):
        pa, parquet = needed("pyarrow"), needed("pyarrow.parquet")
        try:
            with parquet.ParquetFile(source) as file:
                wanted = {name for aka in HEADINGS.values() for name in aka}
                columns = [name for name in file.schema_arrow.names if name.strip().lower() in wanted]
                columns = columns or file.schema_arrow.names  # what it has, for the sentence
                for batch in file.iter_batches(1024, columns=columns):
                    yield from batch.to_pylist()
        except (pa.ArrowException, OSError) as error:
            raise SettingError(f"{source.name} is no Parquet file, or is damaged.") from error
        return
    try:
        with source.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline()
            file.seek(0)
            yield from csv.DictReader(file, delimiter=max("\t;,", key=first.count))
    except (UnicodeDecodeError, csv.Error) as error:
        raise SettingError(f"{source.name} is no table in UTF-8 text: {error}.") from error


def _label(value: object) -> str | int | None:
    """A class as tables write it: a text, or a number that pandas may have made a float; None where there is none."""
    if isinstance(value, float):
        return int(value) if value.is_integer() else None if np.isnan(value) else str(value)
    if isinstance(value, str):
        value = value.strip()
        return int(value.removesuffix(".0")) if re.fullmatch(r"\d{1,6}\.0", value) else value or None
    return value if isinstance(value, int) else None if value is None else str(value)


def _boxes(value: object, where: str) -> list[list[float]] | None:
    if value is None or (isinstance(value, str) and not value.strip()) or (isinstance(value, float) and value != value):
        return None
    try:
        boxes = np.array(json.loads(value) if isinstance(value, str) else value, np.float64)
    except (ValueError, TypeError, OverflowError, RecursionError):  # no JSON, or no rows of numbers
        boxes = np.zeros(0)
    if not boxes.size and isinstance(value, list | str) and str(value).strip() == "[]":
        return None
    boxes = boxes[np.newaxis] if boxes.ndim == 1 else boxes
    is_right = boxes.ndim == 2 and boxes.shape[1] == 4 and boxes.size and np.isfinite(boxes).all()
    if not is_right or not (boxes[:, :2] < boxes[:, 2:]).all():
        raise SettingError(
            f"{where} has boxes that are none: {str(value)[:60]}. A box is [x0, y0, x1, y1], left and top first, in "
            "pixels or as shares of the width and height; several are a list of them."
        )
    return boxes.tolist()


def _coco_content(source: Path) -> dict[str, Any]:
    try:
        content = json.loads(source.read_text(encoding="utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise SettingError(f"{source.name} is not JSON: {error}.") from error
    if not isinstance(content, dict) or not isinstance(content.get("images"), list):
        raise SettingError(f'{source.name} is no COCO file: it has no list "images".')
    return content


def _coco(source: Path, content: dict[str, Any], root: Path, match: Match | None) -> Iterator[Item]:
    try:
        names = {category["id"]: category["name"] for category in content.get("categories", ())}
        marked: dict[Any, dict[Any, list[Sequence[float]]]] = defaultdict(lambda: defaultdict(list))
        for annotation in content.get("annotations", ()):
            box = annotation.get("bbox")
            marked[annotation["image_id"]][annotation["category_id"]] += [box] if box else []
        for image in content["images"]:
            by_category = marked.get(image["id"], {})
            largest = max(by_category, key=lambda key: sum(w * h for *_, w, h in by_category[key]), default=None)
            given = by_category[largest] if largest is not None else []
            if match is None:
                given = [box for boxes in by_category.values() for box in boxes]
            label = None
            if match and largest is not None:
                label = match(names[largest], f"The category {{!r}} in {source.name}")
            size = image.get("width"), image.get("height")
            scale = np.array(2 * [1 / size[0], 1 / size[1]]) if all(size) else np.ones(4)
            boxes = [[x, y, x + w, y + h] for x, y, w, h in given if 0 < w < np.inf and 0 < h < np.inf]
            shares = (np.array(boxes) * scale).tolist() if boxes else None
            yield _item(image["file_name"], root, label, shares, not all(size))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise SettingError(
            f"{source.name} is no COCO file: {type(error).__name__} {error}. It needs images with id and file_name, "
            "annotations with image_id, category_id and bbox, and categories with id and name."
        ) from error
