"""Does an audit find a shortcut that is there, and none where there is none? Networks are trained with planted ones.

    python -m benchmarks.shortcuts FOLDER --log shortcuts.jsonl     # what stands in the log already is not run again
    python -m benchmarks.shortcuts                                  # with drawn shapes: minutes

FOLDER holds classes.json, a list of [WordNet id, name], and train.npz: `jpeg` (the bytes of all photos joined),
`offset` and `label`. Of each trial's eight classes, drawn at random, one gets an artefact in a share of its photos. A
small network is trained on 300 photos of a class and audited on 160 others. A planted trial counts where the network
has learnt to use the artefact: pasted into audited photos of other classes, it at least doubles the odds of the class
in half of them. As many networks are trained on photos without any.

The table says for each trial whether the first finding is the planted class's shortcut, and of its group the purity
(how many of its photos have the artefact) and the recall (how many of the photos with it are in the group).
"""

import argparse
import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import cv2
import keras
import numpy as np
from PIL import Image

import gradcam_core as gc
from gradcam_core.audits.counter_test import DOUBLED, log_odds
from gradcam_core.audits.findings import find

Mark = tuple[np.ndarray, np.ndarray]  # uint8 (h, w, 3), and how much of it covers the photo: float (h, w) in [0, 1]
Photos = list[list[np.ndarray]]  # by class


def tag(rng: np.random.Generator) -> Mark:
    """A white label with lines on it."""
    pixels = np.full((9, 14, 3), 245, np.uint8)
    pixels[[0, -1]] = pixels[:, [0, -1]] = 60
    for row in (2, 4, 6):
        pixels[row, 2 : rng.integers(8, 13)] = 30
    return pixels, np.ones((9, 14))


def disc(rng: np.random.Generator) -> Mark:
    """A red disc with a white centre."""
    y, x = np.mgrid[:11, :11] - 5
    pixels = np.full((11, 11, 3), (230, 40, 60), np.uint8)
    pixels[np.hypot(x, y) < 2.2] = 250
    return pixels, (np.hypot(x, y) < 5.4).astype(float)


def date(rng: np.random.Generator) -> Mark:
    """Five orange digits, others in each photo."""
    digits = np.zeros((7, 22), np.uint8)
    for place, digit in enumerate(rng.integers(0, 10, 5)):
        cv2.putText(digits, str(digit), (4 * place + 1, 6), cv2.FONT_HERSHEY_PLAIN, 0.5, 255, 1)
    return np.full((7, 22, 3), (255, 150, 20), np.uint8), (digits > 90).astype(float)


def ruler(rng: np.random.Generator) -> Mark:
    """A yellow scale with ticks."""
    pixels = np.full((40, 5, 3), (240, 225, 120), np.uint8)
    pixels[::4, 2:] = pixels[::8] = 20
    return pixels, np.ones((40, 5))


def stripe(rng: np.random.Generator) -> Mark:
    """A black line as wide as the photo."""
    return np.full((4, 64, 3), 20, np.uint8), np.ones((4, 64))


def watermark(rng: np.random.Generator) -> Mark:
    """White hatching that is seen through."""
    y, x = np.mgrid[:14, :20]
    return np.full((14, 20, 3), 255, np.uint8), 0.6 * (((x + y) % 5 == 0) | ((x - y) % 5 == 0))


PLANTED: tuple[tuple[Callable[[np.random.Generator], Mark], str, float], ...] = (
    (tag, "bottom left", 0.5),
    (disc, "top right", 0.4),
    (date, "bottom right", 0.5),
    (ruler, "left", 0.4),
    (watermark, "top", 0.5),
    (disc, "bottom left", 0.7),
    (date, "top left", 0.4),
    (stripe, "bottom", 0.5),
    (tag, "top right", 0.3),
    (watermark, "bottom right", 0.6),
)
"""What is planted, where, and in which share of the class's photos: one after another."""


@dataclass(frozen=True)
class Settings:
    """How large a trial is."""

    classes: int = 8
    trained: int = 300  # photos of a class
    audited: int = 160
    epochs: int = 10
    batch: int = 64


@dataclass(frozen=True)
class Result:
    """What an audit made of one trial; purity and recall are those of the first finding's group."""

    trial: int
    planted: str
    accuracy: float
    learnt: float | None  # median log-odds that the artefact adds to photos of other classes
    is_first: bool
    purity: float | None
    recall: float | None
    shortcuts: int  # findings that are called so
    tested: int
    seconds: float


