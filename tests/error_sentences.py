"""Every sentence that the program refuses something with, as it stands in the source."""

import ast
from collections.abc import Iterator
from pathlib import Path

import gradcam_core.errors

SPEAKERS = {name for name in vars(gradcam_core.errors) if name.endswith("Error")} | {"Refusal", "refusal", "_refusal"}
GAP = "…"  # where the sentence has a value


def _nodes(root: Path) -> Iterator[tuple[Path, ast.AST]]:
    for path in [root / "app.py", *sorted((root / "gradcam_core").rglob("*.py")), *sorted((root / "ui").rglob("*.py"))]:
        yield from ((path, node) for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))))


def error_sentences(root: Path) -> Iterator[tuple[str, str]]:
    """(where, sentence) of each error that is raised, or refusal that is given, with a text of its own."""
    for path, node in _nodes(root):
        if isinstance(node, ast.Call) and ast.unparse(node.func).rpartition(".")[2] in SPEAKERS:
            texts = (" ".join(_text(argument).split()) for argument in node.args)
            sentence = next((text for text in texts if " " in text), "")
            if any(map(str.isalpha, sentence)):
                yield f"{path.relative_to(root)}:{node.lineno}", sentence


def texts(root: Path) -> Iterator[str]:
    """Every text in the source, up to the next value in it."""
    return (node.value for _, node in _nodes(root) if isinstance(node, ast.Constant) and isinstance(node.value, str))


def _text(node: ast.expr) -> str:
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(part) for part in node.values)
    return GAP
