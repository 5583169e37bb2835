"""An audit for FiftyOne: photos with what was predicted, what is true, and maps, as its importer reads them."""

import json
import os
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from ..errors import WriteError
from .rows import path_of, read_about, read_rows

NUMBERS = ("peak", "spread", "border", "inside", "brightness", "contrast", "saturation", "sharpness")


def export_fiftyone(folder: str | os.PathLike[str], out: str | os.PathLike[str]) -> Path:
    """Write the rows of an audit as a dataset that FiftyOne opens; it is not needed for that.

    ``fiftyone.Dataset.from_dir("out", fiftyone.types.FiftyOneDataset)`` opens it: a sample a photo, with the fields
    ``prediction`` and ``ground_truth`` (Classification), ``heatmap`` and ``label_heatmap`` (Heatmap), ``boxes``
    (Detections), and the numbers of the map and the photo.

    Args:
        folder: of the audit.
        out: a folder, made where it is missing. Maps are grey pictures in it, a pixel for each cell: 255 is the peak.

    Returns:
        The path of ``samples.json``.

    Raises:
        SettingError: there are no rows.
        WriteError: the folder cannot be written.

    Source: the labels of FiftyOne 1.22 (fiftyone.core.labels), and samples.json as its `FiftyOneDatasetImporter` reads
    it where metadata.json gives no version.
    """
    about, out = read_about(folder), Path(out)
    samples = []
    try:
        for which in ("heatmap", "label_heatmap"):
            (out / "fields" / which).mkdir(parents=True, exist_ok=True)
        table = read_rows(folder)
        for number, row in enumerate(row for batch in table.to_batches(1024) for row in batch.to_pylist()):
            samples.append(_sample(row, about.root))
            for which, prefix in (("heatmap", ""), ("label_heatmap", "label_")):
                if row[f"{prefix}map"] is not None:
                    raw = np.array(row[f"{prefix}map"], np.float32).reshape(row["map_height"], row["map_width"])
                    name = f"fields/{which}/{number:08}.png"
                    heat = np.maximum(raw, 0) / (max(float(raw.max()), 0) or 1)
                    (out / name).write_bytes(cv2.imencode(".png", np.rint(255 * heat).astype(np.uint8))[1].tobytes())
                    samples[-1][which] = {"_cls": "Heatmap", "map_path": name, "range": [0, 255]}
        path = out / "samples.json"
        path.write_text(json.dumps({"samples": samples}, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise WriteError(f"The folder {str(out)!r} cannot be written: {error.strerror or error}.") from error
    return path


def _sample(row: dict[str, Any], root: str) -> dict[str, Any]:
    sample: dict[str, Any] = {"filepath": path_of(root, row["photo"]), "tags": ["error"] if row["error"] else []}
    if row["label"] is not None:
        sample["ground_truth"] = {"_cls": "Classification", "label": row["label"]}
    if row["predicted"] is not None:
        sample["prediction"] = {"_cls": "Classification", "label": row["predicted"], "confidence": row["probability"]}
    if row["boxes"]:
        corners = [(x0, y0, x1 - x0, y1 - y0) for x0, y0, x1, y1 in row["boxes"]]
        found = [{"_cls": "Detection", "label": row["label"] or "", "bounding_box": list(box)} for box in corners]
        sample["boxes"] = {"_cls": "Detections", "detections": found}
    sample |= {name: row[name] for name in NUMBERS if row[name] is not None}
    return sample | ({"error": row["error"]} if row["error"] else {})
