"""Build the site of docs/ into build/site: ``make docs``, or ``python -m website.build``.

What can be read off the program is made here and not written by hand: the help of the commands, the endpoints of the
HTTP API, the floors of the house, and the notebook with what its cells give. Then zensical builds the site, and every
link and anchor of every page is followed. Nothing is fetched from another host.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from . import notebook, parts
from .links import broken

ROOT = Path(__file__).resolve().parents[1]
PARTS = ROOT / "build" / "parts"
SITE = ROOT / "build" / "site"


def main() -> int:
    """Build the site; the exit code says whether it is whole."""
    shutil.rmtree(SITE, ignore_errors=True)
    PARTS.mkdir(parents=True, exist_ok=True)
    made = {
        "commands.md": parts.commands(),
        "methods.md": parts.methods(),
        "endpoints.md": parts.endpoints(),
        "floors.html": parts.floors(),
        "article.md": notebook.as_page(ROOT / "docs" / "tutorials" / "article.ipynb"),
    }
    for name, text in made.items():
        (PARTS / name).write_text(text, encoding="utf-8")
    program = Path(sys.executable).with_name("zensical")
    built = subprocess.run([program, "build", "--strict", "--clean"], cwd=ROOT, capture_output=True, text=True)
    said = (built.stdout + built.stderr).partition("Traceback")[0]  # of "Aborted because --strict flag is set"
    found = broken(SITE) if built.returncode == 0 else [said]
    print("\n".join(found) or f"The site is in {SITE.relative_to(ROOT)}: open {SITE.name}/index.html")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
