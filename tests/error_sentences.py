"""Every sentence that the program refuses something with, as it stands in the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import gradcam_core.errors

FAMILY = {name for name in vars(gradcam_core.errors) if name.endswith("Error")}
GAP = "…"  # where the sentence has a value


def error_sentences(root: Path) -> Iterator[tuple[str, str]]:
    """(where, sentence) of each error of the family that is raised with a text of its own."""
    for path in [root / "app.py", *sorted((root / "gradcam_core").rglob("*.py")), *sorted((root / "ui").rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in FAMILY and node.args:
                sentence = " ".join(_text(node.args[0]).split())
                if sentence.strip(f"{GAP} .:;"):
                    yield f"{path.relative_to(root)}:{node.lineno}", sentence


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return GAP
