"""The report of an audit: a page that opens from the disk, without a server and without a request to anywhere.

OUT/report.html
OUT/report/*.js, style.css          the page; heat.js and words.js are those of the other page
OUT/report/data.js                  what it shows, but for pictures
OUT/report/maps-000.js, ...         the maps of 500 photos each, as bytes; a page on disk may load scripts, not files
OUT/report/photos-000.jpg, ...      100 small photos each
"""

import base64
import html
import json
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Any
from urllib.parse import quote

import cv2
import numpy as np

from ..errors import PhotoError
from ..photos import read_image
from ..pictures import SCRIPTS
from ..pictures.render import COLORMAPS, lookup_table
from ..settings import Progress
from .batches import source
from .classes import columns_of
from .findings import Findings
from .rows import About, path_of, read_about, read_rows, whole

PAGE = Path(__file__).parent / "page"
MOST = 20_000  # photos that are shown: those of the findings, and of the others as many, drawn at random
TILE, ACROSS = 128, 10  # pixels of a small photo's place, and how many lie beside each other in a sheet
PART = 500  # photos whose maps are in one file
READERS = 3
COLUMNS_SHOWN = (
    "photo", "label_index", "predicted_index", "probability", "label_probability", "peak", "label_peak",
    "map", "label_map", "map_height", "map_width", "width", "height", "error",
)  # fmt: skip


def write_report(
    folder: str | os.PathLike[str],
    findings: Findings,
    read: Callable[[str], np.ndarray] | None = None,
    *,
    seed: int = 0,
    progress: Progress | None = None,
) -> Path:
    """Write the report of an audit.

    Args:
        folder: of the audit.
        findings: what `find` gave.
        read: gives the pixels of a photo, uint8 (H, W, 3), by its name in the rows; None reads it from the folder that
            was audited. A photo that is gone has its map, without the photo below it.
        seed: of the photos that are drawn where there are more than 20,000.
        progress: called as progress(done, total), in photos; what it raises ends the work.

    Returns:
        The path of report.html.

    Raises:
        SettingError: there are no rows, or they are damaged.
        WriteError: the folder cannot be written.
    """
    folder = Path(folder)
    about = read_about(folder)
    rows = _chosen(folder, findings, seed)
    read = read or (lambda photo: read_image(source(path_of(about.root, photo))))
    for path in (*PAGE.glob("*.js"), *PAGE.glob("*.css"), *(SCRIPTS / f"{name}.js" for name in ("heat", "words"))):
        _put(folder, path.name, path.read_bytes())
    _maps(folder, rows)
    sizes = _photos(folder, [row["photo"] for row in rows], read, progress)
    content = json.dumps(_content(folder, about, findings, rows, sizes), ensure_ascii=False, allow_nan=False)
    _put(folder, "data.js", f"const REPORT = {content};\n".encode())
    title = html.escape(f"Audit of {about.network}")
    page = (PAGE / "report.html").read_text(encoding="utf-8").replace("<title></title>", f"<title>{title}</title>")
    path = folder / "report.html"
    whole(path, lambda part: part.write_text(page, encoding="utf-8"))
    return path


def _put(folder: Path, name: str, content: bytes) -> None:
    whole(folder / "report" / name, lambda path: path.write_bytes(content))


def _chosen(folder: Path, findings: Findings, seed: int) -> list[dict[str, Any]]:
    """The rows that are shown, by class: at most so many, and those of the findings among them."""
    names = read_rows(folder, ["photo"])["photo"].to_pylist()
    shown = set(names)
    if len(names) > MOST:
        shown = {photo for finding in findings.findings for photo in finding.photos}
        others = np.random.default_rng(seed).permutation(len(names))[: max(0, MOST - len(shown))]
        shown |= {names[i] for i in others}
    rows: list[dict[str, Any]] = []
    for one in findings.classes:
        columns = columns_of(read_rows(folder, COLUMNS_SHOWN, one["index"]))
        for i in [i for i, photo in enumerate(columns["photo"]) if photo in shown]:
            row = {name: columns[name][i] for name in COLUMNS_SHOWN}
            rows.append({**row, "map": _levels(row["map"]), "label_map": _levels(row["label_map"])})
    found = {row["photo"] for row in rows}
    failed = read_rows(folder, ["photo", "error"]).to_pylist()  # those without a label belong to no class
    wanted, nothing = shown - found, dict.fromkeys(COLUMNS_SHOWN)
    return rows + [{**nothing, **row} for row in failed if row["error"] and row["photo"] in wanted]


