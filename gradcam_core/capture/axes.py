"""What lies along each axis of a tensor: cells of the input, one after another, or several axes that were joined."""

import math
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Span:
    """Where the cells along one axis lie.

    Attributes:
        side: 0 along the input's height, 1 along its width.
        count: how many cells there are.
        start: where the first begins, in pixels of the input.
        end: where the last ends; below the start where they are mirrored.
        padding: how many of the first and of the last cells are padding.
        rolled: by how many cells all were moved on, and the last ones round to the start.
    """

    side: int
    count: float
    start: float
    end: float
    padding: tuple[float, float] = (0.0, 0.0)
    rolled: int = 0

    @property
    def cell(self) -> float:
        return (self.end - self.start) / self.count

    @property
    def plain(self) -> "Span":
        """Itself, where its cells lie in a row."""
        return LOST if self.rolled else self

    @property
    def is_lost(self) -> bool:
        return self.side < 0 or self.rolled != 0

    def cut(self, first: float, count: int, step: int = 1) -> "Span":
        """So many cells from one on, every ``step``-th."""
        if self.is_lost:
            return LOST
        start = self.start + (first + (step < 0)) * self.cell
        end = start + count * step * self.cell
        lead, trail = self.padding if step > 0 else self.padding[::-1]
        skipped = (first, self.count - first - count * step)
        if step < 0:
            skipped = (self.count - 1 - first, first + 1 + count * step)
        padding = (max(0.0, lead - skipped[0]) / abs(step), max(0.0, trail - skipped[1]) / abs(step))
        return Span(self.side, count, start, end, padding)

    def padded(self, before: float, after: float) -> "Span":
        """With so many cells more on both sides."""
        if self.is_lost:
            return LOST
        padding = (self.padding[0] + before, self.padding[1] + after)
        start, end = self.start - before * self.cell, self.end + after * self.cell
        return Span(self.side, self.count + before + after, start, end, padding)

    def moved_round(self, by: int) -> "Span":
        """With each cell so many further on, and the last ones at the start."""
        return LOST if self.side < 0 else replace(self, rolled=(self.rolled + by) % int(self.count))

    def resized(self, count: int) -> "Span":
        """The same extent in another number of cells."""
        if self.is_lost:
            return LOST
        share = count / self.count
        return replace(self, count=count, padding=(self.padding[0] * share, self.padding[1] * share))

    def is_near(self, other: "Span | Grid") -> bool:
        """Whether both lie at the same place, but for less than a cell."""
        if not isinstance(other, Span) or (self.side, self.rolled) != (other.side, other.rolled):
            return False
        size = max(abs(self.cell), abs(other.cell))
        return max(abs(self.start - other.start), abs(self.end - other.end)) < size


@dataclass(frozen=True)
class Part:
    """One digit of the number that a cell has along an axis.

    Attributes:
        span: what it counts: cells of a span; of an axis that is kept as it is; or None, what has no place: channels.
        step: how many of these one more of it is.
        count: how many it counts.
    """

    span: "Span | Grid | None"
    step: int
    count: int

    @property
    def is_first(self) -> bool:
        """Whether it says where the cell lies, and is not what is left of it: a pixel of a patch."""
        return self.span is not None and self.step * self.count == self.span.count


@dataclass(frozen=True)
class Grid:
    """An axis that a reshape made of several, or of a part of one: tokens row by row, windows, patches.

    Attributes:
        parts: the digits of a cell's number, the slowest first.
        before, after: how many cells beside these there are that have no place: class tokens.
    """

    parts: tuple[Part, ...]
    before: int = 0
    after: int = 0

    @property
    def cells(self) -> int:
        return math.prod(part.count for part in self.parts)

    @property
    def count(self) -> int:
        return self.before + self.cells + self.after

    @property
    def spans(self) -> tuple[Span, ...] | None:
        """Those of its digits, where each says where the cell lies."""
        found = tuple(p.span.resized(p.count) for p in self.parts if p.is_first and isinstance(p.span, Span))
        return found if len(found) == len(self.parts) else None

    @property
    def plain(self) -> Span | None:
        """The span that it is; None where it has no place, for it counts pixels of a patch."""
        if not any(part.is_first for part in self.parts):
            return None
        return self.spans[0] if self.spans and len(self.spans) == 1 and self.count == self.cells else LOST

    @property
    def is_lost(self) -> bool:
        """Whether it is along the input, but no one row of cells."""
        return self.plain is not None and self.plain.is_lost

    def cut(self, first: int, count: int, step: int = 1) -> "Span | Grid | None":
        if not self.spans or len(self.spans) == 1:
            return self.plain and self.plain.cut(first, count, step)
        if step == 1 and first <= self.before and first + count >= self.before + self.cells:
            return replace(self, before=self.before - first, after=first + count - self.before - self.cells)
        is_beside = step == 1 and (first + count <= self.before or first >= self.before + self.cells)
        return None if is_beside else LOST

    def padded(self, before: int, after: int) -> "Span | Grid | None":
        if not self.spans or len(self.spans) == 1:
            return self.plain and self.plain.padded(before, after)
        return replace(self, before=self.before + before, after=self.after + after)

    def is_near(self, other: "Span | Grid") -> bool:
        return (
            isinstance(other, Grid)
            and (self.before, self.after, len(self.parts)) == (other.before, other.after, len(other.parts))
            and all(
                (a.step, a.count) == (b.step, b.count)
                and (a.span.is_near(b.span) if a.span and b.span else a.span is b.span)
                for a, b in zip(self.parts, other.parts, strict=True)
            )
        )


LOST = Span(-1, 1, 0, 0)  # of what comes from the input in a way that is not known
Axis = Span | Grid | None  # None: no place, such as channels or the photos
Axes = tuple[Axis, ...]  # a tensor's
SHAPES = {"OnesLike", "Rank", "Shape", "ShapeN", "Size", "ZerosLike"}  # operations for which values are no evidence


def met(axes: list[Axis]) -> Axis:
    """The axis of what is made of several: the first, where they lie at the same place."""
    known = [axis for axis in axes if axis]
    if known and all(known[0].is_near(axis) for axis in known):
        return known[0]
    spans = [span for axis in known if (span := axis.plain)]
    if not spans:
        return None
    return spans[0] if all(spans[0].is_near(span) for span in spans) else LOST


def plain(axis: Axis) -> Span | None:
    """The span that an axis is; None where it has no place."""
    return axis.plain if axis else None


def count_of(axis: Axis, size: int | None) -> int | None:
    """How many cells there are along an axis: a shape may leave it open."""
    return size if size is not None or axis in (None, LOST) else int(axis.count)
