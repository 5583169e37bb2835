"""Arguments that several commands share, and what they all do with them."""

import argparse
import sys
from collections.abc import Callable, Sequence
from typing import IO, TYPE_CHECKING, Any, Literal

from tqdm import tqdm

from .. import PhotoError, SettingError, WriteError, explain, load
from ..networks.zoo import DEFAULT
from ..photos.sources import printable
from ..quiet import import_tensorflow
from ..settings import METHODS, SCORES, SMOOTHINGS

if TYPE_CHECKING:
    from ..maps.explanation import Explanation
    from ..networks.classifier import Classifier

PROGRAM = "gradcam"


def of_network() -> argparse.ArgumentParser:
    """The arguments that say which network is asked."""
    network = argparse.ArgumentParser(add_help=False)
    group = network.add_argument_group("network")
    group.add_argument(
        "--network",
        default=DEFAULT,
        metavar="NAME",
        help="a name that `networks` lists, or the path of a .keras or .h5 file (default: %(default)s, which needs no "
        "download)",
    )
    add_file_options(group)
    return network


def of_maps() -> argparse.ArgumentParser:
    """The arguments that say what is explained, and how."""
    maps = argparse.ArgumentParser(add_help=False)
    group = maps.add_argument_group("what is explained")
    group.add_argument(
        "--class",
        dest="target",
        metavar="CLASS",
        help="a name, an index or a WordNet id (default: the most probable class of each photo)",
    )
    group.add_argument(
        "--layers",
        default="stages",
        metavar="LAYERS",
        help="stages (one per resolution stage), all, last, or names with commas between (default: %(default)s)",
    )
    group.add_argument(
        "--instead-of", metavar="CLASS", help="why the class and not this one? The difference of both is explained"
    )
    group.add_argument(
        "--weight", type=float, default=1.0, metavar="0..1000", help="of the score of this one (default: %(default)s)"
    )
    group.add_argument("--against", action="store_true", help="show what speaks against it")
    add_method_options(group)
    return maps


def add_method_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--method",
        choices=METHODS,
        default="gradcam",
        metavar="METHOD",
        help=f"{', '.join(METHODS)} (default: %(default)s)",
    )
    group.add_argument(
        "--smoothing",
        choices=SMOOTHINGS,
        default="none",
        help="the mean over the photo and its mirror image, also moved a little, or with noise (default: %(default)s)",
    )
    group.add_argument(
        "--score",
        choices=SCORES,
        default="logit",
        help="what is differentiated; probability is the arithmetic of many articles (default: %(default)s)",
    )


def add_file_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--labels",
        metavar="FILE",
        help="class names of a network in a file: a text file with one a line, JSON, or a folder with one for "
        "each class",
    )
    group.add_argument(
        "--preprocess",
        metavar="HOW",
        help="how photos are prepared for a network in a file: 0..1 or -1..1, the range that RGB is brought into; the "
        "name of a network of the list, whose way it is; or none, RGB from 0 to 255 as it is (default)",
    )
    group.add_argument("--image", metavar="NAME", help="the input that takes the photo, of a network with several")
    group.add_argument(
        "--input",
        dest="inputs",
        action="append",
        metavar="NAME=VALUE",
        help="what another input of a network is given: numbers with commas between, or the path of a photo",
    )
    group.add_argument("--output", metavar="NAME", help="the output that is explained, of a network with several")
    group.add_argument(
        "--measures",
        metavar="WHAT",
        help="what linear outputs of a network in a file are: probability (they are logits), share (of the photo: each "
        "pixel has its class) or value (an age, an angle); without it, what the network was trained for says so, or "
        "their number",
    )


def file_settings(options: argparse.Namespace) -> dict[str, Any]:
    """What `load` is told of a network in a file.

    Raises:
        SettingError: an input is not given as NAME=VALUE.
    """
    names = ("labels", "preprocess", "image", "output", "measures")
    given = {name: value for name in names if (value := getattr(options, name)) is not None}
    for text in options.inputs or ():
        name, equals, value = text.partition("=")
        if not equals or not name or not value:
            raise SettingError(f"An input is given as NAME=VALUE, such as --input age=31, not {text!r}.")
        given.setdefault("inputs", {})[name] = _value(value)
    return given


def _value(text: str) -> "list[float] | str":
    try:
        return [float(number) for number in text.split(",")]
    except ValueError:
        return text  # the path of a photo


def load_network(options: argparse.Namespace, weights: Literal["imagenet"] | None = "imagenet") -> "Classifier":
    bar: tqdm | None = None
    import_tensorflow()  # an error is one line here; TensorFlow's notices are not

    def progress(stage: str, done: float, total: float) -> None:
        nonlocal bar
        if stage == "download":
            bar = bar or tqdm(
                desc=f"Weights of {options.network}", unit="B", unit_scale=True, leave=False, file=sys.stderr
            )
            bar.total = total
            bar.update(done - bar.n)

    try:
        network = load(options.network, weights=weights, progress=progress, **file_settings(options))
    finally:
        if bar is not None:
            bar.close()
    for note in network.notes:
        complain(note)
    return network


def explained(options: argparse.Namespace, network: "Classifier", photo: str) -> "Explanation":
    with tqdm(desc=METHODS[options.method].title, leave=False, file=sys.stderr, disable=None, delay=1) as bar:
        return explain(
            network,
            photo,
            options.target,
            options.layers.split(",") if "," in options.layers else options.layers,
            progress=lambda done, total: advance(bar, done, total),
            **settings_of(options),
        )


def settings_of(options: argparse.Namespace) -> dict[str, Any]:
    return {
        name: getattr(options, name) for name in ("method", "score", "instead_of", "weight", "against", "smoothing")
    }


def each(photos: Sequence[str], one: Callable[[str], None], done: str) -> int:
    """Run ``one`` for each photo; a bad one is reported and the rest go on."""
    failed = 0
    for photo in tqdm(photos, unit="photo", disable=None if len(photos) > 1 else True, leave=False, file=sys.stderr):
        try:
            one(photo)
        except (PhotoError, WriteError) as error:
            failed += 1
            complain(f"{photo}: {error}")
    if len(photos) > 1:
        print(f"{len(photos) - failed} of {len(photos)} photos {done}, {failed} failed.")
    return 1 if failed else 0


def advance(bar: tqdm, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def say(*lines: str, file: IO[str] | None = None) -> None:
    """Print lines, whose names of photos, classes and layers are somebody's: their control characters are "?"."""
    for line in lines:
        tqdm.write(printable(line), file=file)


def complain(sentence: str) -> None:
    say(f"{PROGRAM}: {sentence}", file=sys.stderr)
