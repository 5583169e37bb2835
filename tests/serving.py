"""The real page, in a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


START_SECONDS = 120


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


@dataclass(frozen=True)
class Server:
    """The running page: where it is, what it has written, and its process."""

    url: str
    log: Path
    pid: int


def _interruptible() -> None:
    """Let Ctrl-C end the page also where the tests run in the background of a shell, which makes them deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def serve(folder: Path, *arguments: object, **environment: str) -> Iterator[Server]:
    """``python app.py`` in a process of its own, with no weights of others and no way to fetch them."""
    import httpx

    port = free_port()
    log = folder / "log.txt"
    own = {name: value for name, value in os.environ.items() if not name.startswith(("GRADIO_", "GRADCAM_"))}
    own |= {
        "GRADIO_TEMP_DIR": str(folder / "cache"),
        "KERAS_HOME": str(folder / "keras"),
        "GRADCAM_WEIGHTS_URL": f"http://127.0.0.1:{free_port()}",
        "PYTHONUNBUFFERED": "1",
    }
    command = [sys.executable, "app.py", "--port", str(port), *map(str, arguments)]
    with log.open("w") as out:
        process = subprocess.Popen(
            command, cwd=ROOT, env=own | environment, stdout=out, stderr=out, preexec_fn=_interruptible
        )
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_SECONDS
        while True:
            if process.poll() is not None or time.monotonic() > until:
                pytest.fail(f"The page did not start:\n{log.read_text()}")
            try:
                if httpx.get(f"{url}/config", timeout=5).status_code == 200:
                    break
            except httpx.HTTPError:
                time.sleep(0.1)
        yield Server(url, log, process.pid)
    finally:
        process.terminate()
        process.wait(20)