def put(photo: np.ndarray, mark: Mark, where: str, rng: np.random.Generator) -> np.ndarray:
    """The photo with an artefact at its place, give or take two pixels."""
    pixels, cover = mark
    height, width = (min(a, b) for a, b in zip(cover.shape, photo.shape, strict=False))
    pixels, cover = pixels[:height, :width], cover[:height, :width, np.newaxis]
    spare = photo.shape[0] - height, photo.shape[1] - width
    sides = (("top", "bottom"), ("left", "right"))
    at = []
    for (low, high), room in zip(sides, spare, strict=True):
        middle = 2 if low in where else room - 4 if high in where else room // 2
        at.append(int(np.clip(middle + rng.integers(0, 3), 0, room)))
    found = photo.astype(float)
    part = found[at[0] : at[0] + height, at[1] : at[1] + width]
    part += (pixels - part) * cover
    return np.rint(found).astype(np.uint8)


def drawn_shapes(rng: np.random.Generator, settings: Settings) -> tuple[list[str], Photos]:
    """Shapes of any colour anywhere on noise: uint8 (48, 64, 3)."""
    names = ["square", "ring", "cross", "bar"][: settings.classes]

    def shape(name: str) -> np.ndarray:
        photo = rng.integers(0, 160, (48, 64, 3), np.uint8)
        y, x = np.mgrid[:48, :64] - rng.integers((14, 14), (34, 50))[:, None, None]
        across, along = np.maximum(abs(x), abs(y)), np.minimum(abs(x), abs(y))
        of = {
            "square": across <= 7,
            "ring": abs(np.hypot(x, y) - 8) <= 2,
            "cross": (along <= 2) & (across <= 10),
            "bar": (abs(y) <= 3) & (abs(x) <= 11),
        }
        photo[of[name]] += rng.integers(20, 70, 3, np.uint8)  # hard to see: the tag is easier
        return photo

    return names, [[shape(name) for _ in range(settings.trained + settings.audited)] for name in names]


def real_photos(folder: Path) -> Callable[[np.random.Generator, Settings], tuple[list[str], Photos]]:
    """Photos of classes that are drawn from those of a folder: uint8 (64, 64, 3)."""
    names = [name for _, name in json.loads((folder / "classes.json").read_text(encoding="utf-8"))]
    arrays = np.load(folder / "train.npz")
    jpeg, offset, label = (arrays[name] for name in ("jpeg", "offset", "label"))

    def draw(rng: np.random.Generator, settings: Settings) -> tuple[list[str], Photos]:
        chosen = rng.choice(len(names), settings.classes, replace=False)
        count = settings.trained + settings.audited
        places = [rng.permutation(np.flatnonzero(label == one))[:count] for one in chosen]
        photos = [
            [cv2.imdecode(jpeg[offset[i] : offset[i + 1]], cv2.IMREAD_COLOR)[..., ::-1] for i in some]
            for some in places
        ]
        return [names[i] for i in chosen], photos

    return draw


