"""What a visitor takes away: one card at the photo's own size, or everything that is shown."""

import io
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2

import gradcam_core as gc
from gradcam_core.pictures.colorbar import with_colorbar
from gradcam_core.pictures.regions import boxes_of, mask_of, outlined
from gradcam_core.pictures.saving import file_name, write_maps

from .cache import keep, unwritable

FUSED = "/fused"  # in a layer's place: what no layer is called


@dataclass(frozen=True)
class Style:
    """How the maps are shown.

    Attributes:
        opacity, colormap, mode: as for `gradcam_core.overlay`.
        scale: "each" map up to its own peak, or "shared", all up to the highest.
        fusion: how all layers become one more map, "maximum" or "product"; or "none".
        threshold: share of each map's peak above which regions are outlined; 0 is no outline.
    """

    opacity: float = 0.4
    colormap: str = "jet"
    scale: str = "each"
    threshold: float = 0
    mode: str = "alpha"
    fusion: str = "none"

    @classmethod
    def of(cls, wish: Mapping[str, Any]) -> "Style":
        """What the browser says is set; `gradcam_core` checks what is not checked here."""
        style = cls(**{name: wish[name] for name in vars(cls()) if name in wish})
        if not isinstance(style.colormap, str) or style.scale not in ("each", "shared"):
            raise gc.SettingError('The colour map is given by its name, and the scale is "each" or "shared".')
        return style

    @property
    def fused(self) -> str | None:
        """The fusion, as `Explanation.save` takes it."""
        return None if self.fusion == "none" else self.fusion


def card(explanations: Sequence[gc.Explanation], target: object, layer: object, style: Style, cache: str) -> str:
    """The photo at its own size with one map over it, and a colour bar below -> path of a PNG.

    ``layer`` is FUSED for the map of all layers.
    """
    row = next((row for row in explanations if row.target.index == target), None)
    highest = _highest(explanations, style)
    if row is not None and layer == FUSED and style.fused:
        highest = None  # it has no peak of its own
        heat = own = row.fused(style.fused)
        layer = f"fused-{style.fusion}"
    elif row is None or not isinstance(layer, str) or layer not in row.maps:
        raise gc.LayerError("This map is no longer shown. Choose one that is.")
    else:
        heat, own = row.maps[layer].scaled(highest), row.maps[layer].heat
    picture = gc.overlay(row.photo, heat, style.opacity, style.colormap, style.mode)
    if style.threshold:
        region = own, style.threshold, row.photo.shape[:2]
        picture = outlined(picture, mask_of(*region), boxes_of(*region)[:1], shade=1)
    picture = with_colorbar(picture, style.colormap, highest)
    content = cv2.imencode(".png", picture[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 3])[1].tobytes()
    return keep(content, f"gradcam-{file_name(row.target.name)}-{file_name(layer)}.png", cache)


def everything(explanations: Sequence[gc.Explanation], style: Style, cache: str) -> str:
    """All that `Explanation.save` writes, a folder for each class -> path of a .zip."""
    content = io.BytesIO()
    with _temporary_folder() as folder, zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as file:
        for row in explanations:
            own = Path(folder) / f"{row.target.index:03}-{file_name(row.target.name)}"
            row.save(
                own,
                opacity=style.opacity,
                colormap=style.colormap,
                mode=style.mode,
                highest=_highest(explanations, style),
                fusion=style.fused,
                colorbar=True,
                boxes=style.threshold or None,
            )
            for path in sorted(own.iterdir()):
                # always the same date, so that equal files are stored once
                entry = zipfile.ZipInfo(str(path.relative_to(folder)))
                is_packed = path.suffix in (".jpg", ".png", ".npz")
                entry.compress_type = zipfile.ZIP_STORED if is_packed else zipfile.ZIP_DEFLATED
                file.writestr(entry, path.read_bytes())
    first = explanations[0]
    return keep(content.getvalue(), f"gradcam-{file_name(first.network)}-{file_name(first.target.name)}.zip", cache)


@contextmanager
def _temporary_folder() -> Iterator[str]:
    """A folder for as long as it is needed; where it lies, and why it cannot be written, is none of the visitor's."""
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield folder
    except (gc.WriteError, OSError) as error:
        raise unwritable(error) from error


def raw_maps(explanation: gc.Explanation) -> bytes:
    """The signed float32 maps by layer name, as the bytes of an .npz file."""
    file = io.BytesIO()
    write_maps(file, {name: heat_map.raw for name, heat_map in explanation.maps.items()})
    return file.getvalue()


def _highest(explanations: Sequence[gc.Explanation], style: Style) -> float | None:
    """The peak that all maps are shown up to, on a shared scale."""
    if style.scale == "each":
        return None
    return max(heat_map.peak for row in explanations for heat_map in row.maps.values())
