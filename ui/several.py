"""The answers to a strip of several photos: another one is looked at, or what is in one is said without showing it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData

import gradcam_core as gc

from .layer_grid import base64_of, kept_photo, levels_of
from .more import More
from .photo_input import TITLE, UPLOAD, Turned, is_upload
from .sentences import answering, refusal
from .showing import PROGRESS, Shown, is_index, wish_of


class Several(More):
    """What a visitor does with several photos.

    The browser has the list and names one by its uploaded file, as `PhotoInput` does, under the same guard. What is
    wrong with a photo is told to the strip and not raised: it concerns this photo alone.
    """

    @answering
    def turn(self, event: gr.EventData, shown: Shown, progress: gr.Progress = PROGRESS) -> tuple[Any, ...]:
        """Another of the photos -> photo, what is shown, and what the strip is told."""
        wish = wish_of(event)
        after = self._asked(wish, shown)
        if after is None:
            return (*(gr.skip(),) * 6, {"path": wish["path"], "gone": True})
        try:
            answer = self._explain(after, progress)
        except gc.PhotoError as error:
            return (*(gr.skip(),) * 6, {"path": wish["path"], "error": str(error)})
        return Turned(after.photo), after, *answer, self._said(wish, answer[-1][0])

    @answering
    def look(self, event: gr.EventData, shown: Shown) -> dict[str, Any]:
        """One of the photos, ahead of time or to stand beside the others -> what the strip is told.

        Ahead of time nothing is computed that takes more than one pass.
        """
        wish = wish_of(event)
        asked = self._asked(wish, shown)
        if asked is None:
            return {"path": wish["path"], "gone": True}
        if wish.get("ahead") and not shown.settings.is_one_pass:
            return {"path": wish["path"], "waits": True}
        try:
            (found,) = self._explanations(self._networks.load(asked.network), asked)
        except gc.PhotoError as error:
            return {"path": wish["path"], "error": str(error)}
        except gc.GradcamError as error:  # as it is set now; the photo may be as good as any
            return {"path": wish["path"], "key": wish.get("key"), "refused": str(error)}
        return self._said(wish, found)

    def _asked(self, wish: dict[str, Any], shown: Shown) -> Shown | None:
        """What is shown with the photo that is wished for, and its own class or the one that is wished for too.

        None where the photo was unused for so long that it was cleared away.
        """
        path, target = wish.get("path"), wish.get("target")
        if not isinstance(path, str):
            raise gc.PhotoError("The photo is given by the file that was uploaded.")
        if target is not None and not is_index(target):
            raise gc.TargetError("The class is given by its index, a whole number.")
        if not is_upload(path, self._cache):
            raise refusal(UPLOAD, TITLE)
        if not Path(path).is_file():
            return None
        path = str(Path(path).resolve())
        return replace(shown, photo=path, target=target, beside=(), instead_of=None, before=None)

    def _said(self, wish: dict[str, Any], found: gc.Explanation) -> dict[str, Any]:
        """The class of a photo, and the map of one layer: the wished for, or the deepest."""
        *_, deepest = found.maps.values()
        heat_map = found.maps.get(str(wish.get("layer")), deepest)
        return {
            "path": wish["path"],
            "key": wish.get("key"),
            "name": found.target.name,
            "text": found.target.text,
            "layer": heat_map.layer.name,
            "heat": base64_of(levels_of(heat_map)),
            "cells": list(heat_map.raw.shape),
            "peak": heat_map.peak,
            "photo_size": list(found.photo.shape[:2]),
            "photo": FileData(path=kept_photo(found.photo, self._cache), orig_name="photo.jpg").model_dump(),
        }
