"""The scripts that draw, alone: loaded from a file, as a report on disk does, and held against NumPy and OpenCV."""

import base64
import html
import re

import cv2
import numpy as np
import pytest

from gradcam_core.pictures import SCRIPTS
from gradcam_core.pictures.render import lookup_table, resize_heat
from ui.layer_grid import ASSETS, DRAWING, PIECES


@pytest.fixture(scope="module")
def drawing(browser_context, tmp_path_factory):
    """A page from disk that has nothing but the scripts."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    scripts = "".join(f'<script src="{html.escape((SCRIPTS / f"{name}.js").as_uri())}"></script>' for name in DRAWING)
    path.write_text(f"<!doctype html><meta charset=utf-8>{scripts}")
    page, complaints = browser_context.new_page(), []
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.goto(path.as_uri())
    yield page
    assert complaints == []
    page.close()


def heat_of(rows: int, columns: int) -> np.ndarray:
    """A map without symmetry that reaches 0 and 1."""
    heat = np.random.default_rng(rows).random((rows, columns)).astype(np.float32)
    heat -= heat.min()
    return heat / heat.max()


@pytest.mark.parametrize("cells", [(7, 5), (1, 3), (40, 30)], ids=str)
def test_a_map_is_enlarged_as_opencv_enlarges_it(drawing, cells):
    heat = heat_of(*cells)
    levels = drawing.evaluate(
        "([heat, cells]) => [...resizedLevels(heat, cells, [31, 52])]", [heat.ravel().tolist(), cells]
    )
    expected = np.rint(255 * resize_heat(heat, width=52, height=31))
    assert np.abs(np.reshape(levels, (31, 52)) - expected).max() <= 1  # a value between two levels may go either way


@pytest.mark.parametrize("share", [1, 0.3])
def test_a_map_is_painted_in_the_colours_of_its_levels_up_to_its_share_of_the_scale(drawing, share):
    table = lookup_table("turbo")
    painted = drawing.evaluate(
        """([table, share]) => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 64, height: 4 });
            paintLevels(canvas, Uint8Array.from({ length: 256 }, (_, i) => i), palette(bytesOf(table), share));
            return [...canvas.getContext('2d').getImageData(0, 0, 64, 4).data];
        }""",
        [base64.b64encode(table.tobytes()).decode(), share],
    )
    expected = table[np.floor(np.arange(256) * share + 0.5).astype(int)]
    assert np.reshape(painted, (256, 4)).tolist() == [[*color, 255] for color in expected.tolist()]


@pytest.mark.parametrize("kind", [np.uint8, np.dtype("<u2")], ids=["8 bits", "16 bits"])
def test_the_bytes_of_a_map_are_its_heat(drawing, kind):
    highest = np.iinfo(kind).max
    levels = np.array([0, 1, highest // 3, highest], kind)
    heat = drawing.evaluate(
        "([bytes, wide]) => [...(wide ? heatOfText(bytes) : heatOf(bytesOf(bytes)))]",
        [base64.b64encode(levels.tobytes()).decode(), levels.itemsize == 2],
    )
    assert heat == pytest.approx((levels / highest).tolist(), abs=1e-7)


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (0.0012345, "0.00123"), (0.00012345, "1.2e-4"), (1234.5, "1230"), (123456, "1.2e+5"), (16, "16")],
)
def test_a_number_has_three_digits(drawing, value, text):
    assert drawing.evaluate("(value) => number(value)", value) == text


def test_every_piece_of_the_grids_script_is_loaded():
    assert {path.stem for path in SCRIPTS.glob("*.js")} == set(DRAWING)
    assert {path.stem for path in (ASSETS / "layer_grid").glob("*.js")} == set(PIECES)


# --- regions ---


def regions_in_photo(heat: np.ndarray, threshold: float, height: int, width: int) -> tuple[np.ndarray, list[dict]]:
    """The mask at a photo's size, and its regions, the largest first."""
    mask = resize_heat(heat, width, height) >= threshold
    count, _, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    found = [
        {"x0": x, "y0": y, "x1": x + w, "y1": y + h, "pixels": pixels} for x, y, w, h, pixels in stats[1:count].tolist()
    ]
    return mask, sorted(found, key=lambda one: (-one["pixels"], one["y0"], one["x0"]))


@pytest.mark.parametrize("threshold", [0.05, 0.3, 0.5, 0.77, 1.0])
@pytest.mark.parametrize(
    ("cells", "size"),
    [((7, 5), (61, 83)), ((1, 3), (9, 40)), ((30, 23), (200, 131)), ((4, 6), (3, 5)), ((40, 30), (31, 52))],
    ids=str,
)
def test_a_region_is_what_opencv_finds_in_the_enlarged_map(drawing, cells, size, threshold):
    heat = heat_of(*cells)
    mask, expected = regions_in_photo(heat, threshold, *size)
    runs, found = drawing.evaluate(
        """([heat, cells, size, threshold]) => {
            const runs = runsAbove(heat, cells, size, threshold);
            return [runs, regionsOf(runs)];
        }""",
        [heat.ravel().tolist(), cells, size, threshold],
    )
    seen = np.zeros(size, bool)
    for row, ends in zip(seen, runs, strict=True):
        for start, end in zip(ends[::2], ends[1::2], strict=True):
            row[start:end] = True
    assert seen.tolist() == mask.tolist()
    assert found == expected


def test_regions_that_touch_at_a_corner_or_meet_further_down_are_one(drawing):
    """Rows as they are read: two arms and a bridge below, a pixel at a corner, and one that is apart."""
    mask = ["##...##.....#", "##...##......", ".#####.#.....", ".......#....."]
    runs = [[edge for found in re.finditer("#+", row) for edge in found.span()] for row in mask]
    assert drawing.evaluate("(runs) => regionsOf(runs)", runs) == [
        {"x0": 0, "y0": 0, "x1": 8, "y1": 4, "pixels": 15},
        {"x0": 12, "y0": 0, "x1": 13, "y1": 1, "pixels": 1},
    ]


def test_an_empty_map_has_no_region(drawing):
    found = drawing.evaluate("() => regionsOf(runsAbove(new Float32Array(6), [2, 3], [20, 30], 0.01))")
    assert found == []


def test_the_outline_runs_along_the_edge_of_the_mask_and_not_along_that_of_the_photo(drawing):
    heat = heat_of(7, 5)
    mask, _ = regions_in_photo(heat, 0.5, 60, 84)
    painted = drawing.evaluate(
        """([heat, threshold]) => {
            const canvas = Object.assign(document.createElement('canvas'), { width: 84, height: 60 });
            paintOutline(canvas, runsAbove(heat, [7, 5], [60, 84], threshold), null, 1);
            return [...canvas.getContext('2d').getImageData(0, 0, 84, 60).data];
        }""",
        [heat.ravel().tolist(), 0.5],
    )
    white = (np.reshape(painted, (60, 84, 4)) == 255).all(2)
    edge = np.zeros_like(mask)
    edge[:, 1:] |= mask[:, 1:] != mask[:, :-1]
    edge[:, :-1] |= mask[:, 1:] != mask[:, :-1]
    edge[1:] |= mask[1:] != mask[:-1]
    edge[:-1] |= mask[1:] != mask[:-1]
    assert white.tolist() == edge.tolist()
    assert mask[:, 0].any()  # it reaches the photo's edge somewhere
