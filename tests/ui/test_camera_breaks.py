"""What comes between while the camera is live: photos of others, a camera switched off, a page out of sight."""

import pytest
from test_camera import OFF, PICTURES, go_live

pytestmark = pytest.mark.usefixtures("_late_frames")

# The camera as the page has it.
KEEP_MEDIA = """() => {
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wish) => (window.media = await open(wish));
}"""
# The server's answers as they are while photos of others are explained, for as long as a test wants.
GIVE_WAY = """() => {
    const before = window.fetch;
    window.fetch = async (...asked) => {
        const reply = await before(...asked);
        if (!window.isGivingWay || !/live\\/[0-9a-f]+$/.test(asked[0])) return reply;
        return new Response(JSON.stringify({ guesses: [], maps: [] }));
    };
}"""


def test_frames_that_give_way_to_photos_leave_the_last_ones_maps(visitor):
    """The server answers them without maps."""
    visitor.page.evaluate(GIVE_WAY)
    go_live(visitor)
    before = visitor.page.evaluate(PICTURES)
    seen = visitor.page.evaluate("() => { window.isGivingWay = true; return frames.all; }")
    visitor.page.wait_for_function("(seen) => frames.all > seen + 3", arg=seen)
    _, kept = visitor.page.evaluate(PICTURES)
    assert visitor.page.locator(".lv-name").inner_text() != ""
    visitor.page.wait_for_function("(seen) => frames.all > seen + 6", arg=seen)
    assert visitor.page.evaluate(PICTURES)[1] == kept
    visitor.page.evaluate("window.isGivingWay = false")
    visitor.page.wait_for_function(f"(before) => ({PICTURES})()[1][0] !== before", arg=before[1][0])
    assert visitor.page.locator(".lv").is_visible()


@pytest.mark.parametrize(
    ("end", "sentence"),
    [
        ("media.getVideoTracks()[0].dispatchEvent(new Event('ended'))", "The camera was switched off."),
        (
            """{
                Object.defineProperty(document, 'hidden', { value: true });
                document.dispatchEvent(new Event('visibilitychange'));
            }""",
            "Live ended when the page was out of sight.",
        ),
    ],
    ids=["camera off", "page out of sight"],
)
def test_live_ends_with_its_camera_and_out_of_sight(visitor, end, sentence):
    visitor.page.evaluate(KEEP_MEDIA)
    go_live(visitor)
    visitor.page.evaluate(f"() => {{ {end} }}")
    assert visitor.page.locator(".lv-status").inner_text() == sentence
    assert visitor.page.locator(".lv-status").is_visible()
    assert visitor.page.evaluate(OFF)
