"""What the tests of `gradcam_core.trust` found, as HTML: curves, numbers, and the finding in words."""

import base64
from html import escape
from typing import TYPE_CHECKING

import cv2
import numpy as np

from gradcam_core.networks.measures import percent, said

if TYPE_CHECKING:
    from gradcam_core import Prediction
    from gradcam_core.networks.measures import Measure
    from gradcam_core.trust import Assessment, Hidden, MapTest, SanityCheck

WIDTH, HEIGHT = 200, 100  # of a chart, in its own units
CURVES = {"deletion": "low is good", "insertion": "high is good"}


def assessment_html(assessment: "Assessment") -> str:
    """For each map the finding and its two curves beside the random map's, then all numbers in one table."""
    name = escape(assessment.target.name)
    cards = "".join(_card(layer, test, assessment.random) for layer, test in assessment.maps.items())
    rows = [*assessment.maps.items(), ("random maps", assessment.random), ("a blob in the centre", assessment.centre)]
    body = "".join(
        f'<tr><th scope="row">{escape(layer)}</th>{_cells(test, assessment.random, assessment.target.measures)}</tr>'
        for layer, test in rows
    )
    return (
        f"<section><h3>Evidence for {name} · {_marked_up(assessment.target.text)}</h3>"
        f"<p>The curves are the {assessment.target.measures} of {name} while the photo is hidden, from nothing on the "
        "left to all on the right (deletion), and while it is brought back (insertion). Solid: this map. Dashed: "
        "random maps.</p>"
        f'<div class="mt-cards">{cards}</div>'
        '<div class="mt-scroll" tabindex="0" role="region" aria-label="The numbers"><table>'
        '<thead><tr><th scope="col">map</th>'
        '<th scope="col">deletion<small>area, low is good</small></th>'
        '<th scope="col">insertion<small>area, high is good</small></th>'
        '<th scope="col">drop<small>only what is hot left, low is good</small></th>'
        f'<th scope="col">{name}<small>with its hottest fifth hidden</small></th>'
        f'<th scope="col">{name}<small>with as much hidden at random</small></th>'
        f"</tr></thead><tbody>{body}</tbody></table></div>"
        "<p><small>Bold: better than random maps.</small></p></section>"
    )


def sanity_html(check: "SanityCheck", name: str) -> str:
    """For each map how much of it is left while the network's weights become random from the head down."""
    words = {True: "passes", False: "fails", None: "cannot be tested: it is the same everywhere"}
    body = ""
    for layer, passes in check.passes.items():
        steps = "".join(
            f"<td>{rank:.2f}<small>{similarity:.2f}</small></td>"
            for rank, similarity in zip(check.rank_correlation[layer], check.ssim[layer], strict=True)
        )
        body += f'<tr><th scope="row">{escape(layer)}</th><td>{words[passes]}</td>{steps}</tr>'
    head = "".join(f'<th scope="col">{escape(layer)}</th>' for layer in check.randomised)
    return (
        f"<section><h3>Does the map for {escape(name)} need what the network has learnt?</h3>"
        "<p>On a copy, weights become random from the head down. The numbers say how much of the map is left when all "
        "layers down to that of the column are random: rank correlation with the first map, and below it structural "
        "similarity. Below 0.70 at the end it passes; what survives is a picture of the photo, not of the network.</p>"
        '<div class="mt-scroll" tabindex="0" role="region" aria-label="The numbers of the sanity check"><table><thead>'
        f'<tr><th scope="col">map</th><th scope="col">result</th>{head}</tr></thead><tbody>{body}</tbody></table></div>'
        "</section>"
    )


def hidden_html(hidden: "Hidden", before: "Prediction") -> str:
    """The photo as the network gets it, with its hottest share hidden, and what the network says now."""
    height, width = hidden.photo.shape[:2]
    picture = base64.b64encode(cv2.imencode(".png", hidden.photo[..., ::-1])[1].tobytes()).decode()
    bars = "".join(
        f'<li><span>{escape(now.name)}</span><b style="width: {100 * (now.probability or now.share or 0):.1f}%"></b>'
        f"<span>{_marked_up(now.text)}</span></li>"
        for now in hidden.predictions
    )
    what = f"{_marked_up(percent(hidden.share))} of the photo hidden"
    return (
        f'<figure class="mt-hidden"><img src="data:image/png;base64,{picture}" alt="The photo with {what}"'
        f' width="{width}" height="{height}"><figcaption><p><strong>{what}: {escape(before.name)} from '
        f"{_marked_up(before.text)} to {_marked_up(hidden.target.text)}.</strong> As the network gets it, "
        f"{width} × {height} pixels; what is hidden has the photo's mean colour.</p><ol>{bars}</ol></figcaption>"
        "</figure>"
    )


def _card(layer: str, test: "MapTest", random: "MapTest") -> str:
    charts = "" if test.curves is None else "".join(_chart(kind, test, random) for kind in CURVES)
    sentence = test.sentence[0].upper() + test.sentence[1:] + "."
    return f'<article><h4>{escape(layer)}</h4><p>{escape(sentence)}</p><div class="mt-charts">{charts}</div></article>'


def _chart(kind: str, test: "MapTest", random: "MapTest") -> str:
    area, by_random = (getattr(of.curves, f"{kind}_area") for of in (test, random))
    title, said = f"{kind.capitalize()} {area:.2f}", f"random {by_random:.2f}; {CURVES[kind]}"
    curves = {"mt-random": getattr(random.curves, kind), "mt-own": getattr(test.curves, kind)}
    every = np.concatenate(list(curves.values()))
    ends = (0.0, 1.0) if test.drop is not None else (every.min(), every.max())  # a value is not from 0 to 1
    lines = "".join(f'<polyline class="{name}" points="{_points(curve, *ends)}"/>' for name, curve in curves.items())
    return (
        f'<figure><svg viewBox="-1 -1 {WIDTH + 2} {HEIGHT + 2}" role="img" aria-label="{title}, {said}">'
        f'<rect width="{WIDTH}" height="{HEIGHT}"/>{lines}</svg>'
        f"<figcaption><strong>{title}</strong><small>{said}</small></figcaption></figure>"
    )


def _points(curve: np.ndarray, low: float = 0, high: float = 1) -> str:
    """The curve from (0, low) on the left to (1, high) on the right above, in the chart's units."""
    across, up = np.linspace(0, WIDTH, len(curve)), (curve - low) / (high - low or 1)
    return " ".join(f"{x:.1f},{HEIGHT * (1 - y):.1f}" for x, y in zip(across, up, strict=True))


def _cells(test: "MapTest", random: "MapTest", measures: "Measure") -> str:
    if test.curves is None or random.curves is None:
        return '<td colspan="5">no evidence to hide</td>'
    drop, drop_at_random, hidden, hidden_at_random = (  # no map with curves lacks one of them; a value has no drop
        number or 0.0 for number in (test.drop, random.drop, test.hidden, test.hidden_at_random)
    )
    values = (
        (f"{test.curves.deletion_area:.2f}", test.curves.deletion_area < random.curves.deletion_area),
        (f"{test.curves.insertion_area:.2f}", test.curves.insertion_area > random.curves.insertion_area),
        ("–" if test.drop is None else f"{drop:.0f}&nbsp;%", drop < drop_at_random),
        (_marked_up(said(hidden, measures)), hidden < hidden_at_random),
        (_marked_up(said(hidden_at_random, measures)), False),
    )
    return "".join(f"<td>{f'<strong>{value}</strong>' if is_better else value}</td>" for value, is_better in values)


def _marked_up(amount: str) -> str:
    return escape(amount).replace(" ", "&nbsp;")
