"""The report in a real browser, from the disk: every claim with its photos, and nothing asked of anybody."""

import base64
import io
import json
from importlib.resources import files
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gradcam_core.audits import report as module
from gradcam_core.audits.findings import find
from gradcam_core.audits.report import write_report
from gradcam_core.audits.rows import About, schema, write_about, write_part
from gradcam_core.pictures.render import lookup_table, resize_heat

HOSTILE = '<img src=x onerror="document.title=1">'
NETWORK = f"net</title>{HOSTILE}"
CLASSES = ("left", HOSTILE, "r&d")
SHAPE = (3, 5)
LAYER = {"name": "conv<b>1", "suffix": ""}


def heat(seed: int) -> np.ndarray:
    """Float32; every other one is faint."""
    return np.random.default_rng(seed).normal(scale=1e-30 if seed % 2 else 1, size=SHAPE).astype(np.float32)


def colour(i: int) -> tuple[int, int, int]:
    """Of photo i: far from those of its neighbours."""
    return 37 * i % 200, 90, 61 * i % 200


def made_rows(photos: Path, count: int) -> list[dict]:
    """Rows of so many photos, 40 x 24, in three classes: every third is wrong, and number 7 could not be read."""
    rows = []
    for i in range(count):
        label = i * 3 // count
        predicted = (label + (i % 3 == 2)) % 3
        name = f"{label}/{HOSTILE.replace('/', '')}#?%20{i:05}.png"
        row = {"photo": name, "label": CLASSES[label], "label_index": label}
        if i == 7:
            rows.append({**row, "error": "It is <b>no</b> photo."})
            continue
        if photos.name:
            path = photos / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full((24, 40, 3), colour(i), np.uint8)).save(path)
        wrong = {"label_map": heat(i + 90_000).ravel(), "label_peak": 2.0} if predicted != label else {}
        rows.append(
            row
            | {
                "predicted": CLASSES[predicted], "predicted_index": predicted,
                "probability": 0.4 + 0.6 * i / count, "label_probability": 0.1,
                "map": heat(i).ravel(), "map_height": 3, "map_width": 5, "peak": float(heat(i).max()),
                "border": 0.5, "width": 40, "height": 24, "brightness": 0.5, "contrast": 0.2, "saturation": 0.3,
                "sharpness": 90.0,
            }
            | wrong
        )  # fmt: skip
    return rows


def audited(folder: Path, count: int, measures: str = "probability", more: float = 0.0) -> Path:
    photos = folder / "photos & <more>"
    write_about(
        folder / "out",
        About({"method": "gradcam"}, str(photos), NETWORK, measures, CLASSES, [LAYER], {}),
    )
    rows = made_rows(photos, count)
    for row in rows:
        row |= {"probability": row["probability"] + more} if "probability" in row else {}
    write_part(folder / "out", rows, schema(), 0)
    return write_report(folder / "out", find(folder / "out"))


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "PART", 90)  # photos whose maps are in one file: three files
        return audited(tmp_path_factory.mktemp("report"), 240)


class Reader:
    """Somebody who opens the report, and what the page complained about and asked for meanwhile."""

    def __init__(self, context, path: Path, size: tuple[int, int] = (1280, 800), scheme: str = "light"):
        self.complaints: list[str] = []
        self.asked: list[str] = []
        self.page = context.new_page()
        self.page.set_viewport_size({"width": size[0], "height": size[1]})
        self.page.emulate_media(color_scheme=scheme)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", lambda line: self.complaints.append(line.text) if line.type == "error" else None)
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(path.as_uri())

    def shown(self) -> list[int]:
        """The places of the photos in the grid."""
        return self.page.eval_on_selector_all("#photos .tile", "(tiles) => tiles.map((tile) => +tile.dataset.photo)")

    def settle(self) -> None:
        """Until what is near the screen has been painted."""
        self.page.wait_for_function(
            """() => [...document.querySelectorAll('#photos .tile')].filter((tile) => {
                const { top } = tile.getBoundingClientRect();
                return top > 0 && top < innerHeight && !tile.textContent.includes('failed');
            }).every((tile) => tile.querySelector('canvas').levels)"""
        )


