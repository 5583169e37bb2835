"""The layers of a network that are asked for, and the list of all that can be."""

from collections.abc import Sequence
from difflib import get_close_matches
from typing import TYPE_CHECKING

from ..capture.layers import PRESETS, Layer
from ..errors import LayerError
from ..networks.loading import network_of
from ..photos.sources import printable

if TYPE_CHECKING:
    from ..networks.loading import NetworkLike


def summary(network: "NetworkLike") -> tuple[Layer, ...]:
    """The explainable layers of a network, in network order.

    >>> from gradcam_core import load, summary
    >>> [layer.name for layer in summary(load("EfficientNetLite0")) if layer.preset][-1]
    'head_relu'
    """
    return network_of(network).layers


def summary_table(network: "NetworkLike") -> str:
    """`summary` as text: what ``model.summary()`` shows, for what can be explained."""
    network = network_of(network)
    rows = [("layer", "kind", "output (h, w, c)", "parameters", "stage", "cell, input pixels", "")]
    for layer in network.layers:
        cell = " x ".join(f"{side:.4g}" for side in layer.cell)
        shape = " x ".join(map(str, layer.shape))
        marks = ["one per stage"] * layer.preset + ["place in the photo unknown"] * (layer.place is None)
        name = printable(layer.name)
        rows.append((name, layer.kind, shape, f"{layer.parameters:,}", str(layer.stage), cell, ", ".join(marks)))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def select(
    network: "NetworkLike", layers: str | Sequence[str] = "stages", method: str = "gradcam"
) -> tuple[Layer, ...]:
    """The layers asked for, in network order, each once.

    Args:
        network: as `explain` takes it.
        layers: "stages" (one per resolution stage; of tokens several, over the depth), "all", "last" (the deepest of
            "stages"), a layer's name, or several names. By name normalisations, dropouts and the like can be
            explained too, which `summary` does not list.
        method: "cam" has one layer, which the first three words mean then; the others have all.

    Raises:
        LayerError: a name is not one of the network's explainable layers; the nearest names are listed. Or the method
            cannot explain them.
    """
    network = network_of(network)
    everything = network.layers
    if method == "cam":
        everything = tuple(layer for layer in everything if layer.name == network.cam_layer)
        if not everything:
            raise LayerError(
                "CAM needs a layer that can be explained, is averaged and goes into one linear layer, and "
                f"{network.name} has none. Choose another method; Grad-CAM is the same wherever CAM is defined."
            )
        if layers not in (*PRESETS, network.cam_layer, [network.cam_layer], (network.cam_layer,)):
            raise LayerError(
                f"CAM explains one layer of {network.name}, {network.cam_layer}. Choose that one, or another method."
            )
        return everything
    by_name = network.named_layers
    if not everything and ((isinstance(layers, str) and layers in PRESETS) or not by_name):
        raise LayerError(
            f"{network.name} has no layer whose output is a grid of more than one cell, or tokens that can be followed "
            "back to one, so no map can be shown."
        )
    if isinstance(layers, str):
        if layers == "all":
            return everything
        if layers in PRESETS:
            stages = tuple(layer for layer in everything if layer.preset) or everything[-1:]  # there may be pools only
            return stages if layers == "stages" else stages[-1:]
        layers = [layers]
    if not isinstance(layers, Sequence) or not all(isinstance(name, str) for name in layers):
        raise LayerError('Layers are given as "stages", "all", "last", a name, or a list of names.')
    if not layers:
        raise LayerError('No layer is chosen. Choose at least one, or "stages" for one per resolution stage.')
    known = {layer.name for layer in by_name}
    for name in layers:
        if name not in known:
            near = get_close_matches(name, known, n=3, cutoff=0.4)
            near = near or [layer.name for layer in by_name if layer.preset or not everything]
            raise LayerError(
                f"{network.name} has no layer {name!r} that can be explained. Nearest: {', '.join(near)}; "
                'or use "stages", "all" or "last".'
            )
    return tuple(layer for layer in by_name if layer.name in set(layers))
