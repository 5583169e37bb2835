"""The page as its visitors meet it: the real ``python app.py``, a real browser, and the HTTP API."""

import json
import os
import socket
import subprocess
import sys
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np
import pytest
from browser import CARDS, PHOTO, Visitor
from conftest import serve
from PIL import Image

from gradcam_core.networks.zoo import DEFAULT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def stages() -> list:
    import gradcam_core as gc

    return list(gc.select(gc.load(DEFAULT), "stages"))


@pytest.fixture(scope="module")
def client(server, tmp_path_factory):
    from gradio_client import Client

    return Client(server.url, verbose=False, download_files=str(tmp_path_factory.mktemp("answers")))


# --- a photo in, a heat map of every stage out ---


def test_a_dropped_photo_is_explained_at_once(visitor, photos, stages):
    visitor.explain(photos / "landscape.jpg")
    assert visitor.layers() == [layer.name for layer in stages]
    facts = visitor.page.locator(f"{CARDS} .gx-facts").first.inner_text().replace("\u2009", " ")
    height, width, channels = stages[0].shape
    assert f"{height} × {width} × {channels}" in facts
    assert f"{480 / height:.1f} × {640 / width:.1f} px" in facts
    assert visitor.page.locator(".gx-guess").count() == 5
    top = visitor.page.locator(".gx-guess-name").first.inner_text()
    assert visitor.title() == f"Evidence for {top}"
    assert visitor.page.locator("#class input").input_value().startswith(f"{top} · ")


def test_the_empty_page_says_what_to_do(visitor):
    assert visitor.page.locator(".gx-empty").is_visible()
    assert visitor.page.locator(".gx-toolbar").is_hidden()
    assert "knows ImageNet's 1000 classes" in visitor.page.locator("#network").inner_text()


def test_a_photo_chosen_by_a_click_is_explained(visitor, photos, stages):
    visitor.page.set_input_files("#photo input[type=file]", photos / "landscape.jpg")
    visitor.page.wait_for_selector(CARDS)
    assert len(visitor.layers()) == len(stages)


def test_an_example_is_explained(visitor, stages):
    visitor.page.get_by_role("button", name="Example photo: lion").click()
    visitor.page.wait_for_selector(CARDS)
    assert visitor.title() == "Evidence for lion"
    assert len(visitor.layers()) == len(stages)


def test_another_photo_can_be_dropped_on_the_first(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.explain(photos / "turned.jpg")
    assert visitor.page.evaluate("document.querySelector('.gx-card img').naturalHeight") == 640


@pytest.mark.parametrize(("name", "size"), [("turned.jpg", (480, 640)), ("moving.gif", (320, 240))])
def test_the_photo_stands_upright_and_still(visitor, photos, name, size):
    visitor.explain(photos / name)
    photo = visitor.page.locator(".gx-card img").first
    assert (photo.evaluate("p => p.naturalWidth"), photo.evaluate("p => p.naturalHeight")) == size
    assert photo.get_attribute("src").endswith(".jpg")


def test_taking_the_photo_away_empties_the_page(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.click("#photo button[aria-label='Remove Image']")
    visitor.page.wait_for_selector(".gx-empty", state="visible")
    assert visitor.layers() == []


# --- what goes wrong ---


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("cut.jpg", "is cut short"), ("text.jpg", "is text, not a photo"), ("huge.png", "81.0 megapixels")],
)
def test_a_bad_file_is_explained_and_nothing_is_lost(visitor, photos, name, sentence):
    visitor.explain(photos / "landscape.jpg")
    visitor.choose("#class", "teapot")
    visitor.wait_for_title("teapot")
    preview = visitor.page.locator("#photo img").get_attribute("src")
    visitor.drop(photos / name)
    assert name in visitor.wait_for_toast(sentence)
    visitor.page.wait_for_function("(src) => document.querySelector('#photo img')?.src === src", arg=preview)
    visitor.wait_for_title("teapot")
    assert visitor.page.locator("#class input").input_value() == "teapot"
    visitor.explain(photos / "turned.jpg")


