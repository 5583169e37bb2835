"""What the report lists: classes from the worst on, photos by every filter and order, and each in a large view."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from test_report import CLASSES, Reader, audited, made_rows, rows_of

from gradcam_core.audits.findings import find
from gradcam_core.audits.report import write_report
from gradcam_core.pictures.render import lookup_table

COUNT = 240
NAMES = [row["photo"] for row in made_rows(Path(), COUNT)]
MEAN = [[0.0, 0.1, 0.8], [0.1, 0.0, 0.0]]  # of class 1: hottest at the right above
GROUPS = {"1.0": NAMES[81:84], "1.1": NAMES[90:95]}
MORE = 101  # classes that have no photo here
ORDER = "() => [...document.querySelectorAll('#classes tbody th')].map((one) => one.textContent)"


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Path:
    path = audited(tmp_path_factory.mktemp("lists"), COUNT)
    found = find(path.parent)
    groups = [
        {
            "photos": photos, "where": key, "region": [[1, 0]], "separability": 0.9, "heat": 0.5, "elsewhere": 0.1,
            "is_candidate": True, "is_borne_out": False,
        }
        for key, photos in GROUPS.items()
    ]  # fmt: skip
    numbers = [
        {"accuracy": 0.75, "confusions": [{"as": "r_d", "photos": 12}, {"as": "left", "photos": 3}]},
        {"accuracy": 0.25, "confusions": [], "mean_map": MEAN, "inside": 0.6, "area": 0.2, "groups": groups},
        {"accuracy": 1.0, "confusions": []},
    ]
    plain = {"inside": None, "area": None, "groups": []}
    classes = [one | plain | number for one, number in zip(found.classes, numbers, strict=True)]
    nothing = classes[2] | {"accuracy": None, "mean_map": None, "photos": 1}
    classes += [nothing | {"index": 10 + i, "name": f"class {10 + i}"} for i in range(MORE)]
    return write_report(path.parent, replace(found, classes=classes))


@pytest.fixture(scope="module")
def _reader(browser_context, report):
    reader = Reader(browser_context, report)
    yield reader
    reader.page.close()


@pytest.fixture
def reader(_reader):
    """Somebody who has the report before them, with no filter set."""
    _reader.page.evaluate("document.querySelector('dialog')?.close(), document.querySelector('.filter').reset()")
    _reader.page.wait_for_function("document.querySelector('.count').textContent === 'Photos 1 to 100 of 240'")
    yield _reader
    assert _reader.complaints == []


@pytest.fixture(scope="module")
def rows(report) -> dict:
    return rows_of(report)["rows"]


def places(rows: dict, passes) -> list[int]:
    return [i for i in range(COUNT) if passes(*(rows[name][i] for name in ("label_index", "predicted_index")))]


# --- classes ---


def test_classes_are_listed_from_the_worst_on_and_all_of_them_when_asked(reader):
    first = [CLASSES[1], CLASSES[0], CLASSES[2], *(f"class {10 + i}" for i in range(MORE))]
    assert reader.page.evaluate(ORDER) == first[:100]
    more = reader.page.get_by_role("button", name="Show all classes")
    more.click()
    assert reader.page.evaluate(ORDER) == first
    assert more.is_hidden()


def test_each_number_of_a_class_stands_in_its_column(reader):
    table = reader.page.locator("#classes table")
    assert table.locator("thead th").all_inner_texts() == [
        "Class", "Mean map", "Photos", "Right", "Taken for", "Heat in the boxes", "Boxes cover",
    ]  # fmt: skip
    worst, second, best = (table.locator("tbody tr").nth(i).locator("td").all_inner_texts() for i in range(3))
    assert worst[1:] == ["80", "25 %", "", "60 %", "20 %"]
    assert second[1:] == ["79", "75 %", "r d (12), left (3)", "", ""]
    assert best[1:] == ["80", "100 %", "", "", ""]


def test_the_mean_map_of_a_class_is_upright_and_hides_nothing_below_it(reader):
    canvas = reader.page.locator("#classes canvas").first
    canvas.scroll_into_view_if_needed()
    reader.page.wait_for_function("document.querySelector('#classes canvas').levels")
    width, height, *pixels = canvas.evaluate(
        """(canvas) => {
            const { width, height } = canvas;
            return [width, height, ...canvas.getContext('2d').getImageData(0, 0, width, height).data];
        }"""
    )
    assert (width, height) == (84, 56)
    painted = np.reshape(pixels, (height, width, 4))[..., :3]
    for y, x, share in ((2, 81, 1.0), (2, 2, 0.0), (53, 81, 0.0), (53, 2, 0.125)):  # corners
        assert (painted[y, x] == lookup_table("jet")[round(255 * share)]).all()
    assert canvas.evaluate("(canvas) => getComputedStyle(canvas).opacity") == "1"


def test_the_share_that_is_right_leads_to_the_wrong_ones_of_its_class(reader, rows):
    reader.page.locator("#classes tbody a", has_text="25 %").click()
    reader.page.wait_for_function("document.querySelector('.filter').answer.value === 'wrong'")
    assert reader.shown() == places(rows, lambda label, predicted: label == 1 and predicted not in (1, None))


# --- photos ---


def test_a_group_leads_to_its_own_photos_whatever_was_filtered_before(reader, rows):
    page = reader.page
    page.select_option(".filter [name=sort]", "name")
    page.fill(".filter [name=from]", "99")
    for key in ("1.1", "1.0"):
        page.locator("#groups li", has_text=key).locator("p > a").click()
        page.wait_for_function("(key) => document.querySelector('.filter').group.value === key", arg=key)
        assert [rows["photo"][i] for i in reader.shown()] == GROUPS[key]


def test_a_link_to_the_report_opens_it_with_its_filter(browser_context, report, rows):
    page = browser_context.new_page()
    page.goto(f"{report.as_uri()}#class=2&answer=right")
    found = page.eval_on_selector_all("#photos .tile", "(tiles) => tiles.map((tile) => +tile.dataset.photo)")
    assert found == places(rows, lambda label, predicted: label == predicted == 2)
    page.close()


def test_right_answers_are_those_that_are_neither_wrong_nor_failed(reader, rows):
    reader.page.select_option(".filter [name=answer]", "right")
    assert reader.shown() == places(rows, lambda label, predicted: label == predicted)[:100]
    reader.page.select_option(".filter [name=class]", "0")
    assert reader.shown() == places(rows, lambda label, predicted: label == predicted == 0)


def test_probabilities_are_bounded_on_both_sides_and_an_empty_bound_is_none(reader, rows):
    def between(low: float, high: float) -> list[int]:
        return [i for i, one in enumerate(rows["probability"]) if one is not None and low <= one <= high]

    reader.page.fill(".filter [name=from]", "50")
    reader.page.fill(".filter [name=to]", "62.5")
    assert reader.shown() == between(0.5, 0.625)
    reader.page.fill(".filter [name=from]", "90")
    reader.page.fill(".filter [name=to]", "")
    assert reader.shown() == between(0.9, 1)


@pytest.mark.parametrize(
    ("order", "by", "sign"), [("high", "probability", -1), ("low", "probability", 1), ("peak", "peak", -1)]
)
def test_photos_are_sorted_by_what_is_chosen(reader, rows, order, by, sign):
    reader.page.select_option(".filter [name=class]", "1")
    reader.page.select_option(".filter [name=sort]", order)
    values = [sign * rows[by][i] for i in reader.shown()]
    assert values == sorted(values)
    assert len(set(values)) > 20


def test_photos_are_sorted_by_name(reader, rows):
    reader.page.select_option(".filter [name=answer]", "wrong")
    reader.page.select_option(".filter [name=sort]", "low")
    reader.page.select_option(".filter [name=sort]", "name")
    names = [rows["photo"][i] for i in reader.shown()]
    assert names == sorted(names)


def test_another_filter_begins_with_its_first_page(reader):
    reader.page.get_by_role("button", name="Next ›").click()
    reader.page.get_by_role("button", name="Next ›").click()
    reader.page.select_option(".filter [name=class]", "2")
    assert reader.page.locator(".count").inner_text() == "Photos 1 to 80 of 80"
    assert len(reader.shown()) == 80


# --- the large view ---


def test_the_large_view_goes_both_ways_and_stops_at_the_ends(reader, rows):
    page, dialog = reader.page, reader.page.locator("dialog")
    page.select_option(".filter [name=answer]", "wrong")
    page.select_option(".filter [name=class]", "2")
    shown = reader.shown()

    def state() -> tuple[str, bool, bool]:
        ends = [dialog.get_by_role("button", name=name).is_disabled() for name in ("Previous photo", "Next photo")]
        return dialog.locator("h2").inner_text(), *ends

    page.locator("#photos .tile").nth(1).click()
    assert state() == (rows["photo"][shown[1]], False, False)
    page.keyboard.press("ArrowLeft")
    assert state() == (rows["photo"][shown[0]], True, False)
    page.keyboard.press("ArrowLeft")
    assert state() == (rows["photo"][shown[0]], True, False)
    page.keyboard.press("Escape")
    page.locator("#photos .tile").last.click()
    assert state() == (rows["photo"][shown[-1]], False, True)


def test_the_large_view_says_answer_label_and_size_and_closes_by_a_click_beside_it(reader, rows):
    page, dialog = reader.page, reader.page.locator("dialog")
    page.select_option(".filter [name=answer]", "wrong")
    page.locator("#photos .tile").nth(1).click()
    number = reader.shown()[1]
    label, predicted = (CLASSES[rows[name][number]] for name in ("label_index", "predicted_index"))
    said = f"{predicted}, {rows['probability'][number]:.0%}".replace("%", " %")
    facts = dict(zip(*(dialog.locator(of).all_inner_texts() for of in ("dt", "dd")), strict=True))
    assert facts["answer"] == f"{said}, but is {label}"
    assert facts["label"] == f"{label}, 10.0 %"
    assert facts["size"] == "40 × 24 px"
    assert dialog.locator("figcaption").all_inner_texts() == [
        f"for {predicted}, what it says",
        f"for {label}, what it is",
    ]
    dialog.locator("dt").first.click()
    assert dialog.count() == 1
    page.mouse.click(3, 3)
    dialog.wait_for(state="detached")


def test_a_photo_of_a_finding_leads_on_to_the_others_of_it(reader, report):
    finding = next(one for one in rows_of(report)["findings"] if len(one["photos"]) > 2)
    item = reader.page.locator("#findings > ol > li").nth(rows_of(report)["findings"].index(finding))
    item.locator(".tile").nth(1).click()
    reader.page.keyboard.press("ArrowRight")
    assert reader.page.locator("dialog h2").inner_text() == rows_of(report)["rows"]["photo"][finding["photos"][2]]
