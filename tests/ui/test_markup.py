"""Whatever a file, a link, a class, a layer or a network is called: it is shown as it is, and never becomes markup."""

import json
from html.parser import HTMLParser

import gradio as gr
import numpy as np
import pytest
from browser import TOAST, Visitor
from gallery import MARKUP, WILD
from serving import serve
from tiny_networks import cam_network, deep_network, noise

import gradcam_core as gc
from gradcam_core.trust import Assessment, SanityCheck, assess, hide_hottest
from ui.choices import Networks
from ui.map_tests import assessment_html, hidden_html, sanity_html
from ui.showing import Shown
from ui.visit import Steps

ESCAPED = '&lt;img src=x onerror="window.hit = 1"&gt;&amp;amp;'
MADE = "document.querySelectorAll('[onerror], [src=x]').length + Number('hit' in window)"


class Read(HTMLParser):
    """What a browser makes of a text: attributes of its elements, and what can be read."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.attributes: set[str] = set()
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.attributes.update(name for name, _ in attrs)

    def handle_data(self, data: str) -> None:
        self.text += data


# --- what is said of a mistake ---


@pytest.fixture
def steps(tmp_path) -> Steps:
    return Steps(Networks(started=deep_network()), str(tmp_path))


def test_the_name_of_a_file_is_quoted_as_text(steps, tmp_path):
    photo = tmp_path / "<img src=x onerror=alert(1)>.png"
    photo.write_text("This is not a picture.\n")
    with pytest.raises(gr.Error) as caught:
        steps.photo(str(photo), Shown("deep"))
    assert caught.value.message.startswith("&lt;img src=x onerror=alert(1)&gt;.png is text, not a photo")
    assert caught.value.title == "This picture cannot be used"


def test_what_a_caller_sends_is_quoted_as_text(steps, tmp_path):
    with pytest.raises(gr.Error) as caught:
        steps.network(MARKUP, Shown("deep"))
    assert ESCAPED in caught.value.message
    assert "onerror" not in Read(caught.value.message).attributes
    assert caught.value.title == "This network cannot be used"


@pytest.mark.parametrize("asked", ["network", "class", "beside", "instead_of", "layers", "method"])
def test_what_a_link_asks_for_is_quoted_as_text(steps, asked):
    request = gr.Request(query_params={asked: MARKUP}, session_hash="a")
    with pytest.warns(UserWarning, match="&lt;img src=x") as caught:
        steps.open(Shown("deep"), request)
    for warning in caught:
        assert "onerror" not in Read(str(warning.message)).attributes


def test_a_network_that_stays_where_the_articles_is_not_here_is_quoted_as_text(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    network = gc.Classifier(MARKUP, deep_network().model)
    with pytest.warns(UserWarning, match="which stays") as caught:
        Steps(Networks(started=network), str(tmp_path)).article(Shown(MARKUP))
    (said,) = [str(warning.message) for warning in caught if "which stays" in str(warning.message)]
    assert said == f"The other settings are made for {ESCAPED}, which stays."


# --- the tests of the maps ---


def read_assessment(name: str = "a", layer: str = "b", sentence: str = "c") -> Read:
    network = cam_network()
    found = assess(network, gc.explain(network, noise(), 1, "last"), steps=2)
    (test,) = found.maps.values()
    test = type(test)(**{**vars(test), "sentence": sentence})
    target = gc.Prediction(1, None, name, 0.5)
    return Read(assessment_html(Assessment(target, {layer: test}, found.random, found.centre)))


@pytest.mark.parametrize(("place", "times"), [("name", 4), ("layer", 2), ("sentence", 1)])
def test_the_findings_quote_names_as_text(place, times):
    found = read_assessment(**{place: MARKUP})
    assert found.text.count(MARKUP) == times
    assert "onerror" not in found.attributes


@pytest.mark.parametrize(("place", "times"), [("name", 1), ("map", 1), ("column", 1)])
def test_the_sanity_check_quotes_names_as_text(place, times):
    names = {"name": "a", "map": "b", "column": "c"} | {place: MARKUP}
    numbers = {names["map"]: np.array([0.5], np.float32)}
    found = Read(sanity_html(SanityCheck((names["column"],), numbers, numbers), names["name"]))
    assert found.text.count(MARKUP) == times
    assert "onerror" not in found.attributes


def test_what_is_said_with_a_part_hidden_quotes_names_as_text():
    network = gc.Classifier("file", cam_network().model, [MARKUP] * 3)
    hidden = hide_hottest(network, noise(), 1, np.eye(4, dtype=np.float32))
    found = Read(hidden_html(hidden, hidden.target))
    assert found.text.count(MARKUP) == 4  # three bars, and the class
    assert "onerror" not in found.attributes


# --- in the browser ---


def test_names_in_the_grid_stay_text(onlooker):
    onlooker.see("wild")
    layer = next(iter(WILD[0].maps))
    first = f"{MARKUP} import no such module"
    page = onlooker.page
    assert page.locator(".gx-guess-name").all_inner_texts() == [first, MARKUP]
    assert page.locator(".gx-class").all_inner_texts() == [f"{first}\n50 %", f"{MARKUP}\n20 %"]
    assert onlooker.layers()[0] == layer
    assert page.locator(".gx-open").nth(2).get_attribute("aria-label") == f"Enlarge {MARKUP}, stage 1, layer {layer}"
    assert f"speaks for “{MARKUP}” rather than “{MARKUP}”" in page.locator(".gx-why").last.inner_text()
    assert page.locator(".gx > .gx-status").inner_text().endswith(f"{MARKUP} takes the photo for {first}, 50 %.")
    page.locator(".gx-code summary").click()
    page.locator(".gx-code pre").last.wait_for()
    assert page.locator(".gx-code pre").count() == 3
    page.locator(".gx-code summary").click()
    dialog = onlooker.enlarge(2)
    assert dialog.locator("h2").inner_text() == f"{MARKUP} · stage 1 {layer}"
    dialog.locator("select").select_option(index=2)
    assert dialog.locator("option").nth(2).inner_text() == f"{first}, stage 1, layer {layer}"
    assert dialog.locator(".gx-sides").inner_text().count(MARKUP) == 4
    assert page.evaluate(MADE) == 0
    wish = onlooker.hear(dialog.locator(".gx-save").click)
    assert (wish["target"], wish["layer"]) == (2, layer)
    dialog.locator(".gx-close").click()
    assert page.evaluate(MADE) == 0


def test_a_link_with_markup_is_met_with_its_text(browser_context, server):
    visitor = Visitor(browser_context, f"{server.url}/?network=<b>net</b>&class=<img src=x onerror=hit=1>")
    visitor.wait_for_toast("There is no network '<b>net</b>'")
    visitor.wait_for_toast("<img src=x onerror=hit=1>")
    assert visitor.page.locator(f"{TOAST} :is(b, img)").count() == 0
    assert visitor.page.evaluate(MADE) == 0
    visitor.page.close()


def test_classes_and_files_called_by_markup_stay_text_on_the_whole_page(browser_context, photos, tmp_path):
    """A visitor's own network, and then the one of the zoo."""
    deep_network().model.save(tmp_path / "<b>own<b>.keras")
    names = [f"{MARKUP}{number}" for number in range(4)]
    (tmp_path / "names.json").write_text(json.dumps(names))
    arguments = ("--network", tmp_path / "<b>own<b>.keras", "--labels", tmp_path / "names.json")
    with serve(tmp_path, *arguments) as server:
        visitor = Visitor(browser_context, server.url)
        page = visitor.page
        assert page.locator("#network input").input_value() == "<b>own<b> · from a file"
        visitor.explain(photos / "turned.jpg")
        title = visitor.title().removeprefix("Evidence for ")
        assert title in names
        assert page.locator("#class input").input_value().startswith(f"{title} · ")
        page.get_by_role("button", name=f"Compare with {names[1] if title != names[1] else names[2]}").click()
        visitor.open_more()
        page.locator("#beside", has_text=MARKUP).wait_for()
        page.locator("#believe button.label-wrap").click()
        page.locator("#test").click()
        page.locator("#findings table").first.wait_for()
        assert title in page.locator("#findings h3").first.inner_text()
        assert page.evaluate(MADE) == 0

        other = gc.load(next(iter(gc.NETWORKS)))
        visitor.choose("#network", other.name)
        page.wait_for_function("(old) => !document.querySelector('.gx-title').textContent.includes(old)", arg=MARKUP)
        assert visitor.layers() == [layer.name for layer in gc.select(other, "stages")]
        best = other.predict(gc.read_image(photos / "turned.jpg"), 1)[0]
        assert visitor.title() == f"Evidence for {best.name.replace('_', ' ')}"
        assert MARKUP not in page.locator("#side").inner_text()
        assert page.locator("#beside .token").count() == 0
        page.close()
        assert visitor.complaints == []
        assert "Internal error" not in server.log.read_text()
