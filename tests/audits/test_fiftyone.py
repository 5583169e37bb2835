"""The export for FiftyOne against the fields that its labels have (fiftyone.core.labels, version 1.22)."""

import json

import cv2
import numpy as np
import pandas as pd
import pytest
from audited import CLASSES, by_photo, flower_model, save_photo

import gradcam_core as gc
from gradcam_core.networks.classifier import Classifier

# Of each label, what it may hold and of which type; there are more that may be left out.
LABELS = {
    "Classification": {"label": str, "confidence": float},
    "Heatmap": {"map_path": str, "range": list},
    "Detections": {"detections": list},
    "Detection": {"label": str, "bounding_box": list},
}


def checked(label: dict) -> dict:
    fields = LABELS[label["_cls"]]
    for name, value in label.items():
        assert name == "_cls" or isinstance(value, fields[name]), name
    for inner in label.get("detections", ()):
        checked(inner)
        x, y, width, height = inner["bounding_box"]
        assert 0 <= x < x + width <= 1 + 1e-6
        assert 0 <= y < y + height <= 1 + 1e-6
    return label


def test_samples_are_labels_of_fiftyone(tmp_path):
    for i in range(4):
        save_photo(tmp_path / f"{i}.png", 40 + i, (40, 20))
    table = pd.DataFrame({"path": [f"{i}.png" for i in range(4)] + ["gone.png"], "label": ["tulip", *"0120"]})
    table["boxes"] = ["[[8, 5, 20, 15]]"] + [None] * 4
    table.to_csv(tmp_path / "t.csv")
    network = Classifier("flowers", flower_model(), CLASSES)
    found = gc.audit(network, tmp_path / "t.csv", tmp_path / "audit")
    path = found.export_fiftyone(tmp_path / "out")
    samples = json.loads(path.read_text())["samples"]
    rows = by_photo(found)
    assert len(samples) == 5
    for sample in samples:
        row = rows[sample["filepath"].rpartition("/")[2]]
        assert checked(sample["ground_truth"])["label"] == row["label"]
        if row["error"]:
            assert (sample["tags"], sample["error"]) == (["error"], row["error"])
            continue
        assert checked(sample["prediction"])["confidence"] == row["probability"]
        assert sample["spread"] == row["spread"]
        assert ("label_heatmap" in sample) == (row["label"] != row["predicted"])
        for which, prefix in (("heatmap", ""), ("label_heatmap", "label_")):
            if which in sample:
                picture = cv2.imread(str(path.parent / checked(sample[which])["map_path"]), cv2.IMREAD_UNCHANGED)
                raw = np.reshape(row[f"{prefix}map"], (row["map_height"], row["map_width"]))
                np.testing.assert_allclose(picture, 255 * np.maximum(raw, 0) / (raw.max() or 1), atol=0.51)
    (with_boxes,) = (sample for sample in samples if "boxes" in sample)
    (box,) = checked(with_boxes["boxes"])["detections"]
    assert box["bounding_box"] == pytest.approx([0.2, 0.25, 0.3, 0.5])
