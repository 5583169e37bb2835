"""``python app.py``: its help, its settings, and one line where it cannot start."""

import os
import signal
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from browser import Visitor
from callers import client_of
from serving import run, serve

import app
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


def guards(monkeypatch, folder: Path, arguments: tuple = (), **environment: str) -> dict:
    """What stands before each request with these arguments."""
    for name in [name for name in os.environ if name.startswith(("GRADCAM_", "GRADIO_", "SPACE_"))]:
        monkeypatch.delenv(name)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["app.py", *arguments])
    (doors,) = app._guards(app.arguments(), folder, None)["app_kwargs"]["middleware"]
    return doors.kwargs


@pytest.mark.parametrize(
    ("arguments", "environment"),
    [
        (("--keep", "0.5", "--visitor", "40", "--hosts", "Cam.Example, friend.example"), {}),
        ((), {"GRADCAM_KEEP": "0.5", "GRADCAM_VISITOR": "40", "GRADCAM_HOSTS": "Cam.Example, friend.example"}),
    ],
    ids=["arguments", "environment"],
)
def test_limits_and_names_are_those_that_are_set(monkeypatch, tmp_path, arguments, environment):
    now = 1000.0
    monkeypatch.setattr("ui.uploads.time", SimpleNamespace(monotonic=lambda: now))
    found = guards(monkeypatch, tmp_path, arguments, **environment)
    assert found["hosts"] == {"cam.example", "friend.example"}
    allowance = found["allowance"]
    allowance.take("a", 30_000_000)
    assert allowance.left("a") == 10e6
    now += 29
    assert allowance.left("a") == 10e6
    now += 2
    assert allowance.left("a") == 40e6


@pytest.mark.parametrize(
    ("host", "root", "is_strict", "hosts"),
    [
        ("127.0.0.1", "", True, set()),
        ("[::1]", "", True, set()),
        ("localhost", "https://cam.example/maps", True, {"cam.example"}),
        ("127.0.0.1", "/maps", False, set()),  # behind a proxy of whatever name
        ("0.0.0.0", "", False, set()),
        ("192.0.2.7", "", False, set()),
    ],
)
def test_a_page_for_this_machine_alone_answers_to_no_other_name(monkeypatch, tmp_path, host, root, is_strict, hosts):
    found = guards(monkeypatch, tmp_path, ("--host", host), GRADIO_ROOT_PATH=root)
    assert (found["is_strict"], found["hosts"]) == (is_strict, hosts)


def test_the_folder_of_visitors_photos_goes_with_the_terminal(tmp_path):
    """A closed terminal hangs up."""
    (tmp_path / "hung_up.py").write_text(
        "import os, signal, app\n"
        "with app._upload_folder() as folder:\n"
        "    (folder / 'photo.jpg').write_bytes(b'a photo')\n"
        "    os.kill(os.getpid(), signal.SIGHUP)\n"
    )
    (tmp_path / "cache").mkdir()
    answer = run([str(tmp_path / "hung_up.py")], GRADIO_TEMP_DIR=str(tmp_path / "cache"))
    assert answer.returncode == -signal.SIGHUP
    assert list((tmp_path / "cache").iterdir()) == []


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
    with serve(tmp_path, GRADCAM_NETWORK="VGG16", GRADCAM_MEMORY="300", GRADCAM_LIVE="0") as server:
        visitor = Visitor(browser_context, server.url)
        assert "VGG16 (553 MB)" in visitor.wait_for_toast(f"{DEFAULT} is used for now")
        visitor.explain(photos / "landscape.jpg")
        assert visitor.layers() == [layer.name for layer in stages]
        assert visitor.page.locator("#go-live").count() == 0  # nobody may have a camera explained here
        visitor.page.close()
        assert "stay loaded up to 300 MB" in server.log.read_text()
    assert visitor.complaints == []


def test_a_port_in_use_is_one_line(server):
    answer = run(["app.py", "--port", server.url.rpartition(":")[2]])
    assert answer.returncode == 1
    assert "--port" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
