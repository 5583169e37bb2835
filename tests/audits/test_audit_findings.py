"""What is found in an audit: a shortcut that is there, none where there is none, and every number with its photos."""

import json
import zlib

import numpy as np
import pytest
from tagged import CLASSES, photo, tag_network, tagged_folder

import gradcam_core as gc
from gradcam_core.audits import findings as module
from gradcam_core.audits.classes import place
from gradcam_core.audits.counter_test import effects, hottest
from gradcam_core.audits.findings import Finding, Findings, find
from gradcam_core.audits.rows import About, read_rows, schema, write_about, write_part


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
    assert 0 < abs(numbers["hidden_in_others"]) < 0.2 * numbers["log_odds"]["hidden"]  # there is no tag in them
    assert numbers["tested"] == {"group": 20, "rest": 20, "others": 48}
    assert numbers["p_values"]["hidden"] == 2**-20
    (group,) = (group for group in findings.classes[0]["groups"] if group["is_borne_out"])
    assert not group["is_still_surer"]
    done = min(numbers["log_odds"][name] for name in ("hidden", "group", "pasted"))
    assert done > numbers["least"]
    assert findings.findings[0].weight == pytest.approx(done * (group["heat"] - group["elsewhere"]))


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


def test_a_name_forges_no_line_and_tells_the_terminal_nothing():
    finding = Finding("confusion", "All are taken for a\n2. fake\x1b[31m\u2028.", None, {}, [], 0, 0.0)
    assert Findings(9, 0, 9, 0.5, [finding], [], 0, 0).text() == "1. All are taken for a?2. fake?[31m?."


def row(index: int, number: int, **values: object) -> dict:
    """A row of a photo that is right, 24 x 32, whose heat lies everywhere in 6 x 8 cells."""
    heat = np.random.default_rng(1000 * index + number).uniform(0.5, 1, (6, 8))
    return {
        "photo": f"{CLASSES[index]}/{number:03}.png", "label": CLASSES[index], "label_index": index,
        "predicted": CLASSES[index], "predicted_index": index, "probability": 0.6, "label_probability": 0.6,
        "map": heat.ravel(), "map_height": 6, "map_width": 8, "border": 0.0, "width": 32, "height": 24,
        "brightness": 0.5 + 0.01 * (number % 7), "contrast": 0.1, "saturation": 0.2, "sharpness": 90.0, **values,
    }  # fmt: skip


def written(folder, rows: list[dict], measures: str = "probability"):
    write_about(folder, About({"method": "gradcam"}, str(folder), "tags", measures, CLASSES, [LAYER], {}))
    write_part(folder, rows, schema(), 0)
    return folder


LAYER = {"name": "colours", "suffix": ""}


def test_the_mean_map_of_a_class_has_as_much_of_each_photo_however_faint_its_heat_is(tmp_path):
    scales = (1, 1e3, 1e-30)
    maps = [np.random.default_rng(k).normal(scale=scale, size=(6, 8)) for k, scale in enumerate(scales)]
    rows = [row(0, k, map=one.ravel()) for k, one in enumerate(maps)] + [row(0, 3, map=-np.ones(48)), row(1, 0)]
    heat = np.maximum(maps, 0)
    expected = (heat / heat.sum((1, 2), keepdims=True)).sum(0) / 4  # the fourth has no heat
    found = find(written(tmp_path, rows)).classes[0]["mean_map"]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_a_photo_that_could_not_be_read_is_neither_right_nor_wrong(tmp_path):
    gone = {"photo": "gone.png", "label": "red", "label_index": 0, "error": "It is gone."}
    rows = [row(i, k) for i in range(2) for k in range(3)]
    rows[0] |= {"predicted": "blue", "predicted_index": 1}
    found = find(written(tmp_path, [*rows, gone]))
    assert (found.photos, found.failed, found.labelled, found.accuracy) == (7, 1, 6, 5 / 6)
    assert [(one["photos"], one["labelled"], one["accuracy"]) for one in found.classes] == [(3, 3, 2 / 3), (3, 3, 1)]