@pytest.fixture
def reader(browser_context, report):
    reader = Reader(browser_context, report)
    yield reader
    reader.page.close()
    assert reader.complaints == []
    assert [url for url in reader.asked if not url.startswith(("file:", "data:"))] == []


def rows_of(report: Path) -> dict:
    text = (report.parent / "report" / "data.js").read_text()
    return json.loads(text.removeprefix("const REPORT = ").rstrip().removesuffix(";"))


def test_photos_are_filtered_by_answer_class_and_probability_and_sorted(reader, report):
    rows = rows_of(report)["rows"]
    page = reader.page
    assert len(reader.shown()) == 100
    page.select_option(".filter [name=answer]", "wrong")
    wrong = [
        i
        for i, (a, b) in enumerate(zip(rows["label_index"], rows["predicted_index"], strict=True))
        if b not in (a, None)
    ]
    assert reader.shown() == wrong[:100]
    page.select_option(".filter [name=class]", "2")
    page.fill(".filter [name=from]", "90")
    page.select_option(".filter [name=sort]", "low")
    expected = [i for i in wrong if rows["label_index"][i] == 2 and rows["probability"][i] >= 0.9]
    assert reader.shown() == sorted(expected, key=lambda i: rows["probability"][i])
    page.get_by_role("button", name="Show all photos").click()
    page.wait_for_function("document.querySelector('.count').textContent.endsWith('of 240')")
    page.select_option(".filter [name=answer]", "failed")
    (failed,) = reader.shown()
    assert rows["error"][failed] == "It is <b>no</b> photo."


def test_pages_hold_a_hundred_and_lead_on(reader):
    page = reader.page
    assert page.get_by_role("button", name="‹ Previous").is_disabled()
    page.get_by_role("button", name="Next ›").click()
    assert reader.shown()[0] == 100
    page.get_by_role("button", name="Next ›").click()
    assert page.locator(".count").inner_text() == "Photos 201 to 240 of 240"
    assert page.get_by_role("button", name="Next ›").is_disabled()
    assert page.evaluate("document.activeElement.id") == "photos-title"


def test_every_claim_leads_to_its_photos(reader, report):
    findings = rows_of(report)["findings"]
    assert {finding["kind"] for finding in findings} >= {"confusion", "errors"}
    links = reader.page.locator("#findings > ol > li > p > a")
    assert links.count() == len(findings)
    for i, finding in enumerate(findings):
        links.nth(i).click()
        reader.page.wait_for_function(f"document.querySelector('.filter').group.value === 'f{i}'")
        assert reader.shown() == finding["photos"][:100]
    reader.page.locator("#classes tbody a", has_text="r&d").click()
    reader.page.wait_for_function("document.querySelector('.filter').class.value === '2'")
    assert reader.shown() == [i for i, label in enumerate(rows_of(report)["rows"]["label_index"]) if label == 2]


def test_a_map_is_painted_as_the_engine_paints_it_and_again_in_other_colours(reader, report):
    rows = rows_of(report)["rows"]
    place = 5
    number = int(rows["photo"][place].split("%20")[1][:5])
    raw = heat(number)
    for colormap in ("jet", "viridis"):
        reader.page.select_option(".toolbar [name=colormap]", colormap)
        reader.page.locator("#photos-title").scroll_into_view_if_needed()
        reader.settle()
        width, height, *pixels = reader.page.evaluate(
            """(i) => {
                const canvas = document.querySelector(`#photos .tile[data-photo="${i}"] canvas`);
                const { width, height } = canvas;
                return [width, height, ...canvas.getContext('2d').getImageData(0, 0, width, height).data];
            }""",
            place,
        )
        assert (width, height) == (128, 77)
        assert_painted(np.reshape(pixels, (height, width, 4)), raw, colormap)


