"""What lies in the folder of an audit: ``audit.json``, which says what was asked, and the rows, one for each photo.

OUT/audit.json              `About`
OUT/rows/part-000000.parquet, ...   rows of `schema`; each is written under another name first: what stands is whole
"""

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import SettingError, WriteError
from .extras import needed

if TYPE_CHECKING:
    import pyarrow as pa

FORMAT = 1  # of the folder; another one is not gone on with

_MAP = {
    "map": "list", "map_height": "int", "map_width": "int",
    "peak": "float", "spread": "float", "border": "float", "inside": "float",
    "label_map": "list", "label_peak": "float", "label_spread": "float", "label_border": "float",
    "label_inside": "float",
}  # fmt: skip
_PHOTO = {
    "photo": "text", "label": "text", "label_index": "int",
    "predicted": "text", "predicted_index": "int", "probability": "float", "label_probability": "float",
    "top_indices": "ints", "top_probabilities": "list",
}  # fmt: skip
_MEASURES = {
    "width": "int", "height": "int", "brightness": "float", "contrast": "float", "saturation": "float",
    "sharpness": "float", "boxes": "boxes", "error": "text",
}  # fmt: skip


@dataclass(frozen=True)
class About:
    """What was audited, and how: the content of ``audit.json``.

    Attributes:
        settings: what has to be the same for the same audit to go on: photos, network, method, layers, ...
        root: the folder that the rows' photos are relative to.
        network: its name.
        measures: what it gives: "probability", "value" or "share".
        classes: the names of its classes, in order.
        layers: in network order, {"name": ..., "suffix": what its columns end in}; that of the deepest one is "".
        versions: of the packages that make the rows.
        rows: where the rows lie, if not in the folder: an address that pyarrow takes, such as ``s3://bucket/rows``.
        format: of the folder.
    """

    settings: Mapping[str, Any]
    root: str
    network: str
    measures: str
    classes: Sequence[str]
    layers: Sequence[Mapping[str, Any]]
    versions: Mapping[str, str]
    rows: str | None = None
    format: int = FORMAT


def read_about(folder: str | os.PathLike[str]) -> About:
    """What an audit's ``audit.json`` says.

    Raises:
        SettingError: there is none, or it is damaged or of another version.
    """
    path = Path(folder) / "audit.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] == FORMAT:
            about = About(**content)
            if [layer["suffix"] for layer in about.layers][-1:] == [""] and about.classes and about.settings:
                return about
            raise ValueError("no layers, or no classes")
    except FileNotFoundError as error:
        raise SettingError(f"There is no audit in {str(folder)!r}: it has no audit.json.") from error
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise SettingError(
            f"{str(path)!r} is damaged, so that nobody knows what the rows beside it are of. Choose another folder."
        ) from error
    raise SettingError(f"The audit in {str(folder)!r} is of another version of this program. Choose another folder.")


def path_of(root: str | os.PathLike[str], photo: str) -> str:
    """Where the photo lies that a row calls so: below the root, or at an address of its own (s3://...).

    >>> path_of("photos", "tulip/1.jpg"), path_of("photos", "s3://bucket/1.jpg")
    ('photos/tulip/1.jpg', 's3://bucket/1.jpg')
    """
    return photo if "://" in photo else str(Path(root) / photo)


def write_about(folder: Path, about: About) -> None:
    """Write ``audit.json``, in one step.

    Raises:
        WriteError: the folder cannot be written.
    """
    text = json.dumps(asdict(about), indent=2, ensure_ascii=False) + "\n"
    whole(folder / "audit.json", lambda path: path.write_text(text, encoding="utf-8"))


def suffixes(layers: Sequence[str]) -> dict[str, str]:
    """By layer, in network order, what its columns end in: nothing for the deepest, else "_" and its name.

    >>> suffixes(["block1/conv", "block1_conv", "block1-conv", "top"])
    {'block1/conv': '_block1_conv', 'block1_conv': '_block1_conv_2', 'block1-conv': '_block1_conv_3', 'top': ''}
    """
    found: dict[str, str] = {}
    for name in layers[:-1]:
        safe, number = "_" + re.sub(r"[^A-Za-z0-9]+", "_", name), 1
        suffix = safe
        while suffix in found.values():
            number += 1
            suffix = f"{safe}_{number}"
        found[name] = suffix
    return {**found, layers[-1]: ""}


