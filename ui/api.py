"""The HTTP API: `/predict`, `/explain` and `/test`, typed, for gradio_client; with ``app.py --mcp`` MCP tools too."""

from contextlib import nullcontext
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

import cv2
import gradio as gr
import numpy as np
from gradio.utils import get_function_description
from gradio_client.utils import is_http_url_like
from pydantic import Field

import gradcam_core as gc
from gradcam_core.pictures.regions import check_threshold
from gradcam_core.settings import METHODS, SCORES, SMOOTHINGS

from .answers import (
    AssessmentSummary,
    ExplanationSummary,
    Guess,
    TypedJSON,
    guesses,
    summarize,
    summarize_assessment,
)
from .cache import keep
from .choices import Networks
from .downloads import raw_maps
from .photo_input import PhotoInput
from .sentences import answering
from .turns import Turns


def add(networks: Networks, turns: Turns | None = None) -> None:
    """Add the three endpoints to the page that is being built. Their inputs are not shown."""
    turns = turns or Turns()

    @answering
    def predict(image: str, network: str = networks.start, top: int = 5) -> list[dict]:
        """The most probable classes of a photo.

        Parameters:
            image: the photo, as a file uploaded to this server; in MCP its address there, or a data: URL of up to 3 MB
            network: the name of a network, as `python -m gradcam_core networks` lists them
            top: how many classes, from 1 to 1000
        Returns:
            a list of index, name, wordnet_id, probability or value, and text, most probable first
        """
        photo = _photo(image)
        if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= 1000:
            raise gc.SettingError("top is a whole number from 1 to 1000.")
        chosen = networks.load(network)
        with turns.photo():
            predictions = chosen.predict(photo, top)
        return [guess.model_dump() for guess in guesses(predictions)]

    @answering
    def explain(
        image: str,
        network: str = networks.start,
        target: str = "",
        layers: str | list[str] = "stages",
        score: str = "logit",
        method: str = "gradcam",
        instead_of: str = "",
        weight: float = 1.0,
        against: bool = False,
        smoothing: str = "none",
        threshold: float | None = None,
    ) -> tuple[dict, str, str]:
        """Where each layer of a network finds evidence for a class in a photo.

        Parameters:
            image: the photo, as a file uploaded to this server; in MCP its address there, or a data: URL of up to 3 MB
            network: the name of a network, as `python -m gradcam_core networks` lists them
            target: the class, by name, index or WordNet id; empty for the most probable one
            layers: "stages" (one per resolution stage), "last", "all", a layer's name, or a list of names
            score: "logit", or "probability" for the arithmetic of many articles
            method: how activations and gradients become a map; scorecam takes hundreds of passes
            instead_of: another class, as for target: why the target and not this one? Empty for none
            weight: of the score of instead_of, which is taken away from the target's, from 0 to 1000
            against: show what speaks against the target
            smoothing: the mean over "flips", "shifts" or "noise", or "none"
            threshold: boxes around what is at least this share of a map's peak, from above 0 to 1; null for no boxes
        Returns:
            the predictions, the target, a summary of each map, and how the network was read
            a picture of all maps side by side
            the raw float32 maps by layer name (.npz)
        """
        settings = {"score": score, "method": method, "weight": weight, "against": against, "smoothing": smoothing}
        if threshold is not None:
            check_threshold(threshold)  # before anything is fetched and explained
        chosen = networks.load(network)
        with turns.photo() if method != "scorecam" else nullcontext():
            explanation = _explain(chosen, image, target, instead_of, layers, settings)
            summary = summarize(explanation, chosen, threshold)  # its notes may ask the network
        heats = {name: heat_map.heat for name, heat_map in explanation.maps.items()}
        sheet = cv2.imencode(".png", gc.contact_sheet(explanation.photo, heats)[..., ::-1])[1].tobytes()
        cache = image_in.GRADIO_CACHE
        return (
            summary.model_dump(),
            keep(sheet, "gradcam-sheet.png", cache),
            keep(raw_maps(explanation), "gradcam-maps.npz", cache),
        )

    @answering
    def test(
        image: str,
        network: str = networks.start,
        target: str = "",
        layers: str | list[str] = "stages",
        score: str = "logit",
        method: str = "gradcam",
        instead_of: str = "",
        weight: float = 1.0,
        against: bool = False,
        smoothing: str = "none",
        steps: int = 16,
    ) -> dict:
        """Whether the heat maps of a photo can be believed: hides and brings back what each marks, and asks again.

        Parameters:
            image: the photo, as a file uploaded to this server; in MCP its address there, or a data: URL of up to 3 MB
            network: the name of a network, as `python -m gradcam_core networks` lists them
            target: the class, by name, index or WordNet id; empty for the most probable one
            layers: "stages" (one per resolution stage), "last", "all", a layer's name, or a list of names
            score: "logit", or "probability" for the arithmetic of many articles
            method: how activations and gradients become a map; scorecam takes hundreds of passes
            instead_of: another class, as for target: why the target and not this one? Empty for none
            weight: of the score of instead_of, which is taken away from the target's, from 0 to 1000
            against: show what speaks against the target
            smoothing: the mean over "flips", "shifts" or "noise", or "none"
            steps: from the hottest pixel to the last, from 1 to 64
        Returns:
            the curves of deletion and insertion, the numbers and the finding in words, of each map and two baselines
        """
        from gradcam_core.trust import assess

        if isinstance(steps, bool) or not isinstance(steps, int) or not 1 <= steps <= 64:
            raise gc.SettingError("steps is a whole number from 1 to 64.")
        chosen = networks.load(network)
        settings = {"score": score, "method": method, "weight": weight, "against": against, "smoothing": smoothing}
        explanation = _explain(chosen, image, target, instead_of, layers, settings)
        return summarize_assessment(assess(chosen, explanation, steps)).model_dump()

    names = tuple(name for _, name in networks.choices())
    about = {name: text for of in (predict, explain, test) for name, text in get_function_description(of)[1].items()}
    with gr.Row(visible=False):
        image_in = _Photo(about["image"], label="image")
        network_in = _Setting(Literal[names], about["network"], value=networks.start, label="network")
        top_in = _Setting(Annotated[int, Field(ge=1, le=1000)], about["top"], value=5, label="top")
        target_in = _Setting(str, about["target"], value="", label="target")
        layers_in = _Setting(str | list[str], about["layers"], value="stages", label="layers")
        settings_in = [
            _Setting(Literal[SCORES], about["score"], value="logit", label="score"),
            _Setting(Literal[tuple(METHODS)], about["method"], value="gradcam", label="method"),
            _Setting(str, about["instead_of"], value="", label="instead_of"),
            _Setting(Annotated[float, Field(ge=0, le=1000)], about["weight"], value=1.0, label="weight"),
            _Setting(bool, about["against"], value=False, label="against"),
            _Setting(Literal[SMOOTHINGS], about["smoothing"], value="none", label="smoothing"),
        ]
        threshold_in = _Setting(Annotated[float, Field(gt=0, le=1)] | None, about["threshold"], label="threshold")
        steps_in = _Setting(Annotated[int, Field(ge=1, le=64)], about["steps"], value=16, label="steps")
        predictions_out = TypedJSON(list[Guess], label="predictions")
        explanation_out = TypedJSON(ExplanationSummary, label="explanation")
        sheet_out, raw_out = gr.File(label="contact_sheet"), gr.File(label="raw_maps")
        tests_out = TypedJSON(AssessmentSummary, label="tests")
        predict_button, explain_button, test_button = gr.Button(), gr.Button(), gr.Button()
    one_at_a_time: dict[str, Any] = {"concurrency_limit": 1, "concurrency_id": "network"}
    predict_button.click(
        predict, [image_in, network_in, top_in], [predictions_out], api_name="predict", **one_at_a_time
    )
    explain_button.click(
        explain,
        [image_in, network_in, target_in, layers_in, *settings_in, threshold_in],
        [explanation_out, sheet_out, raw_out],
        api_name="explain",
        **one_at_a_time,
    )
    test_button.click(
        test,
        [image_in, network_in, target_in, layers_in, *settings_in, steps_in],
        [tests_out],
        api_name="test",
        concurrency_limit=1,
        concurrency_id="tests",
    )


