"""Live: the frames of visitors' cameras, each explained as it comes.

Gradio's queue is passed by: it takes a request, a place in the queue and a stream of events for each call. Here a frame
is one request, a JPEG of the network's input size as a data: URL, and its answer the maps. The browser sends the next
frame, the newest that the camera has, when it has the answer to the last: nothing is ever queued. Nothing is kept of a
frame, neither on disk nor in memory.
"""

import asyncio
import base64
import binascii
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import gradcam_core as gc
from gradcam_core.settings import METHODS

from .choices import SCORES, Networks
from .doors import FRAME_BYTES, FRAMES, Refusal
from .layer_grid import base64_of, levels_of
from .more import settings_of
from .turns import Turns

PATH = FRAMES.rstrip("/")
STREAMS = 5  # at once, of all visitors
SECONDS = 180.0  # of a stream; then it is another visitor's turn
SILENCE = 10.0  # seconds without a frame, after which the visitor has gone
PATIENCE = 5.0  # seconds that a frame waits for photos, before the browser is told to send a newer one
FRAME_PIXELS = 1 << 20
GUESSES = 3


@dataclass
class Stream:
    """One visitor's camera: how its frames are explained, when it ends, and when its last frame came."""

    network: str  # and not the network itself, which makes way for others when it is not used
    settings: dict[str, Any]  # as `explain` takes them
    visitor: str  # the address
    ends: float
    last: float
    is_busy: bool = False
    name: str = field(default_factory=lambda: uuid4().hex)  # that nobody else can guess


