"""The page as its visitors meet it: the real ``python app.py``, and a real browser."""

import pytest
from browser import CARDS, PHOTO, Visitor

from gradcam_core.networks.zoo import DEFAULT


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


def test_the_photo_stands_upright_and_still(visitor, photos):
    for name, size in (("turned.jpg", (480, 640)), ("moving.gif", (320, 240))):
        visitor.explain(photos / name)
        photo = visitor.page.locator(".gx-card img").first
        assert (photo.evaluate("p => p.naturalWidth"), photo.evaluate("p => p.naturalHeight")) == size
        assert photo.get_attribute("src").endswith(".jpg"), name


def test_taking_the_photo_away_empties_the_page(visitor, photos):
    visitor.explain(photos / "landscape.jpg")
    visitor.page.click("#photo button[aria-label='Remove Image']")
    visitor.page.wait_for_selector(".gx-empty", state="visible")
    assert visitor.layers() == []


def test_bad_files_are_explained_and_nothing_is_lost(visitor, photos):
    bad = {"cut.jpg": "is cut short", "text.jpg": "is text, not a photo", "huge.png": "81.0 megapixels"}
    for name, sentence in bad.items():
        visitor.explain(photos / "landscape.jpg")
        visitor.choose("#class", "teapot")
        visitor.wait_for_title("teapot")
        preview = visitor.page.locator("#photo img").get_attribute("src")
        visitor.drop(photos / name)
        assert name in visitor.wait_for_toast(sentence)
        visitor.page.wait_for_function("(src) => document.querySelector('#photo img')?.src === src", arg=preview)
        visitor.wait_for_title("teapot")
        assert visitor.page.locator("#class input").input_value() == "teapot", name
        visitor.explain(photos / "turned.jpg")


def test_what_gradio_alone_would_refuse_takes_nothing_away(visitor, photos, tmp_path):
    (tmp_path / "notes.md").write_bytes(b"# Notes\n".ljust(40, b"-"))
    (tmp_path / "scan.pdf").write_bytes(b"%PDF-1.7\n".ljust(4000, b"-"))
    (tmp_path / "big.png").write_bytes(bytes(21 * 2**20))
    visitor.explain(photos / "landscape.jpg")
    before = visitor.layers()
    preview = visitor.page.locator("#photo img").get_attribute("src")
    for name, sentence in (("notes.md", "is text, not a photo"), ("scan.pdf", "PDF"), ("big.png", "20 MB")):
        visitor.drop(tmp_path / name)
        assert sentence in visitor.wait_for_toast(name)
        visitor.page.wait_for_function("(src) => document.querySelector('#photo img')?.src === src", arg=preview)
        visitor.page.wait_for_selector(".gx-card")
        assert visitor.layers() == before, name


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


def test_the_server_said_where_it_is_and_nothing_broke(server):
    """Last: after all that was sent to it above."""
    lines = server.log.read_text()
    assert f"Grad-CAM Explorer is at {server.url}" in lines
    assert "stay loaded up to 2000 MB" in lines
    assert "Internal error" not in lines
