"""``gradcam`` and ``python -m gradcam_core``: each command has a file of its own here."""

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from typing import TextIO

from .. import GradcamError, __version__
from ..networks.preprocessing import with_ranges
from . import audit, explain, layers, networks, predict, test
from .options import PROGRAM, complain


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code: 0, or 1 if anything failed (2 for wrong usage)."""
    try:
        return _run(arguments)
    except GradcamError as error:
        complain(str(error))
        return 1
    except KeyboardInterrupt:
        complain("stopped.")
        return 130
    except BrokenPipeError:  # `gradcam networks | head`
        _silence(sys.stdout)
        return 0
    except OSError as error:  # `gradcam networks > /dev/full`
        _silence(sys.stdout)
        try:
            complain(f"the output cannot be written: {error.strerror or error}.")
            sys.stderr.flush()
        except OSError:
            _silence(sys.stderr)
        return 1


def _run(arguments: Sequence[str] | None) -> int:
    try:
        options = _parser().parse_args(with_ranges(sys.argv[1:] if arguments is None else arguments))
        warnings.filterwarnings("ignore", module="PIL")  # of odd metadata: a photo is read, or its error says why not
        return options.run(options)
    finally:
        sys.stdout.flush()  # what cannot be written is said here, and not while Python ends


def _silence(stream: TextIO) -> None:
    """Let what is still to be written go nowhere."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=PROGRAM,
        description="See what every stage of a convolutional network looks at: Grad-CAM heat maps by layer.",
        epilog=f"Help on one command: {PROGRAM} explain --help",
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (explain, test, audit, predict, layers, networks):
        command.add(commands)
    return parser