@pytest.mark.parametrize(
    ("name", "size", "sentence"),
    [("notes.md", 40, "is text, not a photo"), ("scan.pdf", 4000, "PDF"), ("big.png", 21 * 2**20, "20 MB")],
)
def test_what_gradio_alone_would_refuse_takes_nothing_away(visitor, photos, tmp_path, name, size, sentence):
    content = b"%PDF-1.7\n" if name.endswith("pdf") else b"# Notes\n"
    (tmp_path / name).write_bytes(content.ljust(size, b"-"))
    visitor.explain(photos / "landscape.jpg")
    before = visitor.layers()
    preview = visitor.page.locator("#photo img").get_attribute("src")
    visitor.drop(tmp_path / name)
    assert sentence in visitor.wait_for_toast(name)
    visitor.page.wait_for_function("(src) => document.querySelector('#photo img')?.src === src", arg=preview)
    visitor.page.wait_for_selector(".gx-card")
    assert visitor.layers() == before


def test_a_dropped_text_is_met_with_a_sentence(visitor):
    visitor.page.evaluate(
        """(selector) => {
            const transfer = new DataTransfer();
            transfer.setData('text', 'https://example.org/photo.jpg');
            const drop = new DragEvent('drop', { bubbles: true, cancelable: true, dataTransfer: transfer });
            document.querySelector(selector).dispatchEvent(drop);
        }""",
        PHOTO,
    )
    visitor.wait_for_toast("is text, not a photo")


def test_a_photo_without_a_type_is_explained(visitor, photos, tmp_path, stages):
    (tmp_path / "photo").write_bytes((photos / "landscape.jpg").read_bytes())
    visitor.explain(tmp_path / "photo")
    assert len(visitor.layers()) == len(stages)


def test_a_bad_file_on_an_empty_page_leaves_it_empty(visitor, photos, stages):
    visitor.drop(photos / "cut.jpg")
    visitor.wait_for_toast("is cut short")
    visitor.page.wait_for_selector("#photo img", state="detached")
    visitor.explain(photos / "landscape.jpg")
    assert len(visitor.layers()) == len(stages)


def test_a_network_that_cannot_be_fetched_leaves_the_previous_one(visitor, photos, stages):
    visitor.explain(photos / "landscape.jpg")
    chosen = visitor.page.locator("#network input").input_value()
    visitor.choose("#network", "VGG16")
    sentence = visitor.wait_for_toast("VGG16")
    assert "553 MB" in sentence
    assert DEFAULT in sentence
    visitor.page.wait_for_function("(name) => document.querySelector('#network input').value === name", arg=chosen)
    assert visitor.layers() == [layer.name for layer in stages]
    visitor.page.locator(".gx-guess").nth(1).click()  # and the page goes on
    visitor.wait_for_title(visitor.page.locator(".gx-guess-name").nth(1).inner_text())


# --- what acts in the browser alone ---


