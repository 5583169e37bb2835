"""What is found in an audit: a shortcut that is there, none where there is none, and every number with its photos."""

import json

import numpy as np
import pytest
from tagged import CLASSES, tag_network, tagged_folder

import gradcam_core as gc
from gradcam_core.audits.classes import place
from gradcam_core.audits.findings import Finding, Findings, find


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tagged") / "photos"
    return folder, tagged_folder(folder)


@pytest.fixture(scope="module")
def found(photos, tmp_path_factory):
    out = tmp_path_factory.mktemp("audit")
    network = tag_network(weight=90)
    gc.audit(network, photos[0], out)
    return out, find(out, network)


def test_a_tag_that_the_network_uses_comes_first_with_exactly_its_photos(photos, found):
    _, tagged = photos
    _, findings = found
    first = findings.findings[0]
    assert (first.kind, first.label) == ("shortcut", 0)
    assert sorted(first.photos) == tagged
    assert first.count == len(tagged)
    assert "red hangs on something at the bottom left in 20 of its 40 photos" in first.sentence
    assert [finding.kind for finding in findings.findings].count("shortcut") == 1


def test_its_numbers_are_those_that_the_network_gives(found):
    _, findings = found
    # Hidden, the tag of 32 of 768 pixels goes: 90 times its mean green, but for the mean colour that takes its place.
    green = 230 / 255 * 32 / 768
    numbers = findings.findings[0].numbers
    assert numbers["log_odds"]["hidden"] == pytest.approx(90 * green, rel=0.1)
    assert numbers["log_odds"]["pasted"] == pytest.approx(90 * green, rel=0.1)
    assert numbers["tested"] == {"group": 20, "rest": 20, "others": 48}
    assert numbers["p_values"]["hidden"] == 2**-20


def test_a_tag_that_the_network_does_not_use_is_no_shortcut(photos, tmp_path):
    network = tag_network(weight=0)
    gc.audit(network, photos[0], tmp_path)
    assert [one for one in find(tmp_path, network).findings if one.kind == "shortcut"] == []


def test_without_the_network_nothing_is_called_a_shortcut(found):
    out, before = found
    content = (out / "findings.json").read_bytes()
    alone = find(out)
    (out / "findings.json").write_bytes(content)
    assert [one.kind for one in alone.findings if one.kind == "shortcut"] == []
    assert alone.tested == 0
    assert alone.candidates == before.candidates


def test_the_file_says_the_same_and_holds_the_numbers_of_each_class(photos, found):
    out, findings = found
    content = json.loads((out / "findings.json").read_text())
    assert content["findings"][0]["sentence"] == findings.findings[0].sentence
    assert [one["name"] for one in content["classes"]] == list(CLASSES)
    red = content["classes"][0]
    assert np.shape(red["mean_map"]) == (6, 8)
    assert np.sum(red["mean_map"]) == pytest.approx(1, abs=1e-3)
    group = next(group for group in red["groups"] if group["is_borne_out"])
    assert np.argwhere(group["region"]).tolist() == [[5, 1], [5, 2]]
    assert group["elsewhere"] < 0.1 < group["heat"]


def test_a_photo_that_is_gone_meanwhile_is_left_out_of_the_counter_test(found):
    out, before = found
    content = (out / "findings.json").read_bytes()

    def read(photo: str) -> np.ndarray:
        if photo.endswith(("1.png", "7.png")):
            raise gc.PhotoError("It is gone.")
        return gc.read_image(json.loads((out / "audit.json").read_text())["root"] + "/" + photo)

    first = find(out, tag_network(weight=90), read).findings[0]
    (out / "findings.json").write_bytes(content)
    assert first.kind == "shortcut"
    assert first.numbers["tested"]["group"] == 12
    assert first.count == before.findings[0].count


def test_the_terminal_gets_the_most_important_and_no_more_than_two_of_a_kind():
    def of(kind: str, number: int) -> Finding:
        return Finding(kind, f"{kind} {number}", None, {}, [], 0, 0.0)

    found = [of("shortcut", 1), *(of("confusion", number) for number in range(4)), of("errors", 1), of("trait", 1)]
    findings = Findings(9, 0, 9, 0.5, found, [], 0, 0)
    assert findings.text().splitlines() == [
        "1. shortcut 1", "2. confusion 0", "3. confusion 1", "4. errors 1", "5. trait 1",
    ]  # fmt: skip
    assert Findings(9, 0, 9, 0.5, [], [], 0, 0).text() == "Nothing was found that stands out."


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (slice(0, 1), slice(0, 2), "at the top left"),
        (slice(3, 4), slice(0, 9), "at the bottom"),
        (slice(0, 4), slice(7, 9), "at the right"),
        (slice(1, 3), slice(3, 6), "in the centre"),
    ],
)
def test_a_place_has_words(rows, columns, words):
    region = np.zeros((4, 9), bool)
    region[rows, columns] = True
    assert place(region) == words
