"""Ray for real, on this machine: a worker is killed in the middle, the run goes on, and the rows are the same."""

import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from audited import CLASSES, assert_same_rows, by_photo, class_folders, flower_model

import gradcam_core as gc
from gradcam_core.audits import cluster, listing, rows
from gradcam_core.networks.classifier import Classifier

SETTINGS = {"ray": True, "cpus": 1, "batch": 2, "loading": {"labels": CLASSES}}

KILLED_ONCE = """
import json, sys, psutil
from contextlib import suppress
import gradcam_core as gc

killed = []
def progress(done, total):
    for process in psutil.Process().children(recursive=True) if 0 < done < total and not killed else ():
        with suppress(psutil.NoSuchProcess):  # one of Ray's own that has just ended
            if "MapWorker" in process.name():
                process.kill()
                return killed.append(done)

photos, out, network, settings = sys.argv[1:]
found = gc.audit(network, photos, out, progress=progress, **json.loads(settings))
print(json.dumps([killed, found.photos, found.failed]))
"""

A_WORKER = """
import sys
import threading
from pathlib import Path
import pyarrow.parquet as parquet
from gradcam_core.audits.batches import Asked
from gradcam_core.audits.cluster import Worker

copy, photos, rows = map(Path, sys.argv[1:])
worker = Worker(copy.read_bytes(), {}, Asked(("conv2",)), 1)
parquet.write_table(worker(parquet.read_table(photos)), rows)
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    """A folder with a network in a file, and photos in class folders, one of them damaged."""
    folder = tmp_path_factory.mktemp("ray")
    class_folders(folder / "photos", {"daisy": 150, "golden_retriever": 120, "tulip": 70})
    (folder / "photos" / "daisy" / "bad.jpg").write_text("This is not a picture.")
    flower_model().save(folder / "flowers.keras")
    return folder


def test_a_worker_that_is_killed_costs_no_row_and_rows_are_those_of_one_machine(given):
    arguments = [given / "photos", given / "ray", given / "flowers.keras", json.dumps(SETTINGS)]
    run = [sys.executable, "-c", KILLED_ONCE, *map(str, arguments)]
    done = subprocess.run(run, capture_output=True, text=True, check=False, timeout=300, env=os.environ)
    assert done.returncode == 0, done.stderr
    killed, photos, failed = json.loads(done.stdout.splitlines()[-1])
    assert len(killed) == 1
    assert (photos, failed) == (341, 1)
    local = gc.audit(Classifier("flowers", flower_model(), CLASSES), given / "photos", given / "local")
    remote = gc.Audit(given / "ray", photos, failed)
    assert len(rows.parts(given / "ray")) > 4
    assert_same_rows(by_photo(remote), by_photo(local))

    # What is gone is made once more, here: a run goes on wherever it was begun.
    Path(rows.parts(given / "ray")[1]).unlink()
    assert len(remote.rows(["photo"])) < 341
    network = gc.load(given / "flowers.keras", labels=CLASSES)
    assert_same_rows(by_photo(gc.audit(network, given / "photos", given / "ray")), by_photo(local))


def loss_of_its_own(y_true, y_pred):
    return y_pred - y_true


def test_a_network_in_memory_is_copied_to_the_workers_with_its_names_and_preprocessing(given, tmp_path):
    model = flower_model()
    model.compile("adam", loss_of_its_own)  # which a worker does not know
    network = Classifier("flowers", model, ["a", "b", "c"], preprocess=lambda x: x[:, ::-1] / 2)
    photos = given / "photos" / "tulip"
    (table,) = cluster._tables(listing.listed(network, photos), 100)
    parquet.write_table(table, tmp_path / "photos.parquet")
    (tmp_path / "copy").write_bytes(cluster._copy(network))
    run = [sys.executable, "-c", A_WORKER, *(tmp_path / name for name in ("copy", "photos.parquet", "rows.parquet"))]
    subprocess.run(run, check=True, timeout=300)
    of = {row["photo"]: row for row in parquet.read_table(tmp_path / "rows.parquet").to_pylist()}
    assert_same_rows(of, by_photo(gc.audit(network, photos, tmp_path / "local", report=False)))


def test_a_network_that_cannot_be_copied_is_said(given, tmp_path):
    lock = threading.Lock()
    network = Classifier("flowers", flower_model(), CLASSES, preprocess=lambda x: lock and x)
    with pytest.raises(gc.SettingError, match=r"flowers cannot be sent .*: .*lock.* Save it, and give its path\."):
        gc.audit(network, given / "photos", tmp_path / "out", ray=True)
