"""Which tokens the logits are made of: where a class token alone is read, the others may have had their say before."""

import tensorflow as tf

from .axes import SHAPES, Axes, Grid


def reached(logits: tf.Tensor, axes_of: dict[str, Axes]) -> set[str]:
    """The names of the tensors whose cells reach the logits, for those that have cells of the input among tokens.

    After the last attention of a network that goes on with its class token, nothing but that token counts. The tensors
    there hold all others still, and the gradient by them is exactly 0.

    Args:
        logits: (n, classes) in a graph that was traced.
        axes_of: what `moves.follow` gave.
    """
    counts, cells = {logits.name}, {logits.name}  # that count at all; those whose cells of the input do
    for operation in reversed(logits.graph.get_operations()):
        if operation.type in SHAPES:
            continue
        for output in operation.outputs:
            if output.name not in counts:
                continue
            is_through = output.name in cells
            for x in operation.inputs:
                counts.add(x.name)
                had, has = _has_tokens(axes_of, x), _has_tokens(axes_of, output)
                is_mixed = operation.type in _MIX and all(_has_tokens(axes_of, y) for y in operation.inputs)
                if not had or (not has and operation.type not in _CUTS) or (has and (is_mixed or is_through)):
                    cells.add(x.name)
    return cells


_MIX = {"BatchMatMulV2", "Einsum", "MatMul"}
_CUTS = {"GatherV2", "Slice", "Split", "SplitV", "StridedSlice", "Unpack"}


def _has_tokens(axes_of: dict[str, Axes], tensor: tf.Tensor) -> bool:
    return any(isinstance(axis, Grid) and axis.is_lost for axis in axes_of.get(tensor.name, ()))
