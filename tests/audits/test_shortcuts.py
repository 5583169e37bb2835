"""The smallest trial of the benchmark: a network learns a tag with the shape, and an audit sees through it."""

import pytest

from benchmarks.shortcuts import DOUBLED, Result, Settings, drawn_shapes, run_trial, table

SMALLEST = Settings(classes=3, trained=100, audited=60, epochs=5, batch=8)


def test_a_planted_shortcut_is_the_first_finding_and_its_group_are_the_photos_with_it():
    found = run_trial(drawn_shapes, 2, True, SMALLEST)
    assert found.learnt > DOUBLED  # else there would be nothing to be found
    assert found.is_first
    assert found.purity > 0.8
    assert found.recall > 0.6


@pytest.mark.long
@pytest.mark.parametrize("trial", range(2))
def test_nothing_is_called_a_shortcut_where_none_was_planted(trial):
    assert run_trial(drawn_shapes, trial, False, SMALLEST).shortcuts == 0


def test_the_table_counts_what_was_learnt_and_what_is_clean():
    def of(learnt: float | None, is_first: bool, shortcuts: int) -> Result:
        return Result(0, "tag", 0.8, learnt, is_first, None, None, shortcuts, 3, 1.0)

    results = [of(2.0, True, 1), of(1.0, False, 0), of(0.1, False, 0), of(None, False, 1), of(None, False, 0)]
    assert table(results).splitlines()[-2:] == [
        "Learnt and found first: 1 of 2.",
        "Clean and called a shortcut: 1 of 2.",
    ]
