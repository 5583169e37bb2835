"""The right pixels from every format, or the right sentence."""

import io
import re
import struct

import numpy as np
import pytest
from photo_files import BLUE, KINDS, RED, WHITE, assert_is_a_photo, encode, few_colours, noise, smooth
from PIL import Image

from gradcam_core.errors import PhotoError
from gradcam_core.photos import read_image


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("PNG", {}),
        ("WEBP", {"lossless": True}),
        ("GIF", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("TIFF", {"compression": "packbits"}),
        ("TIFF", {"big_tiff": True}),
    ],
)
def test_a_lossless_file_gives_exactly_its_pixels(kind, options):
    photo = read_image(encode(Image.fromarray(few_colours()), kind, **options))
    assert_is_a_photo(photo, 24, 32)
    np.testing.assert_array_equal(photo, few_colours())


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("WEBP", {"quality": 95}),
        ("AVIF", {"quality": 95, "subsampling": "4:4:4"}),
        ("TIFF", {"compression": "jpeg", "quality": 95}),
    ],
)
def test_a_lossy_file_gives_nearly_its_pixels(kind, options):
    photo = read_image(encode(Image.fromarray(smooth()), kind, **options))
    assert_is_a_photo(photo, 48, 64)
    assert np.abs(photo.astype(int) - smooth()).max() <= 8


def test_a_jpeg_is_decoded_at_its_full_size():
    assert read_image(encode(Image.new("RGB", (1001, 777)), "JPEG")).shape == (777, 1001, 3)


def test_a_picture_higher_than_one_band_of_rows_is_whole():
    noise = np.random.default_rng(0).integers(0, 256, (1000, 7, 3), np.uint8)
    np.testing.assert_array_equal(read_image(encode(Image.fromarray(noise), "PNG")), noise)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (9, 1)])
def test_the_smallest_pictures_are_photos_too(size):
    assert read_image(encode(Image.new("RGB", size, RED), "PNG")).tolist() == [[[*RED]] * size[0]] * size[1]


