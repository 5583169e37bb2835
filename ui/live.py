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
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

import gradcam_core as gc
from gradcam_core.settings import METHODS

from .choices import Networks
from .doors import API, Refusal
from .turns import Turns

PATH = f"{API}/live"
STREAMS = 5  # at once, of all visitors
SECONDS = 180.0  # of a stream; then it is another visitor's turn
SILENCE = 10.0  # seconds without a frame, after which the visitor has gone
PATIENCE = 5.0  # seconds that a frame waits for photos, before the browser is told to send a newer one
FRAME_BYTES = 1 << 19  # of the text: a JPEG of the largest input of a network of the list takes half of it
FRAME_PIXELS = 1 << 20
GUESSES = 3


@dataclass
class Stream:
    """One visitor's camera: how its frames are explained, when it ends, and when its last frame came."""

    network: str  # and not the network itself, which makes way for others when it is not used
    method: str
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

    async def _begin(self, request: Request) -> Response:
        """What `begin` takes -> what it gives, both as JSON."""
        wish = await request.json()
        return JSONResponse(await run_in_threadpool(self.begin, wish if isinstance(wish, dict) else {}))

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

    def begin(self, wish: dict[str, Any]) -> dict[str, Any]:
        """A new stream -> its name, (height, width) of its frames, its layers, and the seconds that it lasts.

        Args:
            wish: the names of the ``network`` and the ``method``, as the page has them.

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
        network = self._networks.load(name)
        layers = gc.select(network, "stages", method)
        with self._lock:
            self._forget()
            if len(self._open) >= self.streams:
                raise Refusal(
                    429,
                    f"{self.streams} visitors are live, and there is room for no more. Try again in a few minutes.",
                )
            ends = time.monotonic() + self._seconds
            stream = Stream(network.name, method, ends, last=ends)  # it may take as long until the first frame
            self._open[stream.name] = stream
        try:
            with self.turns.photo():  # a network that nobody has used yet is traced
                gc.explain(network, network.blank, layers="stages", method=method)
        except BaseException:
            self._open.pop(stream.name, None)
            raise
        stream.last = time.monotonic()
        return {
            "stream": stream.name,
            "size": list(network.input_size),
            "layers": [{"layer": layer.name, "stage": layer.stage} for layer in layers],
            "seconds": self._seconds,
        }

    def explain(self, stream: Stream, body: bytes) -> dict[str, Any]:
        """What a frame shows -> the first ``guesses``, and ``maps``, each with its peak and its levels, 0 to 255.

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
        if not self.turns.await_frame(PATIENCE):
            return {"guesses": [], "maps": []}
        found = gc.explain(self._networks.load(stream.network), photo, method=stream.method, top=GUESSES)
        return {
            "guesses": [{"name": guess.name, "text": guess.text} for guess in found.predictions],
            "maps": [
                {
                    "cells": list(heat_map.raw.shape),
                    "peak": heat_map.peak,
                    "heat": base64.b64encode(np.rint(heat_map.heat * 255).astype(np.uint8).tobytes()).decode(),
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
                f"Live ends after {self._seconds / 60:.3g} minutes, or when no frame comes, so that others have their "
                "turn. Start it again if you like.",
            )
        if stream.is_busy:
            raise Refusal(409, "The frame before is still being explained. Send the next when its answer has come.")
        stream.is_busy = True
        return stream

    def _forget(self) -> None:
        """End the streams whose time is over, and those of visitors who have gone."""
        now = time.monotonic()
        for name, stream in list(self._open.items()):
            if now > stream.ends or (not stream.is_busy and now > stream.last + SILENCE):
                self._open.pop(name, None)
