"""What stands under "What the methods do": maps in plain words, and each method with a picture."""

import base64
from html import escape

from gradcam_core.settings import METHODS

from .layer_grid import ASSETS

MAPS = """
**A network looks in stages.** Each stage turns the photo into a grid of *cells*, and each cell has hundreds of
*channels*: a channel lights up where it finds its own pattern, an edge, fur, an eye. What the last stage found is
added up to a score for each class.

**A heat map says which cells raised the score of one class.** Grad-CAM asks two things of every channel: *where is it
lit up?* and *would the score rise if it were lit up more?* (that is its *gradient*). It weights the channels by the
second, adds them up, and drops what is below zero: that would speak against the class (Selvaraju et al., ICCV 2017).

- **Shallow stages** have many small cells and see edges and textures. **Deep stages** have few large ones and see parts
  and objects: theirs are the maps that say where the *class* is. Each card tells how much of the photo a cell covers.
- **Peak** is a map's strongest evidence. With the scale *each map* every map is painted up to its own peak, so a layer
  with next to no evidence looks as hot as the last. With *shared* all maps are painted on one scale.
- **No evidence** means that nothing in the layer raises the score of the class. The map is zero everywhere then; it is
  not stretched into something that looks like an answer.
- A map shows what the network used. It does not show that the network is right.
- **Trust the last stage first.** Before it, Grad-CAM finds the object no more often than the middle of the photo does,
  for one weight has to do for a whole channel. LayerCAM weights each cell: choose it for the stages in between.
- **Outline above** draws the edge of what is at least so hot, as a share of the map's peak. Where to cut is your
  choice: half of the peak is a habit, not a law.
- **The score** is what the network gives before it is turned into a percentage (the logit): near 100 % a percentage
  hardly changes any more, and leaves no gradient to follow.
- **The picture of the well-known articles** is VGG16's: **As in the article**, under **More**, sets all that it needs
  (553 MB are fetched once).

**The methods** ask in different ways. Each picture is the same photo, explained for "cheetah": on the left the stage
before the last, on the right the last one. In the last stage nearly all of them agree; before it they do not.
"""
STYLE = (ASSETS / "methods.css").read_text("utf-8")


def methods_html() -> str:
    """Each method with its picture, if there is one (``assets/method_pictures.py`` makes them), and its sentence."""
    return f'<div class="methods">{"".join(map(_figure, METHODS))}</div>'


def _figure(name: str) -> str:
    title, path = escape(METHODS[name].title), ASSETS / "methods" / f"{name}.webp"
    picture = ""
    if path.exists():
        where = "in the last stage" if name == "cam" else "in the stage before the last, and in the last"
        source = f"data:image/webp;base64,{base64.b64encode(path.read_bytes()).decode()}"
        picture = f'<img src="{source}" alt="A cheetah\'s face by {title}, {where}">'
    caption = f"<figcaption><strong>{title}</strong> {escape(METHODS[name].about)}</figcaption>"
    return f"<figure>{picture}{caption}</figure>"