def test_dragging_the_opacity_asks_the_server_nothing(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    assert visitor.opacity() == pytest.approx(0.4)
    slider = visitor.page.locator("input[name=opacity]")
    box = slider.bounding_box()
    mouse, middle = visitor.page.mouse, box["y"] + box["height"] / 2
    seen = set()
    mouse.move(box["x"] + 0.4 * box["width"], middle)
    before = len(visitor.requests)
    mouse.down()
    for step in range(90):
        mouse.move(box["x"] + box["width"] * (0.1 + 0.8 * step / 89), middle)
        seen.add(visitor.opacity())
    mouse.up()
    assert visitor.requests[before:] == []
    assert len(seen) > 40
    assert visitor.opacity() == pytest.approx(0.92, abs=0.06)
    assert slider.input_value() == f"{visitor.opacity():g}"


def test_every_colour_map_repaints_and_asks_the_server_nothing(visitor, photos, stages):
    from gradcam_core import COLORMAPS
    from gradcam_core.pictures.render import lookup_table

    visitor.explain(photos / "landscape.jpg")
    before = len(visitor.requests)
    for name in COLORMAPS:
        visitor.page.locator(".gx-colormaps label", has_text=name).click()
        table = [tuple(color) for color in lookup_table(name).tolist()]
        painted = {tuple(color) for color in np.unique(visitor.colors(0)[..., :3].reshape(-1, 3), axis=0).tolist()}
        assert painted <= set(table), name
        assert painted & set(table[:16]), name
        assert painted & set(table[-32:]), name
        assert len(painted) > 20, name
    assert visitor.requests[before:] == []


def test_the_shared_scale_dims_all_but_the_highest_peak(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator(".gx-colormaps label", has_text="grey").click()
    before = len(visitor.requests)

    def brightest() -> list[int]:
        return [int(visitor.colors(card)[..., 0].max()) for card in range(visitor.page.locator(CARDS).count())]

    peaks = [float(text) for text in visitor.page.locator(f"{CARDS} .gx-facts dd:nth-of-type(3)").all_inner_texts()]
    alone = brightest()
    assert min(alone) > 200
    visitor.page.get_by_label("shared", exact=True).check()
    expected = [level * peak / max(peaks) for level, peak in zip(alone, peaks, strict=True)]
    assert brightest() == pytest.approx(expected, abs=2)
    assert visitor.requests[before:] == []


def test_the_browser_resizes_a_map_as_the_engine_does(visitor, photos):
    import gradcam_core as gc
    from gradcam_core.pictures.render import resize_heat

    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator(".gx-colormaps label", has_text="grey").click()
    painted = visitor.colors()[..., 0].astype(np.float32)
    height, width = painted.shape
    result = gc.explain(gc.load(DEFAULT), photos / "landscape.jpg")
    expected = 255 * resize_heat(list(result.maps.values())[-1].heat, width, height)
    assert np.abs(painted - expected).max() <= 1.5


# --- other classes, other layers ---


def test_a_click_on_a_bar_explains_that_class(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    before = visitor.colors()
    second = visitor.page.locator(".gx-guess").nth(1)
    name = second.locator(".gx-guess-name").inner_text()
    second.click()
    visitor.wait_for_title(name)
    assert second.get_attribute("aria-pressed") == "true"
    assert visitor.page.locator("#class input").input_value().startswith(f"{name} · ")
    assert (visitor.colors() != before).any()


def test_any_class_can_be_searched_and_explained(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.choose("#class", "teapot")
    visitor.wait_for_title("teapot")
    assert visitor.page.locator(".gx-guess[aria-pressed=true] .gx-guess-name").inner_text() == "teapot"


def test_the_last_layer_all_layers_and_chosen_ones(visitor, photos, stages):
    import gradcam_core as gc

    every = [layer.name for layer in gc.load(DEFAULT).layers]
    visitor.explain(photos / "landscape.jpg")

    def wait_for_cards(count: int) -> None:
        visitor.page.wait_for_function(f"document.querySelectorAll('{CARDS}').length === {count}")

    visitor.page.get_by_label("Last", exact=True).check()
    wait_for_cards(1)
    assert visitor.layers() == [stages[-1].name]
    visitor.page.get_by_label("All", exact=True).check()
    wait_for_cards(len(every))
    assert visitor.layers() == every
    visitor.page.get_by_label("Choose", exact=True).check()
    wait_for_cards(len(stages))
    added = next(layer for layer in every if layer not in {stage.name for stage in stages})
    visitor.choose("#chosen", added)
    wait_for_cards(len(stages) + 1)
    assert added in visitor.layers()
    assert visitor.layers() == [name for name in every if name in visitor.layers()]  # network order


def test_leaving_no_layer_is_explained(visitor, photos, stages):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.get_by_label("Choose", exact=True).check()
    visitor.page.locator("#chosen [title=Clear]").click()
    visitor.wait_for_toast("Choose at least one layer")
    assert len(visitor.layers()) == len(stages)


def test_a_layer_without_evidence_says_so(visitor, photos):
    import gradcam_core as gc

    visitor.explain(photos / "landscape.jpg")
    network = gc.load(DEFAULT)
    for label in network.labels:
        result = gc.explain(network, photos / "landscape.jpg", label.index)
        empty = [name for name, heat_map in result.maps.items() if heat_map.is_empty]
        if empty:
            break
    else:
        pytest.skip("the network has evidence for every class in every stage of this photo")
    name = label.name.replace("_", " ")
    visitor.choose("#class", name)
    visitor.wait_for_title(name)
    card = visitor.page.locator(f"{CARDS}[data-layer='{empty[0]}']")
    assert card.locator(".gx-badge").inner_text() == "no evidence"
    assert f"speaks for “{name}”" in card.locator(".gx-why").inner_text()
    assert card.locator("dd").nth(2).inner_text() == "0"


def test_the_code_that_is_shown_makes_the_maps_that_are_shown(visitor, photos, tmp_path):
    """All three ways, with what was chosen: they are run as they stand, in a folder with the photo."""
    visitor.explain(photos / "landscape.jpg")
    visitor.choose("#class", "umbrella")
    visitor.wait_for_title("umbrella")
    visitor.page.get_by_label("Last", exact=True).check()
    visitor.page.wait_for_function("document.querySelectorAll('.gx-card').length === 1")
    visitor.page.locator(".gx-code summary").click()
    visitor.page.locator(".gx-colormaps label", has_text="viridis").click()
    visitor.page.locator(".gx-toolbar input[name=opacity]").fill("0.7")
    texts = {name: visitor.page.get_by_label(name, exact=True).inner_text() for name in ("Python", "Shell", "HTTP API")}
    assert "0.7" in texts["Python"]
    assert "viridis" in texts["Shell"]

    (tmp_path / "photo.jpg").write_bytes((photos / "landscape.jpg").read_bytes())
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    ways = {
        "Python": ([sys.executable, "-c", texts["Python"]], "out"),
        "Shell": (["bash", "-c", texts["Shell"]], "out/photo"),
        "HTTP API": ([sys.executable, "-c", texts["HTTP API"] + "print(raw_maps)"], None),
    }
    with visitor.page.expect_download() as download:
        visitor.page.locator(".gx-all").click()
    with zipfile.ZipFile(download.value.path()) as everything:
        (name,) = (name for name in everything.namelist() if name.endswith("maps.npz"))
        shown = np.load(everything.extract(name, tmp_path))
    for name, (command, folder) in ways.items():
        answer = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=120)
        assert answer.returncode == 0, (name, answer.stderr)
        file = tmp_path / folder / "maps.npz" if folder else answer.stdout.splitlines()[-1]
        maps = np.load(file)
        assert maps.files == shown.files
        for layer in shown.files:
            np.testing.assert_allclose(maps[layer], shown[layer], rtol=1e-4, atol=1e-5, err_msg=name)


def test_the_code_of_the_shared_scale_paints_as_the_page_does(visitor, photos, tmp_path):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator(".gx-code summary").click()
    visitor.page.locator(".gx-choices label", has_text="shared").click()
    program = visitor.page.get_by_label("Python", exact=True).inner_text()
    (tmp_path / "photo.jpg").write_bytes((photos / "landscape.jpg").read_bytes())
    program = program.replace("picture = ", "print(name, float(heat.max())); picture = ")
    answer = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert answer.returncode == 0, answer.stderr
    hottest = {name: float(heat) for name, heat in (line.split() for line in answer.stdout.splitlines())}
    import gradcam_core as gc

    peaks = {n: m.peak for n, m in gc.explain(gc.load(DEFAULT), photos / "landscape.jpg").maps.items()}
    assert hottest == pytest.approx({name: peak / max(peaks.values()) for name, peak in peaks.items()}, rel=1e-3)


# --- a card, enlarged ---


def test_a_card_is_enlarged_by_keyboard_and_escape_returns(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    opener = visitor.page.locator(f"{CARDS} .gx-open").last
    opener.focus()
    visitor.page.keyboard.press("Enter")
    dialog = visitor.page.locator("dialog[open]")
    dialog.wait_for()
    box = dialog.bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 800
    assert dialog.locator("canvas").evaluate("c => c.width") == 640
    visitor.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert opener.evaluate("button => button === document.activeElement")


def test_an_enlarged_map_is_read_cell_by_cell_and_layer_by_layer(visitor, photos):
    import gradcam_core as gc

    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator(f"{CARDS} .gx-open").last.click()
    dialog = visitor.page.locator("dialog[open]")
    dialog.wait_for()
    readout, frame = dialog.locator(".gx-readout"), dialog.locator(".gx-cell")
    assert not frame.is_visible()
    *_, before, last = gc.explain(gc.load(DEFAULT), photos / "landscape.jpg").maps.values()
    rows, columns = last.heat.shape

    visitor.page.keyboard.press("ArrowRight")  # the first arrow goes to the hottest cell
    row, column = np.unravel_index(last.heat.argmax(), last.heat.shape)
    assert f"Row {row + 1} of {rows}, column {column + 1} of {columns}: 100 % of the peak" in readout.inner_text()
    picture, cell = dialog.locator(".gx-stack").bounding_box(), frame.bounding_box()
    assert cell["x"] - picture["x"] == pytest.approx(column * picture["width"] / columns, abs=1)
    assert cell["height"] == pytest.approx(picture["height"] / rows, abs=1)

    dialog.locator(".gx-stack").hover(position={"x": 2, "y": 2})
    share = round(last.heat[0, 0] * 255) / 255  # a map travels in 256 levels
    assert f"column 1 of {columns}: {round(100 * share)} % of the peak" in readout.inner_text()
    visitor.page.keyboard.press("ArrowDown")
    assert "Row 2 of" in readout.inner_text()

    visitor.page.keyboard.press("PageUp")
    assert dialog.locator(".gx-name").inner_text() == before.layer.name
    assert dialog.get_by_role("button", name="Next layer").is_enabled()
    dialog.get_by_role("button", name="Next layer").click()
    assert dialog.get_by_role("button", name="Next layer").is_disabled()
    visitor.page.keyboard.press("PageUp")
    visitor.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    visitor.page.wait_for_function(  # the focus comes back when the dialog has closed
        "(name) => document.activeElement.closest('[data-layer]')?.dataset.layer === name", arg=before.layer.name
    )


# --- everyone's page ---


@pytest.mark.parametrize(("width", "height", "scheme"), [(390, 844, "dark"), (1280, 800, "light"), (320, 600, "light")])
def test_nothing_scrolls_sideways(browser_context, server, photos, width, height, scheme):
    visitor = Visitor(browser_context, server.url, width, height, scheme)
    overhang = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    assert visitor.page.evaluate(overhang) == 0
    visitor.explain(photos / "landscape.jpg")
    visitor.page.get_by_role("button", name="The layers of this network").click()
    visitor.page.get_by_role("button", name="What the methods do").click()
    visitor.page.get_by_text("A map shows what the network used").wait_for()
    assert visitor.page.evaluate(overhang) == 0
    assert visitor.page.evaluate("document.body.classList.contains('dark')") == (scheme == "dark")
    assert visitor.complaints == []
    visitor.page.close()


def test_the_toolbar_stays_in_sight(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.get_by_label("All", exact=True).check()
    visitor.page.locator(f"{CARDS}:nth-child(12)").scroll_into_view_if_needed()
    box = visitor.page.locator(".gx-toolbar").bounding_box()
    assert box["y"] == pytest.approx(0, abs=2)


def test_two_visitors_do_not_see_each_other(browser_context, server, photos):
    first, second = (Visitor(browser_context, server.url) for _ in range(2))
    first.explain(photos / "landscape.jpg")
    second.explain(photos / "turned.jpg")
    first.choose("#class", "teapot")
    first.wait_for_title("teapot")
    natural = "document.querySelector('.gx-card img').naturalWidth"
    assert (first.page.evaluate(natural), second.page.evaluate(natural)) == (640, 480)
    assert second.title() != "Evidence for teapot"
    for visitor in (first, second):
        visitor.page.close()


# --- the HTTP API ---


def photo(path: Path):
    from gradio_client import handle_file

    return handle_file(str(path))


def test_predict_gives_typed_predictions(client, photos):
    predictions = client.predict(image=photo(photos / "landscape.jpg"), api_name="/predict")
    assert len(predictions) == 5
    assert all(set(p) == {"index", "name", "wordnet_id", "probability"} for p in predictions)
    probabilities = [p["probability"] for p in predictions]
    assert probabilities == sorted(probabilities, reverse=True)
    assert len(client.predict(image=photo(photos / "landscape.jpg"), top=2, api_name="/predict")) == 2


def test_explain_gives_a_summary_a_picture_and_the_maps(client, photos, stages):
    summary, sheet, raw = client.predict(image=photo(photos / "turned.jpg"), api_name="/explain")
    assert summary["network"] == DEFAULT
    assert summary["target"] == summary["predictions"][0]
    assert [entry["layer"] for entry in summary["maps"]] == [layer.name for layer in stages]
    assert summary["maps"][0]["cell"] == [640 / stages[0].shape[0], 480 / stages[0].shape[1]]
    assert Image.open(sheet).format == "PNG"
    maps = np.load(raw)
    for entry in summary["maps"]:
        heat = maps[entry["layer"]]
        assert heat.dtype == np.float32
        assert list(heat.shape) == entry["shape"][:2]
        assert max(float(heat.max()), 0) == pytest.approx(entry["peak"])


@pytest.mark.parametrize("target", ["teapot", "Teapot", "n04398044"])
def test_a_target_has_three_names(client, photos, target):
    summary, _, _ = client.predict(image=photo(photos / "landscape.jpg"), target=target, api_name="/explain")
    assert summary["target"]["name"] == "teapot"
    index = str(summary["target"]["index"])
    summary, _, _ = client.predict(image=photo(photos / "landscape.jpg"), target=index, api_name="/explain")
    assert summary["target"]["name"] == "teapot"


def test_layers_are_a_preset_or_names(client, photos, stages):
    image = photo(photos / "landscape.jpg")
    last, _, _ = client.predict(image=image, layers="last", score="probability", api_name="/explain")
    assert [entry["layer"] for entry in last["maps"]] == [stages[-1].name]
    assert last["score"] == "probability"
    named, _, _ = client.predict(image=image, layers=[stages[1].name, stages[0].name], api_name="/explain")
    assert [entry["layer"] for entry in named["maps"]] == [stages[0].name, stages[1].name]


def test_the_api_is_described_and_nothing_else_is_offered(client):
    described = client.view_api(return_format="dict")["named_endpoints"]
    assert set(described) == {"/predict", "/explain", "/test"}
    parameters = {p["parameter_name"]: p for p in described["/explain"]["parameters"]}
    settings = ["score", "method", "instead_of", "weight", "against", "smoothing"]
    assert list(parameters) == ["image", "network", "target", "layers", *settings]
    assert parameters["layers"]["python_type"]["type"] == "str | list[str]"
    assert all(p["parameter_has_default"] for name, p in parameters.items() if name != "image")
    assert "dict(" in described["/explain"]["returns"][0]["python_type"]["type"]


def refusal(client, **arguments) -> str:
    from gradio_client.exceptions import AppError

    with pytest.raises(AppError) as caught:
        client.predict(**{"api_name": "/explain", **arguments})
    return str(caught.value)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("cut.jpg", "is cut short"), ("text.jpg", "is text, not a photo"), ("huge.png", "megapixels")],
)
def test_a_bad_picture_is_refused_with_its_sentence(client, photos, name, sentence):
    for endpoint in ("/explain", "/predict"):
        assert sentence in refusal(client, image=photo(photos / name), api_name=endpoint)


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"network": "vgg"}, "There is no network 'vgg'"),
        ({"network": ["VGG16"]}, "The network is given by its name"),
        ({"network": "/etc/passwd.keras"}, "There is no network"),
        ({"target": "teapto"}, "teapot"),
        ({"target": ["teapot"]}, "The target is given as text"),
        ({"target": {"a": 1}}, "The target is given as text"),
        ({"layers": "block"}, "has no layer"),
        ({"layers": [1, 2]}, "Layers are given"),
        ({"layers": {"a": 1}}, "Layers are given"),
        ({"layers": []}, "No layer is chosen"),
        ({"score": "loss"}, "score"),
        ({"score": ["logit"]}, "score"),
    ],
)
def test_a_wrong_argument_is_explained(client, photos, arguments, sentence):
    answer = refusal(client, image=photo(photos / "landscape.jpg"), **arguments)
    assert sentence.lower() in answer.lower()
    assert "internal" not in answer.lower()


