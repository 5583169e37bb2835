"""A notebook as a page: its cells are run, one after the other, and what they give stands under them."""

import ast
import base64
import contextlib
import io
import json
from pathlib import Path
from typing import Any


def cells(path: Path) -> list[tuple[str, str]]:
    """(kind, text) of each cell; kind is "code" or "markdown"."""
    return [(cell["cell_type"], "".join(cell["source"])) for cell in json.loads(path.read_text())["cells"]]


def as_page(path: Path) -> str:
    """The notebook in Markdown, with what its cells print and show. What a cell raises ends it."""
    names: dict[str, Any] = {"__name__": "__main__"}
    page = []
    for kind, text in cells(path):
        page.append(f"```python\n{text}\n```\n\n{run(text, names)}" if kind == "code" else text)
    return "\n\n".join(page)


def run(code: str, names: dict[str, Any]) -> str:
    """Run a cell, and give what Jupyter would show under it, in Markdown."""
    body = ast.parse(code).body
    last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(ast.Module(body, []), "cell", "exec"), names)
        value = eval(compile(ast.Expression(last.value), "cell", "eval"), names) if last else None
    picture = getattr(value, "_repr_jpeg_", lambda: None)()
    text = printed.getvalue() + ("" if value is None or picture else f"{value!r}\n")
    shown = f"```text\n{text}```\n\n" if text else ""
    if picture:
        shown += (
            f'<img alt="What the cell above shows" src="data:image/jpeg;base64,{base64.b64encode(picture).decode()}">\n'
        )
    return shown
