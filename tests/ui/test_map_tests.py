"""The panel "Can this be believed?": what it says is what `gradcam_core.trust` finds."""

import re

import numpy as np
import pytest
from browser import TOAST
from tiny_networks import cam_network, noise

import gradcam_core as gc
from gradcam_core.networks.zoo import DEFAULT
from gradcam_core.trust import assess, hide_hottest
from ui.map_tests import assessment_html, hidden_html


def plain(text: str) -> str:
    return re.sub(r"\s+", " ", text.replace("\xa0", " "))


@pytest.fixture
def panel(visitor, photos):
    """A visitor with a photo's maps, and the panel unfolded."""
    visitor.explain(photos / "landscape.jpg")
    visitor.page.locator("#believe button.label-wrap").click()
    visitor.page.locator("#test").wait_for()
    return visitor


def test_a_curve_is_drawn_from_left_to_right_and_upwards():
    network = cam_network()
    found = assess(network, gc.explain(network, noise(), 1, "last"), steps=4)
    html = assessment_html(found)
    (test,) = found.maps.values()
    own = re.findall(r'class="mt-own" points="([^"]+)"', html)
    for points, curve in zip(own, (test.curves.deletion, test.curves.insertion), strict=True):
        drawn = np.array([point.split(",") for point in points.split()], float)
        np.testing.assert_allclose(drawn[:, 0], [0, 50, 100, 150, 200])
        np.testing.assert_allclose(drawn[:, 1], 100 * (1 - curve), atol=0.06)


def test_names_from_a_file_stay_text():
    network = cam_network()
    labels = ["<img src=x onerror=alert(1)>"] * len(network.labels)
    network = gc.Classifier("file", network.model, labels, network.input_size)
    explanation = gc.explain(network, noise(), 1, "last")
    (heat_map,) = explanation.maps.values()
    hidden = hide_hottest(network, noise(), 1, heat_map.heat)
    for html in (assessment_html(assess(network, explanation, steps=2)), hidden_html(hidden, explanation.target)):
        assert "<img src=x" not in html
        assert "&lt;img src=x" in html


def test_every_map_is_tested_at_one_click(panel, photos):
    panel.page.locator("#test").click()
    panel.page.locator("#findings table").wait_for()
    network = gc.load(DEFAULT)
    found = assess(network, gc.explain(network, photos / "landscape.jpg"))
    sentences = panel.page.locator("#findings article p").all_inner_texts()
    assert [plain(text) for text in sentences] == [
        f"{test.sentence[0].upper()}{test.sentence[1:]}." for test in found.maps.values()
    ]
    assert panel.page.locator("#findings svg").count() == 2 * len(found.maps)
    rows = panel.page.locator("#findings tbody tr").all_inner_texts()
    assert len(rows) == len(found.maps) + 2
    for row, test in zip(rows, [*found.maps.values(), found.random, found.centre], strict=True):
        assert f"{test.curves.deletion_area:.2f}" in row
        assert f"{test.curves.insertion_area:.2f}" in row


def test_other_maps_have_no_findings_yet(panel):
    panel.page.get_by_label("Last", exact=True).check()
    panel.page.wait_for_function("document.querySelectorAll('.gx-card').length === 1")
    panel.page.locator("#test").click()
    panel.page.locator("#findings table").wait_for()
    panel.page.locator(".gx-guess").nth(1).click()
    panel.page.locator("#findings table").wait_for(state="detached")
    panel.page.locator("#test").click()
    second = panel.page.locator(".gx-guess-name").nth(1).inner_text()
    panel.page.locator("#findings h3", has_text=second).wait_for()


def test_the_sanity_check_has_a_row_for_each_map(panel):
    panel.page.locator("#sanity").click()
    panel.page.locator("#sane table").wait_for()
    rows = panel.page.locator("#sane tbody tr").all_inner_texts()
    assert [row.split()[0] for row in rows] == panel.layers()
    assert all(row.split()[1] in ("passes", "fails") for row in rows)
    panel.page.locator("#end").wait_for(state="detached")  # there is nothing to stop any more


def test_tests_can_be_stopped_also_before_their_turn_has_come(panel):
    panel.page.locator("#layers label", has_text="All").click()
    panel.page.wait_for_function("document.querySelectorAll('.gx-card').length > 20")
    for button in ("#test", "#sanity"):  # the second waits until the first has ended
        with panel.page.expect_response("**/queue/join*"):
            panel.page.locator(button).click()
    panel.page.locator("#end").click()
    panel.page.locator(TOAST, has_text="Stopped. What is shown stays.").nth(1).wait_for()
    assert panel.page.locator("#findings table, #sane table").count() == 0
    panel.page.locator("#end").wait_for(state="detached")
    panel.page.get_by_label("Last", exact=True).check()
    panel.page.wait_for_function("document.querySelectorAll('.gx-card').length === 1")
    panel.page.locator("#test").click()  # and another one goes on to its end
    panel.page.locator("#findings table").wait_for()


def test_the_slider_hides_the_hottest_share_and_shows_the_new_prediction(panel, photos):
    share = panel.page.locator("#share input[type=number]")
    share.fill("30")
    share.press("Enter")
    panel.page.locator("#hidden strong", has_text="30").wait_for()
    network = gc.load(DEFAULT)
    result = gc.explain(network, photos / "landscape.jpg")
    *_, last = result.maps.values()
    hidden = hide_hottest(network, photos / "landscape.jpg", result.target.index, last.heat, 0.3)
    names = panel.page.locator("#hidden li span:first-child").all_inner_texts()
    assert names == [now.name for now in hidden.predictions]
    assert panel.page.locator("#hidden img").evaluate("image => image.naturalWidth") == network.input_size[1]
    before = panel.page.locator("#hidden img").get_attribute("src")
    panel.choose("#hidden-layer", panel.layers()[0])
    panel.page.wait_for_function("(before) => document.querySelector('#hidden img').src !== before", arg=before)


def test_without_a_photo_there_is_nothing_to_test(visitor):
    visitor.page.locator("#believe button.label-wrap").click()
    visitor.page.locator("#test").click()
    visitor.wait_for_toast("There is no photo. Choose one first.")
