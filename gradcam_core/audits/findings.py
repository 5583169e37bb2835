"""What a person would look for in the rows of an audit, found and ranked, each with its numbers and its photos."""

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import PhotoError
from ..photos.sources import printable
from ..settings import Progress
from .batches import source
from .classes import COLUMNS_OF_CLASS, SURE, OfClass, Suspect, columns_of, of_class
from .counter_test import DONE, PHOTOS, Effects, effects
from .rows import About, path_of, read_about, read_rows, whole
from .traits import ALPHA_OF_TRAITS, LARGE, TRAITS, difference

if TYPE_CHECKING:
    from ..networks.classifier import Classifier

FORMAT = 1
CANDIDATES = 32  # that are tested, at most: those that stand apart most
SHOWN = 200  # photos that a finding names, at most
CONFUSED, LEAST_CONFUSED = 0.1, 5  # of a class's photos, and photos, from which a confusion is a finding
CONFUSIONS = 10  # findings, at most
KINDS = ("shortcut", "outside", "confusion", "errors", "trait")
"""What findings are, in the order of their rank."""

Read = Callable[[str], np.ndarray]
ProgressOf = Callable[[str], Progress | None]


@dataclass(frozen=True)
class Finding:
    """One thing that was found.

    Attributes:
        kind: one of KINDS.
        sentence: what was found, for people.
        label: the index of the class that it is about, or None.
        numbers: what it rests on, by name.
        photos: that show it, at most 200 of them, and `count` how many there are.
        count: how many photos it is about.
        weight: what ranks it among those of its kind, the highest first.
    """

    kind: str
    sentence: str
    label: int | None
    numbers: dict[str, Any]
    photos: list[str]
    count: int
    weight: float


@dataclass(frozen=True)
class Findings:
    """What was found in an audit: the content of ``findings.json``.

    Attributes:
        photos, failed, labelled: how many there are, could not be read, have a label.
        accuracy: the share of the labelled that are right; None without labels.
        findings: the most important first.
        classes: numbers of each class that has photos, in their order: `classes.OfClass` as a dictionary.
        tested: how many candidates of shortcuts were put to the counter-test.
        candidates: how many there were.
        format: of the file.
    """

    photos: int
    failed: int
    labelled: int
    accuracy: float | None
    findings: list[Finding]
    classes: list[dict[str, Any]]
    tested: int
    candidates: int
    format: int = field(default=FORMAT)

    def text(self, count: int = 5) -> str:
        """The most important findings in plain words, a line each, at most ``count`` and two of each other kind.

        Of shortcuts all that fit are told; where nothing was found, that is the line. One more says so where suspected
        groups could not be tested. Control characters in names are "?".
        """
        told: list[Finding] = []
        for finding in self.findings:
            same = sum(other.kind == finding.kind for other in told)
            told += [finding] if finding.kind == "shortcut" or same < 2 else []
        lines = [f"{number}. {printable(finding.sentence)}" for number, finding in enumerate(told[:count], 1)]
        lines = lines or ["Nothing was found that stands out."]
        untested = min(self.candidates, CANDIDATES) - self.tested
        if untested > 0:
            lines += [
                f"{untested} of {self.candidates} suspected groups could not be put to the counter-test: it takes a "
                "network of probabilities, photos of two classes, and that they can still be read."
            ]
        return "\n".join(lines)


