"""Make the pictures under "What the methods do", assets/methods/*.webp: ``python assets/method_pictures.py``.

One of Gradio's own example photos as each method explains it: the stage before the last one, and the last. Minutes.
"""

import sys
from pathlib import Path

import cv2
import numpy as np
from gradio.media import get_image

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "assets" / "methods"
SUBJECT = "cheetah1.jpg"
SIDE = 144  # of each of the two pictures, in pixels
QUALITY = 72
LIMIT = 200 * 1024  # of all of them

sys.path.insert(0, str(ROOT))

import gradcam_core as gc  # noqa: E402


def main() -> int:
    """Write a picture for each method; the exit code says whether they are small enough."""
    network = gc.load(next(iter(gc.NETWORKS)))
    photo = gc.read_image(get_image(SUBJECT))
    small = cv2.resize(photo, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    FOLDER.mkdir(exist_ok=True)
    total = 0
    for method in gc.METHODS:
        layers = "last" if method == "cam" else "stages"  # CAM knows no other
        maps = list(gc.explain(network, photo, None, layers, method=method).maps.values())[-2:]
        picture = np.hstack([gc.overlay(small, heat_map.heat, opacity=0.5, colormap="jet") for heat_map in maps])
        content = cv2.imencode(".webp", picture[..., ::-1], [cv2.IMWRITE_WEBP_QUALITY, QUALITY])[1].tobytes()
        (FOLDER / f"{method}.webp").write_bytes(content)
        total += len(content)
    print(f"{FOLDER.relative_to(ROOT)}: {total / 1024:.0f} KB")
    return int(total > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
