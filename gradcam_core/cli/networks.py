"""``gradcam networks``: list the networks."""

import argparse

from ..networks.zoo import NETWORKS, weights_here


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "networks",
        help="list the networks",
        description="List the networks, their size, and whether their weights are here.",
    )
    command.set_defaults(run=run)


def run(_options: argparse.Namespace) -> int:
    """List the networks; returns the exit code."""
    print(f"{'network':18}  {'input':>5}  {'parameters':>11}  {'MB':>6}  weights")
    for name, entry in NETWORKS.items():
        where = "here" if weights_here(name) else "to be downloaded"
        print(f"{name:18}  {entry.input_side:>5}  {entry.parameters:>11,}  {entry.megabytes:>6,.0f}  {where}")
    return 0
