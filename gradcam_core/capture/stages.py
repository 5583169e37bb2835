"""Which tensors stand for the resolution stages of a network.

The last convolution by type is the wrong tensor in most networks: in a DenseNet it holds 32 of 1024 channels, in
Inception one branch, in a ResNet what comes before the skip is added. So for each resolution stage the last tensor is
taken, after an activation or a merge, that the whole network flows through; where it has several arms, such as the
members of an ensemble, that of each. Where tokens keep one resolution all the way, as in a ViT, several of these stand
for the depth.
"""

from collections.abc import Iterable
from fractions import Fraction
from typing import NamedTuple

from .place import Place

_LAYERS = 4  # that stand for a network, where it has fewer stages
_ARMS = 8  # with layers of their own, at most: more are branches rather than members


class Tensor(NamedTuple):
    """What `layers` knows of the output of a call."""

    name: str
    kind: str | None  # None: no map
    shape: tuple[int, ...]
    parameters: int
    inputs: list[int]  # indices of the tensors it is made of; -1 is the network's input
    is_linear: bool  # neither an activation nor a merge: one may still follow
    stride: Fraction  # input pixels a cell, by strides alone
    place: Place | None
    aliases: tuple[str, ...]

    @property
    def may_stand(self) -> bool:
        """Whether it may stand for its stage."""
        return self.kind not in (None, "pool", "other")


def standing_for_stages(tensors: list[Tensor], of_output: Iterable[int]) -> set[str]:
    """The names of the tensors that stand for the stages.

    Args:
        tensors: in network order.
        of_output: the places of those that the output is made of, next to it; -1 is the network's input.
    """
    return {name for arm in _arms(tensors, of_output) for name in _of_arm(arm)}


def _arms(tensors: list[Tensor], of_output: Iterable[int]) -> list[list[Tensor]]:
    """The parts of a network that meet in no map any more, each with what it is made of, in network order.

    An ensemble has one for each member, a network that looks at the photo in two ways one for each. Most have one,
    which is then all that the output is made of; as has one with more than 8.
    """
    counts, waiting = set(), [i for i in of_output if i >= 0]
    while waiting:
        i = waiting.pop()
        if i not in counts:
            counts.add(i)
            waiting += [j for j in tensors[i].inputs if j >= 0]
    made_of: dict[int, set[int]] = {}
    used: set[int] = set()  # by what may stand for a stage
    for i in sorted(counts):
        below = set().union(*(made_of[j] for j in tensors[i].inputs if j >= 0))
        made_of[i] = below | {i}
        used |= below if tensors[i].may_stand else set()
    ends = [i for i in sorted(counts) if tensors[i].may_stand and i not in used]
    arms = [made_of[i] for i in ends] if 1 < len(ends) <= _ARMS else [counts]
    return [_alone(tensors, sorted(arm)) for arm in arms]


def _alone(tensors: list[Tensor], kept: list[int]) -> list[Tensor]:
    places = {old: new for new, old in enumerate(kept)}
    return [tensors[i]._replace(inputs=[places[j] for j in tensors[i].inputs if j in places]) for i in kept]


def _of_arm(arm: list[Tensor]) -> list[str]:
    """The names of the tensors that stand for the stages of an arm."""
    strides = sorted({t.stride for t in arm if t.may_stand})
    return [name for stride in strides for name in _of_stage(arm, stride, len(strides))]


def _of_stage(tensors: list[Tensor], stride: Fraction, stages: int) -> list[str]:
    """The names of the tensors that stand for a stage of an arm: the last that the whole of it flows through.

    Operations run in topological order, so everything flows through tensor i exactly when no tensor before it is
    used after it. Prefer one after an activation or a merge; where a network keeps two lanes open all through a
    stage (NASNet), take the last merge with the most channels. Tokens flow on in one resolution: there, take several
    at equal distances of depth, so that a network has four altogether where it has fewer stages.
    """
    last_use = [0] * len(tensors)
    for i, tensor in enumerate(tensors):
        for source in tensor.inputs:
            if source >= 0:
                last_use[source] = i
    open_until = 0
    all_flows, offered = [], []
    for i, tensor in enumerate(tensors):
        if tensor.may_stand and tensor.stride == stride:
            offered.append(tensor)
            if open_until <= i:
                all_flows.append(tensor)
        open_until = max(open_until, last_use[i])
    final = [t for t in all_flows if not t.is_linear] or all_flows
    if final and final[-1].place and final[-1].place.tokens:
        wanted, alike = max(1, _LAYERS // stages), [t for t in final if t.kind == final[-1].kind]
        final = alike if len(alike) >= wanted else final
        return [final[-1 - k * len(final) // wanted].name for k in range(wanted)]
    if final:
        return [final[-1].name]
    merges = [t for t in offered if t.kind == "merge"] or offered
    channels = max(t.shape[-1] for t in merges)
    return [[t for t in merges if t.shape[-1] == channels][-1].name]
