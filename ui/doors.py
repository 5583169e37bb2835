"""What stands before every request: whose page it comes from, how much it brings, and a sentence when it fails."""

import ipaddress
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Collection
from urllib.parse import urlsplit

from gradio.route_utils import FnIndexInferError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gradcam_core import GradcamError
from gradcam_core.photos import MAX_BYTES

from .cache import unwritable
from .sentences import INTERNAL
from .uploads import Allowance

log = logging.getLogger("gradcam")

API = "/gradio_api"
UPLOAD_BYTES = MAX_BYTES + (1 << 16)  # one photo, and the form around it
CALL_BYTES = 4 << 20  # a photo of 3 MB in a call is 4 MB of text
FRAMES = f"{API}/live/"  # where those of cameras are sent
FRAME_BYTES = 1 << 19  # of the text: a JPEG of the largest input of a network of the list takes half of it
SMALL = 1 << 16  # bytes of a call that is answered even to a visitor who has sent all they may
MARKS = 20_000  # values of a call; a list of all layers has some hundreds
DEPTH = 50  # lists in lists
ASKED = "gradcam.asked"  # in the scope of a request: when it came, by the clock of time.monotonic
_TEXT = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"', re.DOTALL)
_BRACKETS = re.compile(rb"[\[{\]}]")

# What Gradio and FastAPI raise outside of the steps, on calls of endpoints and with values that do not exist.
_MALFORMED = (FnIndexInferError, LookupError, TypeError, ValueError)


class Refusal(Exception):  # noqa: N818
    """A request that is not taken; the text is for whoever sent it."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Doors:
    """ASGI middleware around the whole page.

    Args:
        app: what is behind.
        allowance: how much a visitor may send.
        present: visitors by session, with how many connections keep each alive; is kept up to date here.
        hosts: names of the page, and of other sites that may call it.
        is_strict: the page is for this machine alone, and no proxy stands before it: it answers to no other name,
            and to no other site. Otherwise that holds for its tools only, whose protocol asks for it.
        is_frame: whether a path is one of an open stream of a camera, which has limits of its own: nothing of it is
            kept, and it takes nothing from the allowance.
    """

    def __init__(
        self,
        app: ASGIApp,
        allowance: Allowance,
        present: Counter[str],
        hosts: Collection[str],
        is_strict: bool,
        is_frame: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self.app = app
        self._allowance = allowance
        self._present = present
        self._hosts = hosts
        self._is_strict = is_strict
        self._is_frame = is_frame

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        is_begun, path = False, _path(scope)
        scope[ASKED] = time.monotonic()

        async def answer(message: Message) -> None:
            nonlocal is_begun
            is_begun = True
            await send(message)

        try:
            self._check_origin(scope, path)
            if scope["method"] in ("POST", "PUT", "PATCH"):
                receive = await self._checked(scope, path, receive)
            session = path.removeprefix(f"{API}/heartbeat/")
            if session == path:
                await self.app(scope, receive, answer)
                return
            self._present[session] += 1
            try:
                await self.app(scope, receive, answer)
            finally:
                self._present[session] -= 1
                self._present += Counter()  # forgets those with none
        except ClientDisconnect:
            pass  # nobody is there to answer
        except Exception as error:
            response = _response(error, path)
            if not is_begun:
                await response(scope, receive, send)
            elif response.status_code >= 500:
                raise

    def _check_origin(self, scope: Scope, path: str) -> None:
        """Refuse what another site has a browser send, be it by a name that it gave this machine (DNS rebinding)."""
        headers = Headers(scope=scope)
        host, origin = _name(headers.get("host", "")), headers.get("origin")
        if self._is_strict and host and not (_is_address(host) or is_local(host) or host in self._hosts):
            raise Refusal(403, f"This page does not answer to the name {host[:100]}. --hosts gives it other names.")
        if origin is None or not (self._is_strict or path.startswith(f"{API}/mcp")):
            return
        ours = {host, *self._hosts}
        if not self._is_strict:  # a proxy says by which name it was asked
            ours.add(_name(headers.get("x-forwarded-host", "").split(",")[0].strip()))
        site = _name(origin.partition("://")[2])
        if not site or not (site in ours or (is_local(site) and is_local(host))):
            raise Refusal(403, f"Calls from the site {origin[:100]} are not answered. --hosts names sites that may.")

    async def _checked(self, scope: Scope, path: str, receive: Receive) -> Receive:
        """The way to the request's body, which ends where it becomes too much; a call is read and looked at first."""
        headers = Headers(scope=scope)
        visitor = (scope.get("client") or ("",))[0]
        is_upload = path.rstrip("/") == f"{API}/upload"
        if not is_upload and headers.get("content-type", "").startswith("multipart/"):
            raise Refusal(415, f"Files are uploaded to {API}/upload.")
        is_counted = not self._is_frame(path)
        limit, what = CALL_BYTES, f"A call has up to {CALL_BYTES >> 20} MB"
        if is_upload:
            limit, what = UPLOAD_BYTES, f"An upload is one photo of up to {UPLOAD_BYTES >> 20} MB"
        elif path.startswith(FRAMES):
            limit, what = FRAME_BYTES + 100, f"A frame has up to {FRAME_BYTES >> 10} KB"  # and the head of a data: URL
        length = headers.get("content-length", "")
        arrived = 0

        def check(total: int, more: int) -> None:
            if total > limit:
                raise Refusal(413, f"{what}; this one exceeds the maximum allowed size.")
            if is_counted and (is_upload or total > SMALL) and more > self._allowance.left(visitor):
                raise Refusal(
                    429,
                    f"You have sent {self._allowance.limit / 1e6:.0f} MB within a few minutes, which is all that one "
                    "visitor may. Go on when the older photos have been cleared away.",
                )

        async def counted() -> Message:
            nonlocal arrived
            message = await receive()
            count = len(message.get("body", b""))
            arrived += count
            check(arrived, count)
            if is_counted:
                self._allowance.take(visitor, count)
            return message

        announced = int(length) if length.isdecimal() and len(length) < 20 else 0
        check(announced, announced)
        return counted if is_upload else await _read(counted)


