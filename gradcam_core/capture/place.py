"""Where the cells of a tensor lie in the network's input: also behind crops, padding, flips, turns and resizes.

A map is stretched over what its layer saw. Most saw the whole input; where a network crops, pads or turns inside,
`moves.follow` finds what it was.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .axes import LOST, Axes, Grid, Span, plain


@dataclass(frozen=True)
class Place:
    """Where a map lies: the tensor's axes along the input's height and width, and those axes' spans.

    Attributes:
        axes: of the rows, the columns and the channels in a tensor (n, ., ., .).
        rows, columns: their spans.
        size: (height, width) of the input.
        tokens: where rows and columns are one axis of a tensor (n, tokens, channels) or (n, channels, tokens): which
            one, and how many tokens come before those of the grid. ``axes`` are then those after it has been parted.
    """

    axes: tuple[int, int, int]
    rows: Span
    columns: Span
    size: tuple[int, int]
    tokens: tuple[int, int] | None = None

    @property
    def cell(self) -> tuple[float, float]:
        """(height, width) of one cell in pixels of the input."""
        return abs(self.rows.cell), abs(self.columns.cell)

    def shape_of(self, shape: Sequence[int | None]) -> tuple[int | None, ...]:
        """(n, height, width, channels) of a tensor that lies here, from its own shape."""
        rows, columns, channels = self.axes
        if self.tokens:
            return shape[0], int(self.rows.count), int(self.columns.count), shape[3 - self.tokens[0]]
        return shape[0], shape[rows], shape[columns], shape[channels]

    @cached_property
    def _weights(self) -> list[np.ndarray | None]:
        return [_spread(span, side) for span, side in zip((self.rows, self.columns), self.size, strict=True)]

    def over_input(self, maps: np.ndarray) -> np.ndarray:
        """float32 (n, H, W, ...) whose cells cover the whole input, from float32 (n, h, w, ...).

        Cells keep their size, and where they fit their values; outside of what the layer saw there is 0. Where the
        layer saw the whole input as it is, the maps are given back as they are.
        """
        for axis, weights in enumerate(self._weights, 1):
            if weights is not None:
                maps = np.moveaxis(np.tensordot(weights, maps, (1, axis)), 0, axis)
        return maps


def _spread(span: Span, side: int) -> np.ndarray | None:
    """float32 (cells over the whole side, cells): linear weights; None where nothing needs to be moved."""
    size = abs(span.cell)
    if max(abs(span.start), abs(span.end - side)) < size / 2:
        return None
    count = max(1, round(side / size))
    centres = (np.arange(count) + 0.5) * side / count
    cells = (centres - span.start) / span.cell - 0.5
    exact = cells[0] + np.arange(count) * np.sign(span.cell)
    if np.abs(cells - exact).max() < 0.5:  # cells of the same size, but for rounding: their values are kept
        cells = exact
        if abs(cells[0] - round(cells[0])) < 0.25:
            cells = cells - cells[0] + round(cells[0])
    weights = np.maximum(0, 1 - np.abs(np.clip(cells, 0, span.count - 1)[:, np.newaxis] - np.arange(span.count)))
    weights[(cells < -0.5) | (cells > span.count - 0.5)] = 0
    return weights.astype(np.float32)


def place_of(axes: Axes, size: tuple[int, int]) -> Place | None:
    """The place of a tensor (n, ., ., .), or of tokens (n, ., .), by its axes; None where it is not known."""
    tokens = None
    if len(axes) == 3:
        grids = [(i, axis, axis.spans) for i, axis in enumerate(axes) if isinstance(axis, Grid) and axis.spans]
        if len(grids) != 1:
            return None
        ((i, grid, spans),) = grids
        tokens, axes = (i, grid.before), (*axes[:i], *spans, *axes[i + 1 :])
    known = [plain(axis) for axis in axes]
    sides = [None if span is None else span.side for span in known]
    if len(axes) != 4 or axes[0] or sides.count(0) != 1 or sides.count(1) != 1 or -1 in sides:
        return None
    rows, columns = sides.index(0), sides.index(1)
    (channels,) = {1, 2, 3} - {rows, columns}
    return Place((rows, columns, channels), known[rows] or LOST, known[columns] or LOST, size, tokens)


def may_be_map(axes: Axes) -> bool:
    """Whether a tensor may be a map (n, ., ., .) of each photo, and no windows of them or weights of an attention."""
    return len(axes) == 4 and not any(isinstance(axis, Grid) and (not i or axis.is_lost) for i, axis in enumerate(axes))
