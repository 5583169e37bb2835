"""The parts of the site that are read off the program."""

import argparse
import ast
import html
import os
import subprocess
import sys
from pathlib import Path

from gradcam_core.settings import METHODS

ROOT = Path(__file__).resolve().parents[1]


def commands() -> str:
    """The help of every command, as each prints it."""
    from gradcam_core.cli import main

    subparsers = next(one for one in main._parser()._actions if isinstance(one, argparse._SubParsersAction))
    pages = {"gradcam": ["-m", "gradcam_core"]}
    pages |= {f"gradcam {name}": ["-m", "gradcam_core", name] for name in subparsers.choices}
    pages["python app.py"] = ["app.py"]
    return "\n".join(f"## {name}\n\n```text\n{_help(command)}```\n" for name, command in pages.items())


def _help(command: list[str]) -> str:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("GRADCAM_", "GRADIO_"))}
    plain |= {"COLUMNS": "86", "NO_COLOR": "1"}
    run = subprocess.run([sys.executable, *command, "--help"], cwd=ROOT, env=plain, capture_output=True, text=True)
    run.check_returncode()
    return run.stdout


def methods() -> str:
    """The methods, as the page and the shell describe them."""
    rows = [f"| `{name}` | {method.title} | {method.about} |" for name, method in METHODS.items()]
    return "\n".join(["| `method=` | name | what it shows |", "| --- | --- | --- |", *rows]) + "\n"


def endpoints() -> str:
    """The endpoints of the HTTP API: arguments with type and default, and what comes back, from their docstrings."""
    tree = ast.parse((ROOT / "ui" / "api.py").read_text(encoding="utf-8"))
    add = next(node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == "add")
    pages = []
    for function in (node for node in add.body if isinstance(node, ast.FunctionDef)):
        about, _, rest = ast.get_docstring(function).partition("\nParameters:\n")
        parameters, _, returns = rest.partition("\nReturns:\n")
        said = dict(line.strip().split(": ", 1) for line in parameters.splitlines())
        defaults = [None] * (len(function.args.args) - len(function.args.defaults)) + function.args.defaults
        rows = [
            f"| `{given.arg}` | `{html.escape(ast.unparse(given.annotation)).replace('|', 'or')}` "
            f"| {'needed' if default is None else _default(default)} | {said[given.arg]} |"
            for given, default in zip(function.args.args, defaults, strict=True)
        ]
        answers = "\n".join(f"- {line.strip()}" for line in returns.strip().splitlines())
        table = "\n".join(["| argument | type | default | |", "| --- | --- | --- | --- |", *rows])
        pages.append(f"## /{function.name}\n\n{about.strip()}\n\n{table}\n\nIt answers with\n\n{answers}\n")
    return "\n".join(pages)


def _default(node: ast.expr) -> str:
    return f"`{ast.unparse(node)}`" if isinstance(node, ast.Constant) else "that of the page"


def floors() -> str:
    """The floors of the house, from the roof to the ground: each home with the first words of its docstring."""
    sys.path.insert(0, str(ROOT / "tests"))
    from test_house import FLOORS, modules

    known = modules(ROOT)
    rows = []
    for row in reversed(FLOORS):
        boxes = []
        for home in sorted(row):
            about = ast.get_docstring(ast.parse(known[home].read_text(encoding="utf-8"))).splitlines()[0]
            about = html.escape(about.replace("``", "").replace("`", ""), quote=False)
            boxes.append(f'<div class="home"><code>{home}</code><span>{about}</span></div>')
        rows.append(f'<div class="floor">{"".join(boxes)}</div>')
    return f'<div class="house">{"".join(rows)}</div>\n'
