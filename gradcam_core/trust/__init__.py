"""Whether a heat map can be believed: does hiding what it marks change the prediction, and does it need the network?

Tests, the first three of one photo and one class:

- `perturbation_curves`: the hottest pixels go first (deletion) or come first (insertion).
- `average_drop` and `increase_in_confidence`: only what is hot is left of the photo.
- `sanity_check`: a map that stays the same when the network's weights are random says nothing about the network.
- `best_overlaps` and `max_box_accuracy`: where people have drawn boxes, does the box around the heat meet them?

`assess` runs the first two for all maps of an explanation, beside a random map and a blob in the centre.
"""

from .assessment import Assessment, MapTest, assess
from .baselines import centre_blob, random_map
from .curves import Curves, curves_of_maps, perturbation_curves
from .hiding import SHARE, Hidden, average_drop, hide_hottest, increase_in_confidence, keep_hottest
from .localisation import Overlaps, best_overlaps, max_box_accuracy, max_box_accuracy_v2, overlaps_of
from .sanity import SanityCheck, randomisation_test, sanity_check

__all__ = [
    "SHARE",
    "Assessment",
    "Curves",
    "Hidden",
    "MapTest",
    "Overlaps",
    "SanityCheck",
    "assess",
    "average_drop",
    "best_overlaps",
    "centre_blob",
    "curves_of_maps",
    "hide_hottest",
    "increase_in_confidence",
    "keep_hottest",
    "max_box_accuracy",
    "max_box_accuracy_v2",
    "overlaps_of",
    "perturbation_curves",
    "random_map",
    "randomisation_test",
    "sanity_check",
]