@pytest.mark.parametrize("top", [0, -1, 1001, 2.5, "five", [5], True])
def test_a_wrong_count_is_explained(server, photos, top):
    upload = httpx.post(
        f"{server.url}/gradio_api/upload", files={"files": (photos / "landscape.jpg").open("rb")}
    ).json()
    answer = call(server, "predict", [{"path": upload[0], "meta": FILE}, DEFAULT, top])
    assert answer.startswith("event: error")


FILE = {"_type": "gradio.FileData"}


def call(server, endpoint: str, arguments: list) -> str:
    """What the server answers to a call as a stranger would make it."""
    started = httpx.post(f"{server.url}/gradio_api/call/{endpoint}", json={"data": arguments}, timeout=30)
    if started.status_code != 200:
        return f"event: error {started.text}"
    address = f"{server.url}/gradio_api/call/{endpoint}/{started.json()['event_id']}"
    return httpx.get(address, timeout=60).text


@pytest.mark.parametrize(
    "payload",
    [
        {"path": "/etc/hostname"},
        {"path": "/etc/hostname", "meta": FILE},
        {"path": "app.py", "meta": FILE},
        {"path": "http://127.0.0.1:1/a.jpg", "meta": FILE},
        {"path": "http://127.0.0.1:1/a.jpg"},
        {"url": "http://127.0.0.1:1/a.jpg", "meta": FILE},
        {"url": "data:image/png;base64,iVBORw0KGgo=", "meta": FILE},
        {"path": "data:image/png;base64,iVBORw0KGgo=", "meta": FILE},
        "/etc/hostname",
        ["/etc/hostname"],
        7,
    ],
)
@pytest.mark.parametrize("endpoint", ["predict", "explain"])
def test_no_path_of_the_server_and_no_address_can_be_read(server, endpoint, payload):
    more = [DEFAULT, 5] if endpoint == "predict" else [DEFAULT, "", "stages", "logit"]
    answer = call(server, endpoint, [payload, *more])
    assert answer.startswith("event: error")
    assert "hostname is" not in answer  # refused before it was opened
    assert socket.gethostname() not in answer


