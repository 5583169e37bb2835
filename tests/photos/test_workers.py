"""A stranger's bytes are decoded in processes that have limits, and whatever happens to one costs one answer."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import psutil
import pytest
from fuzzing import Watch
from hostile_files import HOSTILE, overlapping_jpeg, overlapping_png, overlapping_tiff, overlapping_webp
from photo_files import KINDS, encode, few_colours, giant_png, noise
from PIL import Image

from gradcam_core.errors import PhotoError
from gradcam_core.photos import read_image, workers
from gradcam_core.photos.decoding import decode

STILL_PHOTOS = [overlapping_png, overlapping_webp]
ROOT = Path(__file__).resolve().parents[2]
LARGE = encode(Image.new("RGB", (8000, 5000), (200, 30, 90)), "JPEG", progressive=True)  # takes half a second
pytestmark = pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="decodes in place where memory has a name")


def decoding():
    """The processes that decode for this one: the one that stays warm, and its forks."""
    found = []
    for child in psutil.Process().children():  # a page that another test has started has workers of its own
        with suppress(psutil.Error):  # it has just ended
            if "gradcam_core.photos.worker" in " ".join(child.cmdline()):
                found += [child, *child.children(recursive=True)]
    return found


def idle_worker():
    """The process that the next photo goes to."""
    read_image(noise("PNG", {}))
    return psutil.Process(workers._state.idle[-1].pid)


def python(script, *arguments):
    """What a program of its own prints; it finds the package where this one does."""
    command = [sys.executable, "-c", textwrap.dedent(script), *map(str, arguments)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert answer.returncode == 0, answer.stderr
    return answer.stdout.split()


@pytest.fixture
def photo(tmp_path):
    path = tmp_path / "taxi.jpg"
    path.write_bytes(noise("JPEG", {}, (31, 57)))
    return path


# --- the answer is the same ---


@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_worker_gives_exactly_what_decoding_in_place_gives(kind, options):
    content = noise(kind, options, (31, 57))
    np.testing.assert_array_equal(read_image(content), decode(content, "The photo"))


@pytest.mark.parametrize("content", [noise("PNG", {})[:-30], giant_png(), b"text"])
def test_a_worker_gives_the_sentence_and_the_cause_of_decoding_in_place(content):
    with pytest.raises(PhotoError) as here:
        decode(content, "The photo")
    with pytest.raises(PhotoError) as there:
        read_image(content)
    assert str(there.value) == str(here.value)
    given, expected = there.value.__cause__, here.value.__cause__
    assert (given and str(given)) == (expected and repr(expected))


def test_a_small_photo_after_a_large_one_is_its_own():
    rng = np.random.default_rng(5)
    for size in ((300, 200), (20, 31), (301, 200)):
        pixels = rng.integers(0, 256, (*size, 3), np.uint8)
        photo = read_image(encode(Image.fromarray(pixels), "PNG"))
        np.testing.assert_array_equal(photo, pixels)
        photo[:] = 0  # and does not meet the next one's memory


def test_many_at_once_get_each_their_own():
    sent = [few_colours(30 + i, 20 + 2 * i) + np.uint8(i) for i in range(12)]
    got = {}

    def visit(i):
        got[i] = read_image(encode(Image.fromarray(sent[i]), "PNG"))

    threads = [threading.Thread(target=visit, args=(i,)) for i in range(len(sent))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for i, photo in enumerate(sent):
        np.testing.assert_array_equal(got[i], photo)
    assert len(decoding()) <= workers.AT_ONCE + 1


# --- limits ---


@pytest.mark.parametrize("hostile", [hostile for hostile in HOSTILE if hostile not in STILL_PHOTOS])
def test_a_file_made_to_cost_much_is_too_complex_and_costs_little(hostile):
    content, watch = hostile(), Watch()
    before = watch.look()
    with watch.going_on(), pytest.raises(PhotoError, match=r"^The photo is too complex to be read\."):
        read_image(content)
    assert watch.look() - before < 1.5  # of the processor; by the clock it is whatever else the machine does


@pytest.mark.parametrize("hostile", STILL_PHOTOS)
def test_a_photo_whose_metadata_cost_much_is_shown_without_them_or_too_complex(hostile):
    content, watch = hostile(), Watch()
    before = watch.look()
    with watch.going_on():
        try:
            assert read_image(content).ndim == 3
        except PhotoError as error:
            assert "too complex" in str(error)  # noqa: PT017
    assert watch.look() - before < 1.5


def test_a_photo_that_takes_too_much_memory_says_so_and_its_worker_goes_on(monkeypatch):
    slowly = "from gradcam_core.photos import worker; worker.HEADER_SECONDS = 10; worker.main()"  # not by the clock
    monkeypatch.setattr(workers, "_RUN", workers._RUN.replace(workers._RUN.splitlines()[-1], slowly))
    monkeypatch.setattr(workers, "_state", workers._State())
    try:
        worker = idle_worker()
        with pytest.raises(PhotoError, match="too complex to be read") as caught:
            read_image(overlapping_tiff())
        assert "MemoryError" in str(caught.value.__cause__)
        assert worker.memory_info().rss < 300e6
        assert read_image(noise("PNG", {})).shape == (24, 20, 3)
    finally:
        workers._end_with_the_interpreter()


def test_a_worker_may_take_the_memory_of_a_photo_of_its_size_and_no_more():
    worker = idle_worker()
    assert 0 < worker.rlimit(psutil.RLIMIT_AS)[0] - worker.memory_info().vms < 200e6


def test_a_worker_keeps_no_photos_file_open():
    worker = idle_worker()
    before = worker.num_fds()
    assert (idle_worker(), worker.num_fds()) == (worker, before)


def test_what_a_photo_may_take_grows_with_its_pixels():
    """40 megapixels take more than any small photo may; a file that says so and has few is no such photo."""
    assert read_image(LARGE)[0, -1].tolist() == pytest.approx([200, 30, 90], abs=4)


def test_a_large_photo_leaves_no_memory_behind():
    read_image(encode(Image.new("1", (8000, 5000)), "PNG"))
    until = time.monotonic() + 5
    for process in decoding():
        with suppress(psutil.NoSuchProcess):  # a worker that has grown is replaced: it ends when it has answered
            while process.memory_info().rss >= 150e6:
                assert time.monotonic() < until


# --- ends ---


TOO_COMPLEX = "The photo is too complex to be read. Save it again as JPEG or PNG and try that."


def visit_while_at_work(worker: psutil.Process, happens: Callable[[], None]) -> list[object]:
    """What a visitor with a large photo is answered where something happens to the worker meanwhile."""
    before, answers = sum(worker.cpu_times()), []

    def visit():
        try:
            answers.append(read_image(LARGE).shape)
        except PhotoError as error:
            answers.append(str(error))

    visitor = threading.Thread(target=visit, daemon=True)
    visitor.start()
    while sum(worker.cpu_times()) < before + 0.05:  # it takes ten times as long
        continue
    happens()
    visitor.join(60)
    return answers


def test_a_worker_killed_at_work_costs_its_own_answer_only():
    worker = idle_worker()
    assert visit_while_at_work(worker, worker.kill) == [TOO_COMPLEX]
    assert read_image(noise("PNG", {})).shape == (24, 20, 3)


def test_workers_killed_while_they_wait_are_missed_by_nobody():
    idle_worker().kill()
    assert read_image(noise("PNG", {})).shape == (24, 20, 3)
    for process in decoding():
        with suppress(psutil.NoSuchProcess):  # it is the one that was killed before
            process.kill()
    assert read_image(noise("PNG", {})).shape == (24, 20, 3)


def test_a_worker_that_never_answers_is_ended_and_another_one_does():
    worker = idle_worker()
    workers._state.idle[-1].questions.settimeout(0.2)
    worker.suspend()
    assert read_image(noise("PNG", {})).shape == (24, 20, 3)
    worker.wait(20)


def test_a_worker_that_stops_at_work_is_ended_in_time(monkeypatch):
    monkeypatch.setattr(workers, "ANSWER_SECONDS", 5.0)
    monkeypatch.setattr(workers._state, "idle", [])
    worker = idle_worker()
    assert visit_while_at_work(worker, worker.suspend) == [TOO_COMPLEX]
    worker.wait(20)


def test_nothing_stays_open_whatever_the_photos_were():
    read_image(noise("PNG", {}))
    before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
    for content in (noise("JPEG", {}), b"text", overlapping_jpeg(), noise("PNG", {})[:50], noise("GIF", {})):
        try:
            read_image(content)
        except PhotoError:
            continue
    assert len(os.listdir("/proc/self/fd")) <= before  # noqa: PTH208


@pytest.mark.parametrize("way", ["sys.exit()", "os._exit(3)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_workers_end_with_the_program_however_it_ends(way, photo):
    script = f"""
        import os, signal, sys, psutil
        from gradcam_core import read_image
        read_image(sys.argv[1])
        print(*(process.pid for process in psutil.Process().children(recursive=True)), flush=True)
        {way}
    """
    command = [sys.executable, "-c", textwrap.dedent(script), photo]
    pids = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120).stdout.split()
    assert len(pids) == 2
    assert psutil.wait_procs([one for one in psutil.process_iter() if str(one.pid) in pids], timeout=30)[1] == []


def test_a_signal_that_the_program_ignores_ends_a_worker_all_the_same():
    script = """
        import signal, sys
        for number in (signal.SIGPROF, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGPROF, signal.SIGALRM])
        sys.path.insert(0, "tests/photos")
        from fuzzing import Watch
        from hostile_files import gif_of_a_long_comment
        from gradcam_core import PhotoError, read_image
        content, watch = gif_of_a_long_comment(), Watch()
        before = watch.look()
        with watch.going_on():
            try:
                read_image(content)
            except PhotoError:
                print("refused", watch.look() - before < 1.5)
    """
    assert python(script) == ["refused", "True"]


# --- programs of all kinds ---


def test_a_worker_holds_nothing_but_what_decoding_needs():
    mapped = Path(f"/proc/{idle_worker().pid}/maps").read_text()
    assert "PIL/" in mapped
    assert "tensorflow" not in mapped
    assert "/cv2/" not in mapped


def test_a_script_without_a_guard_runs_once(photo):
    script = f"""
        import sys
        print("begun")
        from gradcam_core import read_image
        print(read_image({str(photo)!r}).shape[2])
    """
    assert python(script) == ["begun", "3"]


def test_a_fork_of_the_program_has_workers_of_its_own(photo):
    script = """
        import os, sys, psutil
        from gradcam_core import read_image
        read_image(sys.argv[1])
        theirs = {process.pid for process in psutil.Process().children(recursive=True)}
        if os.fork() == 0:
            read_image(sys.argv[1])
            ours = {process.pid for process in psutil.Process().children(recursive=True)}
            print(len(ours), len(ours & theirs), flush=True)
            os._exit(0)
        os.wait()
        read_image(sys.argv[1])
        print(len(theirs & {process.pid for process in psutil.Process().children(recursive=True)}))
    """
    assert python(script, photo) == ["2", "0", "2"]


@pytest.mark.parametrize(
    "program",
    ["sys.frozen = True", "sys.executable = ''", "sys.executable = '/bin/true'", "del os.memfd_create"],
)
def test_where_no_worker_can_be_started_the_program_decodes_itself(program, photo):
    script = f"""
        import os, sys, psutil
        from gradcam_core import read_image
        {program}
        print(read_image(sys.argv[1]).shape[2], len(psutil.Process().children(recursive=True)))
    """
    assert python(script, photo) == ["3", "0"]


def test_where_the_worker_ends_at_once_the_program_decodes_itself_and_says_so(tmp_path, photo):
    broken = tmp_path / "python3"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    script = """
        import logging, sys
        logging.basicConfig(stream=sys.stdout, format="%(message)s")
        from gradcam_core import read_image
        sys.executable = sys.argv[2]
        print(read_image(sys.argv[1]).shape[2])
        print(read_image(sys.argv[1]).shape[2])
    """
    words = python(script, photo, broken)
    assert words[-2:] == ["3", "3"]
    assert " ".join(words).count("No process to decode photos in can be started") == 1


def test_a_stop_of_the_keyboard_is_not_for_the_workers():
    worker = idle_worker()
    assert os.getsid(worker.pid) != os.getsid(0)
    for process in decoding():
        with suppress(psutil.NoSuchProcess):  # an earlier one, which has just ended
            process.send_signal(signal.SIGINT)  # as if it were
