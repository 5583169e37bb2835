"""What `explain` gives: the maps of one photo and one class, and how they are fused and saved."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..errors import SettingError
from ..photos.channels import picture_of
from ..pictures import saving
from ..pictures.coco import Regions
from ..pictures.regions import Box, boxes_of, mask_of
from ..pictures.render import resize_heat
from ..settings import FUSIONS

if TYPE_CHECKING:
    from ..capture.layers import Layer
    from ..networks.measures import Prediction


@dataclass(frozen=True, eq=False)
class HeatMap:
    """Where one layer found evidence for the target.

    Attributes:
        layer: the layer.
        raw: float32 (h, w), the method's result: signed, comparable between the maps of one explanation.
        photo_size: (height, width) of the photo in pixels; None where it is not known.
    """

    layer: "Layer"
    raw: np.ndarray
    photo_size: tuple[int, int] | None = None

    @property
    def peak(self) -> float:
        """The strongest evidence, at least 0, in units of the score times the activation."""
        return max(float(self.raw.max()), 0.0)

    @property
    def is_empty(self) -> bool:
        """Whether there is no positive evidence anywhere; the heat map is then all zeros."""
        return self.peak == 0.0

    @cached_property
    def heat(self) -> np.ndarray:
        """float32 (h, w) in [0, 1]: the positive evidence divided by its peak. 0 means no evidence.

        Source: Selvaraju et al., ICCV 2017, equation 2 (the ReLU), scaled by the maximum for display.
        """
        return self.scaled()

    def scaled(self, highest: float | None = None) -> np.ndarray:
        """float32 (h, w) in [0, 1]: the positive evidence divided by ``highest``.

        Args:
            highest: what is shown as 1: the highest peak of the maps that are to be compared; None is the own peak.
        """
        positive, highest = np.maximum(self.raw, 0.0), self.peak if highest is None else highest
        return np.minimum(positive / np.float32(highest), np.float32(1.0)) if highest else np.zeros_like(positive)

    def mask(self, threshold: float, size: tuple[int, int] | None = None) -> np.ndarray:
        """Where the heat is at least ``threshold``: bool (height, width).

        The map is enlarged before it is cut, so the edge runs between cells; `resize_heat` says how.

        Args:
            threshold: the share of the map's own peak, above 0 and up to 1.
            size: (height, width) of the mask; None is the photo's.

        Raises:
            SettingError: the threshold or the size is not possible, or the photo's size is not known.
        """
        return mask_of(self.heat, threshold, self._size(size))

    def boxes(self, threshold: float, size: tuple[int, int] | None = None) -> tuple[Box, ...]:
        """The boxes around the regions of `mask`, the largest region first; none where the map is empty.

        Pixels that touch, be it at a corner, are one region. There may be none at a threshold near 1 either, for no
        pixel need lie at the very centre of the hottest cell, and beside it the enlarged map is less hot.

        Args and errors: as `mask`.
        """
        return boxes_of(self.heat, threshold, self._size(size))

    def _size(self, size: tuple[int, int] | None) -> tuple[int, int]:
        size = self.photo_size if size is None else size
        if size is None:
            raise SettingError("This heat map does not know its photo. Give size=(height, width) of it, in pixels.")
        return size

    def about(self) -> dict[str, object]:
        """What a manifest says of it, in values that JSON has."""
        return {
            "layer": self.layer.name,
            "kind": self.layer.kind,
            "shape": self.layer.shape,
            "stage": self.layer.stage,
            "peak": self.peak,
            "is_empty": self.is_empty,
        }


@dataclass(frozen=True, eq=False)
class Explanation:
    """What a network saw in a photo, and where.

    Attributes:
        network: the network's name.
        photo: uint8 (H, W, 3), upright RGB; float32 (H, W, c) for a network of c channels, neither 1 nor 3.
        predictions: the most probable classes, most probable first; or values, in their order.
        target: the class that is explained, with its probability, or the output with its value.
        maps: `HeatMap` by layer name, in network order (shallow to deep).
        score: "logit" or "probability".
        method: the method's name, one of ``METHODS``.
        versions: of the packages that made it.
        instead_of: the class that the target is held against, or None.
        weight: of its score, which is taken away from the target's.
        against: whether the maps show what speaks against the target.
        smoothing: "none", "flips", "shifts" or "noise".
        region: the share of the photo whose pixels are explained, where one was given to a network that gives a class
            for each; else None.
        shown: the channels that stand for red, green and blue where the photo is not RGB.
    """

    network: str
    photo: np.ndarray
    predictions: "tuple[Prediction, ...]"
    target: "Prediction"
    maps: Mapping[str, HeatMap]
    score: str
    method: str
    versions: Mapping[str, str]
    instead_of: "Prediction | None" = None
    weight: float = 1.0
    against: bool = False
    smoothing: str = "none"
    region: float | None = None
    shown: tuple[int, int, int] = (0, 1, 2)

    @property
    def picture(self) -> np.ndarray:
        """The photo to look at, uint8 (H, W, 3): itself, or the channels that are ``shown`` of one with others."""
        return picture_of(self.photo, self.shown)

    def fused(self, how: str = "maximum") -> np.ndarray:
        """One map of all layers, each first brought to the size of the largest map (bilinear).

        Args:
            how: "maximum" of the heats, cell by cell (Jiang et al., "LayerCAM", 2021, section III); or "product" of
                them, divided by its peak, which keeps what all layers agree on: one empty map makes it zero.

        Returns:
            float32 (h, w) in [0, 1].

        Raises:
            SettingError: there is no such fusion.
        """
        height, width = map(max, zip(*(m.raw.shape for m in self.maps.values()), strict=True))
        heats = np.stack([resize_heat(m.heat, width, height) for m in self.maps.values()])
        if how == "maximum":
            return heats.max(0)
        if how == "product":
            product = heats.prod(0)
            return product / (product.max() or np.float32(1))
        raise SettingError(f"Maps are fused by {' or '.join(map(repr, FUSIONS))}, not {how!r}.")

    def save(
        self,
        folder: str | os.PathLike,
        *,
        opacity: float = 0.4,
        colormap: str = "jet",
        mode: str = "alpha",
        highest: float | None = None,
        fusion: str | None = None,
        colorbar: bool = False,
        boxes: float | None = None,
        photo_name: str = "photo.jpg",
    ) -> Path:
        """Write everything into ``folder``; the manifest comes last, so where it stands all is complete.

        ``<layer>_overlay.jpg`` and ``<layer>_heat.png`` (8-bit grey) have the photo's own size,
        ``contact_sheet.jpg`` shows all layers side by side over a colour bar, ``maps.npz`` holds the raw maps by layer
        name, ``manifest.json`` the predictions, settings and versions. ``highest`` is the evidence that is painted as
        the hottest, in all pictures; None paints each map up to its own peak. With a ``fusion``, the one map that
        `fused` makes of all layers is written as well: ``fused_maximum.jpg`` or ``fused_product.jpg``.

        With ``colorbar``, a bar under each overlay says in numbers what its colours stand for: shares of the peak, or
        evidence where ``highest`` is given. The overlay is then higher than the photo.

        With ``boxes``, a threshold as `HeatMap.boxes` takes it, ``boxes.json`` has the regions of all layers as COCO
        JSON, in which the photo is called ``photo_name``, and ``<layer>_boxes.jpg`` draws them on the photo.

        Returns:
            The path of the manifest.

        Raises:
            GradcamError: the folder cannot be written.
            SettingError: the opacity, the colour map, the mode, the fusion or the threshold is not possible.
        """
        about = {
            "network": self.network,
            "target": vars(self.target),
            "predictions": [vars(prediction) for prediction in self.predictions],
            "method": self.method,
            "score": self.score,
            "instead_of": self.instead_of and vars(self.instead_of),
            "weight": self.weight,
            "against": self.against,
            "smoothing": self.smoothing,
            "region": self.region,
            "display": {"highest": None if highest is None else float(highest)},
            "maps": [heat_map.about() for heat_map in self.maps.values()],
            "versions": dict(self.versions),
        }
        return saving.save(
            Path(folder),
            self.picture,
            {name: heat_map.scaled(highest) for name, heat_map in self.maps.items()},
            {name: heat_map.raw for name, heat_map in self.maps.items()},
            about,
            style={"opacity": opacity, "colormap": colormap, "mode": mode},
            has_colorbar=colorbar,
            fused=None if fusion is None else (fusion, self.fused(fusion)),
            regions=None if boxes is None else self._regions(boxes, photo_name),
        )

    def _regions(self, threshold: float, photo_name: str) -> Regions:
        heats = {name: heat_map.heat for name, heat_map in self.maps.items()}
        return Regions(heats, threshold, (self.target.index, self.target.name), photo_name)