def test_the_photo_is_required(server):
    assert "There is no photo" in call(
        server, "explain", [None, DEFAULT, "", "stages", "logit", "gradcam", "", 1.0, False, "none"]
    )


def test_steps_of_the_page_refuse_what_the_page_never_sends(server):
    """Private events have no name, but they can be called by number: with any type, and without a photo."""
    config = httpx.get(f"{server.url}/config").json()
    hostile = ["teapot", ["a", 3], {"path": "/etc/hostname"}, -5, 10**30, True, "../../x.keras"]
    private = [d for d in config["dependencies"] if d["backend_fn"] and d["api_visibility"] == "private"]
    assert len(private) >= 8
    for dependency in private:
        for value in hostile:
            arguments = {"data": [value] * len(dependency["inputs"]), "fn_index": dependency["id"], "session_hash": "x"}
            answer = httpx.post(f"{server.url}/gradio_api/queue/join", json=arguments, timeout=30)
            assert answer.status_code < 500
    with httpx.stream("GET", f"{server.url}/gradio_api/queue/data?session_hash=x", timeout=60) as events:
        messages = [json.loads(line[6:]) for line in events.iter_lines() if line.startswith("data: ")]
    done = [message for message in messages if message["msg"] == "process_completed"]
    assert done
    assert not any("broke on our side" in json.dumps(message) for message in done)


