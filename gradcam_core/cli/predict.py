"""``gradcam predict``: print the most probable classes."""

import argparse

from .. import read_image
from .options import each, load_network, of_network, say


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "predict",
        parents=[of_network()],
        help="print the most probable classes",
        description="Print the most probable classes.",
    )
    command.add_argument("photos", nargs="+", metavar="PHOTO")
    command.add_argument("--top", type=int, default=5, metavar="N", help="how many classes (default: %(default)s)")
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Print the most probable classes; returns the exit code."""
    network = load_network(options)

    def one(photo: str) -> None:
        predictions = network.predict(read_image(photo), options.top)
        say(f"{photo}: {', '.join(f'{found.name} {found.text}' for found in predictions)}")

    return each(options.photos, one, "read")