@pytest.mark.parametrize(
    ("kind", "options"),
    [("GIF", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("AVIF", {}), ("MPO", {})],
)
def test_an_animation_gives_its_first_frame(kind, options):
    frames = [Image.new("RGB", (16, 16), colour) for colour in (RED, BLUE, WHITE)]
    content = encode(frames[0], kind, save_all=True, append_images=frames[1:], **options)
    assert np.abs(read_image(content).astype(int) - RED).max() <= (8 if kind in ("AVIF", "MPO") else 0)


def test_a_pillow_image_gives_the_frame_that_the_caller_chose():
    frames = [Image.new("RGB", (4, 4), colour) for colour in (RED, BLUE)]
    image = Image.open(io.BytesIO(encode(frames[0], "GIF", save_all=True, append_images=frames[1:])))
    image.seek(1)
    assert read_image(image)[0, 0].tolist() == [*BLUE]


def test_what_the_first_frame_of_a_gif_leaves_open_is_white():
    content = bytearray(encode(Image.new("RGB", (2, 2), RED), "GIF"))
    content[6:10] = struct.pack("<HH", 4, 3)  # the canvas
    at = content.index(b"\x2c" + struct.pack("<HHHH", 0, 0, 2, 2))
    content[at + 1 : at + 5] = struct.pack("<HH", 1, 0)  # the frame's place in it
    photo = read_image(bytes(content))
    expected = np.full((3, 4, 3), 255)
    expected[0:2, 1:3] = RED
    np.testing.assert_array_equal(photo, expected)


HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
FOREIGN = {
    "empty": (b"", r"^taxi.jpg is empty \(0 bytes\)"),
    "HEIC": (HEIC, "is a HEIC photo.*Save it as JPEG"),
    "HEIF": (HEIC.replace(b"ftypheic", b"ftypmif1"), "is a HEIC photo"),
    "SVG": (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>', "is an SVG drawing"),
    "PDF": (b"%PDF-1.7\n%\xe2\xe3", "is a PDF document"),
    "JPEG XL": (b"\xff\x0a" + bytes(50), "is a JPEG XL picture"),
    "JPEG XL box": (b"\0\0\0\x0cJXL \r\n\x87\n" + bytes(50), "is a JPEG XL picture"),
    "JPEG 2000": (b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(50), "is a JPEG 2000 picture"),
    "web page": (b"\n<!DOCTYPE html><html><img src=taxi.jpg></html>", "is a web page"),
    "text": ("Grüße\nfrom a text file".encode() * 100, "is text"),
    "UTF-16 text": ("Grüße".encode("utf-16"), "is text"),
    "ZIP": (b"PK\x03\x04" + bytes(50), "is an archive"),
    "MP4": (b"\0\0\0\x18ftypisom\0\0\0\0isommp42" + bytes(50), "is a video"),
    "WebM": (b"\x1a\x45\xdf\xa3" + bytes(50), "is a video"),
    "unknown": (bytes(range(256)), "is not a picture that can be read.*JPEG, PNG"),
    "Photoshop": (b"8BPS\0\1" + bytes(50), "is not a picture that can be read"),
}


@pytest.mark.parametrize(("content", "sentence"), FOREIGN.values(), ids=FOREIGN)
def test_a_file_that_is_no_photo_is_named_for_what_it_is(tmp_path, content, sentence):
    path = tmp_path / "taxi.jpg"
    path.write_bytes(content)
    with pytest.raises(PhotoError, match=sentence) as refused:
        read_image(path)
    assert str(tmp_path) not in str(refused.value)


@pytest.mark.filterwarnings("ignore")  # of Pillow's, about the tags of a damaged TIFF
@pytest.mark.parametrize("share", [0.05, 0.3, 0.6, 0.95])
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_that_is_cut_short_says_so(kind, options, share):
    whole = noise(kind, options, (64, 48))
    with pytest.raises(PhotoError, match=r"^The photo is (cut short|damaged)") as refused:
        read_image(whole[: int(len(whole) * share)])
    if kind in ("WEBP", "BMP", "GIF", "PNG") and share > 0.1:
        assert "cut short: its end is missing" in str(refused.value)
    assert refused.value.__cause__ is not None


@pytest.mark.parametrize("left_out", [2, 8, 9])
def test_a_webp_without_its_last_bytes_is_cut_short(left_out):
    with pytest.raises(PhotoError, match="cut short: its end is missing"):
        read_image(noise("WEBP", {"lossless": True}, (64, 48))[:-left_out])


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff\xe0" + bytes(500),
        b"\x89PNG\r\n\x1a\n" + b"\xff" * 500,
        b"RIFF\x20\0\0\0WEBPVP8 " + bytes(500),
        b"GIF89a" + bytes(500),
        b"BM" + bytes(500),
        b"II*\0" + bytes(500),
        b"\0\0\0\x18ftypavif\0\0\0\0mif1avif" + bytes(500),
    ],
)
def test_a_damaged_file_says_so_and_keeps_the_cause(content):
    with pytest.raises(PhotoError, match=r"The photo (is damaged|is cut short|has no pixels)"):
        read_image(content)


@pytest.mark.parametrize(
    "content",
    [
        noise("PNG", {}, (64, 48))[:-300],
        noise("WEBP", {}, (64, 48))[:-300],
        b"\xff\xd8\xff\xe0" + bytes(500),
        b"II*\0" + bytes(500),
    ],
    ids=["cut short", "a short RIFF", "damaged", "no pixels of any kind"],
)
def test_what_the_decoder_found_wrong_is_the_cause_of_the_sentence(content):
    with pytest.raises(PhotoError) as refused:
        read_image(content)
    assert re.match(r"[A-Z]\w+(Error|Exception)\(.+\)$", str(refused.value.__cause__))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("kind", "options"), KINDS)
def test_a_file_with_damage_anywhere_is_a_photo_or_a_sentence(kind, options):
    random = np.random.default_rng(2)
    whole = np.frombuffer(noise(kind, options), np.uint8)
    for _ in range(60):
        content = whole.copy()
        places = random.integers(4, min(len(content), 400), 3)
        content[places] = random.integers(0, 256, 3)
        try:
            photo = read_image(content.tobytes())
        except PhotoError:  # any other error fails the test
            continue
        assert_is_a_photo(photo, *photo.shape[:2])


def test_every_sentence_ends_with_a_full_stop_and_names_no_type():
    for content, _ in FOREIGN.values():
        with pytest.raises(PhotoError) as refused:
            read_image(content)
        assert re.fullmatch(r"The photo is [^\n]*[.)]", str(refused.value))
        assert not re.search(r"Error|<_io|0x[0-9a-f]{6}", str(refused.value))
