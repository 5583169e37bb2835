"""Regions of heat maps as COCO JSON, which most tools for boxes and masks read."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .regions import labelled, run_lengths


@dataclass(frozen=True)
class Regions:
    """What is to be cut out of an explanation's maps.

    Attributes:
        heats: by layer name, (h, w) in [0, 1].
        threshold: in (0, 1].
        category: the class's index and name.
        file_name: of the photo.
    """

    heats: Mapping[str, np.ndarray]
    threshold: float
    category: tuple[int, str]
    file_name: str


def annotations_of(regions: Regions, size: tuple[int, int]) -> dict[str, Any]:
    """COCO's JSON of all layers: an annotation for each region, the largest of a layer first.

    Besides what COCO knows, an annotation has the ``layer``, the region's ``share`` of the photo and its ``peak``.
    The mask is COCO's uncompressed run lengths: exact, with its holes.

    Args:
        regions: what is cut out.
        size: (height, width) of the photo, in pixels.

    Source: "COCO data format", cocodataset.org/#format-data, "object detection".
    """
    index, name = regions.category
    height, width = size
    annotations: list[dict[str, Any]] = []
    for layer, heat in regions.heats.items():
        labels, found = labelled(heat, regions.threshold, size)
        for number, box in found:
            annotations.append(
                {
                    "id": len(annotations) + 1,  # pycocotools takes 0 for none
                    "image_id": 1,
                    "category_id": index,
                    "bbox": [box.x0, box.y0, box.x1 - box.x0, box.y1 - box.y0],
                    "area": round(box.share * labels.size),
                    "segmentation": {"size": [height, width], "counts": run_lengths(labels, number, box)},
                    "iscrowd": 0,
                    "layer": layer,
                    "share": box.share,
                    "peak": box.peak,
                }
            )
    return {
        "info": {"description": f"Regions of heat maps from {regions.threshold:g} of their peak up"},
        "images": [{"id": 1, "file_name": regions.file_name, "width": width, "height": height}],
        "categories": [{"id": index, "name": name}],
        "annotations": annotations,
    }
