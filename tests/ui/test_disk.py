"""Visitors' files: nothing stays that nobody uses, whoever left it and however it ended, and a full disk is said."""

import os
import resource
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from types import SimpleNamespace

import httpx
import pytest
from serving import run, serve

import gradcam_core as gc
from ui import upload_folder
from ui.cache import keep
from ui.upload_folder import Sweeper
from ui.uploads import Allowance

LONG_AGO = time.time() - 3600
FULL = "The disk of this server is full or cannot be written. Try again in a few minutes."


def files_in(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def used_now(folder: Path) -> set[str]:
    """The files in a folder, none of which is old enough to be cleared away while a test looks."""
    for name in files_in(folder):
        with suppress(FileNotFoundError):
            os.utime(folder / name)
    return files_in(folder)


def old(path: Path, content: bytes = b"x") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (LONG_AGO, LONG_AGO))
    os.utime(path.parent, (LONG_AGO, LONG_AGO))
    return path


def until(what, seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end, "It did not happen."
        time.sleep(0.05)


def upload(url: str, content: bytes, name: str = "photo.jpg") -> httpx.Response:
    return httpx.post(f"{url}/gradio_api/upload", files={"files": (name, content)}, timeout=120)


def is_running(pid: int) -> bool:
    with suppress(FileNotFoundError):
        return bool(Path(f"/proc/{pid}/cmdline").read_bytes())  # empty where it has ended and nobody has asked how
    return False


@contextmanager
def asked(url: str, path: Path | str, method: str = "gradcam"):
    """The lines of an answer of the API as they come."""
    image = {"path": str(path), "meta": {"_type": "gradio.FileData"}}
    call = {"data": [image, next(iter(gc.NETWORKS)), "", "last", "logit", method, "", 1.0, False, "none", None]}
    event = httpx.post(f"{url}/gradio_api/call/explain", json=call, timeout=120).json()["event_id"]
    with httpx.stream("GET", f"{url}/gradio_api/call/explain/{event}", timeout=120) as answer:
        yield answer.iter_lines()


def explain(url: str, path: Path | str) -> str:
    """What the API answers."""
    with asked(url, path) as lines:
        return "\n".join(lines)


# --- cleared away by age ---


def test_what_is_old_goes_and_what_is_new_in_use_or_kept_stays(tmp_path):
    own = tmp_path / "page-a"
    sweeper = Sweeper(own, seconds=60)
    for name in ("ab/photo.jpg", "tmpcutoff", ".part-7"):
        old(own / name)
    used = old(own / "cd" / "photo.jpg")
    os.utime(used)
    example = old(own / "ef" / "lion.jpg")
    (own / "gh").mkdir()
    (own / "gh" / "new.jpg").write_bytes(b"x")
    sweeper.sweep({str(example)})
    assert files_in(own) == {"cd/photo.jpg", "ef/lion.jpg", "gh/new.jpg"}


def test_what_dead_pages_left_goes_and_living_ones_lose_nothing(tmp_path):
    own, living = tmp_path / "page-a", tmp_path / "page-b"
    for folder in (own, living):
        folder.mkdir()
    old(tmp_path / "page-dead" / "ab" / "photo.jpg")
    os.utime(tmp_path / "page-dead", (LONG_AGO, LONG_AGO))
    old(tmp_path / "tmpold")
    old(living / "ab" / "photo.jpg")
    os.utime(living, (LONG_AGO, LONG_AGO))
    os.utime(old(tmp_path / "page-new" / "photo.jpg"))  # a page that has made it just now, and looked long ago
    Sweeper(living, seconds=7200).sweep()  # it keeps files for longer
    Sweeper(own, seconds=60).sweep()
    assert {path.name for path in tmp_path.iterdir()} == {"page-a", "page-b", "page-new"}
    assert files_in(living) == {"ab/photo.jpg"}


def test_after_the_machine_has_slept_other_pages_have_time_to_say_that_they_live(tmp_path):
    own, other = tmp_path / "page-a", tmp_path / "page-b"
    own.mkdir()
    old(other / "ab" / "photo.jpg")
    os.utime(other, (LONG_AGO, LONG_AGO))
    sweeper = Sweeper(own, seconds=60)
    sweeper._last = LONG_AGO  # when it looked last
    sweeper.sweep()
    assert files_in(other) == {"ab/photo.jpg"}
    sweeper.sweep()
    assert not other.exists()


def test_no_link_leads_out_of_the_folder(tmp_path):
    own, other = tmp_path / "shared" / "page-a", tmp_path / "other"
    own.mkdir(parents=True)
    photo = old(other / "mine.jpg")
    (own / "link").symlink_to(other)
    (own.parent / "link").symlink_to(other)
    for link in (own / "link", own.parent / "link"):
        os.utime(link, (LONG_AGO, LONG_AGO), follow_symlinks=False)
    Sweeper(own, seconds=60).sweep()
    assert photo.exists()


@pytest.mark.parametrize("place", ["/", "~", "."])
def test_a_folder_with_other_things_in_it_is_not_taken_as_a_whole(monkeypatch, tmp_path, place):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setattr(upload_folder, "NAME", f"gradcam-test-{os.getpid()}")
    asked = Path(place).expanduser().absolute()
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(asked))
    own = upload_folder.claim()
    try:
        assert own.parent == asked / upload_folder.NAME
    finally:
        own.rmdir()
        own.parent.rmdir()