class Live:
    """The streams of all visitors.

    Args:
        networks: that the page offers.
        streams: so many at once.
        seconds: how long one lasts.
    """

    def __init__(self, networks: Networks, streams: int = STREAMS, seconds: float = SECONDS) -> None:
        self.turns = Turns()
        self.streams = streams
        self._networks = networks
        self._seconds = seconds
        self._open: dict[str, Stream] = {}
        self._lock = threading.Lock()
        # One frame at a time, in the order in which they came: each visitor has one in it at most.
        self._alone = ThreadPoolExecutor(1, "live")

    @property
    def routes(self) -> list[Route]:
        """What answers the page's script."""
        return [
            Route(PATH, self._begin, methods=["POST"]),
            Route(PATH + "/{stream}", self._frame, methods=["POST"]),
            Route(PATH + "/{stream}/end", self._end, methods=["POST"]),
        ]

    def is_frame(self, path: str) -> bool:
        """Whether what is sent to this path belongs to an open stream."""
        return path.removeprefix(FRAMES).removesuffix("/end") in self._open

    async def _begin(self, request: Request) -> Response:
        """What `begin` takes -> what it gives, both as JSON."""
        wish = await request.json()
        visitor = request.client.host if request.client else ""
        return JSONResponse(await run_in_threadpool(self.begin, wish if isinstance(wish, dict) else {}, visitor))

    async def _frame(self, request: Request) -> Response:
        """A JPEG as a data: URL -> what `explain` gives."""
        body = await request.body()
        stream = self._take(request.path_params["stream"])
        try:
            work = asyncio.get_running_loop().run_in_executor(self._alone, self.explain, stream, body)
            return JSONResponse(await work)
        finally:
            stream.is_busy, stream.last = False, time.monotonic()

    async def _end(self, request: Request) -> Response:
        self._open.pop(request.path_params["stream"], None)
        return Response(status_code=204)

    def begin(self, wish: dict[str, Any], visitor: str = "") -> dict[str, Any]:
        """A new stream -> its name, what it explains in words, (height, width) of its frames, its layers, its seconds.

        Args:
            wish: the names of ``network``, ``method``, ``score`` and ``evidence``, as the page has them.
            visitor: the address of whoever asks.

        Raises:
            GradcamError, Refusal: there are too many already, or the network or the method does not go with a camera.
        """
        name, method = wish.get("network"), wish.get("method", "gradcam")
        if not isinstance(method, str) or method not in METHODS or not METHODS[method].is_one_pass:
            raise gc.SettingError(
                "A camera needs a method of one pass, such as Grad-CAM or LayerCAM. Choose one of them."
            )
        if isinstance(name, str) and self._networks.is_fetched(name):
            raise gc.NetworkError(f"The weights of {name} are not here yet. Choose it as the network first.")
        settings: dict[str, Any] = {"method": method, "score": "logit", "against": False} | settings_of(wish)
        settings.pop("smoothing", None)  # many views of each frame would take too long
        with self._lock:
            self._who_makes_room(visitor)  # before a network is loaded for nothing
        network = self._networks.load(name)
        height, width = network.input_size
        if height * width > FRAME_PIXELS:
            raise gc.NetworkError(
                f"{network.name} takes photos of {height} x {width} pixels, too many for a camera. Choose another one."
            )
        layers = gc.select(network, "stages", method)
        with self._lock:
            self._open.pop(self._who_makes_room(visitor), None)
            ends = time.monotonic() + self._seconds
            stream = Stream(network.name, settings, visitor, ends, last=ends)  # the first frame may take as long
            self._open[stream.name] = stream
        try:
            with self.turns.photo():  # a network that nobody has used yet is traced
                gc.explain(network, network.blank, layers="stages", **settings)
        except BaseException:
            self._open.pop(stream.name, None)
            raise
        stream.last = time.monotonic()
        return {
            "stream": stream.name,
            "about": f"{METHODS[method].title}: what speaks {'against' if settings['against'] else 'for'} the most "
            f"probable class of each frame, by its {SCORES[settings['score']]}.",
            "size": list(network.input_size),
            "layers": [{"layer": layer.name, "stage": layer.stage} for layer in layers],
            "seconds": self._seconds,
        }

    def explain(self, stream: Stream, body: bytes) -> dict[str, Any]:
        """What a frame shows -> the first ``guesses``, and ``maps``, each with its peak and its levels.

        Args:
            stream: whose frame it is.
            body: a JPEG as a data: URL.

        Raises:
            GradcamError: it is no frame, or photos have not let it through.
        """
        _, comma, text = body.partition(b"base64,")
        if not comma or len(text) > FRAME_BYTES:
            raise gc.PhotoError(f"A frame is a JPEG as a data: URL of up to {FRAME_BYTES >> 10} KB.")
        try:
            content = base64.b64decode(text, validate=True)
        except binascii.Error as error:
            raise gc.PhotoError(f"A frame is a JPEG as a data: URL of up to {FRAME_BYTES >> 10} KB.") from error
        photo = gc.read_image(content)
        if photo.shape[0] * photo.shape[1] > FRAME_PIXELS:
            raise gc.PhotoError(f"A frame has up to {FRAME_PIXELS} pixels. The network needs no more.")
        # Counted from when it came: it may have waited for another frame, which waited for photos.
        if not self.turns.await_frame(stream.last + PATIENCE - time.monotonic()):
            return {"guesses": [], "maps": []}
        found = gc.explain(self._networks.load(stream.network), photo, top=GUESSES, **stream.settings)
        return {
            "guesses": [{"name": guess.name, "text": guess.text} for guess in found.predictions],
            "maps": [
                {
                    "cells": list(heat_map.raw.shape),
                    "peak": heat_map.peak,
                    "heat": base64_of(levels_of(heat_map)),
                }
                for heat_map in found.maps.values()
            ],
        }

    def _take(self, name: str) -> Stream:
        """The stream of this name, for one frame."""
        self._forget()
        stream = self._open.get(name)
        if stream is None:
            raise Refusal(
                410,
                f"Live ends after {self._seconds / 60:.3g} minutes, or when no frame comes, or when one address has "
                "several and others wait, so that others have their turn. Start it again if you like.",
            )
        if stream.is_busy:
            raise Refusal(409, "The frame before is still being explained. Send the next when its answer has come.")
        stream.is_busy, stream.last = True, time.monotonic()
        return stream

    def _who_makes_room(self, visitor: str) -> str:
        """-> the stream that has to end for one more of this visitor, or "" where there is room.

        One address may have all of them, as a class behind one proxy does, for as long as nobody else asks. Then the
        address that has most gives its oldest, unless the visitor would have as many then.
        """
        self._forget()
        if len(self._open) < self.streams:
            return ""
        streams = list(self._open.values())  # `_end` takes some away meanwhile
        held = Counter(stream.visitor for stream in streams)
        address, most = held.most_common(1)[0]
        if most <= held[visitor] + 1:
            raise Refusal(
                429, f"{self.streams} visitors are live, and there is room for no more. Try again in a few minutes."
            )
        return next(stream.name for stream in streams if stream.visitor == address)

    def _forget(self) -> None:
        """End the streams whose time is over, and those of visitors who have gone."""
        now = time.monotonic()
        for name, stream in list(self._open.items()):
            if now > stream.ends or (not stream.is_busy and now > stream.last + SILENCE):
                self._open.pop(name, None)
