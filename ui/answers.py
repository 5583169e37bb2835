"""What the page and the HTTP API answer: an `Explanation` as typed values that fit into JSON."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
from gradio.data_classes import GradioModel, JsonData
from pydantic import Field, TypeAdapter

from gradcam_core import Explanation, HeatMap

if TYPE_CHECKING:
    from gradcam_core import Classifier, Prediction  # they import TensorFlow, and the page must stand before that
    from gradcam_core.trust import Assessment, MapTest


class Guess(GradioModel):
    """One class and its probability for the photo, or one output of a network that gives values."""

    index: int = Field(description="of the class in the network's output")
    name: str
    wordnet_id: str | None = None
    probability: float | None = Field(None, ge=0, le=1, description="null where the network gives values")
    value: float | None = Field(None, description="null where the network gives probabilities")
    share: float | None = Field(None, ge=0, le=1, description="of the photo, where the network gives a class a pixel")
    text: str = Field(description="the probability or the value, as people write it")


class Region(GradioModel):
    """The box around what is at least as hot as the threshold, in pixels of the photo."""

    x0: int = Field(description="its first column")
    y0: int = Field(description="its first row")
    x1: int = Field(description="the column after its last")
    y1: int = Field(description="the row after its last")
    share: float = Field(description="of the photo that lies in the region, from 0 to 1")
    peak: float = Field(description="the hottest place in it, as a share of the map's peak")


class MapSummary(GradioModel):
    """What there is to say about one layer's heat map."""

    layer: str
    kind: str = Field(description="conv, activation, merge, pool or block")
    stage: int = Field(description="1 for the highest resolution")
    shape: list[int] = Field(description="height, width, channels of the layer's output")
    cells: list[int] = Field(description="height, width of the map: those of the output, or of the input if guided")
    cell: list[float] = Field(description="height and width of one cell of the map, in pixels of the photo")
    peak: float = Field(description="the strongest evidence; comparable between the maps of one answer")
    is_empty: bool = Field(description="no positive evidence anywhere: the map is all zeros")
    boxes: list[Region] | None = Field(None, description="of regions, the largest first; null without a threshold")


class ExplanationSummary(GradioModel):
    """An explanation without its pictures."""

    network: str
    method: str
    score: str
    target: Guess
    instead_of: Guess | None = Field(None, description="the class that the target is held against")
    against: bool = Field(description="the maps show what speaks against the target")
    smoothing: str
    predictions: list[Guess] = Field(description="the most probable classes, most probable first")
    maps: list[MapSummary] = Field(description="from shallow to deep")
    reading: str = Field(description="how the network takes photos, and what its outputs are shown as")
    notes: list[str] = Field(description="where that is in doubt: a sentence each")


class MapTestSummary(GradioModel):
    """What the tests of one map found; the numbers of an empty map are null. Amounts are probabilities, or values."""

    sentence: str = Field(description="the finding in words")
    deletion: list[float] | None = Field(None, description="the amount while ever more is hidden, hottest first")
    insertion: list[float] | None = Field(None, description="the amount while it is brought back, hottest first")
    deletion_area: float | None = Field(None, description="under the curve; low is good")
    insertion_area: float | None = Field(None, description="under the curve; high is good")
    drop: float | None = Field(
        None, description="what is lost when only what is hot is left, in percent; low is good; null for values"
    )
    share: float | None = Field(None, description="of the photo that is hidden for the next two")
    hidden: float | None = Field(None, description="the amount with the hottest share hidden")
    hidden_at_random: float | None = Field(None, description="the amount with as much hidden at random")


class AssessmentSummary(GradioModel):
    """The tests of all maps, and of two baselines that know nothing of the network."""

    target: Guess
    maps: dict[str, MapTestSummary] = Field(description="by layer, from shallow to deep")
    random: MapTestSummary
    centre: MapTestSummary


def guesses(predictions: "Sequence[Prediction]") -> list[Guess]:
    """Predictions as they go over the wire."""
    return [Guess(**vars(prediction), text=prediction.text) for prediction in predictions]


def summarize_map(heat_map: HeatMap, photo_size: tuple[int, int], threshold: float | None = None) -> MapSummary:
    """One heat map's summary; ``photo_size`` is (height, width) in pixels. Boxes are given from ``threshold`` up."""
    layer = heat_map.layer
    boxes = None if threshold is None else [Region(**vars(box)) for box in heat_map.boxes(threshold, photo_size)]
    return MapSummary(
        layer=layer.name,
        kind=layer.kind,
        stage=layer.stage,
        shape=list(layer.shape),
        cells=list(heat_map.raw.shape),
        cell=[side / cells for side, cells in zip(photo_size, heat_map.raw.shape, strict=True)],
        peak=heat_map.peak,
        is_empty=heat_map.is_empty,
        boxes=boxes,
    )


def summarize(explanation: Explanation, network: "Classifier", threshold: float | None = None) -> ExplanationSummary:
    """The summary of an explanation of that network; ``threshold`` as for `HeatMap.boxes`."""
    size = explanation.photo.shape[:2]
    return ExplanationSummary(
        network=explanation.network,
        method=explanation.method,
        score=explanation.score,
        target=guesses([explanation.target])[0],
        instead_of=guesses([explanation.instead_of])[0] if explanation.instead_of else None,
        against=explanation.against,
        smoothing=explanation.smoothing,
        predictions=guesses(explanation.predictions),
        maps=[summarize_map(heat_map, size, threshold) for heat_map in explanation.maps.values()],
        reading=network.about,
        notes=list(network.notes),
    )


def summarize_test(test: "MapTest") -> MapTestSummary:
    """One map's test."""
    if test.curves is None:
        return MapTestSummary(sentence=test.sentence)
    return MapTestSummary(
        sentence=test.sentence,
        deletion=test.curves.deletion.tolist(),
        insertion=test.curves.insertion.tolist(),
        deletion_area=test.curves.deletion_area,
        insertion_area=test.curves.insertion_area,
        drop=test.drop,
        share=test.share,
        hidden=test.hidden,
        hidden_at_random=test.hidden_at_random,
    )


def summarize_assessment(found: "Assessment") -> AssessmentSummary:
    """An assessment's summary."""
    return AssessmentSummary(
        target=guesses([found.target])[0],
        maps={name: summarize_test(test) for name, test in found.maps.items()},
        random=summarize_test(found.random),
        centre=summarize_test(found.centre),
    )


class TypedJSON(gr.JSON):
    """A `gr.JSON` whose type is known, so that the API's description can name it."""

    def __init__(self, kind: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(**kwargs)
        self._schema = TypeAdapter(kind).json_schema()

    def get_block_name(self) -> str:
        return "json"

    def get_config(self, cls: type | None = None) -> dict[str, Any]:
        return super().get_config(gr.JSON)

    def postprocess(self, value: Any) -> JsonData | None:  # noqa: ANN401
        """The value as it is: `gr.JSON` would parse a text."""
        return None if value is None else JsonData(root=value)

    def api_info(self) -> dict[str, Any]:
        return self._schema
