"""The command line: ``python -m gradcam_core`` or ``gradcam``."""

import argparse
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tqdm import tqdm

from .. import COLORMAPS, NETWORKS, GradcamError, PhotoError, __version__, explain, load, read_image
from ..networks.zoo import find, weights_here
from ..quiet import import_tensorflow
from ..settings import FUSIONS, METHODS, SCORES, SMOOTHINGS

if TYPE_CHECKING:
    from ..maps.explanation import Explanation
    from ..networks.classifier import Classifier, Prediction
    from ..trust.faithfulness import Assessment

PROGRAM = "gradcam"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 1 if anything failed (2 for wrong usage)."""
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", module="PIL")  # of odd metadata: a photo is read, or its error says why not
    try:
        return options.run(options)
    except GradcamError as error:
        _complain(str(error))
        return 1
    except KeyboardInterrupt:
        _complain("stopped.")
        return 130
    except BrokenPipeError:  # `gradcam networks | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="See what every stage of a convolutional network looks at: Grad-CAM heat maps by layer.",
        epilog=f"Help on one command: {PROGRAM} explain --help",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    network = argparse.ArgumentParser(add_help=False)
    group = network.add_argument_group("network")
    group.add_argument(
        "--network",
        default="bundled",
        metavar="NAME",
        help="a name that `networks` lists, or the path of a .keras file (default: %(default)s: needs no download)",
    )
    _add_file_options(group)

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

    command = commands.add_parser(
        "explain",
        parents=[network, maps],
        help="write heat maps of photos",
        description="Write heat maps of photos, by layer.",
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO", help="JPEG, PNG, WebP, AVIF, GIF, BMP or TIFF")
    group = command.add_argument_group("pictures")
    group.add_argument(
        "--opacity", type=float, default=0.4, metavar="0..1", help="of the heat map (default: %(default)s)"
    )
    group.add_argument("--colormap", choices=COLORMAPS, default="jet", help="(default: %(default)s)")
    group.add_argument(
        "--additive", action="store_true", help="add the colours to the photo, as many articles do, instead of blending"
    )
    group.add_argument("--fuse", choices=FUSIONS, help="also write one picture of all layers in one map")
    group.add_argument(
        "--out",
        type=Path,
        default=Path("gradcam-out"),
        metavar="DIR",
        help="each photo gets a folder of its own in it (default: %(default)s)",
    )
    command.set_defaults(run=_explain)

    command = commands.add_parser(
        "test",
        parents=[network, maps],
        help="test whether heat maps can be believed",
        description="Hide and bring back what each map marks, and see what the network says then: deletion (low is "
        "good), insertion (high is good), and average drop (low is good), beside random maps and a blob in the centre.",
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO")
    command.add_argument(
        "--steps", type=int, default=16, metavar="N", help="from the hottest pixel to the last (default: %(default)s)"
    )
    command.add_argument(
        "--sanity", action="store_true", help="also make the network's weights random, which must change the maps"
    )
    command.set_defaults(run=_test)

    command = commands.add_parser(
        "predict",
        parents=[network],
        help="print the most probable classes",
        description="Print the most probable classes.",
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO")
    command.add_argument("--top", type=int, default=5, metavar="N", help="how many classes (default: %(default)s)")
    command.set_defaults(run=_predict)

    command = commands.add_parser(
        "layers", help="list what can be explained in a network", description="List the layers that can be explained."
    )
    command.add_argument(
        "network", metavar="NETWORK", help="a name that `networks` lists, or the path of a .keras file"
    )
    _add_file_options(command)
    command.set_defaults(run=_layers)

    command = commands.add_parser(
        "networks",
        help="list the networks",
        description="List the networks, their size, and whether their weights are here.",
    )
    command.set_defaults(run=_networks)
    return parser


def _add_file_options(group: argparse._ActionsContainer) -> None:
    group.add_argument(
        "--labels", metavar="FILE", help="class names of a .keras file: a text file with one a line, or JSON"
    )
    group.add_argument(
        "--preprocess",
        metavar="NAME",
        help="prepare photos for a .keras file as this network of the list does (default: RGB from 0 to 255 as it is)",
    )


def _load(options: argparse.Namespace, **more: object) -> "Classifier":
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
        return load(options.network, labels=options.labels, preprocess=options.preprocess, progress=progress, **more)
    finally:
        if bar is not None:
            bar.close()


def _explained(options: argparse.Namespace, network: "Classifier", photo: str) -> "Explanation":
    with tqdm(desc=METHODS[options.method].title, leave=False, file=sys.stderr, disable=None, delay=1) as bar:
        return explain(
            network,
            photo,
            options.target,
            options.layers.split(",") if "," in options.layers else options.layers,
            progress=lambda done, total: _advance(bar, done, total),
            **_settings(options),
        )


def _settings(options: argparse.Namespace) -> dict[str, object]:
    return {
        name: getattr(options, name) for name in ("method", "score", "instead_of", "weight", "against", "smoothing")
    }


def _explain(options: argparse.Namespace) -> int:
    network = _load(options)
    folders = _folders(options.photos, options.out)

    def one(photo: str) -> None:
        result = _explained(options, network, photo)
        mode = "add" if options.additive else "alpha"
        folder = folders[photo]
        result.save(folder, opacity=options.opacity, colormap=options.colormap, mode=mode, fusion=options.fuse)
        empty = [name for name, heat_map in result.maps.items() if heat_map.is_empty]
        tqdm.write(f"{photo}: {_percent(result.target)} -> {folder}")
        if empty:
            tqdm.write(f"  no evidence for {result.target.name} in {', '.join(empty)}")

    return _each(options.photos, one, "explained")


def _test(options: argparse.Namespace) -> int:
    network = _load(options)
    from ..trust.faithfulness import assess, sanity_check  # needs TensorFlow, which is loaded by now

    def bar(what: str) -> tqdm:
        return tqdm(desc=what, leave=False, file=sys.stderr, disable=None)

    def one(photo: str) -> None:
        explanation = _explained(options, network, photo)
        with bar("Hiding parts") as shown:
            found = assess(network, explanation, options.steps, lambda done, total: _advance(shown, done, total))
        tqdm.write(f"{photo}: {_percent(found.target)}\n\n{_tests_table(found)}\n")
        for test in found.maps.values():
            tqdm.write(f"{test.sentence[0].upper()}{test.sentence[1:]}.")
        if options.sanity:
            with bar("Random weights") as shown:
                check = sanity_check(
                    network,
                    explanation.photo,
                    explanation.target.index,
                    list(explanation.maps),
                    progress=lambda done, total: _advance(shown, done, total),
                    **_settings(options),
                )
            tqdm.write("")
            for layer, passes in check.passes.items():
                result = {True: "passes", False: "fails", None: "cannot be tested: the map is the same everywhere"}[
                    passes
                ]
                left = check.rank_correlation[layer][-1]
                tqdm.write(
                    f"Sanity check of {layer}: {result} (rank correlation {left:.2f} once all weights are random)."
                )

    return _each(options.photos, one, "tested")


def _advance(bar: tqdm, done: int, total: int) -> None:
    bar.total = total
    bar.update(done - bar.n)


def _tests_table(found: "Assessment") -> str:
    """The numbers of each map, and of both baselines, in columns."""
    tests = {**found.maps, "random maps": found.random, "a blob in the centre": found.centre}
    width = max(map(len, tests))
    lines = [f"{'':{width}}  deletion  insertion    drop"]
    for name, test in tests.items():
        numbers = "no evidence"
        if test.curves is not None:
            numbers = f"{test.curves.deletion_area:8.2f}  {test.curves.insertion_area:9.2f}  {test.drop:4.0f} %"
        lines.append(f"{name:{width}}  {numbers}")
    return "\n".join(lines)


def _predict(options: argparse.Namespace) -> int:
    network = _load(options)

    def one(photo: str) -> None:
        predictions = network.predict(read_image(photo), options.top)
        tqdm.write(f"{photo}: {', '.join(map(_percent, predictions))}")

    return _each(options.photos, one, "read")


def _layers(options: argparse.Namespace) -> int:
    # The layers are the same whatever the weights, so nothing needs to be downloaded to list them.
    has_own = options.network.endswith(".keras") or find(options.network).weights is None
    network = _load(options, weights="imagenet" if has_own else None)
    from ..maps.selection import summary_table  # needs TensorFlow, which is loaded by now

    height, width = network.input_size
    print(f"{network.name}: input {height} x {width} pixels, {network.parameters:,} parameters\n")
    print(summary_table(network))
    return 0


def _networks(_options: argparse.Namespace) -> int:
    print(f"{'network':18}  {'input':>5}  {'parameters':>11}  {'MB':>6}  weights")
    for name, entry in NETWORKS.items():
        where = "built in" if name == "bundled" else "here" if weights_here(name) else "to be downloaded"
        print(f"{name:18}  {entry.input_side:>5}  {entry.parameters:>11,}  {entry.megabytes:>6,.0f}  {where}")
    return 0


def _each(photos: Sequence[str], one: Callable[[str], None], done: str) -> int:
    """Run ``one`` for each photo; a bad one is reported and the rest go on."""
    failed = 0
    for photo in tqdm(photos, unit="photo", disable=None if len(photos) > 1 else True, leave=False, file=sys.stderr):
        try:
            one(photo)
        except PhotoError as error:
            failed += 1
            _complain(f"{photo}: {error}")
    if len(photos) > 1:
        print(f"{len(photos) - failed} of {len(photos)} photos {done}, {failed} failed.")
    return 1 if failed else 0


def _folders(photos: Sequence[str], out: Path) -> dict[str, Path]:
    """A folder of its own for each photo, by its file name; equal names from different folders are numbered."""
    folders: dict[str, Path] = {}
    for photo in dict.fromkeys(photos):
        stem, number = Path(photo).stem or "photo", 1
        folder = out / stem
        while folder in folders.values():
            number += 1
            folder = out / f"{stem}-{number}"
        folders[photo] = folder
    return folders


def _percent(prediction: "Prediction") -> str:
    probability = prediction.probability
    return f"{prediction.name} {'<0.1%' if probability < 0.001 else format(probability, '.1%')}"


def _complain(sentence: str) -> None:
    tqdm.write(f"{PROGRAM}: {sentence}", file=sys.stderr)
