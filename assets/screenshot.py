"""Make docs/screenshot.png, the picture of the README: ``python assets/screenshot.py``.

Starts the page, takes one of Gradio's own example photos and waits for its heat maps. Needs Chromium and the packages
of ``pip install .[test]``.
"""

import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "screenshot.png"
SUBJECT = "lion"
LIMIT = 600 * 1024

sys.path.insert(0, str(ROOT / "tests"))

import chromium  # noqa: E402


def main() -> int:
    """Write the picture; the exit code says whether it is one to show."""
    executable = chromium.find()
    if not executable:
        print(chromium.MISSING, file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        settings = {**os.environ, "GRADIO_TEMP_DIR": folder, "PYTHONUNBUFFERED": "1"}
        command = [sys.executable, "app.py", *sys.argv[1:]]
        server = subprocess.Popen(command, cwd=ROOT, env=settings, stdout=subprocess.PIPE, text=True)
        try:
            address = next(found[0] for line in server.stdout if (found := re.search(r"http://\S+", line)))
            _take(executable, address)
        finally:
            server.terminate()
            server.wait(20)
    size = PICTURE.stat().st_size
    print(f"{PICTURE.relative_to(ROOT)}: {size // 1024} KB")
    return int(size > LIMIT)


def _take(executable: str, address: str) -> None:
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 800}, color_scheme="light")
        page.goto(address)
        page.get_by_role("button", name=f"Example photo: {SUBJECT}").click()
        page.locator(".gx-card canvas").last.wait_for(timeout=60_000)
        guess = page.locator(".gx-guess", has=page.get_by_text(SUBJECT, exact=True))
        if guess.count():
            guess.click()
            page.locator(".gx-title", has_text=f"Evidence for {SUBJECT}").wait_for()
        page.mouse.move(0, 0)
        page.wait_for_function("document.querySelector('#class input').value.includes('%')")
        page.screenshot(path=PICTURE, animations="disabled")
        browser.close()


if __name__ == "__main__":
    sys.exit(main())
