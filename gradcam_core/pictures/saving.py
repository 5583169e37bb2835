"""A folder of pictures, raw maps and a manifest: what is kept of an explanation."""

import json
import re
import zipfile
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import cv2
import numpy as np

from ..errors import WriteError
from .coco import Regions, annotations_of
from .colorbar import with_colorbar
from .regions import boxes_of, check_threshold, mask_of, outlined
from .render import overlay, resize_heat
from .sheet import contact_sheet

_LONGEST = 60  # bytes of a name: a file's may have 255, and be made of a few


def save(
    folder: Path,
    photo: np.ndarray,
    heats: Mapping[str, np.ndarray],
    raw: Mapping[str, np.ndarray],
    about: dict[str, Any],
    *,
    style: dict[str, Any],
    has_colorbar: bool = False,
    fused: tuple[str, np.ndarray] | None = None,
    regions: Regions | None = None,
) -> Path:
    """Write everything; the manifest comes last and in one step, so where it stands all is complete.

    Args:
        folder: made where it is missing.
        photo: uint8 (H, W, 3), RGB.
        heats: by layer name, (h, w) in [0, 1]: what is painted.
        raw: by layer name, float32 (h, w): what ``maps.npz`` holds.
        about: what the manifest says besides; ``about["maps"]`` has an entry of each layer, in the order of ``heats``.
        style: opacity, colormap and mode, as for `overlay`.
        has_colorbar: whether the overlays have a colour bar under them. The contact sheet always has one.
        fused: the name of a fusion and its map, (h, w) in [0, 1], for one more picture.
        regions: what ``boxes.json``, and one more picture of each layer, have the boxes of.

    Returns:
        The path of the manifest.

    Raises:
        WriteError: the folder cannot be written.
        SettingError: the style or the threshold is not possible.
    """
    manifest, part = folder / "manifest.json", folder / "manifest.part"
    height, width = photo.shape[:2]
    # A setting that is wrong ends it here, before what an older explanation left in the folder is touched.
    if regions is not None:
        check_threshold(regions.threshold)
    highest = about["display"]["highest"]
    sheet = contact_sheet(photo, heats, **style, highest=highest)

    def painted(heat: np.ndarray, highest: float | None) -> np.ndarray:
        picture = overlay(photo, heat, **style)
        return with_colorbar(picture, style["colormap"], highest) if has_colorbar else picture

    pictures = {} if fused is None else {f"fused_{fused[0]}.jpg": painted(fused[1], None)}
    content = {
        **about,
        "photo": {"height": height, "width": width},
        "display": {**style, **about["display"]},
        "maps": [],
        "raw": "maps.npz",
        "contact_sheet": "contact_sheet.jpg",
        "fused": next(iter(pictures), None),
        "boxes": regions and "boxes.json",
    }
    pictures["contact_sheet.jpg"] = sheet
    try:
        folder.mkdir(parents=True, exist_ok=True)
        manifest.unlink(missing_ok=True)
        for (name, stem), entry in zip(_file_stems(heats).items(), about["maps"], strict=True):
            files = {"overlay": f"{stem}_overlay.jpg", "heat": f"{stem}_heat.png"}
            _write(folder / files["overlay"], painted(heats[name], highest))
            _write(folder / files["heat"], np.rint(resize_heat(heats[name], width, height) * 255).astype(np.uint8))
            if regions is not None:
                files["boxes"] = f"{stem}_boxes.jpg"
                of = regions.heats[name], regions.threshold, (height, width)
                _write(folder / files["boxes"], outlined(photo, mask_of(*of), boxes_of(*of)))
            content["maps"].append(entry | files)
        for name, picture in pictures.items():
            _write(folder / name, picture)
        if regions is not None:
            (folder / "boxes.json").write_text(json.dumps(annotations_of(regions, (height, width))) + "\n")
        with (folder / "maps.npz").open("wb") as file:
            write_maps(file, raw)
        part.write_text(json.dumps(content, indent=2) + "\n")
        part.replace(manifest)
    except OSError as error:
        with suppress(OSError):
            part.unlink()
        raise WriteError(f"The folder {str(folder)!r} cannot be written: {error.strerror or error}.") from error
    return manifest


def write_maps(file: BinaryIO, maps: Mapping[str, np.ndarray]) -> None:
    """Raw maps as an .npz. `numpy.savez_compressed` takes them by keyword: a layer may not be called "file" there."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in maps.items():
            # always the same date, so that equal maps are equal files
            entry = zipfile.ZipInfo(f"{name}.npy")
            entry.compress_type = zipfile.ZIP_DEFLATED
            with archive.open(entry, "w") as content:
                np.lib.format.write_array(content, raw, allow_pickle=False)


def _file_stems(names: Iterable[str]) -> dict[str, str]:
    """A file name for each layer name; names that differ only in unsafe characters stay apart."""
    stems: dict[str, str] = {}
    for name in names:
        stem, number = file_name(name), 1
        taken = {other.casefold() for other in stems.values()}
        while stem.casefold() in taken:
            number += 1
            stem = f"{file_name(name)}-{number}"
        stems[name] = stem
    return stems


def file_name(text: str, also: str = "") -> str:
    """A text as (part of) a file's name, which leads into no other folder and fits on every disk.

    Args:
        text: the name of a photo, layer, class or network.
        also: characters that stay, besides letters, digits, "_", "-" and, but at the ends, ".".

    >>> file_name("vgg16/block5_conv3"), file_name("..")
    ('vgg16_block5_conv3', '_')
    """
    name = re.sub(rf"[^\w.{re.escape(also)}-]+", "_", text).strip(". ")
    return name.encode()[:_LONGEST].decode(errors="ignore") or "_"


def _write(path: Path, image: np.ndarray) -> None:
    path.write_bytes(cv2.imencode(path.suffix, image if image.ndim == 2 else image[..., ::-1])[1].tobytes())
