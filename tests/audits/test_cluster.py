"""Ray for real, on this machine: a worker is killed in the middle, the run goes on, and the rows are the same."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from audited import CLASSES, assert_same_rows, by_photo, class_folders, flower_model

import gradcam_core as gc
from gradcam_core.audits import rows
from gradcam_core.networks.classifier import Classifier

SETTINGS = {"ray": True, "cpus": 1, "batch": 2, "loading": {"labels": CLASSES}}

KILLED_ONCE = """
import json, os, signal, sys, psutil
import gradcam_core as gc

killed = []
def progress(done, total):
    workers = [p for p in psutil.Process().children(recursive=True) if "MapWorker" in p.name()]
    if done and done < total and workers and not killed:
        os.kill(workers[0].pid, signal.SIGKILL)
        killed.append(done)

photos, out, network, settings = sys.argv[1:]
found = gc.audit(network, photos, out, progress=progress, **json.loads(settings))
print(json.dumps([killed, found.photos, found.failed]))
"""

IN_MEMORY = """
import sys, threading
import gradcam_core as gc

photos, out, path = sys.argv[1:]
network = gc.load(path, labels=["a", "b", "c"], preprocess=lambda x: x[:, ::-1] / 2)
gc.audit(network, photos, out, ray=True, cpus=1, report=False)
lock = threading.Lock()
try:
    gc.audit(gc.load(path, preprocess=lambda x: lock and x), photos, out + "2", ray=True)
except gc.SettingError as error:
    print(error)
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


def test_a_network_in_memory_is_copied_to_the_workers_with_its_names_and_preprocessing(given):
    photos = given / "photos" / "tulip"
    run = [sys.executable, "-c", IN_MEMORY, photos, given / "memory", given / "flowers.keras"]
    done = subprocess.run([*map(str, run)], capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert re.fullmatch(r"flowers cannot be sent to the cluster's machines: .*lock.* Save it, and .*\n", done.stdout)
    network = gc.load(given / "flowers.keras", labels=["a", "b", "c"], preprocess=lambda x: x[:, ::-1] / 2)
    local = gc.audit(network, photos, given / "local memory", report=False)
    assert_same_rows(by_photo(gc.Audit(given / "memory", 70, 0)), by_photo(local))
