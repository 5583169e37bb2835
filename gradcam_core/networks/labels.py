"""Class names in the forms in which people have them, brought into the order of a network's outputs."""

import json
import numbers
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import NetworkError, TargetError
from .measures import Measure

Name = str | tuple[str, str]  # a name, or a WordNet id and a name
LabelSource = Iterable[Any] | Mapping[Any, Any] | str | os.PathLike[str]

_LONGEST = 200  # characters of a class: the nearest names to a long text take long to find
_FORMS = (
    "Give one name for each output, in order: a list, an array, {index: name} or {name: index}, or the path of a file."
)


@dataclass(frozen=True)
class Label:
    """One class: its index in the network's output, its WordNet id (None where it has none) and its name."""

    index: int
    wordnet_id: str | None
    name: str


def labelled(network: str, names: Sequence[Name] | None, count: int, measures: Measure) -> tuple[Label, ...]:
    """A label for each of ``count`` outputs; without names they are numbered.

    Raises:
        NetworkError: there are more names, or fewer.
    """
    if names is None:
        what = "value" if measures == "value" else "class"
        names = ["value"] if (what, count) == ("value", 1) else [f"{what} {index}" for index in range(count)]
    if len(names) != count:
        what = "values" if measures == "value" else "classes"
        raise NetworkError(
            f"{network} has {count} {what}, but {len(names)} names were given. Give one name for each class."
        )
    pairs = [(None, name) if isinstance(name, str) else name for name in names]
    return tuple(Label(index, wordnet_id, name) for index, (wordnet_id, name) in enumerate(pairs))


def index_of(network: str, labels: Sequence[Label], target: int | str | None) -> int | None:
    """The index of the class that is meant by an index, a name or a WordNet id; None stays None.

    Names are compared without case, and with "_" as a space.

    Raises:
        TargetError: no class, or more than one, is meant; the nearest names are listed with their indices.
    """
    if target is None:
        return None
    if isinstance(target, (int, np.integer)) and not isinstance(target, bool):
        if 0 <= target < len(labels):
            return int(target)
        asked = target if abs(target) < 1e15 else "what was asked for"  # Python prints no endless number
        raise TargetError(f"{network} has the classes 0 to {len(labels) - 1}; {asked} is not one of them.")
    if not isinstance(target, str) or not target.strip():
        raise TargetError("The class is given as an index, a name or a WordNet id.")
    if len(target) > _LONGEST:
        raise TargetError(f"The class is given by a text of up to {_LONGEST} characters, not {len(target)}.")
    wanted = _fold(target)
    matches = [label for label in labels if wanted in (_fold(label.name), label.wordnet_id)]
    if len(matches) == 1:
        return matches[0].index
    if matches:
        raise TargetError(f"{target!r} names {len(matches)} classes of {network}: {_listed(matches)}. Give the index.")
    if wanted.isdecimal():
        return index_of(network, labels, int(wanted))
    folded = {_fold(label.name): label for label in reversed(labels)}
    near = [label for name, label in folded.items() if wanted in name.split()]
    near += [folded[name] for name in get_close_matches(wanted, folded, n=5, cutoff=0.5)]
    near += [label for name, label in folded.items() if wanted in name]
    hint = f" Nearest: {_listed(list(dict.fromkeys(near))[:5])}." if near else " Give its index, name or WordNet id."
    raise TargetError(f"{network} knows no class {target!r}.{hint}")


def _fold(name: str) -> str:
    return " ".join(name.replace("_", " ").casefold().split())


def _listed(labels: Sequence[Label]) -> str:
    return ", ".join(f"{label.name} ({label.index})" for label in labels)


def names_of(labels: LabelSource) -> tuple[Name, ...]:
    """Class names in the order of the outputs.

    Args:
        labels: names, numbers or (WordNet id, name) pairs in order: a list, a tuple, a NumPy array, a column of a
            table, anything that can be gone through once; or {index: name}, or {name: index} as Keras'
            ``class_indices``; or the path of a file, see `read_labels`.

    Raises:
        NetworkError: they are something else, or have no order, or a name is missing.

    >>> names_of({"emu": 2, "cat": 0, "dog": 1})
    ('cat', 'dog', 'emu')
    """
    if isinstance(labels, str | os.PathLike):
        return read_labels(labels)
    return _ordered(_plain(labels), "The class names")


