"""Grad-CAM Explorer's page: ``python app.py``, then open the address that it prints."""

import argparse
import ctypes
import logging
import os
import shutil
import signal
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from gradcam_core import GradcamError
from gradcam_core.cli.options import add_file_options, file_settings
from gradcam_core.collecting import uncollected
from gradcam_core.networks import loading, zoo
from gradcam_core.networks.files import is_file
from gradcam_core.networks.preprocessing import with_ranges
from gradcam_core.quiet import choose_backend, import_tensorflow

if TYPE_CHECKING:
    from gradcam_core import Classifier
    from ui.choices import Networks
    from ui.live import Live

log = logging.getLogger("gradcam")

M_ARENA_MAX = -8  # of glibc's malloc.h


def arguments() -> argparse.Namespace:
    """What was asked for on the command line, with the environment's settings as defaults."""
    parser = argparse.ArgumentParser(
        description="Grad-CAM Explorer: drop a photo on a page and see which parts of it each stage of a network used.",
        epilog="Each setting can also be made in the environment; the command line comes first.",
    )
    parser.add_argument(
        "--network",
        metavar="NAME",
        default=os.environ.get("GRADCAM_NETWORK") or zoo.DEFAULT,
        help=f"the network to start with: {zoo.DEFAULT} (the default), a name that `python -m gradcam_core networks` "
        "lists (VGG16, ResNet50, ...), or the path of a .keras or .h5 file (GRADCAM_NETWORK)",
    )
    add_file_options(parser)
    parser.add_argument(
        "--host",
        default=os.environ.get("GRADIO_SERVER_NAME") or "127.0.0.1",
        help="address to listen on: 127.0.0.1, the default, is for this machine only (GRADIO_SERVER_NAME)",
    )
    parser.add_argument(
        "--port",
        type=int,
        default=os.environ.get("GRADIO_SERVER_PORT"),
        help="port to listen on; 7860, or the next free one, where none is given (GRADIO_SERVER_PORT)",
    )
    parser.add_argument(
        "--memory",
        metavar="MB",
        type=float,
        default=os.environ.get("GRADCAM_MEMORY") or loading.MEMORY,
        help=f"megabytes of weights that stay loaded, so that a network that was used need not be loaded again; the "
        f"least recently used go first; {loading.MEMORY} where none is given (GRADCAM_MEMORY)",
    )
    parser.add_argument(
        "--keep",
        type=float,
        default=os.environ.get("GRADCAM_KEEP", "8"),
        metavar="MINUTES",
        help="keep a visitor's files that are not used any more for so long (GRADCAM_KEEP; default: %(default)s)",
    )
    parser.add_argument(
        "--visitor",
        type=float,
        default=os.environ.get("GRADCAM_VISITOR", "500"),
        metavar="MB",
        help="megabytes that one visitor may send within that time (GRADCAM_VISITOR; default: %(default)s)",
    )
    parser.add_argument(
        "--live",
        type=int,
        default=os.environ.get("GRADCAM_LIVE", "5"),
        metavar="N",
        help="visitors who may have their cameras explained live at once; 0 for none (GRADCAM_LIVE; default: "
        "%(default)s)",
    )
    parser.add_argument(
        "--hosts",
        default=os.environ.get("GRADCAM_HOSTS", ""),
        metavar="NAME,...",
        help="names of the page besides localhost, behind a reverse proxy, and of other sites that may call it "
        "(GRADCAM_HOSTS)",
    )
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=os.environ.get("GRADCAM_MCP", "").lower() in ("1", "true", "yes", "on"),
        help="offer predict and explain as MCP tools too, under /gradio_api/mcp/ (GRADCAM_MCP=1)",
    )
    return parser.parse_args(with_ranges(sys.argv[1:]))


def main() -> int:
    """Start the page and serve it until it is stopped."""
    asked = arguments()
    choose_backend()
    _share_memory()
    logging.basicConfig(level=logging.WARNING, format="%(asctime)s %(name)s: %(message)s")
    try:
        loading.keep_in_memory(asked.memory)
        if asked.mcp:
            _require_mcp()
        started = _own_network(asked.network, file_settings(asked))
    except GradcamError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2

    try:
        with _upload_folder() as folder:
            return _serve(asked, started, folder)
    except GradcamError as error:
        print(f"app.py: {error}", file=sys.stderr)
        return 2


