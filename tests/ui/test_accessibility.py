"""The page for everyone: by keyboard alone, with a screen reader, without motion, small and large, light and dark."""

import io
from importlib.resources import files

import numpy as np
import pytest
from browser import CARDS, Visitor, visit
from PIL import Image

DESKTOP, PHONE, LARGE = (1280, 800), (390, 844), (1920, 1080)
DIALOG = "dialog[open]"
PRESSES = 60  # more than the page has places where Tab stops

# Nothing loads, fades or slides: a text that is half faded in has no contrast yet. A toast's long countdown may run.
AT_REST = """() => new Promise((resolve) => {
    let quiet = 0;
    const look = () => {
        const moves = document.getAnimations().some((animation) =>
            animation.playState === 'running' && animation.effect.getComputedTiming().endTime < 5000);
        quiet = moves || document.querySelector('.pending, .generating') ? 0 : quiet + 1;
        if (quiet > 5) resolve(); else requestAnimationFrame(look);
    };
    look();
})"""
FOCUSED = "document.activeElement"
OVERHANG = "document.scrollingElement.scrollWidth - document.scrollingElement.clientWidth"


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core, which finds what breaks the accessibility guidelines."""
    package = pytest.importorskip("axe_playwright_python", reason="needs axe-core: pip install .[test]")
    return (files(package) / "axe.min.js").read_text("utf-8")


def violations(visitor: Visitor, state: str) -> list[str]:
    """What axe-core finds now, a line each: state, rule, selector and what would mend it."""
    visitor.page.evaluate(AT_REST)
    found = visitor.page.evaluate("axe.run(document, { resultTypes: ['violations'] })")["violations"]
    return [
        f"{state}: {rule['id']} at {node['target']}: {' '.join(node['failureSummary'].split())}"
        for rule in found
        for node in rule["nodes"]
    ]


def open_all_folded_parts(visitor: Visitor) -> None:
    """From here on with the last layer alone: five maps take longer to test, and their rows are alike."""
    visitor.open_settings()
    visitor.page.get_by_label("Last", exact=True).check()
    visitor.close_settings()
    visitor.page.wait_for_function("document.querySelectorAll('.gx-card').length === 1")
    visitor.page.get_by_role("button", name="The layers of this network").click()
    visitor.page.get_by_role("button", name="What the methods do").click()
    visitor.page.get_by_role("button", name="Can this be believed?").click()
    visitor.page.get_by_role("button", name="Test these maps").click()
    visitor.page.locator("#findings table").wait_for()
    visitor.page.get_by_role("button", name="Sanity check").click()
    visitor.page.locator("#sane table").wait_for()
    visitor.page.get_by_label("number input for Hottest share hidden, %").fill("20")
    visitor.page.keyboard.press("Enter")
    visitor.page.locator("#hidden img").wait_for()
    visitor.page.locator(".gx-code summary").click()
    visitor.page.locator(".gx-code pre").last.wait_for()
    visitor.page.locator("#table").get_by_text("stem_conv", exact=True).first.wait_for()
    visitor.page.get_by_text("A map shows what the network used").wait_for()


def open_dialog(visitor: Visitor) -> None:
    visitor.page.locator(f"{CARDS} .gx-open").last.click()
    visitor.page.locator(DIALOG).wait_for()


@pytest.mark.parametrize(
    ("size", "scheme"),
    [
        pytest.param(DESKTOP, "light", id="desktop-light"),
        pytest.param(PHONE, "dark", id="phone-dark"),
        pytest.param(DESKTOP, "dark", id="desktop-dark", marks=pytest.mark.long),
        pytest.param(PHONE, "light", id="phone-light", marks=pytest.mark.long),
    ],
)
def test_axe_finds_nothing_in_any_state_of_the_page(browser_context, server, photos, axe, size, scheme):
    with visit(browser_context, server.url, size, scheme) as visitor:
        visitor.page.evaluate(axe)
        found = violations(visitor, "empty page")
        visitor.explain(photos / "landscape.jpg")
        found += violations(visitor, "results")
        visitor.open_settings()
        visitor.page.locator("#class input").click()
        visitor.page.locator("#class [role=option]").first.wait_for()
        found += violations(visitor, "dropdown")
        visitor.page.keyboard.press("Escape")
        visitor.open_more()
        found += violations(visitor, "more")
        visitor.close_settings()
        open_dialog(visitor)
        found += violations(visitor, "dialog")
        visitor.page.keyboard.press("Escape")
        open_all_folded_parts(visitor)
        found += violations(visitor, "folded parts open")
        visitor.drop(photos / "landscape.jpg", photos / "text.jpg", photos / "turned.jpg")
        visitor.page.get_by_role("button", name="Side by side").click()
        visitor.page.wait_for_function("document.querySelectorAll('.gx-side canvas').length === 2")
        found += violations(visitor, "several photos")
        visitor.page.get_by_role("button", name="Take the strip away").click()
        visitor.drop(photos / "text.jpg")
        visitor.wait_for_toast("is text, not a photo")
        found += violations(visitor, "toast")
        assert not found, "\n" + "\n".join(found)


@pytest.mark.parametrize(("size", "scheme"), [(DESKTOP, "light"), (PHONE, "dark")], ids=["desktop", "phone"])
def test_axe_finds_nothing_while_the_camera_is_live(browser_context, server, axe, size, scheme):
    with visit(browser_context, server.url, size, scheme) as visitor:
        visitor.page.evaluate(axe)
        visitor.page.locator("#go-live").click()
        visitor.page.wait_for_function("document.querySelector('.lv-rate').textContent")
        assert visitor.page.evaluate(f"{FOCUSED}.className.includes('lv-stop')")
        assert visitor.page.evaluate(OVERHANG) == 0
        found = violations(visitor, "live")
        visitor.page.keyboard.press("Enter")
        visitor.page.wait_for_function("document.querySelector('.lv').hidden")
        assert not found, "\n" + "\n".join(found)


# --- the keyboard ---


def tab_to(visitor: Visitor, selector: str) -> None:
    """Press Tab until an element that fits the selector has the focus."""
    for _ in range(PRESSES):
        visitor.page.keyboard.press("Tab")
        if visitor.page.evaluate(f"(selector) => {FOCUSED}.matches(selector)", selector):
            return
        assert not visitor.page.evaluate(f"{FOCUSED} === document.body"), f"the focus is lost before {selector}"
    pytest.fail(f"Tab does not come to {selector}")


def test_the_keyboard_alone_is_enough(visitor):
    press = visitor.page.keyboard.press
    tab_to(visitor, "[aria-label='Example photo: lion']")
    press("Enter")
    visitor.page.wait_for_selector(CARDS)

    tab_to(visitor, "#layers input")
    before = len(visitor.layers())
    press("ArrowRight")
    visitor.page.wait_for_function("(n) => document.querySelectorAll('.gx-card').length < n", arg=before)
    press("ArrowLeft")
    visitor.page.wait_for_function("(n) => document.querySelectorAll('.gx-card').length === n", arg=before)
    press("Tab")  # the radio buttons are one stop, and the lists of the fields passed are closed
    assert visitor.page.evaluate(f"{FOCUSED}.parentElement.id") == "more"
    visitor.page.wait_for_function("!document.querySelector('ul.option-list')")
    press("Shift+Tab")

    tab_to(visitor, ".gx-guess[aria-pressed=false]")
    chosen = visitor.page.evaluate(f"{FOCUSED}.querySelector('.gx-guess-name').textContent")
    press("Space")
    visitor.wait_for_title(chosen)
    assert visitor.page.evaluate(f"{FOCUSED}.textContent").startswith(chosen)  # the bars are new, the focus is not lost

    before = visitor.opacity()
    tab_to(visitor, "input[name=opacity]")
    press("ArrowRight")
    assert visitor.opacity() == pytest.approx(before + 0.01)

    before = visitor.colors(0)
    tab_to(visitor, "input[name=colormap]")
    press("ArrowRight")
    assert (visitor.colors(0) != before).any()

    before = visitor.colors(0)
    tab_to(visitor, "input[name=scale]")
    press("ArrowRight")
    assert (visitor.colors(0) != before).any()  # the first map's peak is not the highest

    tab_to(visitor, f"{CARDS} .gx-open")
    press("Enter")
    dialog = visitor.page.locator(DIALOG)
    dialog.wait_for()
    press("ArrowRight")
    before = dialog.locator(".gx-readout").inner_text()
    press("ArrowUp")
    press("ArrowLeft")
    assert dialog.locator(".gx-cell").is_visible()
    assert dialog.locator(".gx-readout").inner_text() != before
    press("Escape")
    dialog.wait_for(state="detached")
    assert visitor.page.evaluate(f"{FOCUSED} === document.querySelector('{CARDS} .gx-open')")


def around_focus(visitor: Visitor) -> dict:
    """The part of the window with the focused element and its ring."""
    return visitor.page.evaluate(
        f"""() => {{
            const {{ left, top, right, bottom }} = {FOCUSED}.getBoundingClientRect();
            const x = Math.max(0, left - 8), y = Math.max(0, top - 8);
            const width = Math.min(innerWidth, right + 8) - x, height = Math.min(innerHeight, bottom + 8) - y;
            return {{ x, y, width, height }};
        }}"""
    )


def luminance(visitor: Visitor, clip: dict) -> np.ndarray:
    """WCAG 2.2's relative luminance of a part of the window: (height, width), 0 to 1."""
    picture = Image.open(io.BytesIO(visitor.page.screenshot(clip=clip))).convert("RGB")
    rgb = np.asarray(picture, np.float64) / 255
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_focus_is_seen_wherever_tab_stops(browser_context, server, photos, scheme):
    """WCAG 2.2, 2.4.13: the ring's pixels have a contrast of 3 : 1 to what is there without it.

    One place of each kind is looked at: with the focus, and once it is taken away.
    """
    with visit(browser_context, server.url, DESKTOP, scheme) as visitor:
        visitor.explain(photos / "landscape.jpg")
        visitor.page.evaluate(AT_REST)
        kinds, unseen = set(), []
        for _ in range(PRESSES):
            visitor.page.keyboard.press("Tab")
            if visitor.page.evaluate(f"{FOCUSED} === document.body"):
                break
            kind = visitor.page.evaluate(
                f"[{FOCUSED}.tagName, {FOCUSED}.name || {FOCUSED}.className, {FOCUSED}.closest('[id]')?.id].join(' ')"
            )
            if kind not in kinds:
                kinds.add(kind)
                clip = around_focus(visitor)
                lit = luminance(visitor, clip)
                visitor.page.evaluate(f"{FOCUSED}.blur()")  # the next Tab goes on from here
                plain = luminance(visitor, clip)
                contrast = (np.maximum(lit, plain) + 0.05) / (np.minimum(lit, plain) + 0.05)
                if (contrast >= 3).sum() < clip["width"] + clip["height"]:
                    unseen.append(f"{kind}: {(contrast >= 3).sum()} px change, by {contrast.max():.1f} : 1 at most")
        assert len(kinds) > 15
        assert not unseen, "\n" + "\n".join(unseen)


