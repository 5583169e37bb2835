"""Docstrings as they stand on the site: formulas as MathML, which browsers draw by themselves, and examples as code."""

import re

import griffe
from latex2mathml.converter import convert

FORMULA = re.compile(r":math:`([^`]+)`")
EXAMPLE = re.compile(r"^>>> (?:.|\n(?!\n))*", re.MULTILINE)  # to the next empty line


class Docstrings(griffe.Extension):
    """Turn reStructuredText's formulas and doctest's examples into what Markdown knows."""

    def on_object(self, *, obj: griffe.Object, **_: object) -> None:
        """Called for every object that has been read."""
        if obj.docstring:
            text = FORMULA.sub(_drawn, obj.docstring.value)
            obj.docstring.value = EXAMPLE.sub(lambda found: f"```pycon\n{found[0].rstrip()}\n```", text)


def _drawn(found: re.Match[str]) -> str:
    """MathML in a span: Markdown takes a line that begins with <math> for a paragraph of its own."""
    return f"<span>{convert(' '.join(found[1].split()))}</span>"