def assert_painted(painted: np.ndarray, raw: np.ndarray, colormap: str = "jet") -> None:
    """(H, W, 4): a map, (h, w), as the engine paints it."""
    heat = np.maximum(raw, 0)
    levels = np.rint(255 * resize_heat(heat / heat.max(), *painted.shape[1::-1])).astype(int)
    table = lookup_table(colormap)
    off = [np.abs(painted[..., :3] - table[np.clip(levels + by, 0, 255)]).max(-1) for by in (-1, 0, 1)]
    assert np.min(off, axis=0).max() == 0  # a byte of heat is half a level from its value at most


def test_each_photo_lies_below_its_own_two_maps(reader):
    page = reader.page
    page.select_option(".filter [name=answer]", "wrong")
    page.locator(".toolbar [name=opacity]").fill("0")
    for number in (8, 122, 239):  # behind the one that failed, and in other sheets and parts
        picture = page.locator(f"#photos .tile[data-photo='{number}'] .picture")
        picture.scroll_into_view_if_needed()
        reader.settle()
        picture.evaluate(
            """async (node) => {
                const sheet = new Image();
                sheet.src = getComputedStyle(node).backgroundImage.slice(5, -2);
                await sheet.decode();
                await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
            }"""
        )
        shown = np.asarray(Image.open(io.BytesIO(picture.screenshot())).convert("RGB"))
        np.testing.assert_allclose(np.median(shown, (0, 1)), colour(number), atol=3)  # of a JPEG
        picture.click()
        page.wait_for_function("[...document.querySelectorAll('dialog canvas')].every((canvas) => canvas.levels)")
        addresses = page.eval_on_selector_all("dialog canvas", "(all) => all.map((canvas) => canvas.toDataURL())")
        for address, seed in zip(addresses, (number, number + 90_000), strict=True):
            painted = Image.open(io.BytesIO(base64.b64decode(address.partition(",")[2])))
            assert_painted(np.asarray(painted).astype(int), heat(seed))
        page.keyboard.press("Escape")


def test_opacity_acts_at_once(reader):
    reader.page.locator(".toolbar [name=opacity]").fill("0.2")
    assert reader.page.evaluate("getComputedStyle(document.querySelector('.tile canvas')).opacity") == "0.2"
    assert reader.page.locator(".toolbar output").inner_text() == "20 %"


def test_a_photo_is_enlarged_with_both_maps_and_the_arrows_lead_on(reader, report):
    page = reader.page
    page.select_option(".filter [name=answer]", "wrong")
    page.locator("#photos .tile").nth(1).click()
    dialog = page.locator("dialog[open]")
    names = rows_of(report)["rows"]["photo"]
    wrong = reader.shown()
    assert dialog.locator("h2").inner_text() == names[wrong[1]]
    assert dialog.locator("figure").count() == 2
    page.wait_for_function("[...document.querySelectorAll('dialog canvas')].every((canvas) => canvas.levels)")
    first, second = page.eval_on_selector_all(
        "dialog canvas", "(all) => all.map((canvas) => [...canvas.levels].join())"
    )
    assert first != second
    page.wait_for_function(
        "document.querySelector('dialog img').naturalWidth === 40"
    )  # the photo itself, from its folder
    page.keyboard.press("ArrowRight")
    assert dialog.locator("h2").inner_text() == names[wrong[2]]
    page.keyboard.press("Escape")
    assert page.evaluate("document.activeElement.dataset.photo") == str(wrong[1])


def test_nothing_of_a_name_becomes_markup(reader):
    assert reader.page.title() == f"Audit of {NETWORK}"
    assert reader.page.locator("h1").inner_text() == f"Audit of {NETWORK}"
    assert reader.page.locator("#classes tbody a", has_text=HOSTILE).count() == 1
    assert reader.page.evaluate("document.querySelectorAll('img[src=x], b').length") == 0


