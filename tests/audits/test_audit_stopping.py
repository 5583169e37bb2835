"""An audit that is ended from outside: by Ctrl-C, by a kill, by a full disk. What was written stays."""

import signal
import subprocess
from pathlib import Path

import pytest
from audited import CLASSES, assert_same_rows, by_photo, class_folders, flower_model
from serving import run

import gradcam_core as gc
from gradcam_core.audits import rows
from gradcam_core.cli import main as cli
from gradcam_core.networks.classifier import Classifier

# Runs the command, and sends itself a signal when its bar is to show 13 photos or more.
ENDED = """
import os, sys
from gradcam_core.audits import run
from gradcam_core.cli import audit, main

class Bar(audit.tqdm):
    def update(self, n=1):
        if n >= 13:  # it shows nothing here, so that it never gets ahead
            os.kill(os.getpid(), int(sys.argv[1]))

run.PART_ROWS = 5
audit.tqdm = Bar
sys.exit(main.main(sys.argv[2:]))
"""


@pytest.fixture(scope="module")
def given(tmp_path_factory):
    folder = tmp_path_factory.mktemp("stopping")
    class_folders(folder / "photos", {"daisy": 11, "golden_retriever": 8, "tulip": 9})
    flower_model().save(folder / "flowers.keras")
    (folder / "labels.txt").write_text("\n".join(CLASSES))
    return folder


def command(given: Path, out: Path) -> list[str]:
    return [
        "audit", str(given / "photos"), "--network", str(given / "flowers.keras"),
        "--labels", str(given / "labels.txt"), "--out", str(out), "--batch", "4", "--rows-only",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def whole(given):
    network = Classifier("flowers", flower_model(), CLASSES)
    return by_photo(gc.audit(network, given / "photos", given / "whole"))


@pytest.mark.parametrize(("number", "code", "kept"), [(signal.SIGINT, 130, 13), (signal.SIGKILL, -9, 10)])
def test_what_was_written_stays_and_the_same_command_goes_on(given, whole, tmp_path, capfd, number, code, kept):
    out = tmp_path / "out"
    (tmp_path / "ended.py").write_text(ENDED)
    ended = run([str(tmp_path / "ended.py"), str(int(number)), *command(given, out)])
    assert ended.returncode == code, ended.stderr
    if number == signal.SIGINT:
        assert ended.stderr.splitlines()[-1] == "gradcam: stopped."
        assert "Traceback" not in ended.stderr
    assert sum(map(len, rows.photos_in(out))) == kept
    assert cli.main(command(given, out)) == 0
    assert capfd.readouterr().out == f"28 photos: rows in {out / 'rows'}\n"
    assert_same_rows(by_photo(gc.Audit(out, 28, 0)), whole)


def test_a_full_disk_is_a_sentence_and_loses_nothing(given, whole, tmp_path, capfd):
    out = tmp_path / "disk"
    out.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=12k", "tmpfs", str(out)]
    if subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("needs to mount a small disk")
    try:
        assert cli.main(command(given, out)) == 1
        said = capfd.readouterr().err
        assert said == f"gradcam: The folder {str(out / 'rows')!r} cannot be written: No space left on device.\n"
        assert [path.name for path in sorted(out.rglob("*"))] == [".lock", "audit.json", "rows"]
        subprocess.run(["mount", "-o", "remount,size=1m", str(out)], check=True)
        assert cli.main(command(given, out)) == 0
        assert_same_rows(by_photo(gc.Audit(out, 28, 0)), whole)
    finally:
        subprocess.run(["umount", str(out)], check=True)
