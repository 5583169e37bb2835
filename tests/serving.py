"""The real page, in a process of its own."""

import gc
import multiprocessing
import os
import runpy
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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


# TensorFlow is imported and has computed nothing: else it could not be forked.
_forked = multiprocessing.get_context("forkserver")
_forked.set_forkserver_preload(["keras", "gradcam_core.maps.gradients", "ui.page", "ui.live"])


@contextmanager
def serve(folder: Path, *arguments: object, from_scratch: bool = False, **environment: str) -> Iterator[Server]:
    """``python app.py`` in a process of its own, with no weights of others and no way to fetch them.

    The process is forked from one that has imported TensorFlow and Gradio, which takes most of the time of a start;
    ``from_scratch`` it is started as from a shell.
    """
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
    start = _Started if from_scratch else _Forked
    process = start(["app.py", "--port", str(port), *map(str, arguments)], own | environment, log, log)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + START_SECONDS
        with httpx.Client(timeout=5) as client:
            while True:
                if not process.is_alive() or time.monotonic() > until:
                    pytest.fail(f"The page did not start:\n{log.read_text()}")
                try:
                    if client.get(f"{url}/config").status_code == 200:
                        break
                except httpx.HTTPError:
                    time.sleep(0.1)
        yield Server(url, log, process.pid)
    finally:
        process.terminate()
        process.join(20)
        if process.is_alive():
            process.kill()
            process.join(20)
            pytest.fail("The page did not end.")


def run(
    arguments: list[str], from_scratch: bool = False, folder: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess:
    """A program until it ends, in a folder: ``python FILE`` or ``python -m gradcam_core``, with arguments."""
    with tempfile.TemporaryDirectory() as name:
        out, error = Path(name) / "out", Path(name) / "error"
        process = (_Started if from_scratch else _Forked)(arguments, os.environ | environment, out, error, folder)
        process.join(120)
        if process.is_alive():
            process.kill()
            process.join(20)
            pytest.fail(f"It did not end: {arguments}")
        return subprocess.CompletedProcess(arguments, process.exitcode, out.read_text(), error.read_text())


class _Started(subprocess.Popen):
    """A program, started as from a shell."""

    def __init__(self, arguments: list[str], environment: dict[str, str], out: Path, error: Path, folder: Path = ROOT):
        with out.open("a") as stdout, error.open("a") as stderr:
            command = [sys.executable, *arguments]
            super().__init__(command, cwd=folder, env=environment, stdout=stdout, stderr=stderr, preexec_fn=_hear)

    def is_alive(self) -> bool:
        return self.poll() is None

    def join(self, seconds: float) -> None:
        with suppress(subprocess.TimeoutExpired):
            self.wait(seconds)

    @property
    def exitcode(self) -> int | None:
        return self.returncode


def _hear() -> None:
    """Let Ctrl-C end the page also where the tests run in the background of a shell, which makes them deaf to it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


class _Forked(_forked.Process):
    """The same, forked from a process that has imported what takes long."""

    def __init__(self, arguments: list[str], environment: dict[str, str], out: Path, error: Path, folder: Path = ROOT):
        super().__init__(target=_run, args=(arguments, dict(environment), out, error, folder))
        with pytest.MonkeyPatch.context() as patch:  # for the process that imports, at the first start
            patch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
            patch.setenv("KERAS_BACKEND", "tensorflow")
            self.start()


def _run(arguments: list[str], environment: dict[str, str], out: Path, error: Path, folder: Path) -> None:
    gc.freeze()  # as a program does that imports it all itself
    for stream, path in enumerate((out, error), 1):
        with path.open("a") as file:
            os.dup2(file.fileno(), stream)
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.path.insert(0, str(ROOT))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    else:
        sys.argv = arguments
        runpy.run_path(arguments[0], run_name="__main__")
