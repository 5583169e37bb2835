"""``gradcam test``: test whether heat maps can be believed."""

import argparse
import sys

from tqdm import tqdm

from ..trust import Assessment, assess, sanity_check
from .options import advance, each, explained, load_network, of_maps, of_network, say, settings_of


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "test",
        parents=[of_network(), of_maps()],
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
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Test whether heat maps can be believed; returns the exit code."""
    network = load_network(options)

    def bar(what: str) -> tqdm:
        return tqdm(desc=what, leave=False, file=sys.stderr, disable=None)

    def one(photo: str) -> None:
        explanation = explained(options, network, photo)
        with bar("Hiding parts") as shown:
            found = assess(network, explanation, options.steps, lambda done, total: advance(shown, done, total))
        say(f"{photo}: {found.target.name} {found.target.text}", "", *_tests_table(found), "")
        for test in found.maps.values():
            say(f"{test.sentence[0].upper()}{test.sentence[1:]}.")
        if options.sanity:
            with bar("Random weights") as shown:
                check = sanity_check(
                    network,
                    explanation.photo,
                    explanation.target.index,
                    list(explanation.maps),
                    progress=lambda done, total: advance(shown, done, total),
                    **settings_of(options),
                )
            say("")
            for layer, passes in check.passes.items():
                result = {True: "passes", False: "fails", None: "cannot be tested: the map is the same everywhere"}[
                    passes
                ]
                left = check.rank_correlation[layer][-1]
                say(f"Sanity check of {layer}: {result} (rank correlation {left:.2f} once all weights are random).")

    return each(options.photos, one, "tested")


def _tests_table(found: Assessment) -> list[str]:
    """The numbers of each map, and of both baselines, in columns."""
    tests = {**found.maps, "random maps": found.random, "a blob in the centre": found.centre}
    width = max(map(len, tests))
    lines = [f"{'':{width}}  deletion  insertion    drop"]
    for name, test in tests.items():
        numbers = "no evidence"
        if test.curves is not None:
            drop = "-" if test.drop is None else f"{test.drop:.0f} %"
            numbers = f"{test.curves.deletion_area:8.2f}  {test.curves.insertion_area:9.2f}  {drop:>6}"
        lines.append(f"{name:{width}}  {numbers}")
    return lines