def read_labels(path: str | os.PathLike[str]) -> tuple[Name, ...]:
    """Class names from a text file, a .json file or a folder.

    Args:
        path: of a text file with one "name", "n01440764 name" or "0 name" a line; or of a .json file with a list of
            names or of [WordNet id, name] pairs, or with {"0": "name"} or {"name": 0}; or of a folder with a folder for
            each class, whose names in alphabetical order are taken, as `keras.utils.image_dataset_from_directory` does.

    Raises:
        NetworkError: the file cannot be read, or is neither.
    """
    path = Path(path)
    try:
        if path.is_dir():
            return _ordered(
                sorted(one.name for one in path.iterdir() if one.is_dir() and one.name[0] != "."), str(path)
            )
        text = path.read_text(encoding="utf-8-sig")
        entries = json.loads(text) if path.suffix.lower() == ".json" else _by_line(text.rstrip().splitlines())
    except OSError as error:
        if not path.suffix and len(path.parts) == 1:
            raise NetworkError(
                f"The class names are given as one text, {str(path)!r}, and there is no such file. {_FORMS}"
            ) from error
        raise NetworkError(
            f"The class names in {path} cannot be read: {(error.strerror or str(error)).lower()}."
        ) from error
    except ValueError as error:  # UnicodeDecodeError and JSONDecodeError are ValueErrors
        raise NetworkError(f"The class names in {path} are not UTF-8 text, or not JSON: {error}.") from error
    return _ordered(entries, str(path))


def _by_line(lines: list[str]) -> list[str] | dict[int, str]:
    """The names of a text file; by index where each line begins with one, as Teachable Machine writes them."""
    found = [re.fullmatch(r"\s*(\d{1,6})[\s,:;]+(\S.*)", line) for line in lines]
    indexed = {int(one[1]): one[2].strip() for one in found if one}
    return indexed if lines and sorted(indexed) == list(range(len(lines))) else lines


def _plain(labels: Any) -> Any:  # noqa: ANN401
    """Arrays and columns of tables as lists, a column with an index of its own as a mapping."""
    if isinstance(labels, set | frozenset):
        raise NetworkError(f"The class names are a set, which has no order. {_FORMS}")
    if not isinstance(labels, Mapping) and hasattr(labels, "to_dict") and hasattr(labels, "index"):
        return labels.to_dict()
    if isinstance(labels, Mapping):
        return labels
    if hasattr(labels, "__array__"):
        return np.asarray(labels).tolist()
    if isinstance(labels, bytes) or not isinstance(labels, Iterable):
        raise NetworkError(f"The class names are {_shown(labels)}. {_FORMS}")
    return list(labels)


def _ordered(entries: Any, what: str) -> tuple[Name, ...]:  # noqa: ANN401
    if isinstance(entries, Mapping):
        entries = _by_index(list(entries.items()), what)
    elif isinstance(entries, list) and entries and all(map(_is_numbered, entries)):
        entries = _by_index(entries, what)
    names: list[Name] = []
    for entry in entries if isinstance(entries, list) else [None]:
        if (name := _name(entry)) is None:
            raise NetworkError(
                f"{what} must hold one class name for each output, in order, or by its index: a line each, or a list "
                f"of names or [WordNet id, name] pairs. Entry {len(names)} (counted from 0) is not one."
            )
        names.append(name)
    return tuple(names)


def _by_index(entries: Sequence[tuple[Any, Any]], what: str) -> list[Any]:
    """The names in order, from (index, name) or (name, index) pairs."""
    is_turned = all(isinstance(first, str) and _is_index(second) for first, second in entries)
    pairs = [(second, first) if is_turned else (first, second) for first, second in entries]
    found = {int(index): name for index, name in pairs if _is_index(index) or str(index).isdecimal()}
    if len(found) != len(entries) or sorted(found) != list(range(len(entries))):
        given = ", ".join(str(index) for index, _ in pairs[:5])
        raise NetworkError(
            f"{what} must have the indices 0 to {max(len(entries) - 1, 0)}, each once; these have {given or 'none'}."
        )
    return [found[index] for index in range(len(entries))]


def _is_index(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def _is_numbered(entry: object) -> bool:
    """Whether it is an (index, name) or (name, index) pair."""
    return isinstance(entry, tuple) and len(entry) == 2 and sum(map(_is_index, entry)) == 1


def _name(entry: object) -> Name | None:
    """A name, or a pair of WordNet id and name; None where it is neither."""
    if isinstance(entry, np.generic):
        entry = entry.item()
    if isinstance(entry, bytes):
        entry = entry.decode(errors="replace")
    if isinstance(entry, numbers.Real) and entry == entry:  # not NaN
        return str(entry)
    if isinstance(entry, str) and entry.strip():
        with_id = re.fullmatch(r"(n\d{8})\s+(\S.*)", entry.strip())
        return (with_id[1], with_id[2]) if with_id else entry.strip()
    if isinstance(entry, list | tuple) and len(entry) == 2 and all(isinstance(part, str) for part in entry):
        return (entry[0], entry[1])
    return None


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"a {type(value).__name__}"