def test_callers_at_once_get_their_own_answers(server, photos):
    from gradio_client import Client

    def ask(name: str) -> tuple[str, list[float], list]:
        summary, _, _ = Client(server.url, verbose=False).predict(image=photo(photos / name), api_name="/explain")
        return name, summary["maps"][0]["cell"], summary["predictions"]

    names = ["landscape.jpg", "turned.jpg", "moving.gif"] * 3
    with ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, names))
    assert [name for name, _, _ in answers] == names
    by_name = {name: (cell, predictions) for name, cell, predictions in answers[:3]}
    assert len({tuple(cell) for cell, _ in by_name.values()}) == 3
    assert all(by_name[name] == (cell, predictions) for name, cell, predictions in answers)


# --- the command ---


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "app.py", *arguments]
    settings = {**os.environ, **environment}
    return subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True, timeout=120)


def test_help_reads_well():
    answer = run("--help")
    assert answer.returncode == 0
    for word in (
        "--network",
        "--host",
        "--port",
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
        (["--network", "old.h5"], {}, ".keras"),
        (["--network", "VGG16", "--labels", "names.txt"], {}, "--labels goes with a .keras file"),
        (["--memory", "-1"], {}, "a number of megabytes, 0 or more, not -1"),
    ],
)
def test_a_wrong_setting_is_one_line(arguments, environment, sentence):
    answer = run(*arguments, **environment)
    assert answer.returncode == 2
    assert sentence in answer.stderr
    assert len(answer.stderr.splitlines()) == 1
    assert answer.stdout == ""


def test_a_keras_file_can_be_the_network_of_the_start(photos, tmp_path):
    from gradio_client import Client, handle_file
    from tiny_networks import colour_network

    colour_network().model.save(tmp_path / "colours.keras")
    (tmp_path / "names.txt").write_text("red\nblue\n")
    arguments = ("--network", tmp_path / "colours.keras", "--labels", tmp_path / "names.txt")
    with serve(tmp_path, *arguments) as server:
        client = Client(server.url, verbose=False, download_files=str(tmp_path / "answers"))
        answer, *_ = client.predict(image=handle_file(photos / "landscape.jpg"), target="blue", api_name="/explain")
    assert answer["target"]["name"] == "blue"
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
    answer = run("--port", server.url.rpartition(":")[2])
    assert answer.returncode == 1
    assert "--port" in answer.stderr
    assert len(answer.stderr.splitlines()) == 1


def test_the_server_said_where_it_is_and_nothing_broke(server):
    """Last: after all that was sent to it above."""
    lines = server.log.read_text()
    assert f"Grad-CAM Explorer is at {server.url}" in lines
    assert "stay loaded up to 2000 MB" in lines
    assert "Internal error" not in lines
