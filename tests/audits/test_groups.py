"""Groups of photos whose maps are alike, on maps that are made so that the answer is known."""

import numpy as np
import pytest

from gradcam_core.audits.groups import Group, _distinct, clusters, group_of, groups, region_of, separability

ROWS, COLUMNS = 5, 8
CORNER = (4, 1)


def wandering(count: int, seed: int = 0) -> np.ndarray:
    """Maps (count, 5, 8) of an object that lies about the upper right, with evidence against it beside."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:ROWS, :COLUMNS]
    rows, columns = rng.normal(1.3, 0.6, (count, 1, 1)), rng.normal(4.8, 0.9, (count, 1, 1))
    return 2 * np.exp(-((y - rows) ** 2 + (x - columns) ** 2) / 2) - 0.2 - 0.1 * rng.random((count, ROWS, COLUMNS))


def with_tag(maps: np.ndarray, every: int, heat: float = 6.0) -> tuple[np.ndarray, np.ndarray]:
    """The same, with heat in one corner of every so many of them, and which these are."""
    is_tagged = np.arange(len(maps)) % every == 1
    maps = maps.copy()
    maps[is_tagged, CORNER[0], CORNER[1] : CORNER[1] + 2] = heat
    return maps, is_tagged


@pytest.mark.parametrize("every", [2, 3, 7])
def test_photos_with_heat_in_one_corner_are_the_group_that_stands_apart_most(every):
    maps, is_tagged = with_tag(wandering(84), every)
    group = groups(maps)[0]
    assert group.is_candidate
    np.testing.assert_array_equal(group.members, is_tagged)
    assert np.argwhere(group.region).tolist() == [[4, 1], [4, 2]]
    assert group.heat > 0.5
    assert group.elsewhere < 0.01


def test_an_object_that_lies_now_here_now_there_stands_less_apart_than_a_tag():
    natural = max(group.separability for seed in range(3) for group in groups(wandering(84, seed)))
    assert natural < groups(with_tag(wandering(84), 3)[0])[0].separability - 0.1


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"separability": 0.7},
        {"elsewhere": 0.34},
        {"members": 7},
        {"members": 37},
        {"region": 14},
    ],
    ids=str,
)
def test_a_candidate_stands_apart_at_a_small_place_that_is_cold_in_the_rest(change):
    of = {"separability": 0.71, "heat": 0.5, "elsewhere": 0.2, "members": 8, "region": 13, **change}
    region = np.arange(ROWS * COLUMNS).reshape(ROWS, COLUMNS) < of["region"]
    group = Group(np.arange(40) < of["members"], region, of["separability"], of["heat"], of["elsewhere"])
    assert group.is_candidate == (not change)


def test_a_cluster_becomes_the_photos_that_have_heat_where_it_has():
    maps, is_tagged = with_tag(wandering(60), 3)
    rough = is_tagged.copy()
    rough[[0, 1, 2, 3]] = [True, False, True, False]  # a third of it wrong
    np.testing.assert_array_equal(group_of(maps, rough).members, is_tagged)
    assert group_of(maps, np.zeros(60, bool)) is None
    assert group_of(maps, np.ones(60, bool)) is None


def test_how_strong_a_map_is_does_not_part_photos_and_one_without_heat_is_in_no_cluster():
    left, right = np.zeros((2, 3)), np.zeros((2, 3))
    left[0, 0], right[1, 2] = 1, 1
    maps = np.stack([left, 100 * right, 7 * left, -left, right, left * 0])
    assert clusters(maps, 2).tolist() == [0, 1, 0, -1, 1, -1]
    assert clusters(maps[3:4], 2).tolist() == [-1]


def test_a_region_is_what_hangs_together_with_its_hottest_cell():
    difference = np.array([[5, 4, 0, 0], [0, 0, 2.1, 0], [0, 1.9, 0, 0], [0, 0, 0, 3]])
    assert np.argwhere(region_of(difference)).tolist() == [[0, 0], [0, 1], [1, 2]]


def test_two_kinds_of_numbers_are_wholly_separable_and_even_ones_three_quarters():
    assert separability(np.array([1.0, 9, 1, 1])) == (1, 5)
    assert separability(np.arange(1001.0))[0] == pytest.approx(0.75, abs=1e-5)
    gaussian = np.random.default_rng(0).normal(size=20000)
    assert separability(gaussian)[0] == pytest.approx(2 / np.pi, abs=0.01)
    assert separability(np.full(5, 2.0))[0] == 0


def test_the_cut_is_the_best_of_all_cuts():
    values = np.random.default_rng(3).gamma(1.5, size=40)
    found, cut = separability(values)

    def between(at: float) -> float:
        below, above = values[values <= at], values[values > at]
        weights = len(below) * len(above) / len(values) ** 2
        return weights * (below.mean() - above.mean()) ** 2 / values.var()

    assert found == pytest.approx(max(between(at) for at in np.sort(values)[:-1]))
    assert found == pytest.approx(between(cut))


def test_a_small_group_in_a_larger_one_is_told_too():
    members = [np.arange(40) < count for count in (20, 9, 11)]
    large, small, half = (Group(of, np.ones((ROWS, COLUMNS), bool), 0.9, 0.5, 0.1) for of in members)
    assert _distinct([large, small, half]) == [large, small]


def test_a_group_is_told_once():
    maps, is_tagged = with_tag(wandering(84), 3)
    found = groups(maps)
    same = [(group.members & is_tagged).sum() / (group.members | is_tagged).sum() >= 0.5 for group in found]
    assert same.count(True) == 1