def _explain(
    network: "gc.Classifier",
    image: str | None,
    target: str | None,
    instead_of: str | None,
    layers: str | list[str],
    settings: dict[str, Any],
) -> gc.Explanation:
    if not all(isinstance(name, str | None) for name in (target, instead_of)):
        raise gc.TargetError("The target is given as text: a name, an index or a WordNet id.")
    of, other = ((name or "").strip() or None for name in (target, instead_of))
    return gc.explain(network, _photo(image), of, layers, instead_of=other, **settings)


def _photo(image: str | None) -> np.ndarray:
    if image is None:
        raise gc.PhotoError("There is no photo. Send one as image.")
    return gc.read_image(image)


class _Setting(TypedJSON):
    """An argument of the API; what it is for stands in the API's description."""

    def __init__(self, kind: Any, about: str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(kind, **kwargs)
        self._schema |= {"additional_description": about}


class _Photo(PhotoInput):
    """The photo of a call: an uploaded file, by its path or by the address under which Gradio serves it.

    MCP clients name a file by its address. It is never fetched: only the path in it counts, and a path outside the
    upload folder is refused like any other address.
    """

    def __init__(self, about: str, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self._about = about

    def api_info(self) -> dict[str, Any]:
        return super().api_info() | {"additional_description": self._about}

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """The path of the uploaded file that is meant; see `PhotoInput` for what is refused."""
        if url_or_file_path and is_http_url_like(str(url_or_file_path)):
            _, _, name = urlsplit(str(url_or_file_path)).path.partition("/gradio_api/file=")
            path = Path(unquote(name)).resolve()
            if name and path.is_relative_to(Path(self.GRADIO_CACHE).resolve()):
                return str(path)
        return await super().async_move_resource_to_block_cache(url_or_file_path)
