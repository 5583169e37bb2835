"""``python app.py``: its help, its settings, and one line where it cannot start."""

import pytest
from browser import Visitor
from callers import client_of
from serving import run, serve

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT


def test_help_reads_well():
    answer = run(["app.py", "--help"], from_scratch=True)
    assert answer.returncode == 0
    for word in (
        "--network",
        "--host",
        "--port",
        "--preprocess",
        "GRADCAM_NETWORK",
        "GRADIO_SERVER_PORT",
        "VGG16",
        "--memory",
        "GRADCAM_MEMORY",
    ):
        assert word in answer.stdout


@pytest.mark.parametrize(
    ("arguments", "environment", "sentence"),
    [
        (["--network", "vgg"], {}, "There is no network 'vgg'"),
        ([], {"GRADCAM_NETWORK": "vgg"}, "There is no network 'vgg'"),
        (["--network", "nowhere.keras"], {}, "nowhere.keras"),
        (["--network", "old.h5"], {}, "old.h5 cannot be opened"),
        (["--network", "best.PT"], {}, "best.PT cannot be opened"),
        (["--network", "VGG16", "--labels", "names.txt"], {}, "--labels goes with a network in a file"),
        (["--preprocess", "-1..1", "--output", "b"], {}, "--preprocess, --output goes with a network in a file"),
        (["--memory", "-1"], {}, "a number of megabytes, 0 or more, not -1"),
    ],
)
def test_a_wrong_setting_is_one_line(arguments, environment, sentence):
    answer = run(["app.py", *arguments], from_scratch="old.h5" in arguments, **environment)  # TensorFlow says nothing
    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout == ""


def test_a_keras_file_can_be_the_network_of_the_start(photos, tmp_path):
    from gradio_client import handle_file
    from tiny_networks import colour_network

    colour_network().model.save(tmp_path / "colours.keras")
    (tmp_path / "names.txt").write_text("red\nblue\n")
    arguments = ("--network", tmp_path / "colours.keras", "--labels", tmp_path / "names.txt", "--preprocess", "-1..1")
    with serve(tmp_path, *arguments, from_scratch=True, KERAS_BACKEND="torch") as server:  # which is not installed
        client = client_of(server.url, download_files=str(tmp_path / "answers"))
        answer, *_ = client.predict(image=handle_file(photos / "landscape.jpg"), target="blue", api_name="/explain")
    assert answer["target"]["name"] == "blue"
    network = gc.load(tmp_path / "colours.keras", labels=["red", "blue"], preprocess="-1..1")
    expected = gc.explain(network, photos / "landscape.jpg", "blue").target
    assert answer["target"]["probability"] == pytest.approx(expected.probability, abs=1e-5)
    assert answer["target"]["text"] == expected.text
    assert [entry["layer"] for entry in answer["maps"]] == ["conv"]


def test_a_start_network_that_cannot_be_had_is_replaced_and_the_page_says_so(browser_context, photos, tmp_path, stages):
    with serve(tmp_path, GRADCAM_NETWORK="VGG16", GRADCAM_MEMORY="300") as server:
        visitor = Visitor(browser_context, server.url)
        assert "VGG16 (553 MB)" in visitor.wait_for_toast(f"{DEFAULT} is used for now")
        visitor.explain(photos / "landscape.jpg")
        assert visitor.layers() == [layer.name for layer in stages]
        visitor.page.close()
        assert "stay loaded up to 300 MB" in server.log.read_text()
    assert visitor.complaints == []


def test_a_port_in_use_is_one_line(server):
    answer = run(["app.py", "--port", server.url.rpartition(":")[2]])
    assert answer.returncode == 1
    assert "--port" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
