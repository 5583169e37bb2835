"""The browser of the browser tests: the Chromium of this machine, or the distribution's where it may be installed.

``python tests/chromium.py install`` brings it where that is possible, ``say`` prints a line where there is none.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

# The first is Chromium without a window: a page is loaded in less than half the time.
NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
MISSING = (
    "The browser tests were skipped: there is no Chromium on this machine. Install it (on Debian as root: "
    "apt-get install chromium-headless-shell), or set CHROMIUM to its path."
)


def find() -> str | None:
    """The path of a Chromium: the environment variable CHROMIUM, or the first of the usual names."""
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)


def install() -> None:
    """Install Debian's Chromium where there is none and this user may."""
    if find() or not (shutil.which("apt-get") and hasattr(os, "geteuid") and os.geteuid() == 0):
        return
    if not Path("/etc/debian_version").exists():
        return
    print("Installing Chromium for the browser tests from the distribution's packages (once)", flush=True)
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-qq", "-y", "--no-install-recommends", NAMES[0], "fonts-liberation"],
    ):
        if subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode != 0:
            print(f"{' '.join(command[:2])} failed; the browser tests will be skipped.")
            return


if __name__ == "__main__":
    if sys.argv[1:] == ["install"]:
        install()
    elif not find():
        print(MISSING)
