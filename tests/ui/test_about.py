"""What stands under "What the methods do": every method with its picture, in a page that stays small."""

import re
from html import unescape

from gradcam_core.settings import METHODS
from ui.about import methods_html
from ui.layer_grid import ASSETS


def test_every_method_has_its_sentence_and_a_picture_with_words():
    figures = re.findall("<figure>(.*?)</figure>", methods_html())
    for figure, info in zip(figures, METHODS.values(), strict=True):
        (alt,) = re.findall(r'<img src="data:image/webp;base64,[\w+/=]+" alt="([^"]+)">', figure)
        assert f"by {info.title}, in the " in unescape(alt)
        text = unescape(re.sub("<[^>]+>", "", figure))
        assert text == f"{info.title} {info.about}"


def test_every_picture_is_of_a_method_and_all_of_them_are_small():
    pictures = list((ASSETS / "methods").iterdir())
    assert {picture.name for picture in pictures} == {f"{name}.webp" for name in METHODS}
    assert sum(picture.stat().st_size for picture in pictures) < 100_000
    assert len({picture.read_bytes() for picture in pictures}) == len(METHODS)
