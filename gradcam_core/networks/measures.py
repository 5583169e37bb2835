"""What a network's outputs are: probabilities of classes, values, or shares of the photo; and how they are written."""

from dataclasses import dataclass
from typing import Literal, get_args

Measure = Literal["probability", "value", "share"]
MEASURES: tuple[Measure, ...] = get_args(Measure)

_OF_CLASSES = ("crossentropy", "hinge", "kld", "kullback")
_OF_VALUES = ("squared", "absolute", "mse", "mae", "msle", "mape", "huber", "logcosh", "poisson", "cosine")


@dataclass(frozen=True)
class Prediction:
    """What a network says of one photo: a class and its probability, or its share of the photo, or an output's value.

    Attributes:
        index: of the output.
        wordnet_id: of the class, or None.
        name: of the class, or of what the value is.
        probability: in [0, 1]; None where the network gives something else.
        value: of a regression; else None.
        share: of the pixels that the network gives the class, in [0, 1], where it gives scores for each; else None.
    """

    index: int
    wordnet_id: str | None
    name: str
    probability: float | None
    value: float | None = None
    share: float | None = None

    @property
    def amount(self) -> float:
        """The probability, the value or the share: whichever it has."""
        return getattr(self, self.measures) or 0.0

    @property
    def measures(self) -> Measure:
        """Which of them."""
        if self.share is not None:
            return "share"
        return "probability" if self.value is None else "value"

    @property
    def text(self) -> str:
        """The amount as people write it.

        >>> Prediction(3, None, "lion", 0.8731).text, Prediction(0, None, "age", None, 30.5).text
        ('87.3 %', '30.5')
        """
        return said(self.amount, self.measures)


def trained_for(loss: object) -> Measure | None:
    """What a loss says of the outputs that it was for; None where it says nothing.

    Args:
        loss: as Keras takes it, or as it writes it into a file: a name, a function, a `keras.losses.Loss`, or
            ``{"class_name": ...}``; or a list or dict with one of these.

    >>> trained_for("mse"), trained_for({"class_name": "BinaryCrossentropy", "config": {}}), trained_for(None)
    ('value', 'probability', None)
    """
    if isinstance(loss, dict) and "class_name" in loss:
        config = loss.get("config")
        named = config if loss["class_name"] == "function" else loss["class_name"]
        return trained_for(named if isinstance(named, str) else None)
    if isinstance(loss, list | tuple | dict):
        members = list(loss.values() if isinstance(loss, dict) else loss)
        return trained_for(members[0]) if len(members) == 1 else None
    if loss is None:
        return None
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", type(loss).__name__)
    name = name.lower().replace("_", "")
    if any(word in name for word in _OF_CLASSES):
        return "probability"
    return "value" if any(word in name for word in _OF_VALUES) else None


def percent(share: float) -> str:
    """A share from 0 to 1 in percent, with one decimal where it has one.

    >>> percent(0.8731), percent(0.2), percent(0.0004)
    ('87.3 %', '20 %', '<0.1 %')
    """
    return "<0.1 %" if 0 < share < 0.001 else f"{100 * share:.1f}".removesuffix(".0") + " %"


def said(amount: float, measures: Measure = "probability") -> str:
    """An amount of what a network measures, for people: a probability in percent, a value with three digits or more.

    >>> said(0.8731), said(0.4, "share"), said(3.2149, "value"), said(-0.00012, "value"), said(41250.4, "value")
    ('87.3 %', '40 % of the photo', '3.21', '-0.00012', '41,250')
    """
    if measures != "value":
        return percent(amount) + (" of the photo" if measures == "share" else "")
    return f"{amount:,.0f}" if 1000 <= abs(amount) < 1e9 else f"{amount:.3g}"
