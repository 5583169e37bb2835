"""``gradcam audit``: what is set in the shell reaches the audit, and what came of it is said."""

import json
from pathlib import Path

import pytest
from audited import CLASSES, flower_model, save_photo

from gradcam_core.cli.main import main


@pytest.fixture
def command(tmp_path) -> list[str]:
    """An audit of three photos and a file that is none, which lie elsewhere than the table that lists them."""
    flower_model().save(tmp_path / "flowers.keras")
    (tmp_path / "labels.txt").write_text("\n".join(CLASSES))
    for i in range(3):
        save_photo(tmp_path / "elsewhere" / f"{i}.png", i)
    (tmp_path / "elsewhere" / "bad.png").write_text("This is not a picture.")
    (tmp_path / "table.csv").write_text("path,label\n0.png,daisy\n1.png,tulip\n2.png,daisy\nbad.png,tulip\n")
    network = ["--network", tmp_path / "flowers.keras", "--labels", tmp_path / "labels.txt"]
    given = ["audit", tmp_path / "table.csv", *network, "--root", tmp_path / "elsewhere", "--out", tmp_path / "out"]
    return [str(word) for word in given]


def settings(folder: Path) -> dict:
    return json.loads((folder / "audit.json").read_text())["settings"]


def test_what_is_set_in_the_shell_reaches_the_audit(command, tmp_path, capfd):
    how = ["--layers", "conv1,conv2", "--method", "layercam", "--score", "probability", "--smoothing", "flips"]
    assert main([*command, *how, "--unlabelled", "--precision", "bfloat16", "--rows-only"]) == 0
    assert capfd.readouterr().out == f"4 photos, 1 of them failed: rows in {tmp_path / 'out' / 'rows'}\n"
    said = settings(tmp_path / "out")
    assert said["layers"] == ["conv1", "conv2"]
    assert (said["method"], said["score"], said["smoothing"]) == ("layercam", "probability", "flips")
    assert (said["labelled"], said["precision"]) == (False, "bfloat16")
    assert not (tmp_path / "out" / "report.html").exists()


def test_without_more_words_the_last_layer_is_audited_for_the_labels_too_and_a_report_written(command, tmp_path, capfd):
    assert main(command) == 0
    first, *_, last = capfd.readouterr().out.splitlines()
    assert first == f"4 photos, 1 of them failed: rows in {tmp_path / 'out' / 'rows'}"
    assert last == f"More in {tmp_path / 'out' / 'report.html'}"
    assert (tmp_path / "out" / "report.html").exists()
    said = settings(tmp_path / "out")
    assert (said["layers"], said["method"], said["labelled"], said["precision"]) == (
        ["conv2"],
        "gradcam",
        True,
        "float32",
    )