def test_a_class_whose_heat_lies_beside_its_boxes_is_found_and_no_other(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "SHOWN", 5)
    boxes = [[0.0, 0.0, 0.5, 1.0], [0.1, 0.2, 0.4, 0.9]]  # one lies in the other
    inside = {0: 0.2, 1: 0.8, 2: 0.5}
    rows = [row(i, k, boxes=boxes, inside=inside[i] + 0.01 * (k % 3 - 1)) for i in range(3) for k in range(15)]
    rows[2] |= {"predicted": "blue", "predicted_index": 1, "inside": 0.9, "label_map": rows[2]["map"]}
    rows[2]["label_inside"] = 0.21  # of the class itself, which it is not taken for
    (outside,) = [one for one in find(written(tmp_path, rows)).findings if one.kind == "outside"]
    assert outside.label == 0
    assert outside.numbers == {"inside": pytest.approx(0.2, abs=1e-6), "area": 0.5}
    assert outside.sentence.startswith("For red, 20% of the heat lies in the boxes, which cover 50% of the photos")
    assert (len(outside.photos), outside.count) == (5, 15)
    assert outside.weight == pytest.approx(0.3)


def test_what_is_often_confused_and_what_is_surely_wrong_is_found(tmp_path):
    counts = (50, 30, 51)
    rows = [row(i, k) for i in range(3) for k in range(counts[i])]
    # Of blue four are too few, and of violet five are less than a tenth.
    for start, count, predicted in ((0, 5, 1), (50, 10, 2), (60, 4, 0), (80, 5, 0)):
        for one in rows[start : start + count]:
            one |= {"predicted": CLASSES[predicted], "predicted_index": predicted, "label_map": one["map"]}
    for at, probability in ((50, 0.91), (51, 0.97), (52, 0.89), (53, 0.97)):
        rows[at]["probability"] = probability
    found = find(written(tmp_path, rows)).findings
    assert [(one.label, one.count, one.sentence) for one in found if one.kind == "confusion"] == [
        (1, 10, "33% of the photos of blue (10 of 30) are taken for violet."),
        (0, 5, "10% of the photos of red (5 of 50) are taken for blue."),
    ]
    (errors,) = (one for one in found if one.kind == "errors")
    assert errors.photos == [f"blue/00{k}.png" for k in (1, 3, 0)]
    assert errors.sentence.startswith("3 photos are answered wrongly with a probability of 90% or more")
    assert errors.numbers["highest"] == pytest.approx(0.97)


def test_what_goes_with_a_label_is_found_with_its_side(tmp_path):
    rows = [row(i, k) for i in range(3) for k in range(15)]
    for one in rows[15:30]:
        one |= {"brightness": one["brightness"] - 0.3, "width": 64}
    rows[15]["brightness"] = 0.9
    traits = [one for one in find(written(tmp_path, rows)).findings if one.kind == "trait"]
    assert {one.numbers["trait"]: (one.label, one.numbers["delta"]) for one in traits} == {
        "brightness": (1, pytest.approx(-13 / 15)), "size": (1, 1.0),
    }  # fmt: skip
    assert {one.sentence.partition(":")[0] for one in traits} == {
        "Photos of blue are darker than others (in 93% of all pairs)",
        "Photos of blue are larger than others (in 100% of all pairs)",
    }


def suspicious(folder):
    """Rows of 30 photos of each class; red and blue have ten with their heat in a corner."""
    rows = [row(i, k) for i in range(3) for k in range(30)]
    for index, corner in ((0, (5, 0)), (1, (0, 7))):
        for one in rows[30 * index : 30 * index + 10]:
            heat = np.zeros((6, 8))
            heat[corner] = 1
            one["map"] = heat.ravel()
    return written(folder, rows)


