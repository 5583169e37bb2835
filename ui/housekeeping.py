"""What is done every second while the page is up: old files go, and what is kept of visitors who have gone."""

import asyncio
import ctypes
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import cast

from anyio.to_thread import run_sync
from gradio.routes import App
from gradio.state_holder import StateHolder

from .calls import Page
from .upload_folder import EVERY, Sweeper

SESSION = 1e6  # bytes, about: what Gradio keeps of one visitor
SHARE = 0.05  # of the memory, that this may take


def session_capacity() -> int:
    """How many visitors' states the machine has room for; beyond that those who were away longest are forgotten."""
    return int(min(10_000, max(50, SHARE * _memory() / SESSION)))


def _memory() -> float:
    """Bytes that this process may have: the machine's, or its container's."""
    limits = [4e9]  # where nothing is known
    with suppress(ValueError, OSError, AttributeError):
        limits = [float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))]
    for file in ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"):
        with suppress(OSError, ValueError):  # "max" where there is no limit
            limits.append(float(Path(file).read_text()))
    return min(limits)


def lifespan(
    sweeper: Sweeper, present: Counter[str], seconds: float
) -> Callable[[App], AbstractAsyncContextManager[None]]:
    """For FastAPI: keeps house from the start of the page to its end."""

    @asynccontextmanager
    async def keep_house(app: App) -> AsyncIterator[None]:
        task = asyncio.create_task(_every_second(app, sweeper, present, seconds))
        try:
            yield
        finally:
            task.cancel()

    return keep_house


async def _every_second(app: App, sweeper: Sweeper, present: Counter[str], seconds: float) -> None:
    was_empty = True
    while True:
        await asyncio.sleep(EVERY)
        page = cast(Page, app.get_blocks())
        kept = {str(path) for block in page.blocks.values() for path in getattr(block, "keep_in_cache", ())}
        await run_sync(sweeper.sweep, kept)
        for files in page.temp_file_sets:  # Gradio only ever adds to them
            files.clear()
        forget_sessions(app.state_holder, present, seconds)
        is_empty = not present and not app.state_holder.session_data
        if is_empty and not was_empty:
            await run_sync(page.forget)
            await run_sync(_give_memory_back)
        was_empty = is_empty


def forget_sessions(holder: StateHolder, present: Counter[str], seconds: float) -> None:
    """Free what Gradio holds for visitors whose page is closed and who have asked for nothing for so long.

    Gradio itself would keep it until ten thousand others have come.
    """
    oldest = datetime.now() - timedelta(seconds=seconds)
    for session, last in list(holder.time_last_used.items()):
        if last < oldest and session not in present:
            with holder.lock:
                holder.session_data.pop(session, None)
                holder.time_last_used.pop(session, None)


def _give_memory_back() -> None:
    """Let the system have what is free: glibc keeps it for as long as anything above it is in use."""
    with suppress(OSError, AttributeError):  # another library than glibc
        ctypes.CDLL(None).malloc_trim(0)
