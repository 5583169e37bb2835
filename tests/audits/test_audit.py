"""`audit`: its rows against `explain`, photo by photo; stopped, gone on with, and refused."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from audited import CLASSES, assert_same_rows, by_photo, class_folders, flower_model, save_photo
from tiny_networks import StoppedError, stop_at

import gradcam_core as gc
from gradcam_core.audits import rows, run
from gradcam_core.audits.batches import Asked, Explainer
from gradcam_core.audits.listing import listed
from gradcam_core.audits.measures import of_map, of_photo
from gradcam_core.networks.classifier import Classifier


@pytest.fixture(scope="module")
def network():
    return Classifier("flowers", flower_model(), CLASSES)


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    folder = class_folders(tmp_path_factory.mktemp("classes"), {"daisy": 9, "golden_retriever": 7, "tulip": 6})
    (folder / "daisy" / "bad.jpg").write_text("This is not a picture.")
    (folder / "daisy" / "notes.txt").write_text("These are daisies.")
    save_photo(folder / "nobody.png", 77)
    return folder


@pytest.fixture(scope="module")
def whole(network, photos, tmp_path_factory):
    return gc.audit(network, photos, tmp_path_factory.mktemp("whole"), layers="stages", batch=4)


def test_every_photo_has_a_row_of_what_explain_gives(network, photos, whole):
    found = by_photo(whole)
    assert (whole.photos, whole.failed, len(found)) == (24, 1, 24)
    assert "daisy/003.png" in found
    differing = 0
    for name, row in found.items():
        if name == "daisy/bad.jpg":
            continue
        predicted = gc.explain(network, photos / name)
        assert (row["predicted"], row["predicted_index"]) == (predicted.target.name, predicted.target.index)
        assert row["probability"] == pytest.approx(predicted.target.probability, abs=1e-5)
        assert row["top_indices"] == [one.index for one in predicted.predictions]
        np.testing.assert_allclose(
            row["top_probabilities"], [one.probability for one in predicted.predictions], atol=1e-5
        )
        explained = {"": predicted}
        if row["label_index"] not in (None, row["predicted_index"]):
            explained["label_"] = gc.explain(network, photos / name, row["label_index"])
            assert row["label_probability"] == pytest.approx(explained["label_"].target.probability, abs=1e-5)
            differing += 1
        else:
            assert row["label_map"] is None
        for which, result in explained.items():
            for layer, ending in (("conv1", "_conv1"), ("conv2", "")):
                raw = result.maps[layer].raw
                assert (row[f"map_height{ending}"], row[f"map_width{ending}"]) == raw.shape
                np.testing.assert_allclose(row[f"{which}map{ending}"], raw.ravel(), atol=1e-5)
                for measure, value in of_map(raw).items():
                    expected = None if value is None else pytest.approx(value, abs=1e-4)
                    assert row[f"{which}{measure}{ending}"] == expected
        image = gc.read_image(photos / name)
        assert (row["height"], row["width"]) == image.shape[:2]
        assert {measure: row[measure] for measure in of_photo(image)} == pytest.approx(of_photo(image), rel=1e-5)
    assert differing > 4  # more than one batch of photos whose label is another class


def test_labels_are_those_of_the_folders(whole):
    found = by_photo(whole)
    assert found["golden_retriever/002.png"]["label"] == "golden retriever"
    assert found["tulip/000.png"]["label_index"] == 2
    assert found["nobody.png"]["label"] is None


def test_a_photo_that_cannot_be_read_is_a_row_with_its_sentence(whole):
    row = by_photo(whole)["daisy/bad.jpg"]
    assert "bad.jpg is text, not a photo" in row.pop("error")
    assert {name: value for name, value in row.items() if value is not None} == {
        "photo": "daisy/bad.jpg", "label": "daisy", "label_index": 0,
    }  # fmt: skip


def test_a_photo_that_gives_no_numbers_does_not_spoil_its_batch(photos, tmp_path):
    inputs = keras.Input((12, 20, 3))
    x = keras.layers.Conv2D(4, 3, name="conv", kernel_initializer=keras.initializers.RandomNormal(stddev=9, seed=1))(
        inputs
    )
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))

    def prepare(batch):
        return np.where(batch.mean() > 127, np.float32(3e38), batch)

    network = Classifier("linear", model, CLASSES, preprocess=prepare)
    found = by_photo(gc.audit(network, photos, tmp_path, batch=5))
    failed = {name for name, row in found.items() if row["error"]} - {"daisy/bad.jpg"}
    bright = {
        name
        for name in found
        if name != "daisy/bad.jpg" and network.resized(gc.read_image(photos / name)).astype(np.float32).mean() > 127
    }
    assert failed == bright
    assert bright
    assert all("not numbers" in found[name]["error"] for name in failed)


def test_without_labels_what_is_predicted_is_audited(network, photos, tmp_path):
    rows = by_photo(gc.audit(network, photos, tmp_path, labelled=False)).values()
    assert {row["label"] for row in rows} == {row["label_map"] for row in rows} == {None}
    assert sum(row["map"] is not None for row in rows) == 23


def test_an_audit_that_was_stopped_goes_on_and_gives_the_same_rows(network, photos, whole, tmp_path):
    progress, calls = stop_at(8)
    with pytest.raises(StoppedError):
        gc.audit(network, photos, tmp_path, layers="stages", batch=4, progress=progress)
    assert calls[0] == (0, 24)
    done = sum(len(names) for names in rows.photos_in(tmp_path))
    assert done == 7
    told = []
    found = gc.audit(network, photos, tmp_path, layers="stages", batch=3, progress=lambda *two: told.append(two))
    assert told[:18] == [(n, 24) for n in range(7, 25)]
    assert (told[18:21], told[-1]) == ([(1, 3), (2, 3), (3, 3)], (24, 24))  # classes, and the report's photos
    assert_same_rows(by_photo(found), by_photo(whole))


def test_a_photo_that_is_new_is_added(network, tmp_path):
    folder = class_folders(tmp_path / "photos", {"daisy": 2})
    assert len(by_photo(gc.audit(network, folder, tmp_path / "out"))) == 2
    save_photo(folder / "tulip" / "new.png", 5)
    assert set(by_photo(gc.audit(network, folder, tmp_path / "out"))) == {
        "daisy/000.png", "daisy/001.png", "tulip/new.png",
    }  # fmt: skip


def test_other_settings_or_another_network_are_not_mixed_in(network, photos, whole):
    before = sorted(whole.folder.rglob("*"))
    for other, settings, what in [
        (network, {"layers": "last"}, "layers"),
        (network, {"layers": "stages", "method": "layercam"}, "method"),
        (network, {"layers": "stages", "labelled": False}, "labelled"),
        (Classifier("flowers", flower_model(seed=6), CLASSES), {"layers": "stages"}, "weights"),
        (
            Classifier("flowers", flower_model(), ["daisy", "golden retriever", "Tulip"]),
            {"layers": "stages"},
            "classes",
        ),
    ]:
        with pytest.raises(gc.SettingError, match=f"begun with another setting of {what}"):
            gc.audit(other, photos, whole.folder, **settings)
    assert sorted(whole.folder.rglob("*")) == before


def test_labels_that_were_changed_in_a_table_are_not_mixed_in(network, photos, tmp_path):
    table = photos / "labels.csv"
    first = sorted(str(path.relative_to(photos)) for path in photos.rglob("*.png"))[:3]
    table.write_text("path,label\n" + "".join(f"{path},daisy\n" for path in first))
    gc.audit(network, table, tmp_path / "out")
    gc.audit(network, table, tmp_path / "out")
    table.write_text("path,label\n" + "".join(f"{path},tulip\n" for path in first))
    with pytest.raises(gc.SettingError, match="begun with another setting of table"):
        gc.audit(network, table, tmp_path / "out")


def test_another_function_of_preprocessing_is_another_setting(photos, tmp_path):
    model = flower_model()
    gc.audit(Classifier("flowers", model, CLASSES, preprocess=lambda batch: batch / 2), photos, tmp_path / "out")
    with pytest.raises(gc.SettingError, match="begun with another setting of preprocessing"):
        gc.audit(Classifier("flowers", model, CLASSES, preprocess=lambda batch: batch / 200), photos, tmp_path / "out")


def test_a_damaged_part_is_named_and_its_rows_are_made_once_more(network, photos, whole, tmp_path):
    shutil.copytree(whole.folder, tmp_path / "out")
    part = Path(rows.parts(tmp_path / "out")[-1])
    part.write_bytes(part.read_bytes()[:-9])
    with pytest.raises(gc.SettingError, match=f"{part.name}' is damaged. Delete it"):
        gc.audit(network, photos, tmp_path / "out", layers="stages")
    part.unlink()
    assert_same_rows(by_photo(gc.audit(network, photos, tmp_path / "out", layers="stages")), by_photo(whole))


def test_a_damaged_audit_json_and_one_of_another_version_are_refused(network, photos, whole, tmp_path):
    shutil.copytree(whole.folder, tmp_path / "out")
    about = tmp_path / "out" / "audit.json"
    content = json.loads(about.read_text())
    for text, sentence in [
        ("{", "is damaged, so that nobody knows"),
        (json.dumps({**content, "layers": 5}), "is damaged, so that nobody knows"),
        (json.dumps({**content, "format": 99}), "of another version"),
        (None, "whose audit.json is gone"),
    ]:
        about.unlink() if text is None else about.write_text(text)
        with pytest.raises(gc.SettingError, match=sentence):
            gc.audit(network, photos, tmp_path / "out", layers="stages")


def test_two_audits_at_once_do_not_write_into_one_folder(network, photos, tmp_path):
    def progress(done, total):
        with pytest.raises(gc.SettingError, match="Another audit is writing"):
            gc.audit(network, photos, tmp_path)
        raise StoppedError

    with pytest.raises(StoppedError):
        gc.audit(network, photos, tmp_path, progress=progress)


def test_what_concludes_an_audit_waits_for_nobody_else_to_write(network, photos, tmp_path):
    found = gc.audit(network, photos, tmp_path, report=False)
    told = []

    def progress_of(what):
        told.append(what)
        for again in (run.conclude, lambda *_: gc.audit(network, photos, tmp_path)):
            with pytest.raises(gc.SettingError, match="Another audit is writing"):
                again(found, network)

    assert run.conclude(found, network, progress_of).findings is not None
    assert told == ["classes", "counter-tests", "report"]


def test_a_folder_that_cannot_be_written_is_said(network, photos, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(gc.WriteError, match="cannot be written"):
        gc.audit(network, photos, tmp_path / "file" / "out")


def test_an_audit_does_not_lie_in_its_own_photos(network, photos):
    with pytest.raises(gc.SettingError, match="lies in that of the photos"):
        gc.audit(network, photos, photos / "audit")


def test_settings_that_a_cluster_or_one_machine_cannot_follow_are_refused(network, photos, tmp_path):
    for given, settings, sentence in (
        (network, {"loading": {"labels": CLASSES}}, "given by its name or its path"),
        ("VGG16", {"loading": {"weights": None}, "ray": True}, "Random weights are others on each machine"),
        (network, {"rows": "s3://bucket/rows"}, "written elsewhere by a cluster only"),
    ):
        with pytest.raises(gc.SettingError, match=sentence):
            gc.audit(given, photos, tmp_path / "out", **settings)
    assert not (tmp_path / "out").exists()


def test_rows_of_a_class_are_read_alone(whole):
    everything = by_photo(whole)
    of = {
        name: row["predicted_index"] if row["label"] is None else row["label_index"] for name, row in everything.items()
    }
    assert any(of[name] != row["predicted_index"] for name, row in everything.items() if not row["error"])
    for index in range(3):
        found = {row["photo"] for row in whole.rows(["photo"], of_class=index).to_pylist()}
        assert found == {name for name, own in of.items() if own == index}


def test_a_photo_whose_label_is_another_class_waits_for_eight_batches_at_most(network, tmp_path):
    items = list(listed(network, class_folders(tmp_path, {"daisy": 50})))
    asked = Asked(("conv2",), batch=2)
    predicted = {row["photo"]: row["predicted_index"] for row in Explainer(network, asked).rows(items)}
    labelled = [item._replace(label=predicted[item.photo]) for item in items]
    labelled[0] = labelled[0]._replace(label=(predicted[items[0].photo] + 1) % 3)
    order = [row["photo"] for row in Explainer(network, asked).rows(labelled)]
    assert sorted(order) == sorted(predicted)
    assert 2 < order.index(items[0].photo) <= 20


def test_rows_of_many_parts_are_those_of_one(network, photos, whole, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "PART_ROWS", 5)
    found = gc.audit(network, photos, tmp_path, layers="stages", batch=4)
    assert [Path(path).name for path in rows.parts(tmp_path)] == [f"part-{n:06}.parquet" for n in range(5)]
    assert_same_rows(by_photo(found), by_photo(whole))
    Path(rows.parts(tmp_path)[1]).unlink()  # what comes in its place overwrites no other
    assert_same_rows(by_photo(gc.audit(network, photos, tmp_path, layers="stages", batch=4)), by_photo(whole))


@pytest.mark.parametrize("settings", [{"method": "scorecam"}, {"method": "guided"}, {"smoothing": "flips"}], ids=str)
def test_methods_of_many_passes_are_those_of_explain(network, tmp_path, settings):
    folder = class_folders(tmp_path / "photos", {"daisy": 3, "tulip": 2})
    for name, row in by_photo(gc.audit(network, folder, tmp_path / "out", **settings)).items():
        expected = gc.explain(network, folder / name, None, "last", **settings)
        np.testing.assert_allclose(row["map"], expected.maps["conv2"].raw.ravel(), atol=1e-5)
        if row["label"] != row["predicted"]:
            expected = gc.explain(network, folder / name, row["label"], "last", **settings)
            np.testing.assert_allclose(row["label_map"], expected.maps["conv2"].raw.ravel(), atol=1e-5)


def test_nothing_that_only_an_audit_needs_is_imported_before():
    code = "import sys, gradcam_core; print({'pyarrow', 'ray', 'sklearn', 'pandas', 'tensorflow'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, check=True)
    assert done.stdout.strip() == "set()"


def test_a_missing_package_is_named_with_what_installs_it(network, photos, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(gc.SettingError, match=r"needs pyarrow, .* pip install 'gradcam-explorer\[audit\]'"):
        gc.audit(network, photos, tmp_path)


def test_heat_of_a_real_network_lies_in_the_boxes_more_than_their_size_says(shared, tmp_path):
    """A first audit, without labels, says which of a photo's things the network has among its five; a second counts."""
    objects = {one["photo"]: one["objects"] for one in json.loads((shared / "boxes" / "boxes.json").read_text())}
    (tmp_path / "photos").mkdir()
    for name in list(objects)[:48]:
        (tmp_path / "photos" / name).symlink_to(shared / "boxes" / "photos" / name)
    network = gc.load("EfficientNetLite0")
    table, areas = [], {}
    for name, row in by_photo(gc.audit(network, tmp_path / "photos", tmp_path / "first")).items():
        for one in objects[name]:
            known = [index for index in row["top_indices"] if index in one["imagenet"]]
            if known and one["area"] < 0.5 and name not in areas:
                table.append({"path": name, "label": known[0], "boxes": json.dumps(one["boxes"])})
                areas[name] = one["area"]
    pd.DataFrame(table).to_csv(tmp_path / "table.csv", index=False)
    found = by_photo(gc.audit(network, tmp_path / "table.csv", tmp_path / "second", root=tmp_path / "photos"))
    inside = {name: row["inside"] if row["label_map"] is None else row["label_inside"] for name, row in found.items()}
    assert len(inside) == len(areas) > 15
    assert np.mean(list(inside.values())) > 1.5 * np.mean(list(areas.values()))
