"""How an explanation is written into a folder: pictures, raw maps and a manifest."""

import json
import re
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from ..errors import GradcamError
from .render import contact_sheet, overlay, resize_heat

if TYPE_CHECKING:
    from ..maps.explanation import Explanation, HeatMap


def save(
    explanation: "Explanation",
    folder: Path,
    *,
    opacity: float,
    colormap: str,
    mode: str,
    highest: float | None,
    fusion: str | None,
) -> Path:
    """`Explanation.save`, which says what is written and what can fail."""
    style = {"opacity": opacity, "colormap": colormap, "mode": mode}
    heats = {name: heat_map.scaled(highest) for name, heat_map in explanation.maps.items()}
    manifest = folder / "manifest.json"
    height, width = explanation.photo.shape[:2]
    # A setting that is wrong ends it here, before what an older explanation left in the folder is touched.
    sheet = contact_sheet(explanation.photo, heats, **style)
    fused = None if fusion is None else overlay(explanation.photo, explanation.fused(fusion), **style)
    entries = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest.unlink(missing_ok=True)
        for name, stem in _file_stems(explanation.maps).items():
            heat = heats[name]
            _write(folder / f"{stem}_overlay.jpg", overlay(explanation.photo, heat, **style))
            grey = np.rint(resize_heat(heat, width, height) * 255).astype(np.uint8)
            _write(folder / f"{stem}_heat.png", grey)
            entries.append(_entry(explanation.maps[name], stem))
        if fused is not None:
            _write(folder / f"fused_{fusion}.jpg", fused)
        _write(folder / "contact_sheet.jpg", sheet)
        with (folder / "maps.npz").open("wb") as file:
            np.savez_compressed(file, **{name: m.raw for name, m in explanation.maps.items()})
        content = {
            "network": explanation.network,
            "target": vars(explanation.target),
            "predictions": [vars(prediction) for prediction in explanation.predictions],
            "method": explanation.method,
            "score": explanation.score,
            "instead_of": explanation.instead_of and vars(explanation.instead_of),
            "weight": explanation.weight,
            "against": explanation.against,
            "smoothing": explanation.smoothing,
            "photo": {"height": height, "width": width},
            "display": {**style, "highest": None if highest is None else float(highest)},
            "maps": entries,
            "raw": "maps.npz",
            "contact_sheet": "contact_sheet.jpg",
            "fused": fusion and f"fused_{fusion}.jpg",
            "versions": dict(explanation.versions),
        }
        part = manifest.with_suffix(".part")
        part.write_text(json.dumps(content, indent=2) + "\n")
        part.replace(manifest)
    except OSError as error:
        raise GradcamError(f"The folder {str(folder)!r} cannot be written: {error.strerror or error}.") from error
    return manifest


def _entry(heat_map: "HeatMap", stem: str) -> dict:
    return {
        "layer": heat_map.layer.name,
        "kind": heat_map.layer.kind,
        "shape": heat_map.layer.shape,
        "stage": heat_map.layer.stage,
        "peak": heat_map.peak,
        "is_empty": heat_map.is_empty,
        "overlay": f"{stem}_overlay.jpg",
        "heat": f"{stem}_heat.png",
    }


def _file_stems(names: Iterable[str]) -> dict[str, str]:
    """A file name for each layer name; names that differ only in unsafe characters stay apart."""
    stems: dict[str, str] = {}
    for name in names:
        stem = re.sub(r"[^\w.-]+", "_", name)
        while stem.casefold() in (taken.casefold() for taken in stems.values()):
            stem += "_"
        stems[name] = stem
    return stems


def _write(path: Path, image: np.ndarray) -> None:
    settings = [cv2.IMWRITE_JPEG_QUALITY, 95] if path.suffix == ".jpg" else [cv2.IMWRITE_PNG_COMPRESSION, 3]
    encoded = cv2.imencode(path.suffix, image if image.ndim == 2 else image[..., ::-1], settings)[1]
    path.write_bytes(encoded.tobytes())
