"""Whose turn it is: the frames of cameras wait for photos, but not for what takes long."""

import cv2
import gradio as gr
from tiny_networks import noise, oblong_network

from ui import api
from ui.choices import Networks
from ui.showing import Shown
from ui.turns import Turns
from ui.visit import Steps


class Counted(Turns):
    """Counts the photos that had their turn."""

    count = 0

    def photo(self):
        self.count += 1
        return super().photo()


def test_frames_wait_for_photos_that_take_one_pass_and_for_no_longer_ones(tmp_path, monkeypatch):
    monkeypatch.setenv("GRADIO_TEMP_DIR", str(tmp_path))
    path, networks, turns = tmp_path / "photo.png", Networks("oblong.keras", oblong_network("softmax")), Counted()
    cv2.imwrite(str(path), noise(20))
    with gr.Blocks() as blocks:
        api.add(networks, turns)
    call = {fn.api_name: fn.fn for fn in blocks.fns.values()}
    call["predict"](str(path), "oblong", 1)
    assert turns.count == 1
    call["explain"](str(path), "oblong")
    assert turns.count == 2
    steps = Steps(networks, str(tmp_path), turns)
    shown, *_ = steps.photo(str(path), Shown("oblong"))
    assert turns.count == 3
    call["explain"](str(path), "oblong", layers="last", method="scorecam")
    steps.method("scorecam", shown)
    steps.smoothing("noise", shown)
    call["test"](str(path), "oblong", layers="last", steps=2)
    assert turns.count == 3
