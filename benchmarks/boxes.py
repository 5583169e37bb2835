"""How much of the heat lies in the boxes, by kind of thing? An audit from end to end, on photos with boxes.

    python -m benchmarks.boxes FOLDER                # the default network
    python -m benchmarks.boxes FOLDER MobileNetV2

FOLDER is that of benchmarks/localisation.py. Each photo counts once, for the largest thing in it that counts there, and
is audited for the class that the network finds most probable among those that stand for it. Even heat would have the
share that the boxes cover.
"""

import argparse
import json
import os
import tempfile
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pandas as pd

import gradcam_core as gc
from benchmarks.localisation import LARGEST_AREA

FEWEST = 3  # photos of a kind, for a line of its own


def listed(folder: Path, network: gc.Classifier) -> pd.DataFrame:
    """A row for each photo that counts: path, label, boxes, and what kind of thing it is."""
    rows = []
    for entry in json.loads((folder / "boxes.json").read_text(encoding="utf-8")):
        path = folder / "photos" / entry["photo"]
        guessed = [guess.index for guess in network.predict(path, 5)]
        things = [
            (thing["area"], thing, named[0])
            for thing in entry["objects"]
            if (named := [index for index in guessed if index in thing["imagenet"]]) and thing["area"] < LARGEST_AREA
        ]
        if things:
            area, thing, index = max(things, key=lambda one: one[0])
            rows.append(
                {"path": str(path), "label": index, "boxes": thing["boxes"], "kind": thing["class"], "area": area}
            )
    return pd.DataFrame(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("network", nargs="?", default=next(iter(gc.NETWORKS)))
    options = parser.parse_args()
    network = gc.load(options.network)
    table = listed(options.folder, network)
    with tempfile.TemporaryDirectory() as folder:
        table[["path", "label", "boxes"]].to_parquet(Path(folder) / "photos.parquet")
        found = gc.audit(network, Path(folder) / "photos.parquet", Path(folder) / "audit")
        rows = found.rows(["photo", "inside", "label_inside", "label_index", "predicted_index"]).to_pandas()
    rows["share"] = np.where(rows.label_index == rows.predicted_index, rows.inside, rows.label_inside)
    share_of = {Path(photo).name: share for photo, share in zip(rows.photo, rows.share, strict=True)}
    kinds = defaultdict(list)
    for _, row in table.iterrows():
        share = share_of[Path(row.path).name]
        for kind in (row.kind, "all"):
            kinds[kind].append((0.0 if share is None else share, row.area))
    print(f"{network.name}, {len(table)} photos\n")
    print("| | photos | heat in the boxes | even heat |\n| --- | ---: | ---: | ---: |")
    means = {kind: (len(of), *np.nanmean(of, axis=0)) for kind, of in kinds.items() if len(of) >= FEWEST}
    for kind, (count, inside, area) in sorted(means.items(), key=lambda one: (one[0] == "all", -one[1][1])):
        print(f"| {kind} | {count} | {inside:.0%} | {area:.0%} |")
    print(f"\n{found.findings.text()}")


if __name__ == "__main__":
    main()
