"""What a visitor does with the heat maps: opacity, colours, classes, layers, a card enlarged."""

import os
import subprocess
import sys
import zipfile
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from browser import CARDS, visit
from serving import run

from gradcam_core.networks.zoo import DEFAULT

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def _explained(browser_context, server, photos):
    """A page with the maps of a photo, for those who change nothing but how they are shown."""
    with visit(browser_context, server.url) as visitor:
        visitor.explain(photos / "landscape.jpg")
        assert visitor.opacity() == pytest.approx(0.4)
        yield visitor


@pytest.fixture
def looker(_explained):
    """Somebody before the maps of a photo, as they are shown at first."""
    _explained.show_as_at_first()
    before = len(_explained.complaints)
    yield _explained
    assert _explained.complaints[before:] == []


def test_dragging_the_opacity_asks_the_server_nothing(looker):
    assert looker.opacity() == pytest.approx(0.4)
    slider = looker.page.locator("input[name=opacity]")
    box = slider.bounding_box()
    mouse, middle = looker.page.mouse, box["y"] + box["height"] / 2
    seen = set()
    mouse.move(box["x"] + 0.4 * box["width"], middle)
    before = len(looker.requests)
    mouse.down()
    for step in range(90):
        mouse.move(box["x"] + box["width"] * (0.1 + 0.8 * step / 89), middle)
        seen.add(looker.opacity())
    mouse.up()
    assert looker.requests[before:] == []
    assert len(seen) > 40
    assert looker.opacity() == pytest.approx(0.92, abs=0.06)
    assert slider.input_value() == f"{looker.opacity():g}"


def test_every_colour_map_repaints_and_asks_the_server_nothing(looker):
    from gradcam_core import COLORMAPS
    from gradcam_core.pictures.render import lookup_table

    before = len(looker.requests)
    for name in COLORMAPS:
        looker.page.locator(".gx-colormaps label", has_text=name).click()
        table = [tuple(color) for color in lookup_table(name).tolist()]
        painted = {tuple(color) for color in np.unique(looker.colors(0)[..., :3].reshape(-1, 3), axis=0).tolist()}
        assert painted <= set(table), name
        assert painted & set(table[:16]), name
        assert painted & set(table[-32:]), name
        assert len(painted) > 20, name
    assert looker.requests[before:] == []


def test_the_shared_scale_dims_all_but_the_highest_peak(looker):
    looker.page.locator(".gx-colormaps label", has_text="grey").click()
    before = len(looker.requests)

    def brightest() -> list[int]:
        return [int(looker.colors(card)[..., 0].max()) for card in range(looker.page.locator(CARDS).count())]

    peaks = [float(text) for text in looker.page.locator(f"{CARDS} .gx-facts dd:nth-of-type(3)").all_inner_texts()]
    alone = brightest()
    assert min(alone) > 200
    looker.page.get_by_label("shared", exact=True).check()
    expected = [level * peak / max(peaks) for level, peak in zip(alone, peaks, strict=True)]
    assert brightest() == pytest.approx(expected, abs=2)
    assert looker.requests[before:] == []


def test_the_browser_resizes_a_map_as_the_engine_does(looker, photos):
    import gradcam_core as gc
    from gradcam_core.pictures.render import resize_heat

    looker.page.locator(".gx-colormaps label", has_text="grey").click()
    painted = looker.colors()[..., 0].astype(np.float32)
    height, width = painted.shape
    result = gc.explain(gc.load(DEFAULT), photos / "landscape.jpg")
    expected = 255 * resize_heat(list(result.maps.values())[-1].heat, width, height)
    assert np.abs(painted - expected).max() <= 1.5


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


