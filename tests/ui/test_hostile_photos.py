"""Photos that are made to cost much, sent to the page: each costs its own answer, and nobody else's."""

import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
from callers import client_of

sys.path.append(str(Path(__file__).parents[1] / "photos"))

from hostile_files import gif_of_a_long_comment, overlapping_jpeg, tiff_of_many_strips

AT_ONCE = 8


def memory_of(server) -> int:
    """Bytes, of the page and the processes that decode for it."""
    page = psutil.Process(server.pid)
    total = page.memory_info().rss
    for process in page.children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # its photo is decoded
            total += process.memory_info().rss
    return total


@pytest.fixture(scope="module")
def client(server):
    return client_of(server.url)


@pytest.mark.parametrize("hostile", [overlapping_jpeg, gif_of_a_long_comment, tiff_of_many_strips])
def test_eight_at_once_are_refused_by_a_sentence_while_others_are_answered(client, server, photos, tmp_path, hostile):
    from gradio_client import handle_file
    from gradio_client.exceptions import AppError

    path = tmp_path / "taxi.jpg"
    path.write_bytes(hostile())

    def predict(photo: Path) -> object:
        return client.predict(image=handle_file(str(photo)), api_name="/predict")

    def refused() -> str:
        with pytest.raises(AppError) as error:
            predict(path)
        return str(error.value)

    expected = predict(photos / "landscape.jpg")
    before = memory_of(server)
    with ThreadPoolExecutor(AT_ONCE + 2) as visitors:
        sentences = [visitors.submit(refused) for _ in range(AT_ONCE)]
        others = [visitors.submit(predict, photos / "landscape.jpg") for _ in range(2)]
        assert [other.result() for other in others] == [expected] * 2
    for sentence in sentences:
        assert "taxi.jpg is too complex to be read" in sentence.result()
    assert memory_of(server) < before + 100e6


def test_decoding_processes_killed_under_the_page_are_missed_by_nobody(client, server, photos):
    from gradio_client import handle_file

    predict = lambda: client.predict(image=handle_file(str(photos / "turned.jpg")), api_name="/predict")  # noqa: E731
    expected = predict()
    for process in psutil.Process(server.pid).children(recursive=True):
        with suppress(psutil.NoSuchProcess):  # it has ended with the one that was killed before it
            process.kill()
    assert predict() == expected
