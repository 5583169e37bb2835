"""The HTTP API: `/predict` and `/explain`, typed, for gradio_client."""

from typing import Literal

import cv2
import gradio as gr
import numpy as np

import gradcam_core as gc

from .answers import ExplanationSummary, Guess, TypedJSON, guesses, summarize
from .cache import keep
from .choices import Networks
from .layer_grid import raw_maps
from .photo_input import PhotoInput
from .visit import answering


def add(networks: Networks) -> None:
    """Add the two endpoints to the page that is being built. Their inputs are not shown."""

    @answering
    def predict(image: str, network: str = networks.start, top: int = 5) -> list[dict]:
        """The most probable classes of a photo.

        Parameters:
            image: the photo, as an uploaded file (gradio_client: handle_file(path))
            network: the name of a network, as `python -m gradcam_core networks` lists them
            top: how many classes
        Returns:
            a list of index, name, wordnet_id and probability, most probable first
        """
        photo = _photo(image)
        if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= 1000:
            raise gc.SettingError("top is a whole number from 1 to 1000.")
        predictions = networks.load(network).predict(photo, top)
        return [guess.model_dump() for guess in guesses(predictions)]

    @answering
    def explain(
        image: str,
        network: str = networks.start,
        target: str = "",
        layers: str | list[str] = "stages",
        score: str = "logit",
    ) -> tuple[dict, str, str]:
        """Where each layer of a network finds evidence for a class in a photo.

        Parameters:
            image: the photo, as an uploaded file (gradio_client: handle_file(path))
            network: the name of a network, as `python -m gradcam_core networks` lists them
            target: the class, by name, index or WordNet id; empty for the most probable one
            layers: "stages" (one per resolution stage), "last", "all", a layer's name, or a list of names
            score: "logit", or "probability" for the arithmetic of many articles
        Returns:
            predictions, target and a summary of each map; a picture of all maps side by side; the raw float32 maps by
            layer name (.npz)
        """
        if not isinstance(target, str | None):
            raise gc.TargetError("The target is given as text: a name, an index or a WordNet id.")
        if not isinstance(score, str):
            raise gc.SettingError('The score is "logit" or "probability".')
        photo = _photo(image)
        explanation = gc.explain(networks.load(network), photo, (target or "").strip() or None, layers, score=score)
        heats = {name: heat_map.heat for name, heat_map in explanation.maps.items()}
        sheet = cv2.imencode(".png", gc.contact_sheet(explanation.photo, heats)[..., ::-1])[1].tobytes()
        cache = image_in.GRADIO_CACHE
        return (
            summarize(explanation).model_dump(),
            keep(sheet, "gradcam-sheet.png", cache),
            keep(raw_maps(explanation), "gradcam-maps.npz", cache),
        )

    names = tuple(name for _, name in networks.choices())
    with gr.Row(visible=False):
        image_in = PhotoInput(label="image")
        network_in = TypedJSON(Literal[names], value=networks.start, label="network")
        top_in = TypedJSON(int, value=5, label="top")
        target_in = TypedJSON(str, value="", label="target")
        layers_in = TypedJSON(str | list[str], value="stages", label="layers")
        score_in = TypedJSON(Literal["logit", "probability"], value="logit", label="score")
        predictions_out = TypedJSON(list[Guess], label="predictions")
        explanation_out = TypedJSON(ExplanationSummary, label="explanation")
        sheet_out, raw_out = gr.File(label="contact_sheet"), gr.File(label="raw_maps")
        predict_button, explain_button = gr.Button(), gr.Button()
    one_at_a_time = {"concurrency_limit": 1, "concurrency_id": "network"}
    predict_button.click(
        predict, [image_in, network_in, top_in], [predictions_out], api_name="predict", **one_at_a_time
    )
    explain_button.click(
        explain,
        [image_in, network_in, target_in, layers_in, score_in],
        [explanation_out, sheet_out, raw_out],
        api_name="explain",
        **one_at_a_time,
    )


def _photo(image: str | None) -> np.ndarray:
    if image is None:
        raise gc.PhotoError("There is no photo. Send one as image.")
    return gc.read_image(image)
