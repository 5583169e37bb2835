"""Many visitors at once: everyone gets an answer or a place in the queue, and only what is theirs."""

import time

import httpx
from browser import Visitor
from conftest import serve

from benchmarks.page import colour_of, crowd


def test_everyone_is_answered_with_their_own_picture(server):
    happened = crowd(server.url, visitors=12, seconds=8)
    assert set(happened) == {"answered", "told the place in the queue"}
    assert happened["answered"] >= 12


def test_a_full_queue_says_so_and_serves_the_next(server):
    happened = crowd(server.url, visitors=80, seconds=3)  # more than the queue holds
    refused = {what for what in happened if what.startswith("refused")}
    assert set(happened) - refused == {"answered", "told the place in the queue"}
    assert all("Queue is full" in what for what in refused)
    assert crowd(server.url, visitors=1, seconds=1)["answered"] >= 1


def test_no_two_visitors_of_a_crowd_have_the_same_colour():
    assert len({colour_of(number) for number in range(100)}) == 100


def test_files_of_visitors_are_gone_after_a_while_and_those_in_use_stay(browser_context, tmp_path, photos):
    cache = tmp_path / "cache"
    with serve(tmp_path, "--keep", 0.1) as server:
        with (photos / "landscape.jpg").open("rb") as file:
            left = httpx.post(f"{server.url}/gradio_api/upload", files={"files": ("left.jpg", file)}).json()[0]
        assert (cache / left).is_file()
        visitor = Visitor(browser_context, server.url)
        visitor.explain(photos / "turned.jpg")
        until = time.monotonic() + 14
        while time.monotonic() < until:
            visitor.page.locator(".gx-guess[aria-pressed=false]").first.click()
            visitor.page.wait_for_timeout(1500)
        assert not (cache / left).exists()
        names = {path.name for path in cache.rglob("*") if path.is_file()}
        assert "turned.jpg" in names
        assert visitor.complaints == []
        visitor.page.close()