def schema(endings: Iterable[str] = ("",)) -> "pa.Schema":
    """The columns of the rows; all but ``photo`` may be null.

    Args:
        endings: the suffix of each layer's columns, as `suffixes` gives them.
    """
    pa = needed("pyarrow")
    kinds = {
        "text": pa.string(),
        "int": pa.int32(),
        "float": pa.float32(),
        "ints": pa.list_(pa.int32()),
        "list": pa.list_(pa.float32()),
        "boxes": pa.list_(pa.list_(pa.float32())),
    }
    further = {f"{name}{ending}": kind for ending in endings if ending for name, kind in _MAP.items()}
    columns = {**_PHOTO, **_MAP, **further, **_MEASURES}
    return pa.schema([pa.field(name, kinds[kind], nullable=name != "photo") for name, kind in columns.items()])


def place(folder: str | os.PathLike[str]) -> "tuple[pa.fs.FileSystem, str]":
    """Where the rows of an audit lie: a file system, and the folder in it.

    Raises:
        SettingError: the address of the rows is none.
    """
    folder = Path(folder)
    rows = read_about(folder).rows if (folder / "audit.json").exists() else None
    return filesystem(rows or str((folder / "rows").resolve()))


def filesystem(address: str) -> "tuple[pa.fs.FileSystem, str]":
    """The file system and the path in it that an absolute path or an address means.

    Raises:
        SettingError: it is none that pyarrow knows.
    """
    pa, fs = needed("pyarrow"), needed("pyarrow.fs")
    try:
        return fs.FileSystem.from_uri(address)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise SettingError(f"{address!r} is no place that can be reached: {error}.") from error


def parts(folder: str | os.PathLike[str]) -> list[str]:
    """The paths of an audit's rows, in their order."""
    fs = needed("pyarrow.fs")
    there, base = place(folder)
    found = there.get_file_info(fs.FileSelector(base, allow_not_found=True))
    return sorted(info.path for info in found if info.path.endswith(".parquet") and info.base_name[0] != ".")


def write_part(folder: Path, rows: Sequence[Mapping[str, Any]], columns: "pa.Schema", number: int) -> None:
    """Write some rows as a part; it stands whole or not at all.

    Args:
        folder: of the audit.
        rows: a value for each column; what is missing is null.
        columns: as `schema` gives them.
        number: of the part, which must be new.

    Raises:
        WriteError: it cannot be written.
    """
    pa, parquet = needed("pyarrow"), needed("pyarrow.parquet")
    table = pa.Table.from_pylist(list(rows), schema=columns)
    whole(folder / "rows" / f"part-{number:06}.parquet", lambda path: parquet.write_table(table, path))


def read_rows(
    folder: str | os.PathLike[str], columns: Sequence[str] | None = None, of_class: int | None = None
) -> "pa.Table":
    """The rows of an audit.

    Args:
        folder: of the audit.
        columns: those that are read; None reads all.
        of_class: only the photos of the class with this index: that is their label, or where they have none, what is
            predicted. Read class by class, the rows of a large audit need no more memory than its largest class.

    Raises:
        SettingError: there are no rows, or a part is damaged.
    """
    pa, dataset, compute = needed("pyarrow"), needed("pyarrow.dataset"), needed("pyarrow.compute")
    files = parts(folder)
    if not files:
        raise SettingError(f"There are no rows in {str(folder)!r}. Run the audit first.")
    chosen = None
    if of_class is not None:
        label, predicted = compute.field("label_index"), compute.field("predicted_index")
        chosen = (label == of_class) | (label.is_null() & (predicted == of_class))
    try:
        rows = dataset.dataset(files, format="parquet", filesystem=place(folder)[0])
        return rows.to_table(None if columns is None else list(columns), filter=chosen)
    except (pa.ArrowException, OSError) as error:
        for _ in photos_in(folder):
            pass  # names the part that is damaged
        raise SettingError(f"The rows in {str(folder)!r} cannot be read: {error}.") from error


def photos_in(folder: str | os.PathLike[str]) -> Iterator[list[str]]:
    """The photos of each part of an audit's rows.

    Raises:
        SettingError: a part is damaged.
    """
    pa, parquet = needed("pyarrow"), needed("pyarrow.parquet")
    there, _ = place(folder)
    for path in parts(folder):
        try:
            photos = parquet.read_table(path, columns=["photo"], filesystem=there)["photo"].to_pylist()
            if not all(isinstance(photo, str) for photo in photos):
                raise KeyError("photo")
            yield photos
        except (pa.ArrowException, OSError, KeyError) as error:
            raise SettingError(
                f"{path!r} is damaged. Delete it, and the same command makes its rows once more; the others stay."
            ) from error


def whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file under another name, and give it its own when it is complete."""
    part = path.with_name(f".{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write(part)
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        reason = os.strerror(error.errno) if error.errno else error  # pyarrow puts words of its own around it
        raise WriteError(f"The folder {str(path.parent)!r} cannot be written: {reason}.") from error
