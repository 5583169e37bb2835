"""``gradcam`` and ``python -m gradcam_core``: each command has a file of its own here."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence

from .. import GradcamError, __version__
from . import explain, layers, networks, predict, test
from .options import PROGRAM, complain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 1 if anything failed (2 for wrong usage)."""
    options = _parser().parse_args(arguments)
    warnings.filterwarnings("ignore", module="PIL")  # of odd metadata: a photo is read, or its error says why not
    try:
        return options.run(options)
    except GradcamError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("stopped.")
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
    for command in (explain, test, predict, layers, networks):
        command.add(commands)
    return parser