def _levels(raw: np.ndarray | None) -> bytes | None:
    """The heat of a map as bytes, 255 at its peak."""
    if raw is None:
        return None
    heat = np.maximum(raw, 0)
    return np.rint(255 * heat / (heat.max(initial=0) or 1)).astype(np.uint8).tobytes()


def _maps(folder: Path, rows: Sequence[dict[str, Any]]) -> None:
    """The maps, by parts: of what is predicted, and of the labels of those that are wrong, one after another."""
    for number, start in enumerate(range(0, len(rows), PART)):
        predicted, labelled = b"", b""
        for row in rows[start : start + PART]:
            cells = (row["map_height"] or 0) * (row["map_width"] or 0)
            predicted += row["map"] or bytes(cells)
            is_wrong = None not in (row["label_index"], row["predicted_index"])
            if is_wrong and row["label_index"] != row["predicted_index"]:
                labelled += row["label_map"] or bytes(cells)
        texts = (base64.b64encode(part).decode() for part in (predicted, labelled))
        _put(folder, f"maps-{number:03}.js", f"takeMaps({number}, {', '.join(map(json.dumps, texts))});\n".encode())


def _photos(
    folder: Path, names: Sequence[str], read: Callable[[str], np.ndarray], progress: Progress | None
) -> list[tuple[int, int]]:
    """Write sheets of small photos, and give the (width, height) of each; (0, 0) of one that cannot be read."""

    def small(photo: str) -> np.ndarray | None:
        try:
            pixels = read(photo)
        except PhotoError:
            return None
        scale = TILE / max(pixels.shape[:2])
        size = [max(1, round(side * scale)) for side in pixels.shape[1::-1]]
        return cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)

    sizes: list[tuple[int, int]] = []
    with ThreadPoolExecutor(READERS) as readers:
        for number, start in enumerate(range(0, len(names), ACROSS**2)):
            sheet = np.full((ACROSS * TILE, ACROSS * TILE, 3), 128, np.uint8)
            for place, pixels in enumerate(readers.map(small, names[start : start + ACROSS**2])):
                if pixels is None:
                    sizes.append((0, 0))
                    continue
                top, left = (TILE * at for at in divmod(place, ACROSS))
                sheet[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
                sizes.append((pixels.shape[1], pixels.shape[0]))
            _, content = cv2.imencode(".jpg", sheet[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, 82])
            _put(folder, f"photos-{number:03}.jpg", content.tobytes())
            if progress:
                progress(len(sizes), len(names))
    return sizes


def _content(
    folder: Path, about: About, findings: Findings, rows: Sequence[dict[str, Any]], sizes: Sequence[tuple[int, int]]
) -> dict[str, Any]:
    """What data.js holds; photos are meant by their place."""
    place = {row["photo"]: i for i, row in enumerate(rows)}

    def places(photos: Sequence[str]) -> list[int]:
        return [place[photo] for photo in photos if photo in place]

    told = asdict(findings)
    for finding in told["findings"]:
        finding["photos"] = places(finding["photos"])
    for one in told["classes"]:
        for group in one["groups"]:
            group["count"], group["photos"] = len(group["photos"]), places(group["photos"])
    rounded = {"probability": 4, "label_probability": 4, "peak": 5, "label_peak": 5}
    columns: dict[str, list[Any]] = {
        name: [None if row[name] is None else round(row[name], digits) for row in rows]
        for name, digits in rounded.items()
    }
    for name in ("photo", "label_index", "predicted_index", "map_height", "map_width", "width", "height", "error"):
        columns[name] = [row[name] for row in rows]
    return {
        **told,
        "shown": len(rows),
        "network": about.network,
        "measures": about.measures,
        "names": list(about.classes),
        "settings": {name: _plain(value) for name, value in about.settings.items()},
        "layer": about.layers[-1]["name"] if about.layers else None,
        "root": _address(folder, about.root),
        "rows": columns,
        "sizes": [list(size) for size in sizes],
        "tile": TILE,
        "across": ACROSS,
        "part": PART,
        "colors": {name: base64.b64encode(lookup_table(name).tobytes()).decode() for name in COLORMAPS},
    }


def _plain(value: Any) -> Any:  # noqa: ANN401
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _address(folder: Path, root: str) -> str | None:
    """The way from the report to the photos, as the start of an address; None where they lie elsewhere."""
    if "://" in root:
        return None
    try:
        way = os.path.relpath(root, folder.resolve())
    except ValueError:  # another drive
        return None
    return quote(way.replace(os.sep, "/")) + "/"
