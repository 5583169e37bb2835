"""Stores, disks and networks that fail: each gets its sentence, and nothing is left behind."""

import os
import re
import resource
import shutil
import time

import pytest
from store import assert_is_a_sentence, read, stalled, status, wanted, whole

from gradcam_core.errors import WeightsError
from gradcam_core.networks import weights
from gradcam_core.networks.weights import fetch


def endless(announced: int | None):
    """Sends for as long as somebody takes it, up to a hundred times the file: the disk is a real one."""

    def answer(handler):
        handler.send_response(200)
        if announced:
            handler.send_header("Content-Length", str(announced))
        handler.server.sent = 0  # before the header, which may be all that is read
        handler.end_headers()
        try:
            while not handler.server.over.is_set() and handler.server.sent < 80e6:
                handler.wfile.write(bytes(1 << 20))
                handler.server.sent += 1 << 20
        except OSError:
            handler.close_connection = True

    return answer


@pytest.mark.parametrize("announced", [None, 10**10])
def test_a_server_that_never_ends_is_left_soon(server, home, content, announced):
    server.answer = endless(announced)
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "MB or more, and the file has 0.8 MB")
    assert server.sent < 40e6  # what lies in the buffers of the connection comes on top
    assert list(home.iterdir()) == []


def test_a_good_file_here_needs_no_server(home, content, monkeypatch):
    monkeypatch.setenv("GRADCAM_WEIGHTS_URL", "http://127.0.0.1:1")
    home.mkdir(parents=True)
    (home / "some_net.h5").write_bytes(content)
    assert fetch(wanted(content), read) == home / "some_net.h5"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://127.0.0.1:1", "the connection was refused"),
        ("http://no-such-host.invalid", "the server is not known here, or there is no network"),
        ("no-url", "there is no connection (unknown url type"),
    ],
)
def test_without_a_network_the_sentence_says_what_works(home, content, monkeypatch, url, reason):
    monkeypatch.setenv("GRADCAM_WEIGHTS_URL", url)
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "(0.8 MB) are not on this machine", reason)
    assert list(home.iterdir()) == []


def test_a_damaged_file_without_a_network_is_removed_and_said(server, home, content):
    home.mkdir(parents=True)
    (home / "some_net.h5").write_bytes(content[:5000])
    server.answer = status(503)
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "on this machine were damaged and have been removed", "503")
    assert list(home.iterdir()) == []


def test_what_progress_raises_cancels_the_download(server, home, content):
    server.answer = stalled(content)

    def cancel(stage, done, total):
        raise InterruptedError("enough")

    with pytest.raises(InterruptedError, match="enough"):
        fetch(wanted(content), read, progress=cancel)
    assert list(home.iterdir()) == []


def test_too_little_disk_is_said_before_anything_is_fetched(server, home, content):
    server.answer = lambda handler: handler.start(10**17)  # no disk holds that
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "need 100000000000 MB", "MB are free")
    assert list(home.iterdir()) == []


def test_so_it_is_where_little_more_is_needed_than_there_is(server, home, content):
    needed = shutil.disk_usage(home.parents[1]).free + 2**30  # whatever others write or delete meanwhile
    server.answer = lambda handler: handler.start(needed)
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, " MB more in ", "MB are free")


def test_a_write_that_fails_on_the_way_is_said(server, home, content):
    server.answer = whole(content)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, before[1]))
    try:
        with pytest.raises(WeightsError) as error:
            fetch(wanted(content), read)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert_is_a_sentence(error, "could not be stored", "file too large")
    assert list(home.iterdir()) == []


def test_a_disk_that_others_fill_meanwhile_ends_the_download(server, home, content, monkeypatch):
    """No disk can be filled here for real, so what it says of itself is made up: full once a fifth has come."""
    real, sent = shutil.disk_usage, []

    def disk_usage(path):
        there = sum(part.stat().st_size for part in home.iterdir())
        return real(path)._replace(free=len(content) if there < len(content) / 5 else 1000)

    def answer(handler):
        handler.start(len(content))
        for start in range(0, len(content), len(content) // 20):
            try:
                handler.wfile.write(content[start : start + len(content) // 20])
            except OSError:  # nobody listens any more
                return
            sent.append(start)
            handler.server.over.wait(0.06)

    monkeypatch.setattr(weights.shutil, "disk_usage", disk_usage)
    server.answer = answer
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "0.0 MB are free", "Make room, or set KERAS_HOME")
    assert re.search(r"need 0\.[3-7] MB more", str(error.value))  # what is still to come, and not all of it
    assert list(home.iterdir()) == []
    assert len(sent) < 20


def test_a_home_that_cannot_be_written_is_said(tmp_path, monkeypatch, content):
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "file"))
    with pytest.raises(WeightsError) as error:
        fetch(wanted(content), read)
    assert_is_a_sentence(error, "cannot be written (not a directory)", "KERAS_HOME")


def test_parts_that_killed_processes_left_are_removed(server, home, content):
    home.mkdir(parents=True)
    dead, alive = home / "some_net.1234abcd.part.h5", home / "some_net.5678abcd.part.h5"
    for part in (dead, alive):
        part.write_bytes(content[:1000])
    os.utime(dead, (time.time() - 7200,) * 2)
    server.answer = whole(content)
    fetch(wanted(content), read)
    assert {path.name for path in home.iterdir()} == {alive.name, "some_net.h5"}
