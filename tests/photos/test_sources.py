"""Paths, bytes, files and Pillow images: all are read, or say why not."""

import io
import os

import numpy as np
import pytest
from photo_files import encode, few_colours
from PIL import Image

from gradcam_core.errors import PhotoError
from gradcam_core.photos import MAX_BYTES, read_image


def test_a_path_may_be_text_or_a_path_object(tmp_path):
    path = tmp_path / "tåxi 1.png"
    path.write_bytes(encode(Image.fromarray(few_colours()), "PNG"))
    for source in (str(path), path):
        np.testing.assert_array_equal(read_image(source), few_colours())


def test_the_name_of_a_file_says_nothing_about_its_format(tmp_path):
    path = tmp_path / "taxi.jpg"
    path.write_bytes(encode(Image.fromarray(few_colours()), "PNG"))
    np.testing.assert_array_equal(read_image(path), few_colours())


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_the_content_of_a_file(kind):
    np.testing.assert_array_equal(read_image(kind(encode(Image.fromarray(few_colours()), "PNG"))), few_colours())


def test_a_file_object_is_read_from_where_it_stands_and_stays_open():
    file = io.BytesIO(b"before" + encode(Image.fromarray(few_colours()), "PNG"))
    file.seek(6)
    np.testing.assert_array_equal(read_image(file), few_colours())
    assert not file.closed


def test_a_stream_that_answers_in_small_pieces_and_cannot_seek_is_read():
    class Stream(io.RawIOBase):
        rest = encode(Image.fromarray(few_colours()), "PNG")

        def read(self, count=-1):
            part, self.rest = self.rest[: min(count, 10)], self.rest[min(count, 10) :]
            return part

    np.testing.assert_array_equal(read_image(Stream()), few_colours())


def test_a_pillow_image_is_read_and_not_modified():
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = Image.open(io.BytesIO(encode(Image.fromarray(few_colours()).convert("RGBA"), "PNG", exif=exif)))
    stored.load()
    before = (stored.mode, stored.size, stored.tobytes(), dict(stored.info), dict(stored.getexif()))
    assert read_image(stored).shape == (32, 24, 3)
    assert (stored.mode, stored.size, stored.tobytes(), dict(stored.info), dict(stored.getexif())) == before


@pytest.mark.parametrize("mode", ["1", "L", "RGB", "RGBA", "RGBX", "RGBa", "LA", "La", "CMYK", "YCbCr", "HSV"])
def test_a_pillow_image_of_any_mode_is_read(mode):
    image = Image.new("RGB", (3, 2), "white")
    if mode == "RGBa":
        image = image.convert("RGBA").convert("RGBa")
    elif mode == "La":
        image = image.convert("LA").convert("La")
    else:
        image = image.convert(mode)
    assert np.abs(read_image(image).astype(int) - 255).max() <= 1


def test_the_photo_shares_no_memory_with_its_source():
    source = few_colours()
    read_image(source)[:] = 0
    np.testing.assert_array_equal(source, few_colours())


@pytest.mark.parametrize("source", [None, 3, ["taxi.png"], object()])
def test_what_is_no_photo_at_all_gets_a_sentence(source):
    with pytest.raises(PhotoError, match="A photo is given as a path"):
        read_image(source)


def test_a_path_that_cannot_be_read_gets_its_sentence_without_its_folder(tmp_path):
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "file.txt").write_text("text")
    sentences = {
        tmp_path / "missing.png": "There is no file missing.png",
        tmp_path / "file.txt" / "taxi.png": "There is no file taxi.png",
        tmp_path / "loop.png": "loop.png cannot be read: ",
        tmp_path / "pipe.png": "pipe.png is not an ordinary file",
        tmp_path: f"{tmp_path.name} is a folder",
        f"{tmp_path}/nul\0.png": "cannot be read: its path is not valid",
        f"{tmp_path}/{'long' * 100}.png": "^longlong[long]+…[long]+long.png cannot be read: File name too long",
        f"{tmp_path}/line\nbreak.png": r"There is no file line\?break.png",
    }
    for path, sentence in sentences.items():
        with pytest.raises(PhotoError, match=sentence) as refused:
            read_image(path)
        assert str(tmp_path.parent) not in str(refused.value)
        assert len(str(refused.value)) < 200


@pytest.mark.skipif(os.geteuid() == 0, reason="an administrator may read everything")
def test_a_file_without_permission_says_so(tmp_path):
    path = tmp_path / "secret.png"
    path.write_bytes(b"x")
    path.chmod(0)
    with pytest.raises(PhotoError, match=r"secret.png cannot be read: permission denied"):
        read_image(path)


@pytest.mark.parametrize("address", ["https://example.org/taxi.jpg", "data:image/png;base64,iVBORw0KGgo="])
def test_a_web_address_is_not_a_path(address):
    with pytest.raises(PhotoError, match=r"web address\. Save the picture"):
        read_image(address)


def test_an_empty_path_says_so():
    with pytest.raises(PhotoError, match="path of the photo is empty"):
        read_image("")


def test_a_file_opened_as_text_says_so(tmp_path):
    path = tmp_path / "taxi.txt"
    path.write_text("text")
    with path.open() as file, pytest.raises(PhotoError, match=r"taxi.txt is opened as text"):
        read_image(file)
    path.write_bytes(b"\xff\xd8\xff\xe0")
    with (
        path.open(encoding="utf-8") as file,
        pytest.raises(PhotoError, match=r"taxi.txt cannot be read.*binary"),
    ):
        read_image(file)


def test_a_closed_file_says_so():
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(PhotoError, match=r"cannot be read\. Is it still open"):
        read_image(file)


def test_more_than_20_megabytes_are_refused_unread(tmp_path):
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    with pytest.raises(PhotoError, match=r"^large.png is 20.1 MB; a photo may have 20 MB"):
        read_image(path)
    with pytest.raises(PhotoError, match=r"^The photo is 20.1 MB"):
        read_image(bytes(MAX_BYTES + 1))


def test_a_file_object_is_read_no_further_than_the_limit():
    class Endless(io.RawIOBase):
        given = 0

        def read(self, count=-1):
            assert count >= 0, "an endless file would be read whole"
            self.given += count
            return bytes(count)

    endless = Endless()
    with pytest.raises(PhotoError, match="The photo is larger than 20 MB"):
        read_image(endless)
    assert endless.given == MAX_BYTES + 1


def test_exactly_20_megabytes_are_read():
    content = encode(Image.fromarray(few_colours()), "PNG")
    content += bytes(MAX_BYTES - len(content))
    for source in (content, io.BytesIO(content)):
        np.testing.assert_array_equal(read_image(source), few_colours())


class Failing:
    """A reader of somebody's own, whose read raises this."""

    name = "taxi.png"

    def __init__(self, error):
        self.error = error

    def read(self, size):
        raise self.error


@pytest.mark.parametrize("error", [RuntimeError("no connection"), KeyError("size"), MemoryError(), ZeroDivisionError()])
def test_a_reader_whose_read_raises_anything_says_so(error):
    with pytest.raises(PhotoError, match=r"^taxi.png cannot be read: its read\(size\) fails") as refused:
        read_image(Failing(error))
    assert refused.value.__cause__ is error


def test_a_reader_whose_read_takes_no_size_says_so():
    class Whole:
        def read(self):
            return b"x" * 100

    with pytest.raises(PhotoError, match=r"^The photo cannot be read: its read\(size\) .* takes no size\. Give a file"):
        read_image(Whole())
