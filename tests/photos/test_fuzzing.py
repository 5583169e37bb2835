"""A short run of what `make fuzz` does for an hour."""

import pytest
from fuzzing import MAX_MEMORY, MAX_SECONDS, run, whole_photos

from gradcam_core.photos import read_image


def test_all_that_is_damaged_was_a_photo():
    for kind, files in whole_photos().items():
        for content in files:
            assert read_image(content).size, kind


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_photos_of_every_format_give_a_photo_or_a_sentence_within_limits(seed):
    found = run(seed, lambda number: number == 350)
    assert found.faults == []
    assert found.seconds < MAX_SECONDS
    assert found.memory < MAX_MEMORY
    endings = {ending for _, ending in found.counts}
    assert {"photo", "is damaged, or of a", "is cut short: its end"} <= endings
