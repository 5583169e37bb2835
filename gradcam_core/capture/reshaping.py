"""How a reshape joins axes and parts them again: rows of tokens, windows, pixels of a patch, heads of an attention.

The number of each cell is read as digits, one for each axis, as in a row-major array. A reshape only draws the borders
between axes anew, so the digits stay, or one is parted in two; the next reshape puts them together.
"""

import math
from collections import deque
from collections.abc import Iterable, Sequence

from .axes import LOST, Axes, Axis, Grid, Part, Span
from .sizes import ANY


def reshaped(
    axes: Axes, before: Sequence[int | None], after: Sequence[int | None], shape: Sequence[int | None]
) -> Axes:
    """The axes of what a reshape gives.

    Args:
        axes: of what it is given.
        before: the sizes of these; None where the number of photos decides.
        after: the sizes that it gives; None, or -1, where that is not known.
        shape: those of them that TensorFlow knows; of an axis that it does not, the count is kept here.
    """
    digits = deque(part for axis, size in zip(axes, before, strict=True) for part in _parts(axis, size))
    sizes = [None if size is None or size < 0 else int(size) for size in after]
    if sizes.count(None) == 1:
        whole, others = math.prod(part.count for part in digits), math.prod(size or 1 for size in sizes)
        sizes[sizes.index(None)] = whole // (others or 1) if whole % (others or 1) == 0 else None
    found: list[Axis] = []
    for size, known in zip(reversed(sizes), reversed(shape), strict=True):
        taken = None if size is None else _taken(digits, size)
        if taken is None:
            is_lost = any(part.span for part in digits)
            found += [LOST if is_lost else None] * (len(sizes) - len(found))
            break
        found.append(_joined(taken) or (Grid(tuple(taken)) if known is None and size != ANY else None))
    return tuple(reversed(found))


def _parts(axis: Axis, size: int | None) -> Iterable[Part]:
    if isinstance(axis, Grid) and not axis.before and not axis.after:
        return axis.parts
    is_known = axis is not None and axis != LOST
    return [Part(axis, 1, int(axis.count) if axis and is_known else ANY if size is None else size)]


def _taken(digits: deque[Part], size: int) -> list[Part] | None:
    """The last digits, of so many cells; None where the border lies within one that cannot be parted."""
    taken: deque[Part] = deque()
    while size != 1:
        if not digits or not size:
            return None
        part = digits.pop()
        if size % part.count and part.count % size:
            digits.append(part)
            return None
        if size % part.count:
            digits.append(Part(part.span, part.step * size, part.count // size))
            part = Part(part.span, part.step, size)
        taken.appendleft(part)
        size //= part.count
    return list(taken)


def _joined(digits: Iterable[Part]) -> Axis:
    """The axis that digits make, the slowest first."""
    parts: list[Part] = []
    for part in digits:
        last = parts[-1] if parts else None
        if last and last.span == part.span and (part.span is None or last.step == part.step * part.count):
            parts[-1] = Part(part.span, part.step, last.count * part.count)
        elif part.count != 1:
            parts.append(part)
    if LOST in (part.span for part in parts):
        return LOST
    if not any(part.span for part in parts):
        return None
    first, *rest = parts
    if first.is_first and isinstance(first.span, Span) and rest and not any(part.span for part in rest):
        return first.span.resized(first.count * rest[0].count)  # each cell several times
    return first.span if first.is_first and first.step == 1 and not rest else Grid(tuple(parts))
