"""Many visitors at once: everyone gets an answer or a place in the queue, and only what is theirs; then it is gone."""

import time
from pathlib import Path

import psutil
import pytest
from browser import Visitor
from PIL import Image
from serving import serve
from tiny_networks import staged_network

import gradcam_core as gc
from benchmarks.page import KEEP, colour_of, crowd, files_in_time
from ui.explained import Explained


def test_everyone_is_answered_with_their_own_picture_and_maps(server):
    met = crowd(server.url, visitors=12, seconds=8)
    assert set(met.happened) == {"answered", "told the place in the queue"}
    assert met.happened["answered"] >= 12
    assert len(met.last) == 12
    assert met.wrong_maps() == 0


def test_of_a_hundred_at_once_everyone_is_answered_and_the_next_notices_nothing(server):
    met = crowd(server.url, visitors=100, seconds=0)
    assert met.happened["answered"] == 100
    assert set(met.happened) == {"answered", "told the place in the queue"}
    assert met.wrong_maps() == 0
    assert crowd(server.url, visitors=1, seconds=0).happened["answered"] == 1


@pytest.mark.long
def test_a_full_queue_says_so_and_serves_the_next(server):
    happened = crowd(server.url, visitors=300, seconds=0).happened  # more than the queue holds
    refused = {what for what in happened if what.startswith("refused")}
    assert set(happened) - refused == {"answered", "told the place in the queue"}
    assert all("Queue is full" in what for what in refused)
    assert crowd(server.url, visitors=1, seconds=0).happened["answered"] >= 1


def test_no_two_visitors_of_a_crowd_have_the_same_colour():
    assert len({colour_of(number) for number in range(100)}) == 100


def test_files_of_one_who_left_are_gone_and_those_of_one_who_goes_on_stay(browser_context, tmp_path, photos):
    cache = tmp_path / "cache"
    with serve(tmp_path, "--keep", KEEP) as server:
        looker = Visitor(browser_context, server.url)  # looks at the answer until all its files are gone
        looker.explain(photos / "moving.gif")
        pair = [photos / "landscape.jpg", photos / "turned.jpg"]
        files = files_in_time(browser_context, server, cache, pair, seconds=100 * KEEP)
        suffixes = {path.suffix for path in files.left}
        assert suffixes == {".jpg", ".png", ".zip", ".npz"}  # uploads, the photo as shown, cards, sheet, maps
        assert files.still == set()
        assert {path.name for path in files.used} == {"turned.jpg", "photo.jpg"}
        assert not [path for path in cache.rglob("*") if path.name == "moving.gif"]
        second = looker.page.locator(".gx-guess").nth(1)
        name = second.locator(".gx-guess-name").inner_text()
        second.click()
        looker.wait_for_title(name)
        assert looker.page.evaluate("document.querySelector('.gx-card img').naturalWidth") == 320
        looker.page.get_by_role("button", name="Example photo: lion").click()  # its file is as old
        looker.wait_for_title("lion")
        assert looker.complaints == []
        looker.page.close()


def test_what_was_made_for_visitors_is_given_back_once_all_have_gone(browser_context, tmp_path):
    with serve(tmp_path, "--keep", 0.1) as server:

        def memory() -> float:
            return psutil.Process(server.pid).memory_info().rss / 1e6

        visitor = Visitor(browser_context, server.url)
        visitor.explain(gray(tmp_path, 0, 600))
        before = memory()
        for number in range(1, 5):  # 36 MB each, once they are decoded
            visitor.explain(gray(tmp_path, number, 3000))
        assert memory() > before + 100
        visitor.page.close()
        until = time.monotonic() + 30
        while memory() > before + 60:
            assert time.monotonic() < until, f"{before:.0f} MB became {memory():.0f}"
            time.sleep(0.2)


def gray(folder: Path, number: int, height: int) -> Path:
    """A photo of one grey, with another name and content for each number."""
    Image.new("RGB", (4 * height // 3, height), (40 * number, 90, 90)).save(folder / f"{number}.jpg")
    return folder / f"{number}.jpg"


def test_a_photo_that_was_cleared_away_and_forgotten_is_asked_for_again(photos, tmp_path):
    network, explained = staged_network(), Explained(limit=1)  # nothing but the last photo
    photo = tmp_path / "photo.jpg"
    photo.write_bytes((photos / "landscape.jpg").read_bytes())
    explained.explain(network, str(photo), [None], "last")
    photo.unlink()
    explained.explain(network, str(photo), [3], "last")  # it is still in memory
    explained.explain(network, str(photos / "turned.jpg"), [None], "last")
    with pytest.raises(gc.PhotoError, match="Choose it again"):
        explained.explain(network, str(photo), [3], "last")
