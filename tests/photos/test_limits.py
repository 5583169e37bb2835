"""No photo, however it is made, costs more than a photo may."""

import os
import signal
import struct
import subprocess
import sys
import textwrap
import threading
import warnings
from pathlib import Path

import pytest
from photo_files import GIANTS, RED, encode, giant_png, tiff
from PIL import Image

from gradcam_core.errors import PhotoError
from gradcam_core.photos import MAX_PIXELS, read_image
from gradcam_core.photos.workers import AT_ONCE


def python(script, *arguments):
    """How a program of its own ends, and what it prints; it finds the package where this one does."""
    command = [sys.executable, "-c", textwrap.dedent(script), *arguments]
    root = Path(__file__).resolve().parents[2]
    return subprocess.run(command, cwd=root, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize("giant", GIANTS)
def test_more_than_40_megapixels_are_refused_by_the_header_in_every_format(giant):
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow's own warning of a decompression bomb would be one
        with pytest.raises(PhotoError, match=r"1[36]000 x 1[36]000 pixels .*may have 40 megapixels"):
            read_image(giant())


@pytest.mark.skipif(sys.platform != "linux", reason="counts the peak memory as Linux does")
def test_a_giant_costs_neither_memory_nor_time():
    script = """
        import resource, sys, time
        sys.path.insert(0, "tests/photos")
        from photo_files import GIANTS, encode
        from PIL import Image
        from gradcam_core.photos import read_image
        from gradcam_core.errors import PhotoError
        read_image(encode(Image.new("RGB", (8, 8)), "PNG"))
        files = [giant() for giant in GIANTS]
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()
        for file in files:
            try:
                read_image(file)
            except PhotoError:
                continue
            raise SystemExit("a giant was read")
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
    """
    root = Path(__file__).resolve().parents[2]
    command = [sys.executable, "-c", textwrap.dedent(script)]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    kilobytes, seconds = answer.stdout.split()
    assert int(kilobytes) < 4096
    assert float(seconds) < 0.1


def test_exactly_40_megapixels_are_read():
    image = Image.new("1", (8000, MAX_PIXELS // 8000))
    assert read_image(encode(image, "PNG")).shape == (5000, 8000, 3)
    with pytest.raises(PhotoError, match=r"8000 x 5001 pixels \(40.0 megapixels\)"):
        read_image(Image.new("1", (8000, 5001)))


def test_a_small_tiff_with_a_giant_tile_is_refused():
    content = tiff(8, 8, bytes(64), t258=8, t262=1, t277=1, t322=16_000, t323=16_000)
    with pytest.raises(PhotoError, match="16000 x 16000"):
        read_image(content)


def test_a_jpeg_of_endless_scans_is_refused():
    content = encode(Image.new("L", (64, 64), 128), "JPEG", progressive=True)
    assert read_image(content).shape == (64, 64, 3)
    last_scan = content[content.rindex(b"\xff\xda") : -2]
    with pytest.raises(PhotoError, match="damaged, or of a rare kind"):
        read_image(content[:-2] + last_scan * 200 + content[-2:])
    small = b"Exif\0\0" + encode(Image.new("L", (8, 8)), "JPEG")  # a photo in the photo, which has an end of its own
    begun = content[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(small)) + small + content[2:-2]
    assert read_image(begun + content[-2:]).shape == (64, 64, 3)
    with pytest.raises(PhotoError, match="damaged, or of a rare kind"):
        read_image(begun + last_scan * 200 + content[-2:])
    film = b"\0\2" + b"\xff\xda\0\2" * 500  # that a phone stores behind the photo
    assert read_image(content + film).shape == (64, 64, 3)


def test_no_more_photos_are_decoded_at_once_than_there_is_room_for():
    entered, may_leave = threading.Semaphore(0), threading.Event()

    class Watched(Image.Image):
        def load(self):
            entered.release()
            may_leave.wait(30)
            return super().load()

    def watched():
        image = Watched()
        image.im, image._mode, image._size = Image.new("RGB", (4, 4), RED).im, "RGB", (4, 4)
        return image

    photos = []
    threads = [threading.Thread(target=lambda: photos.append(read_image(watched()))) for _ in range(AT_ONCE + 2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(AT_ONCE):
            assert entered.acquire(timeout=30)
        assert not entered.acquire(timeout=0.2)
    finally:
        may_leave.set()
        for thread in threads:
            thread.join(30)
    assert [photo.tolist() for photo in photos] == [[[[*RED]] * 4] * 4] * len(threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs to fork")
def test_a_fork_of_a_program_that_decodes_all_it_may_has_room_of_its_own(tmp_path):
    photo = tmp_path / "small.png"
    photo.write_bytes(encode(Image.new("RGB", (4, 4), RED), "PNG"))
    script = """
        import os, signal, sys
        from gradcam_core.photos import read_image, workers
        for _ in range(workers.AT_ONCE):
            workers.slots().acquire()
        if os.fork() == 0:
            signal.alarm(30)
            print(read_image(sys.argv[1]).shape, flush=True)
            os._exit(0)
        os.wait()
    """
    assert python(script, photo).stdout == "(4, 4, 3)\n"


@pytest.mark.parametrize("error", [MemoryError(), ValueError("Failed to decode image: Out of memory")])
def test_a_photo_for_which_memory_runs_out_is_too_complex_however_its_decoder_says_so(error):
    class Greedy(Image.Image):
        def load(self):
            raise error

    image = Greedy()
    image._mode, image._size = "RGB", (4, 4)
    with pytest.raises(PhotoError, match="too complex to be read") as caught:
        read_image(image)
    assert caught.value.__cause__ is error


def test_reading_leaves_pillows_own_limit_alone():
    before = Image.MAX_IMAGE_PIXELS
    filters = list(warnings.filters)
    read_image(encode(Image.new("RGB", (4, 4)), "PNG"))
    with pytest.raises(PhotoError):
        read_image(giant_png())
    assert before == Image.MAX_IMAGE_PIXELS
    assert warnings.filters == filters


@pytest.mark.skipif(sys.platform != "linux", reason="decodes in place where memory has a name")
def test_what_decodes_writes_no_core_and_no_file_larger_than_a_photo():
    script = """
        import psutil, resource
        from gradcam_core.photos import read_image, workers
        from gradcam_core.errors import PhotoError
        for kind in (resource.RLIMIT_CORE, resource.RLIMIT_FSIZE):
            resource.setrlimit(kind, (resource.getrlimit(kind)[1],) * 2)
        try:
            read_image(b"BM")
        except PhotoError:
            worker = psutil.Process(workers._state.idle[-1].pid)
            print(*(worker.rlimit(kind)[0] for kind in (psutil.RLIMIT_CORE, psutil.RLIMIT_FSIZE)))
    """
    core, file = python(script).stdout.split()
    assert int(core) == 0
    assert 0 < int(file) <= 3 * MAX_PIXELS


@pytest.mark.skipif(sys.platform != "linux", reason="decodes in place where memory has a name")
def test_what_decodes_ends_by_the_clock_where_nobody_waits_for_it_any_more(tmp_path):
    photo = tmp_path / "large.jpg"
    photo.write_bytes(encode(Image.new("RGB", (4000, 3000), RED), "JPEG", progressive=True))
    script = """
        import os, sys
        from gradcam_core.photos import worker
        worker.CLOCK_SECONDS = 0.02
        with open(sys.argv[1], "rb") as file:
            memory = worker._Memory(os.memfd_create("photo"))
            print(worker._answer(file.fileno(), os.fstat(file.fileno()).st_size, "The photo", memory))
    """
    answer = python(script, photo)
    assert (answer.returncode, answer.stdout) == (-signal.SIGALRM, "")
