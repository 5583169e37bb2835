"""The photo input takes uploaded files and nothing else."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import gradio as gr
import pytest
from gradio.data_classes import ImageData

from ui.photo_input import PhotoInput


@pytest.fixture
def photo_input(tmp_path):
    component = PhotoInput(label="photo", render=False)
    component.GRADIO_CACHE = str(tmp_path / "cache")
    (tmp_path / "cache" / "abc").mkdir(parents=True)
    return component


def test_an_uploaded_file_comes_as_its_path(photo_input, photos):
    upload = Path(photo_input.GRADIO_CACHE) / "abc" / "photo.jpg"
    upload.write_bytes((photos / "landscape.jpg").read_bytes())
    assert photo_input.preprocess(ImageData(path=str(upload))) == str(upload)


def test_no_photo_is_none(photo_input):
    assert photo_input.preprocess(None) is None


def refused(photo_input, **payload) -> str:
    with pytest.raises(gr.Error) as caught:
        photo_input.preprocess(ImageData(**payload))
    assert caught.value.title == "This picture cannot be used"
    assert caught.value.print_exception is False
    return caught.value.message


@pytest.mark.parametrize(
    "path", ["/etc/hostname", "app.py", "http://example.org/a.jpg", "data:image/png;base64,AAAA", "", "/"]
)
def test_anything_else_is_refused(photo_input, path):
    assert refused(photo_input, path=path) == "Upload the picture as a file."


def test_a_data_url_is_refused(photo_input):
    assert refused(photo_input, url="data:image/png;base64,AAAA") == "Upload the picture as a file."


def test_a_way_out_of_the_upload_folder_is_refused(photo_input, tmp_path):
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (Path(photo_input.GRADIO_CACHE) / "abc" / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    for way in ("../secret.jpg", "abc/../../secret.jpg", "abc/link.jpg"):
        assert refused(photo_input, path=f"{photo_input.GRADIO_CACHE}/{way}") == "Upload the picture as a file."


def test_a_neighbour_of_the_upload_folder_is_refused(photo_input, tmp_path):
    (tmp_path / "cache-of-others").mkdir()
    (tmp_path / "cache-of-others" / "a.jpg").write_bytes(b"x")
    assert refused(photo_input, path=str(tmp_path / "cache-of-others" / "a.jpg")) == "Upload the picture as a file."


def test_a_file_that_has_been_cleared_away_is_said_to_be_gone(photo_input):
    gone = f"{photo_input.GRADIO_CACHE}/abc/gone.jpg"
    assert refused(photo_input, path=gone) == "The uploaded file is no longer here. Choose the picture again."


def test_a_web_address_is_never_fetched(photo_input):
    move = photo_input.async_move_resource_to_block_cache
    with ThreadPoolExecutor(1) as thread, pytest.raises(gr.Error, match="Web addresses are not fetched"):
        thread.submit(lambda: asyncio.run(move("http://127.0.0.1:1/a.jpg"))).result()  # this thread may have a loop


def test_the_browser_gets_the_image_component_of_gradio(photo_input):
    config = photo_input.get_config()
    assert photo_input.get_block_name() == "image"
    assert {"sources", "placeholder", "webcam_options"} <= set(config)