async def _read(receive: Receive) -> Receive:
    """Read a call's body, refuse one that takes the parsers too long -> what gives it once more."""
    parts: list[bytes] = []
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        parts.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
    body = b"".join(parts)
    if _is_too_much(body):
        raise Refusal(413, f"A call has up to {MARKS} values, in lists up to {DEPTH} deep; this one has more.")
    messages = [{"type": "http.request", "body": body, "more_body": False}]

    async def again() -> Message:
        return messages.pop() if messages else await receive()

    return again


def _is_too_much(body: bytes) -> bool:
    """Whether JSON has more values, or lists in lists, than the parsers behind take in their stride."""
    marks = _TEXT.sub(b"", body)
    if marks.count(b",") + marks.count(b"[") + marks.count(b"{") > MARKS:
        return True
    depth = 0
    for bracket in _BRACKETS.findall(marks):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH:
            return True
    return False


def _response(error: Exception, path: str) -> Response:
    status, sentence = 500, INTERNAL
    if isinstance(error, Refusal):
        status, sentence = error.status, str(error)
    elif isinstance(error, GradcamError):  # of a camera's frames, which are no steps
        status, sentence = 400, str(error)
    elif isinstance(error, _MALFORMED) or isinstance(error.__cause__, HTTPException):
        status, sentence = 400, 'This is no call that the page takes. "Use via API" at its foot describes them.'
        log.warning("A request to %s that cannot be understood: %r", path, error)
    elif isinstance(error, OSError):
        status, sentence = 507, str(unwritable(error))
    else:
        log.error("Internal error in %s", path, exc_info=error)
    if path.rstrip("/") == f"{API}/upload":
        return PlainTextResponse(sentence, status)  # the page shows it as it is
    return JSONResponse({"detail": sentence, "error": sentence}, status)


def _path(scope: Scope) -> str:
    root = scope.get("root_path", "")
    return scope["path"].removeprefix(root) if root else scope["path"]


def _name(host: str) -> str:
    """The name in "name:port", "[::1]:port" and the like."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return host


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def is_local(name: str) -> bool:
    """Whether a host is this machine itself."""
    if _is_address(name):
        return ipaddress.ip_address(name).is_loopback
    return name == "localhost" or name.endswith(".localhost")
