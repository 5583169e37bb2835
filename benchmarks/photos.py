"""What decoding in a process of its own costs an ordinary photo, side by side with decoding in this one.

python -m benchmarks.photos
"""

import io
import statistics
import time

import numpy as np
from PIL import Image

from gradcam_core import read_image
from gradcam_core.photos.decoding import decode

ROUNDS = 15
SIZES = ((64, 64), (1200, 1600), (3000, 4000))  # height, width: a thumbnail, a picture of the web, a phone's photo


def photo(height: int, width: int) -> np.ndarray:
    """uint8 (height, width, 3): clouds with grain, so that the file has a photo's size."""
    random = np.random.default_rng(0)
    clouds = Image.fromarray(random.integers(0, 256, (height // 16, width // 16, 3), np.uint8))
    clouds = np.asarray(clouds.resize((width, height), Image.Resampling.BICUBIC), np.int16)
    return np.clip(clouds + random.integers(-2, 3, clouds.shape), 0, 255).astype(np.uint8)


def main() -> None:
    start = time.perf_counter()
    read_image(_file(photo(16, 16), "PNG"))
    print(f"The first photo, which starts the worker: {1e3 * (time.perf_counter() - start):.0f} ms")
    print("| photo | file | in this process | in a worker | more |\n| --- | ---: | ---: | ---: | ---: |")
    for height, width in SIZES:
        for kind in ("JPEG", "PNG"):
            content = _file(photo(height, width), kind)
            here, there = [], []
            for _ in range(ROUNDS):  # in turn, so that whatever else the machine does meets both
                for read, seconds in ((lambda of: decode(of, "photo"), here), (read_image, there)):
                    start = time.perf_counter()
                    read(content)
                    seconds.append(time.perf_counter() - start)
            more = statistics.median(b - a for a, b in zip(here, there, strict=True))
            print(
                f"| {width} x {height} {kind} | {len(content) / 1e6:.1f} MB | {1e3 * statistics.median(here):.1f} ms "
                f"| {1e3 * statistics.median(there):.1f} ms | {1e3 * more:+.1f} ms |",
                flush=True,
            )


def _file(pixels: np.ndarray, kind: str) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, kind, **({"quality": 90} if kind == "JPEG" else {"compress_level": 6}))
    return file.getvalue()


if __name__ == "__main__":
    main()