def find(
    folder: str | os.PathLike[str],
    network: "Classifier | None" = None,
    read: Read | None = None,
    *,
    seed: int = 0,
    progress_of: ProgressOf = lambda _what: None,
) -> Findings:
    """Look through the rows of an audit, class by class, put what is suspected to the test, and write findings.json.

    No more than one class's rows are in memory, beside four numbers of each photo.

    Args:
        folder: of the audit.
        network: the one that was audited, for the counter-tests; without it nothing is called a shortcut.
        read: gives the pixels of a photo by its name in the rows; None reads it from the folder that was audited.
        seed: of everything that is drawn at random.
        progress_of: gives the progress of the "classes" and of the "counter-tests"; what that raises ends the work.

    Raises:
        SettingError: there are no rows, or they are damaged.
        WriteError: findings.json cannot be written.
    """
    folder = Path(folder)
    about = read_about(folder)
    light = read_rows(folder, ["label_index", "predicted_index", "error"]).to_pydict()
    label, predicted = (_integers(light[name]) for name in ("label_index", "predicted_index"))
    failed = np.array([error is not None for error in light["error"]], bool)
    home = np.where(label >= 0, label, predicted)  # the class that a row is read with
    present, progress = np.unique(home[home >= 0]).tolist(), progress_of("classes")
    of_each: list[OfClass] = []
    for index in present:
        of_each.append(of_class(columns_of(read_rows(folder, COLUMNS_OF_CLASS, index)), index, about, seed))
        if progress:
            progress(len(of_each), len(present))
    is_labelled = (label >= 0) & ~failed & (about.measures != "value")
    tested = 0
    if network is not None:
        tested = _tested(about, of_each, network, read, seed, progress_of("counter-tests"))
    found = [*_of_classes(of_each), *_confusions(of_each), *_traits(of_each), *_errors(of_each)]
    found.sort(key=lambda finding: (KINDS.index(finding.kind), -finding.weight))
    findings = Findings(
        photos=len(label),
        failed=int(failed.sum()),
        labelled=int(is_labelled.sum()),
        accuracy=float((label == predicted)[is_labelled].mean()) if is_labelled.any() else None,
        findings=found,
        classes=[one.about() for one in of_each],
        tested=tested,
        candidates=sum(suspect.group.is_candidate for one in of_each for suspect in one.suspects),
    )
    text = json.dumps(asdict(findings), ensure_ascii=False, allow_nan=False)
    whole(folder / "findings.json", lambda path: path.write_text(text + "\n", encoding="utf-8"))
    return findings


def _integers(values: Sequence[int | None]) -> np.ndarray:
    return np.array([-1 if value is None else value for value in values], np.int64)


def _tested(
    about: About,
    of_each: Sequence[OfClass],
    network: "Classifier",
    read: Read | None,
    seed: int,
    progress: Progress | None,
) -> int:
    """Put the candidates to the counter-test, and say how many could be."""
    if about.measures != "probability" or len(of_each) < 2:
        return 0
    read = read or (lambda photo: network.read(source(path_of(about.root, photo))))
    suspects = [(one, suspect) for one in of_each for suspect in one.suspects if suspect.group.is_candidate]
    suspects = sorted(suspects, key=lambda pair: -pair[1].group.separability)[:CANDIDATES]
    for done, (one, suspect) in enumerate(suspects, 1):
        rng = np.random.default_rng([seed, one.index])
        strangers = [photo for other in of_each if other is not one for photo in other.photos[:SHOWN]]
        group, rest, others = (_some(photos, read, rng) for photos in (suspect.photos, suspect.rest, strangers))
        if group and rest and others:
            suspect.effects = effects(
                network,
                one.index,
                suspect.group.region,
                list(group.values()),
                list(rest.values()),
                list(others.values()),
                [suspect.usual[i] for i in rest],
                seed,
            )
        if progress:
            progress(done, len(suspects))
    tested = sum(suspect.effects is not None for _, suspect in suspects)
    for _, suspect in suspects:
        suspect.candidates = tested
    return tested


def _some(photos: Sequence[str], read: Read, rng: np.random.Generator) -> dict[int, np.ndarray]:
    """Some of these photos by their place, drawn at random; those that cannot be read any more are left out."""
    found: dict[int, np.ndarray] = {}
    for i in rng.permutation(len(photos)):
        if len(found) == PHOTOS:
            break
        try:
            found[int(i)] = read(photos[i])
        except PhotoError:
            continue
    return found


def _of_classes(of_each: Sequence[OfClass]) -> list[Finding]:
    found = []
    for one in of_each:
        for suspect in one.suspects:
            if suspect.is_borne_out and suspect.effects is not None:
                found.append(_shortcut(one, suspect, suspect.effects))
        if one.is_outside and one.inside is not None and one.area is not None:
            found.append(
                Finding(
                    "outside",
                    f"For {one.name}, {one.inside:.0%} of the heat lies in the boxes, which cover {one.area:.0%} of "
                    f"the photos: no more than if it were spread evenly.",
                    one.index,
                    {"inside": one.inside, "area": one.area},
                    one.photos[:SHOWN],
                    len(one.photos),
                    one.area - one.inside,
                )
            )
    return found


