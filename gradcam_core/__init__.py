"""See what every stage of a convolutional network looks at: Grad-CAM by layer.

>>> import gradcam_core as gc
>>> network = gc.load("EfficientNetLite0")
>>> len(network.labels)
1000
"""

import importlib
from typing import TYPE_CHECKING, Any

from .audits.run import Audit, audit
from .errors import (
    GradcamError,
    LayerError,
    NetworkError,
    PhotoError,
    SettingError,
    TargetError,
    WeightsError,
    WriteError,
)
from .maps.explain import explain, explain_classes
from .maps.explanation import Explanation, HeatMap
from .networks.labels import Label
from .networks.loading import load
from .networks.measures import Prediction
from .networks.zoo import NETWORKS
from .photos import read_image
from .pictures.regions import Box
from .pictures.render import COLORMAPS, colorize, overlay
from .pictures.sheet import contact_sheet
from .quiet import require_backend
from .settings import FUSIONS, METHODS, SMOOTHINGS, VERSION

if TYPE_CHECKING:
    from .capture.layers import Layer
    from .maps.selection import select, summary, summary_table
    from .networks.classifier import Classifier

__version__ = VERSION

# These need TensorFlow, which takes seconds to import: reading a photo or printing help must not wait for it.
_LAZY = {
    "Classifier": "networks.classifier",
    "Layer": "capture.layers",
    "select": "maps.selection",
    "summary": "maps.selection",
    "summary_table": "maps.selection",
}

__all__ = [
    "COLORMAPS",
    "FUSIONS",
    "METHODS",
    "NETWORKS",
    "SMOOTHINGS",
    "Audit",
    "Box",
    "Classifier",
    "Explanation",
    "GradcamError",
    "HeatMap",
    "Label",
    "Layer",
    "LayerError",
    "NetworkError",
    "PhotoError",
    "Prediction",
    "SettingError",
    "TargetError",
    "WeightsError",
    "WriteError",
    "audit",
    "colorize",
    "contact_sheet",
    "explain",
    "explain_classes",
    "load",
    "overlay",
    "read_image",
    "select",
    "summary",
    "summary_table",
]


def __getattr__(name: str) -> Any:  # noqa: ANN401
    if name in _LAZY:
        require_backend()
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
