"""What can be set by name, with the words for it. Light to import: the page and the shell list it before TensorFlow."""

from collections.abc import Callable
from dataclasses import dataclass

from .errors import SettingError

VERSION = "0.1.0"


@dataclass(frozen=True)
class MethodInfo:
    """A method's title, one sentence about it, and whether one pass through the network gives its maps."""

    title: str
    about: str
    is_one_pass: bool = True


METHODS: dict[str, MethodInfo] = {
    "gradcam": MethodInfo("Grad-CAM", "Channels weighted by their mean gradient: the classic."),
    "gradcam++": MethodInfo("Grad-CAM++", "Only positive gradients count, cell by cell: several objects all show."),
    "xgradcam": MethodInfo(
        "XGrad-CAM", "Gradients averaged where the channel is active: the maps sum up to the score."
    ),
    "layercam": MethodInfo("LayerCAM", "Each cell has its own positive gradient: fine detail in shallow layers."),
    "hirescam": MethodInfo("HiResCAM", "Each cell has its own gradient: nothing shows that the network did not use."),
    "eigencam": MethodInfo("Eigen-CAM", "What the layer is most active in, for whatever class."),
    "eigengradcam": MethodInfo("EigenGrad-CAM", "The first principal direction of activation times gradient."),
    "cam": MethodInfo("CAM", "The head's own weights; only for a layer that is averaged and classified at once."),
    "scorecam": MethodInfo(
        "Score-CAM", "No gradient: what the network says of the photo seen through each channel. Takes long.", False
    ),
    "guided": MethodInfo(
        "Guided Grad-CAM",
        "Grad-CAM times guided backpropagation: fine detail, much of it the photo's own edges.",
        False,
    ),
}
SCORES = ("logit", "probability")
SMOOTHINGS = ("none", "flips", "shifts", "noise")
FUSIONS = ("maximum", "product")

Progress = Callable[[int, int], None]  # done, total; what it raises ends the work

BATCH_PIXELS = 16 * 224 * 224  # of photos that go through a network at once: more is not faster on a CPU


def check_count(what: str, count: int) -> None:
    """Refuse a number of ``what`` that is not a whole number from 1 up."""
    if isinstance(count, bool) or not isinstance(count, int) or count < 1:
        raise SettingError(f"The number of {what} is a whole number from 1 up, not {count!r}.")