# --- the screen reader ---


def test_whatever_can_be_used_has_a_name(browser_context, visitor, photos):
    """The names that the browser itself hands to a screen reader."""
    session = browser_context.new_cdp_session(visitor.page)
    roles = {"button", "checkbox", "combobox", "link", "listbox", "radio", "searchbox", "slider", "textbox"}

    def nameless() -> list[str]:
        session.send("DOM.getDocument")
        nodes = session.send("Accessibility.getFullAXTree")["nodes"]
        usable = [node for node in nodes if not node["ignored"] and node["role"]["value"] in roles]
        assert usable
        return [
            session.send("DOM.getOuterHTML", {"backendNodeId": node["backendDOMNodeId"]})["outerHTML"][:200]
            for node in usable
            if not node["name"]["value"].strip()
        ]

    assert nameless() == []
    visitor.explain(photos / "landscape.jpg")
    open_dialog(visitor)
    visitor.page.locator(f"{DIALOG} select").select_option(index=1)
    assert visitor.page.locator(f"{DIALOG} .gx-wipe input").is_visible()
    assert nameless() == []
    assert visitor.page.locator("img:not([alt])").count() == 0
    visitor.page.keyboard.press("Escape")
    visitor.page.locator(DIALOG).wait_for(state="detached")
    open_all_folded_parts(visitor)
    assert nameless() == []
    assert visitor.page.locator("img:not([alt])").count() == 0