def test_photos_of_a_killed_page_are_gone_soon_after_it_is_started_again(tmp_path):
    with serve(tmp_path) as server:
        path = Path(upload(server.url, b"a photo" * 1000).json()[0])
        os.kill(server.pid, signal.SIGKILL)
        until(lambda: not is_running(server.pid))
    assert path.exists()
    with serve(tmp_path, "--keep", 0.05):
        until(lambda: not path.exists())
        until(lambda: not path.parents[1].exists())


def test_a_page_that_is_ended_leaves_nothing(tmp_path):
    for number in (signal.SIGTERM, signal.SIGINT):
        with serve(tmp_path, from_scratch=number == signal.SIGTERM) as server:
            assert Path(upload(server.url, b"a photo" * 1000).json()[0]).exists()
            os.kill(server.pid, number)
            until(lambda: list((tmp_path / "cache").iterdir()) == [])


def test_a_page_that_is_killed_while_it_explains_leaves_nothing_to_the_next(photos, tmp_path):
    photo = (photos / "landscape.jpg").read_bytes()
    with serve(tmp_path) as server:
        path = Path(upload(server.url, photo).json()[0])
        with asked(server.url, path, method="scorecam") as events:
            until(lambda: httpx.get(f"{server.url}/gradio_api/queue/status", timeout=120).json()["queue_size"] == 0)
            os.kill(server.pid, signal.SIGKILL)  # it is no longer in the queue: it is being made
            with suppress(httpx.HTTPError):
                list(events)
    for left in (path, path.parent, path.parents[1], *path.parents[1].rglob("*")):
        os.utime(left, (LONG_AGO, LONG_AGO))
    with serve(tmp_path) as server:
        assert "event: complete" in explain(server.url, upload(server.url, photo).json()[0])
        until(lambda: not path.parents[1].exists())


# --- uploads ---


@contextmanager
def half_an_upload(url: str, count: int):
    """A connection on which so many bytes of 15 MB have been sent."""
    host, port = url.removeprefix("http://").split(":")
    part = b'--b\r\nContent-Disposition: form-data; name="files"; filename="a.jpg"\r\n\r\n'
    head = "POST /gradio_api/upload HTTP/1.1\r\nHost: localhost\r\nContent-Type: multipart/form-data; boundary=b\r\n"
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(f"{head}Content-Length: 15000000\r\n\r\n".encode() + part + bytes(count))
        yield


def test_uploads_that_are_cut_off_leave_nothing(server):
    cache = server.log.parent / "cache"
    before = used_now(cache)
    with half_an_upload(server.url, 3_000_000), half_an_upload(server.url, 5_000_000):
        until(lambda: len(files_in(cache) - before) == 2)
    until(lambda: files_in(cache) == before)


def test_one_request_brings_one_photo(server):
    cache = server.log.parent / "cache"
    before = used_now(cache)
    photos = [("files", (f"{number}.jpg", os.urandom(5_000_000))) for number in range(8)]
    answer = httpx.post(f"{server.url}/gradio_api/upload", files=photos, timeout=120)
    assert answer.status_code == 413
    assert answer.text == "An upload is one photo of up to 20 MB; this one exceeds the maximum allowed size."
    unannounced = httpx.post(
        f"{server.url}/gradio_api/upload",
        content=(bytes(1 << 20) for _ in range(40)),
        headers={"Content-Type": "multipart/form-data; boundary=b"},
        timeout=120,
    )
    assert unannounced.status_code in (400, 413)
    assert files_in(cache) == before