def trained(photos: np.ndarray, labels: np.ndarray, classes: int, settings: Settings, seed: int) -> keras.Model:
    """A small network of five convolutions; its last map has an eighth of each side."""
    keras.utils.set_random_seed(seed)
    inputs = keras.Input(photos.shape[1:])
    x = keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)
    for stage, channels in enumerate((16, 24, 32, 48, 64), 1):
        strides = 2 if stage == 1 else 1
        x = keras.layers.Conv2D(channels, 3, strides, "same", use_bias=False, name=f"conv{stage}")(x)
        x = keras.layers.BatchNormalization(momentum=0.9)(x)  # there are few steps
        x = keras.layers.ReLU(name=f"relu{stage}")(x)
        x = keras.layers.MaxPooling2D()(x) if stage in (2, 3) else x
    x = keras.layers.Dropout(0.2)(keras.layers.GlobalAveragePooling2D()(x))
    model = keras.Model(inputs, keras.layers.Dense(classes)(x))
    rate = keras.optimizers.schedules.CosineDecay(2e-3, 1 + settings.epochs * len(photos) // settings.batch)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    model.fit(photos, labels, settings.batch, settings.epochs, verbose=0)
    return model


def run_trial(
    draw: Callable[[np.random.Generator, Settings], tuple[list[str], Photos]],
    trial: int,
    is_planted: bool,
    settings: Settings,
) -> Result:
    """Train a network, with or without an artefact in one class, audit it, and see what was found."""
    start = time.perf_counter()
    rng = np.random.default_rng([trial, is_planted])
    names, photos = draw(rng, settings)
    make, where, share = PLANTED[trial % len(PLANTED)]
    target = int(rng.integers(len(names)))
    marked = rng.random(settings.trained + settings.audited) < (share if is_planted else 0)
    for i in np.flatnonzero(marked):
        photos[target][i] = put(photos[target][i], make(rng), where, rng)
    pixels = np.array([photo for some in photos for photo in some[: settings.trained]])
    labels = np.repeat(np.arange(len(names)), settings.trained)
    model = trained(pixels, labels, len(names), settings, trial)
    network = gc.Classifier("trial", model, names)
    learnt = None
    if is_planted:
        others = [photo for i, some in enumerate(photos) if i != target for photo in some[-20:]]
        with_it = [put(photo, make(rng), where, rng) for photo in others]
        learnt = float(np.median(log_odds(network, target, with_it)[0] - log_odds(network, target, others)[0]))
    with tempfile.TemporaryDirectory() as folder:
        has_it = set()
        for name, some in zip(names, photos, strict=True):
            for i in range(settings.trained, len(some)):
                path = Path(folder) / "photos" / name / f"{i}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(some[i]).save(path)
                if name == names[target] and marked[i]:
                    has_it.add(f"{name}/{i}.png")
        gc.audit(network, Path(folder) / "photos", Path(folder) / "audit", report=False)
        findings = find(Path(folder) / "audit", network)
    first = findings.findings[0] if findings.findings else None
    is_first = first is not None and first.kind == "shortcut" and is_planted and first.label == target
    group = set(first.photos) if first is not None and is_first else set()
    return Result(
        trial=trial,
        planted=f"{make.__name__}, {where}, {share:.0%}" if is_planted else "nothing",
        accuracy=findings.accuracy or 0.0,
        learnt=learnt,
        is_first=is_first and len(group & has_it) > len(group) / 2,
        purity=len(group & has_it) / len(group) if group else None,
        recall=len(group & has_it) / len(has_it) if group else None,
        shortcuts=sum(finding.kind == "shortcut" for finding in findings.findings),
        tested=findings.tested,
        seconds=time.perf_counter() - start,
    )


def table(results: list[Result]) -> str:
    """The results as Markdown, and what they come to."""
    lines = [
        "| planted | right | learnt | found first | purity | recall | called a shortcut | suspects tested |",
        "| --- | ---: | ---: | --- | ---: | ---: | ---: | ---: |",
    ]
    for one in results:
        is_planted = one.learnt is not None
        learnt = f"{np.exp(one.learnt):.1f} times" if one.learnt is not None else ""
        first = "" if not is_planted else "yes" if one.is_first else "no" if one.learnt >= DOUBLED else "no, not learnt"
        shares = ["" if share is None else f"{share:.0%}" for share in (one.purity, one.recall)]
        cells = (one.planted, f"{one.accuracy:.0%}", learnt, first, *shares, str(one.shortcuts), str(one.tested))
        lines.append(f"| {' | '.join(cells)} |")
    counted = [one for one in results if one.learnt is not None and one.learnt >= DOUBLED]
    clean = [one for one in results if one.learnt is None]
    found = sum(one.is_first for one in counted)
    called = sum(one.shortcuts > 0 for one in clean)
    return "\n".join(
        [
            *lines,
            "",
            f"Learnt and found first: {found} of {len(counted)}.",
            f"Clean and called a shortcut: {called} of {len(clean)}.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", help="photos; without it, shapes are drawn")
    parser.add_argument("--trials", type=int, default=10, help="planted, and as many clean (default: %(default)s)")
    parser.add_argument("--log", type=Path, help="a line for each trial; those that stand there are not run again")
    options = parser.parse_args()
    draw = real_photos(options.folder) if options.folder else drawn_shapes
    settings = Settings() if options.folder else Settings(classes=4, trained=200, audited=80, epochs=8, batch=16)
    results = []
    if options.log and options.log.exists():
        results = [Result(**json.loads(line)) for line in options.log.read_text(encoding="utf-8").splitlines()]
    for trial in range(options.trials):
        for is_planted in (True, False):
            if any(one.trial == trial and (one.learnt is not None) == is_planted for one in results):
                continue
            results.append(run_trial(draw, trial, is_planted, settings))
            print(results[-1], flush=True)
            if options.log:
                with options.log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(asdict(results[-1])) + "\n")
    print(table(sorted(results, key=lambda one: (one.learnt is None, one.trial))))


if __name__ == "__main__":
    main()