@contextmanager
def _upload_folder() -> Iterator[Path]:
    """A folder for visitors' files, which is gone when the page ends, be it by a signal."""
    from ui import upload_folder

    folder = upload_folder.claim()

    def end(number: int, _frame: object) -> None:
        shutil.rmtree(folder, ignore_errors=True)
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)

    for name in ("SIGTERM", "SIGHUP"):
        if hasattr(signal, name):
            signal.signal(getattr(signal, name), end)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _serve(asked: argparse.Namespace, started: "Classifier | None", folder: Path) -> int:
    """Build the page and serve it until it is stopped."""
    with uncollected():
        from ui import page  # Gradio takes seconds to import: --help and a wrong name do not wait for it
        from ui.choices import Networks
        from ui.live import Live

    if asked.mcp:
        from ui import mcp_tools

        mcp_tools.install()
    networks = Networks(asked.network, started, asked.preprocess)
    live = Live(networks, asked.live) if asked.live > 0 else None
    try:
        blocks = page.build(networks, live)
    except OSError as error:
        raise GradcamError(
            f"The folder for visitors' photos, {folder}, cannot be written ({error.strerror})."
        ) from error
    try:
        _, address, _ = blocks.launch(
            server_name=asked.host,
            server_port=asked.port,
            mcp_server=asked.mcp,
            # Where there is no Node.js, Gradio would start Python in its place and then itself a second time.
            ssr_mode=None if shutil.which(os.environ.get("GRADIO_NODE_PATH") or "node") else False,
            prevent_thread_lock=True,
            **page.LAUNCH,
            **_guards(asked, folder, live),
        )
    except OSError:
        where = f"port {asked.port}" if asked.port else "all ports from 7860 on"
        print(
            f"app.py: {where} on {asked.host} cannot be used, or in use; choose another with --port.", file=sys.stderr
        )
        return 1
    print(f"{page.NAME} is at {address} (Ctrl+C ends it).", flush=True)
    print(f"Networks that were used stay loaded up to {loading.MEMORY:.0f} MB of weights (--memory).", flush=True)
    threading.Thread(target=_warm_up, args=(networks,), daemon=True).start()
    blocks.block_thread()
    return 0


def _guards(asked: argparse.Namespace, folder: Path, live: "Live | None") -> dict[str, Any]:
    """What `launch` is told so that visitors' files, their states and their requests stay within bounds."""
    from starlette.middleware import Middleware

    from ui import uploads
    from ui.doors import Doors, is_local
    from ui.housekeeping import lifespan, session_capacity
    from ui.upload_folder import Sweeper

    uploads.install()
    seconds, present = max(3.0, 60 * asked.keep), Counter[str]()
    root = os.environ.get("GRADIO_ROOT_PATH", "")
    hosts = {name.strip().lower() for name in asked.hosts.split(",")} | {urlsplit(root).hostname or ""}
    hosts |= {os.environ.get("SPACE_HOST", "").lower()}
    if os.environ.get("SPACE_ID"):
        os.environ.setdefault("FORWARDED_ALLOW_IPS", "*")  # else all visitors of a Space have its proxy's address
    is_laptop = is_local(asked.host.strip("[]")) and not os.environ.get("SPACE_ID") and (not root or "://" in root)
    doors = Middleware(
        Doors,
        allowance=uploads.Allowance(1e6 * asked.visitor, seconds),
        present=present,
        hosts=hosts - {""},
        is_strict=is_laptop,
        is_frame=live.is_frame if live else lambda _: False,
    )
    return {
        "app_kwargs": {
            "middleware": [doors],
            "lifespan": lifespan(Sweeper(folder, seconds), present, seconds),
            "routes": live.routes if live else [],
        },
        "state_session_capacity": session_capacity(),
    }


def _share_memory() -> None:
    """Let all threads take memory from two pools. glibc gives them up to eight a core, and what visitors leave free is
    spread over so many that little of it is used again: memory grows for as long as there are visitors.
    """
    if sys.platform == "linux" and "MALLOC_ARENA_MAX" not in os.environ:
        with suppress(AttributeError):  # another library than glibc
            ctypes.CDLL(None).mallopt(M_ARENA_MAX, 2)


def _require_mcp() -> None:
    try:
        import mcp  # noqa: F401
    except ImportError as error:
        raise GradcamError('--mcp needs the package mcp. Install it with: pip install ".[mcp]"') from error


def _own_network(name: str, settings: dict[str, Any]) -> "Classifier | None":
    """The network of a file; None for a name of the zoo, which is loaded once the page stands."""
    if is_file(name):
        import_tensorflow()
        network = loading.load(name, **settings)
        if network.channels not in (1, 3):
            raise GradcamError(
                f"{network.name} takes {network.channels} channels, and the page takes photos. Use it from Python."
            )
        for note in network.notes:
            print(f"app.py: {note}", file=sys.stderr)
        return network
    zoo.find(name)
    if settings:
        given = ", ".join(f"--{'input' if name == 'inputs' else name}" for name in settings)
        raise GradcamError(
            f"{given} goes with a network in a file; those of the zoo have their own class names and preprocessing, "
            "one input and one output."
        )
    return None


def _warm_up(networks: "Networks") -> None:
    """Load and trace the network of the start, so that the first photo need not wait."""
    import_tensorflow()
    from gradcam_core.maps.gradients import warm_up

    try:
        warm_up(networks.load(networks.start))
    except GradcamError as error:
        log.warning("%s The page uses %s until then.", error, zoo.DEFAULT)
        warm_up(networks.load(zoo.DEFAULT))
    except Exception:  # the page stands all the same, and says what is wrong to whoever asks
        log.exception("The network of the start cannot be made ready")


if __name__ == "__main__":
    sys.exit(main())
