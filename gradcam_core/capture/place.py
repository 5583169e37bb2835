"""Where the cells of a tensor lie in the network's input: also behind crops, padding, flips, turns and resizes.

A map is stretched over what its layer saw. Most saw the whole input; where a network crops, pads or turns inside,
`moves.follow` finds what it was.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np


@dataclass(frozen=True)
class Span:
    """Where the cells along one axis lie.

    Attributes:
        side: 0 along the input's height, 1 along its width.
        count: how many cells there are.
        start: where the first begins, in pixels of the input.
        end: where the last ends; below the start where they are mirrored.
        padding: how many of the first and of the last cells are padding.
    """

    side: int
    count: float
    start: float
    end: float
    padding: tuple[float, float] = (0.0, 0.0)

    @property
    def cell(self) -> float:
        return (self.end - self.start) / self.count

    def cut(self, first: float, count: int, step: int = 1) -> "Span":
        """So many cells from one on, every ``step``-th."""
        start = self.start + (first + (step < 0)) * self.cell
        end = start + count * step * self.cell
        lead, trail = self.padding if step > 0 else self.padding[::-1]
        skipped = (first, self.count - first - count * step)
        if step < 0:
            skipped = (self.count - 1 - first, first + 1 + count * step)
        padding = (max(0.0, lead - skipped[0]) / abs(step), max(0.0, trail - skipped[1]) / abs(step))
        return Span(self.side, count, start, end, padding)

    def resized(self, count: int) -> "Span":
        """The same extent in another number of cells."""
        share = count / self.count
        return replace(self, count=count, padding=(self.padding[0] * share, self.padding[1] * share))

    def is_near(self, other: "Span") -> bool:
        """Whether both lie at the same place, but for less than a cell."""
        size = max(abs(self.cell), abs(other.cell))
        return self.side == other.side and max(abs(self.start - other.start), abs(self.end - other.end)) < size


@dataclass(frozen=True)
class Place:
    """Where a map lies: the tensor's axes along the input's height and width, and those axes' spans.

    Attributes:
        axes: of the rows, the columns and the channels in a tensor (n, ., ., .).
        rows, columns: their spans.
        size: (height, width) of the input.
    """

    axes: tuple[int, int, int]
    rows: Span
    columns: Span
    size: tuple[int, int]

    @property
    def cell(self) -> tuple[float, float]:
        """(height, width) of one cell in pixels of the input."""
        return abs(self.rows.cell), abs(self.columns.cell)

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


LOST = Span(-1, 1, 0, 0)  # of what comes from the input in a way that is not known
Axes = tuple[Span | None, ...]  # a tensor's; None: no place, such as channels


def place_of(axes: Axes, size: tuple[int, int]) -> Place | None:
    """The place of a tensor (n, ., ., .) by its axes; None where it is not known."""
    sides = [None if span is None else span.side for span in axes]
    if len(axes) != 4 or sides.count(0) != 1 or sides.count(1) != 1 or -1 in sides:
        return None
    rows, columns = sides.index(0), sides.index(1)
    (channels,) = {1, 2, 3} - {rows, columns} if rows and columns else {0}
    found_rows, found_columns = axes[rows], axes[columns]
    if not channels or found_rows is None or found_columns is None:
        return None
    return Place((rows, columns, channels), found_rows, found_columns, size)
