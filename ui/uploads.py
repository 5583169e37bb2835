"""How much a visitor may send, and that nothing stays of what was cut off or refused."""

import time
from collections import defaultdict, deque
from contextlib import suppress
from pathlib import Path

from gradio import route_utils
from starlette.datastructures import FormData

MEGABYTES = 500.0  # that one visitor may send within the time for which unused files are kept


class TidyParser(route_utils.GradioMultiPartParser):
    """Gradio's parser of uploads, which forgets its files when the visitor leaves or the disk is full."""

    async def parse(self) -> FormData:
        try:
            return await super().parse()
        except BaseException:
            for file in self._files_to_close_on_error:
                with suppress(OSError):  # of a full disk, again
                    file.close()
                Path(file.name).unlink(missing_ok=True)
            raise


def install() -> None:
    """Let Gradio use this parser."""
    route_utils.GradioMultiPartParser = TidyParser  # type: ignore[misc]


class Allowance:
    """Bytes that each visitor has sent within the last ``seconds``, against what one may."""

    def __init__(self, limit: float, seconds: float) -> None:
        self.limit = limit
        self._seconds = seconds
        self._sent: defaultdict[str, deque[list[float]]] = defaultdict(deque)  # of [when, bytes], by address

    def left(self, visitor: str) -> float:
        """Bytes that this visitor may still send now."""
        self._forget()
        return self.limit - sum(count for _, count in self._sent.get(visitor, ()))

    def take(self, visitor: str, count: int) -> None:
        """Count what has arrived from this visitor, to the second."""
        sent, now = self._sent[visitor], float(int(time.monotonic()))
        if sent and sent[-1][0] == now:
            sent[-1][1] += count
        else:
            sent.append([now, count])

    def _forget(self) -> None:
        oldest = time.monotonic() - self._seconds
        for visitor, sent in list(self._sent.items()):
            while sent and sent[0][0] < oldest:
                sent.popleft()
            if not sent:
                del self._sent[visitor]