def test_files_are_taken_at_one_door_only(server):
    for path in ("component_server", "process_recording", "queue/join", "call/predict"):
        answer = httpx.post(f"{server.url}/gradio_api/{path}", files={"video": bytes(1000)}, timeout=120)
        assert (answer.status_code, answer.json()["detail"]) == (415, "Files are uploaded to /gradio_api/upload.")


def test_one_visitor_sends_no_more_than_all_may_and_goes_on_looking(tmp_path):
    with serve(tmp_path, "--visitor", 10) as server:
        assert upload(server.url, os.urandom(6_000_000)).status_code == 200
        answer = upload(server.url, os.urandom(6_000_000))
        assert answer.status_code == 429
        assert answer.text.startswith("You have sent 10 MB within a few minutes, which is all that one visitor may.")
        assert upload(server.url, os.urandom(3_000_000)).status_code == 200
        big_call = httpx.post(f"{server.url}/gradio_api/call/predict", json={"data": ["x" * 2_000_000]}, timeout=120)
        assert big_call.status_code == 429
        small = httpx.post(
            f"{server.url}/gradio_api/call/predict", json={"data": [None, next(iter(gc.NETWORKS)), 5]}, timeout=120
        )
        assert small.status_code == 200


def test_what_was_sent_counts_for_a_while_and_for_its_sender(monkeypatch):
    now = 1000.0
    monkeypatch.setattr("ui.uploads.time", SimpleNamespace(monotonic=lambda: now))
    allowance = Allowance(limit=100, seconds=60)
    allowance.take("a", 70)
    allowance.take("a", 20)
    now += 30
    allowance.take("a", 5)
    assert (allowance.left("a"), allowance.left("b")) == (5, 100)
    now += 31
    assert allowance.left("a") == 95
    now += 31
    assert allowance.left("a") == 100


# --- places that cannot be written ---


def test_a_page_that_has_nowhere_to_write_says_so(tmp_path):
    (tmp_path / "file").write_text("no folder")
    answer = run(["app.py"], GRADIO_TEMP_DIR=str(tmp_path / "file" / "photos"))
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.startswith("app.py: The folder for visitors' photos cannot be written (not a directory: ")
    assert "set GRADIO_TEMP_DIR to another folder." in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


@contextmanager
def small_disk(folder: Path, size: str):
    """A file system of so many bytes, in memory."""
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("needs the right to mount a small disk")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(disk: Path) -> Path:
    """A file that takes all that is free."""
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))
    return disk / "filler"


@pytest.mark.parametrize(
    ("taken", "why"),
    [
        (60_000, "(no space left on device: "),
        (36_000, "(No space left on device)."),  # a folder can be claimed, and no example fits in
    ],
)
def test_a_full_disk_at_the_start_is_said(tmp_path, taken, why):
    disk = tmp_path / "disk"
    with small_disk(disk, "100k"):
        (disk / "filler").write_bytes(bytes(taken))
        answer = run(["app.py"], GRADIO_TEMP_DIR=str(disk / "photos"))
        assert answer.returncode == 2
        assert f"cannot be written {why}" in answer.stderr
        assert files_in(disk) == {"filler"}


def test_a_disk_that_fills_up_is_said_and_the_next_visitor_notices_nothing(photos, tmp_path):
    disk = tmp_path / "disk"
    with small_disk(disk, "4m"), serve(tmp_path, GRADIO_TEMP_DIR=str(disk / "photos")) as server:
        path = upload(server.url, (photos / "landscape.jpg").read_bytes()).json()[0]
        filler = fill(disk)
        before = files_in(disk)
        answer = upload(server.url, os.urandom(1_000_000))
        assert (answer.status_code, answer.text) == (507, FULL)
        assert FULL in explain(server.url, path)
        assert files_in(disk) == before
        filler.unlink()
        path = upload(server.url, (photos / "turned.jpg").read_bytes()).json()[0]
        assert "event: complete" in explain(server.url, path)
        log = server.log.read_text()
        assert "cannot be written: [Errno 28] No space left on device" in log
        assert "Traceback" not in log


def test_an_answer_that_cannot_be_stored_leaves_no_part(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limit[1]))
    try:
        with pytest.raises(gc.GradcamError, match="The disk of this server is full"):
            keep(bytes(5000), "photo.jpg", str(tmp_path))
        assert files_in(tmp_path) == set()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert Path(keep(bytes(5000), "photo.jpg", str(tmp_path))).read_bytes() == bytes(5000)
