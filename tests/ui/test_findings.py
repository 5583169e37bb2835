"""What the panel says of tests and checks, with numbers that are made by hand: each in its place, bold where better."""

import base64
import re

import cv2
import numpy as np
import pytest

import gradcam_core as gc
from gradcam_core.trust import Assessment, Curves, Hidden, MapTest, SanityCheck
from ui.map_tests import assessment_html, hidden_html, sanity_html

OWL, NEWT = gc.Prediction(7, None, "owl", 0.8), gc.Prediction(2, None, "newt", 0.0004)


def curves(deletion: float, insertion: float) -> Curves:
    """Curves of these areas."""
    return Curves(*(np.full(3, area, np.float32) for area in (deletion, insertion)))


RANDOM = MapTest("random", curves(0.5, 0.5), 40.0, 0.0, 0.2, 0.7, 0.7)
BETTER = MapTest("it is good", curves(0.25, 0.75), 10.0, 0.0, 0.2, 0.0825, 0.62)
WORSE = MapTest("it is bad", curves(0.6, 0.4), 55.0, 0.0, 0.2, 0.9, 0.65)
EMPTY = MapTest("it is empty")


def table(html: str) -> dict[str, list[str]]:
    """The cells of each row of a table's body, by what stands at its head; bold ones in stars."""
    rows = {}
    for row in re.findall(r"<tr>(.*?)</tr>", html.partition("<tbody>")[2]):
        cells = re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)
        cells = [re.sub(r"</?strong>", "*", cell).replace("&nbsp;", " ").replace("&lt;", "<") for cell in cells]
        rows[cells[0]] = cells[1:]
    return rows


def assessed(**maps: MapTest) -> str:
    return assessment_html(Assessment(OWL, maps, RANDOM, WORSE))


def test_each_number_stands_in_its_column_and_is_bold_where_it_beats_random_maps():
    found = table(assessed(a=BETTER, b=WORSE, c=EMPTY))
    assert found == {
        "a": ["*0.25*", "*0.75*", "*10 %*", "*8.2 %*", "62 %"],
        "b": ["0.60", "0.40", "55 %", "90 %", "65 %"],
        "c": ["no evidence to hide"],
        "random maps": ["0.50", "0.50", "40 %", "70 %", "70 %"],
        "a blob in the centre": ["0.60", "0.40", "55 %", "90 %", "65 %"],
    }


def test_each_map_has_its_sentence_and_both_its_curves_beside_the_random_ones():
    html = assessed(a=BETTER, c=EMPTY)
    assert re.findall(r"<h4>(.*?)</h4><p>(.*?)</p>", html) == [("a", "It is good."), ("c", "It is empty.")]
    assert re.findall(r'aria-label="([^"]*; [^"]*)"', html) == [
        "Deletion 0.25, random 0.50; low is good",
        "Insertion 0.75, random 0.50; high is good",
    ]
    lines = re.findall(r'class="(mt-\w+)" points="[\d.]+,([\d.]+)', html)
    assert lines == [("mt-random", "50.0"), ("mt-own", "75.0"), ("mt-random", "50.0"), ("mt-own", "25.0")]


def test_the_class_is_named_with_its_probability():
    assert "<h3>Evidence for owl · 80&nbsp;%</h3>" in assessed(a=BETTER)


@pytest.mark.parametrize(
    ("probability", "said"),
    [(0.0, "0 %"), (0.0009, "<0.1 %"), (0.001, "0.1 %"), (0.0994, "9.9 %"), (0.0996, "10 %"), (1.0, "100 %")],
)
def test_probabilities_are_said_as_exactly_as_they_matter(probability, said):
    test = MapTest("a", curves(0.1, 0.1), 1.0, 0.0, 0.2, 0.5, probability)
    assert table(assessed(a=test))["a"][-1] == said


def test_the_sanity_check_says_of_each_map_whether_it_passes_and_what_is_left_at_each_step():
    ranks = {"a": np.array([0.9, 0.2]), "b": np.array([0.3, 0.8]), "c": np.zeros(2)}
    ssim = {"a": np.array([0.11, 0.12]), "b": np.array([0.13, 0.14]), "c": np.ones(2)}
    html = sanity_html(SanityCheck(("head", "conv"), ranks, ssim, frozenset({"c"})), "owl")
    assert table(html) == {
        "a": ["passes", "0.90<small>0.11</small>", "0.20<small>0.12</small>"],
        "b": ["fails", "0.30<small>0.13</small>", "0.80<small>0.14</small>"],
        "c": ["cannot be tested: it is the same everywhere", "0.00<small>1.00</small>", "0.00<small>1.00</small>"],
    }
    assert re.findall(r'<th scope="col">(\w+)</th>', html) == ["map", "result", "head", "conv"]


def test_what_is_hidden_is_shown_with_the_class_before_and_all_classes_after():
    photo = np.zeros((6, 4, 3), np.uint8)
    now = (gc.Prediction(2, None, "newt", 0.6), gc.Prediction(7, None, "owl", 0.054))
    html = hidden_html(Hidden(photo, 0.25, now[1], now), OWL).replace("&nbsp;", " ")
    assert "<strong>25 % of the photo hidden: owl from 80 % to 5.4 %.</strong>" in html
    assert 'width="4" height="6"' in html
    assert "4 × 6 pixels" in html
    assert re.findall(r"<li><span>(\w+)</span><b style=\"width: ([\d.]+)%\"></b><span>(.*?)</span>", html) == [
        ("newt", "60.0", "60 %"),
        ("owl", "5.4", "5.4 %"),
    ]


def test_the_photo_with_a_part_hidden_has_its_own_colours():
    photo = np.zeros((6, 4, 3), np.uint8)
    photo[..., 0] = 200  # red
    html = hidden_html(Hidden(photo, 0.25, OWL, (OWL,)), OWL)
    content = np.frombuffer(base64.b64decode(re.search(r"base64,([^\"]+)", html)[1]), np.uint8)
    assert (cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1] == photo).all()