@pytest.mark.parametrize(
    ("size", "scheme"), [((1280, 800), "light"), ((390, 844), "dark")], ids=["desktop-light", "phone-dark"]
)
def test_axe_finds_nothing_and_nothing_hangs_over(browser_context, report, size, scheme):
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-core: pip install .[test]")
    reader = Reader(browser_context, report, size, scheme)
    page = reader.page
    page.evaluate((files(package) / "axe.min.js").read_text("utf-8"))
    found = []
    for is_open in (False, True):
        if is_open:
            page.locator("#photos .tile").first.click()
            page.locator("dialog[open]").wait_for()
        rules = page.evaluate("axe.run(document, { resultTypes: ['violations'], preload: false })")["violations"]
        found += [(rule["id"], node["target"], node["failureSummary"]) for rule in rules for node in rule["nodes"]]
    assert found == []
    assert page.evaluate("document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth") <= 0
    page.close()
    assert reader.complaints == []


def test_a_photo_that_is_gone_keeps_its_map(browser_context, report, tmp_path):
    moved = tmp_path / "elsewhere"
    moved.mkdir()
    (moved / "audit.json").write_text((report.parent / "audit.json").read_text().replace("photos &", "gone &"))
    (report.parent / "rows").rename(moved / "rows")
    try:
        path = write_report(moved, find(moved))
    finally:
        (moved / "rows").rename(report.parent / "rows")
    reader = Reader(browser_context, path)
    reader.page.locator("#photos-title").scroll_into_view_if_needed()
    reader.settle()
    assert reader.page.locator("#photos .tile").count() == 100
    reader.page.close()
    assert reader.complaints == []


def test_values_are_shown_as_numbers(browser_context, tmp_path):
    reader = Reader(browser_context, audited(tmp_path, 6, "value", more=-0.717))
    words = reader.page.locator("#photos .words").all_inner_texts()
    assert words == [f"{name}, {value}" for name, value in zip(
        ("left", "left", "r&d", HOSTILE, "r&d", "left"), (-0.317, -0.217, -0.117, -0.017, 0.083, 0.183), strict=True
    )]  # fmt: skip
    assert reader.page.get_by_label("Probability from").is_hidden()
    assert "value, highest first" in reader.page.locator(".filter [name=sort]").inner_text()
    assert "right" not in reader.page.locator(".facts").inner_text()
    reader.page.close()
    assert reader.complaints == []


def test_a_report_shows_no_more_than_so_many_photos_whether_they_failed_or_not(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MOST", 9)
    rows = made_rows(Path(), 12) + [{"photo": f"{i}.png", "error": "It is no photo."} for i in range(40)]
    write_about(tmp_path, About({"method": "gradcam"}, str(tmp_path), "net", "probability", CLASSES, [LAYER], {}))
    write_part(tmp_path, rows, schema(), 0)
    findings = find(tmp_path)
    findings.classes[0]["groups"] = [{"photos": [row["photo"] for row in rows]}]
    shown = rows_of(write_report(tmp_path, findings))
    (group,) = shown["classes"][0]["groups"]
    assert (group["count"], len(group["photos"])) == (52, shown["shown"])  # it says of how many it is
    assert len(shown["rows"]["photo"]) == shown["shown"] <= 9
    assert {photo for one in findings.findings for photo in one.photos} <= set(shown["rows"]["photo"])
    assert any(shown["rows"]["error"])
    assert not set(shown["rows"]["photo"]) <= {row["photo"] for row in rows[:20]}  # they are drawn from all


@pytest.mark.long
def test_ten_thousand_photos_open_within_two_seconds(browser_context, tmp_path):
    folder = tmp_path / "many"
    write_about(folder, About({"method": "gradcam"}, str(tmp_path), "net", "probability", CLASSES, [LAYER], {}))
    write_part(folder, made_rows(Path(), 10_000), schema(), 0)
    photo = np.random.default_rng(0).integers(0, 256, (24, 40, 3), np.uint8)
    path = write_report(folder, find(folder), lambda name: photo)
    reader = Reader(browser_context, path)
    painted = reader.page.evaluate("performance.timing.domContentLoadedEventEnd - performance.timing.navigationStart")
    assert painted < 2000
    reader.page.close()