def test_each_candidate_is_tested_with_photos_of_its_class_and_of_others(tmp_path, monkeypatch):
    tests, read = [], []

    def reads(name: str) -> np.ndarray:
        read.append(name)
        return photo(name.split("/")[0], np.random.default_rng(len(read)))

    def progress_of(what):
        def progress(done: int, total: int) -> None:
            tests.append((done, total, [*read]))
            read.clear()

        return progress if what == "counter-tests" else None

    folder = suspicious(tmp_path)
    found = find(folder, tag_network(0), reads, progress_of=progress_of)
    assert (found.tested, found.candidates) == (2, 2)
    assert [numbers for *numbers, _ in tests] == [[1, 2], [2, 2]]
    owners = []
    for *_, names in tests:
        of_class = [[name for name in names if name.startswith(one)] for one in CLASSES]
        owner = max((0, 1), key=lambda i: len(of_class[i]))
        owners.append(owner)
        assert len(names) == len(set(names)) == 30 + 48  # none is of the class and of others
        assert len(of_class[owner]) == 30
        assert min(map(len, of_class)) > 0
    assert sorted(owners) == [0, 1]
    monkeypatch.setattr(module, "CANDIDATES", 1)
    few = find(folder, tag_network(0), reads)
    assert (few.tested, few.candidates) == (1, 2)
    assert "counter-test" not in few.text()  # that is all that there was to be


def test_the_numbers_of_a_counter_test_are_those_of_its_photos_each_with_its_own_hottest_place(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PHOTOS", 8)
    folder, network, read = suspicious(tmp_path), tag_network(90), []

    def pixels(name: str) -> np.ndarray:
        read.append(name)
        return photo(name.split("/")[0], np.random.default_rng(zlib.crc32(name.encode())))

    found = find(folder, network, pixels)
    maps = {one["photo"]: np.reshape(one["map"], (6, 8)) for one in read_rows(folder).to_pylist()}
    assert len(read) == 2 * 3 * 8
    for drawn in (read[:24], read[24:]):
        some = drawn[:8], drawn[8:16], drawn[16:]
        index = CLASSES.index(drawn[0].split("/")[0])
        (told,) = (group for group in found.classes[index]["groups"] if group["is_candidate"])
        region = np.array(told["region"], bool)
        usual = hottest(region, np.array([maps[name] for name in some[1]]))
        expected = effects(network, index, region, *([pixels(name) for name in names] for names in some), usual)
        medians = {name: np.median(values) for name, values in expected.differences.items()}
        assert told["log_odds"] == pytest.approx(medians, abs=1e-5)
        assert told["taken_for"] == expected.taken_for.tolist()


def test_candidates_whose_photos_are_gone_are_said_to_be_untested(tmp_path):
    found = find(suspicious(tmp_path), tag_network(0))
    assert (found.tested, found.candidates) == (0, 2)
    assert "2 of 2 suspected groups could not be put to the counter-test" in found.text().splitlines()[-1]


def test_photos_at_addresses_are_tested_and_shown(photos, tmp_path):
    folder, tagged = photos
    table = tmp_path / "table.csv"
    paths = [f"{name}/{path.name}" for name in CLASSES for path in sorted((folder / name).iterdir())]
    table.write_text("path,label\n" + "".join(f"file://{folder}/{path},{path.split('/')[0]}\n" for path in paths))
    found = gc.audit(tag_network(weight=90), table, tmp_path / "out")
    first = found.findings.findings[0]
    assert (first.kind, sorted(first.photos)) == ("shortcut", [f"file://{folder}/{name}" for name in tagged])
    text = (tmp_path / "out" / "report" / "data.js").read_text()
    sizes = json.loads(text.removeprefix("const REPORT = ").rstrip().removesuffix(";"))["sizes"]
    assert sizes == [[128, 96]] * len(paths)


def test_values_are_neither_right_nor_wrong(tmp_path):
    rows = [row(i, k, predicted_index=0, predicted=CLASSES[0], probability=-0.3) for i in range(3) for k in range(9)]
    found = find(written(tmp_path, rows, "value"))
    assert (found.accuracy, found.labelled) == (None, 0)
    assert not {one.kind for one in found.findings} & {"confusion", "errors"}
    assert all(one["accuracy"] is None and one["confusions"] == [] for one in found.classes)


@pytest.mark.parametrize(
    ("rows", "columns", "words"),
    [
        (slice(0, 1), slice(0, 2), "at the top left"),
        (slice(3, 4), slice(0, 9), "at the bottom"),
        (slice(0, 4), slice(7, 9), "at the right"),
        (slice(1, 3), slice(3, 6), "in the centre"),
        (slice(1, 2), slice(3, 4), "in the centre"),
    ],
)
def test_a_place_has_words(rows, columns, words):
    region = np.zeros((4, 9), bool)
    region[rows, columns] = True
    assert place(region) == words