def test_the_result_is_announced(visitor, photos):
    status = visitor.page.locator(".gx > .gx-status")
    assert status.get_attribute("role") == "status"
    region = status.element_handle()  # a region is only listened to if it was there before its text
    assert region.inner_text() == ""
    visitor.explain(photos / "landscape.jpg")
    top = visitor.page.locator(".gx-guess-name").first.inner_text()
    assert region.inner_text().startswith(f"{visitor.page.locator(CARDS).count()} heat maps for {top}.")
    assert f"takes the photo for {top}" in region.inner_text()
    visitor.choose("#class", "teapot")
    visitor.wait_for_title("teapot")
    assert "heat maps for teapot." in region.inner_text()


# --- without motion, and in any window ---


def test_nothing_moves_for_those_who_asked_for_stillness(browser_context, server, photos):
    with visit(browser_context, server.url, (390, 400)) as visitor:
        visitor.page.emulate_media(reduced_motion="reduce")
        visitor.page.evaluate("places = []; addEventListener('scroll', () => places.push(Math.round(scrollY)))")
        visitor.explain(photos / "landscape.jpg")  # the answer lies below the fold: the page goes there
        visitor.page.wait_for_function("places.length > 0")
        visitor.page.evaluate(AT_REST)
        assert visitor.page.evaluate("new Set(places).size") == 1  # one jump
        open_dialog(visitor)
        visitor.page.evaluate(AT_REST)
        slow = visitor.page.evaluate(
            """() => [...document.querySelectorAll('#grid :is(.gx, dialog, .gx *, dialog *)')].filter((node) =>
                ['', '::before', '::after', '::backdrop'].some((part) => {
                    const { transitionDuration, animationDuration, scrollBehavior } = getComputedStyle(node, part);
                    const seconds = `${transitionDuration}, ${animationDuration}`.split(', ').map(parseFloat);
                    return Math.max(...seconds) > 0.01 || scrollBehavior === 'smooth';
                })).map((node) => `${node.tagName}.${node.className}`)"""
        )
        assert slow == []


@pytest.mark.parametrize("size", [DESKTOP, LARGE, PHONE], ids=["desktop", "large", "phone"])
def test_nothing_scrolls_sideways_with_a_dialog_open(browser_context, server, photos, size):
    with visit(browser_context, server.url, size) as visitor:
        visitor.explain(photos / "landscape.jpg")
        assert visitor.page.evaluate(OVERHANG) == 0
        open_dialog(visitor)
        assert visitor.page.evaluate(OVERHANG) == 0
        box = visitor.page.locator(DIALOG).bounding_box()
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size[0]
