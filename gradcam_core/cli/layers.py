"""``gradcam layers``: list what can be explained in a network."""

import argparse

from ..networks.files import is_file
from .options import add_file_options, load_network, say


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the command to the parser."""
    command = commands.add_parser(
        "layers", help="list what can be explained in a network", description="List the layers that can be explained."
    )
    command.add_argument(
        "network", metavar="NETWORK", help="a name that `networks` lists, or the path of a .keras or .h5 file"
    )
    add_file_options(command)
    command.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """List what can be explained in a network; returns the exit code."""
    # The layers are the same whatever the weights, so nothing needs to be downloaded to list them.
    network = load_network(options, weights="imagenet" if is_file(options.network) else None)
    from ..maps.selection import summary_table  # needs TensorFlow, which is loaded by now

    height, width = network.input_size
    say(f"{network.name}: input {height} x {width} pixels, {network.parameters:,} parameters", network.about, "")
    say(*summary_table(network).split("\n"))
    return 0