def in_python(program: str, folder: Path, from_scratch: bool = False) -> subprocess.CompletedProcess:
    """A program as it stands, in a folder with the photo; ``from_scratch`` it also has to import all that it needs."""
    (folder / "shown.py").write_text(program)
    return run([str(folder / "shown.py")], from_scratch, folder, PYTHONPATH=str(ROOT))


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

    def in_shell(program: str, folder: Path) -> subprocess.CompletedProcess:
        command = ["bash", "-c", program]
        return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)

    ways = {
        "Python": (partial(in_python, from_scratch=True), texts["Python"], "out"),
        "Shell": (in_shell, texts["Shell"], "out/photo"),
        "HTTP API": (in_python, texts["HTTP API"] + "print(raw_maps)", None),
    }
    with visitor.page.expect_download() as download:
        visitor.page.locator(".gx-all").click()
    with zipfile.ZipFile(download.value.path()) as everything:
        (name,) = (name for name in everything.namelist() if name.endswith("maps.npz"))
        shown = np.load(everything.extract(name, tmp_path))
    for name, (way, text, folder) in ways.items():
        answer = way(text, tmp_path)
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
    answer = in_python(program, tmp_path)
    assert answer.returncode == 0, answer.stderr
    hottest = {name: float(heat) for name, heat in (line.split() for line in answer.stdout.splitlines())}
    import gradcam_core as gc

    peaks = {n: m.peak for n, m in gc.explain(gc.load(DEFAULT), photos / "landscape.jpg").maps.items()}
    assert hottest == pytest.approx({name: peak / max(peaks.values()) for name, peak in peaks.items()}, rel=1e-3)


def test_a_card_is_enlarged_by_keyboard_and_escape_returns(looker):
    opener = looker.page.locator(f"{CARDS} .gx-open").last
    opener.focus()
    looker.page.keyboard.press("Enter")
    dialog = looker.page.locator("dialog[open]")
    dialog.wait_for()
    box = dialog.bounding_box()
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 800
    assert dialog.locator("canvas").evaluate("c => c.width") == 640
    looker.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert opener.evaluate("button => button === document.activeElement")


def test_an_enlarged_map_is_read_cell_by_cell_and_layer_by_layer(looker, photos):
    import gradcam_core as gc

    looker.page.locator(f"{CARDS} .gx-open").last.click()
    dialog = looker.page.locator("dialog[open]")
    dialog.wait_for()
    readout, frame = dialog.locator(".gx-readout"), dialog.locator(".gx-cell")
    assert not frame.is_visible()
    *_, before, last = gc.explain(gc.load(DEFAULT), photos / "landscape.jpg").maps.values()
    rows, columns = last.heat.shape

    looker.page.keyboard.press("ArrowRight")  # the first arrow goes to the hottest cell
    row, column = np.unravel_index(last.heat.argmax(), last.heat.shape)
    assert f"Row {row + 1} of {rows}, column {column + 1} of {columns}: 100 % of the peak" in readout.inner_text()
    picture, cell = dialog.locator(".gx-stack").bounding_box(), frame.bounding_box()
    assert cell["x"] - picture["x"] == pytest.approx(column * picture["width"] / columns, abs=1)
    assert cell["height"] == pytest.approx(picture["height"] / rows, abs=1)

    dialog.locator(".gx-stack").hover(position={"x": 2, "y": 2})
    share = last.heat[0, 0]
    assert f"column 1 of {columns}: {round(100 * share)} % of the peak" in readout.inner_text()
    looker.page.keyboard.press("ArrowDown")
    assert "Row 2 of" in readout.inner_text()

    looker.page.keyboard.press("PageUp")
    assert dialog.locator(".gx-name").inner_text() == before.layer.name
    assert dialog.get_by_role("button", name="Next layer").is_enabled()
    dialog.get_by_role("button", name="Next layer").click()
    assert dialog.get_by_role("button", name="Next layer").is_disabled()
    looker.page.keyboard.press("PageUp")
    looker.page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    looker.page.wait_for_function(  # the focus comes back when the dialog has closed
        "(name) => document.activeElement.closest('[data-layer]')?.dataset.layer === name", arg=before.layer.name
    )