def _confusions(of_each: Sequence[OfClass]) -> list[Finding]:
    found = []
    for one in of_each:
        for name, photos in one.confusions:
            share = len(photos) / one.labelled
            if len(photos) >= LEAST_CONFUSED and share >= CONFUSED:
                count = f"{len(photos)} of {one.labelled}"
                sentence = f"{share:.0%} of the photos of {one.name} ({count}) are taken for {name}."
                numbers = {"share": share, "of": one.labelled, "as": name}
                found.append(Finding("confusion", sentence, one.index, numbers, photos[:SHOWN], len(photos), share))
    return sorted(found, key=lambda finding: -finding.weight)[:CONFUSIONS]


def _shortcut(one: OfClass, suspect: Suspect, of: Effects) -> Finding:
    """Ranked by what the region does to the class, times how much more of the group's heat lies there."""
    photos, where, group = suspect.photos, suspect.where, suspect.group
    medians = {name: float(np.median(values)) for name, values in of.differences.items()}
    before, with_group, with_rest, with_usual = (int(count) for count in of.taken_for)
    sentence = (
        f"{one.name} hangs on something {where} in {len(photos)} of its {len(one.photos)} photos: hidden there, the "
        f"odds of the class are {np.exp(medians['hidden']):.2g} times lower than with as much hidden elsewhere; pasted "
        f"into {len(of.pasted)} photos of other classes, {with_group} of them become {one.name} (before {before}, with "
        f"the same place of its other photos {with_rest})."
    )
    numbers = {
        "log_odds": medians,
        "left": of.left,
        "surer": of.surer,
        "deficit": of.deficit,
        "least": of.least,
        "p_values": of.p_values,
        "hidden_in_others": float(np.median(of.others[:, 0] - of.others[:, 1])),
        "tested": {"group": len(of.group), "rest": len(of.rest), "others": len(of.others)},
        "taken_for": {"before": before, "group": with_group, "rest": with_rest, "usual": with_usual},
    }
    weight = min(medians[name] for name in DONE) * (group.heat - group.elsewhere)
    return Finding("shortcut", sentence, one.index, numbers, photos[:SHOWN], len(photos), weight)


def _traits(of_each: Sequence[OfClass]) -> list[Finding]:
    """What goes with a label: large differences to the photos of all other classes together, each class as heavy."""
    labelled = [one for one in of_each if one.labelled]
    if len(labelled) < 2:
        return []
    found, tests = [], len(labelled) * len(TRAITS)
    for name, (more, less) in TRAITS.items():
        for one in labelled:
            others = np.concatenate([other.traits[name] for other in labelled if other is not one])
            of = difference(one.traits[name], others)
            if of is None or abs(of.delta) < LARGE or of.p_value >= ALPHA_OF_TRAITS / tests:
                continue
            share = (1 + abs(of.delta)) / 2
            found.append(
                Finding(
                    "trait",
                    f"Photos of {one.name} are {more if of.delta > 0 else less} than others (in {share:.0%} of all "
                    f"pairs): that goes with the label, whether the network uses it or not.",
                    one.index,
                    {"trait": name, "delta": of.delta, "p_value": of.p_value},
                    one.photos[:SHOWN],
                    len(one.photos),
                    abs(of.delta),
                )
            )
    return found


def _errors(of_each: Sequence[OfClass]) -> list[Finding]:
    """The wrong answers that the network is surest of, all classes together."""
    wrong = sorted(
        ((p, photo) for one in of_each for p, photo in one.sure_errors), key=lambda pair: (-pair[0], pair[1])
    )
    sure = [(p, photo) for p, photo in wrong if p >= SURE]
    if not sure:
        return []
    count = sum(one.sure_count for one in of_each)
    sentence = (
        f"{count} photos are answered wrongly with a probability of {SURE:.0%} or more: look at their labels first."
        if count > 1
        else f"1 photo is answered wrongly with a probability of {SURE:.0%} or more: look at its label first."
    )
    photos = [photo for _, photo in sure][:SHOWN]
    return [
        Finding("errors", sentence, None, {"probability": SURE, "highest": sure[0][0]}, photos, count, float(count))
    ]
