"""Programs that call the page: through gradio_client, by hand, and as clients of its MCP tools."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

FILE = {"_type": "gradio.FileData"}


def client_of(url: str, **options):
    """A client that waits also where the page's machine has much else to do; by itself it gives up after 5 s."""
    from gradio_client import Client

    return Client(url, verbose=False, httpx_kwargs={"timeout": 120}, **options)


def photo(path: Path):
    from gradio_client import handle_file

    return handle_file(str(path))


def upload(url: str, path: Path) -> str:
    """Where an uploaded file lies on the server."""
    with path.open("rb") as file:
        return httpx.post(f"{url}/gradio_api/upload", files={"files": file}, timeout=120).json()[0]


def tools(url: str) -> list:
    """The tools that an MCP client is offered."""
    return _talk(url, lambda session: session.list_tools()).tools


def call(url: str, tool: str, **arguments):
    """A tool's answer to an MCP client."""
    return _talk(url, lambda session: session.call_tool(tool, arguments))


def _talk(url: str, ask):
    from mcp import ClientSession
    from mcp.client.streamable_http import streamable_http_client

    async def talk():
        async with (
            streamable_http_client(f"{url}/gradio_api/mcp/") as (receive, send, _),
            ClientSession(receive, send) as session,
        ):
            await session.initialize()
            return await ask(session)

    with ThreadPoolExecutor(1) as thread:  # the browser's driver has a loop in this one
        return thread.submit(lambda: asyncio.run(talk())).result()


def as_text(path: Path) -> str:
    """A photo as a data: URL."""
    return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
