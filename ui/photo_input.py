"""`PhotoInput`: a `gr.Image` that hands over the path of a file the visitor has uploaded, and nothing else."""

from pathlib import Path
from typing import Any

import gradio as gr
from gradio.data_classes import FileData, ImageData
from gradio_client.utils import is_http_url_like

TITLE = "This picture cannot be used"
UPLOAD = "Upload the picture as a file."
_TURNED = "image/x-turned-to"


class Turned(str):
    """The path of a photo that the page itself puts into the field, one of several: nobody has chosen it there.

    Gradio tells of every change of the field, of this one too, and maybe when the next photo is shown already.
    """


class PhotoInput(gr.Image):
    """A photo by drop, click, paste or webcam, as the path of the uploaded file.

    `gr.Image` opens whatever path the caller sends when the payload has no "meta", fetches web addresses, and decodes
    before any limit is checked (and GIF, 16-bit and transparent pictures wrongly). This takes only files inside
    Gradio's upload folder and decodes nothing: that is `gradcam_core.read_image`'s work.
    """

    def __init__(self, **kwargs: Any) -> None:  # noqa: ANN401
        super().__init__(type="filepath", **kwargs)

    def get_block_name(self) -> str:
        return "image"  # the browser's side is Gradio's own

    def get_config(self, cls: type | None = None) -> dict[str, Any]:
        return super().get_config(gr.Image)  # the names of the props come from the signature of __init__

    def check(self, payload: object) -> None:
        """Refuse what is no file's description, before Gradio looks into it.

        Raises:
            gr.Error: the payload is neither None nor {"path": text, "meta": {"_type": "gradio.FileData"}}.
        """
        if payload is None:
            return
        try:
            if not isinstance(payload, dict) or not isinstance(payload.get("meta"), dict):
                raise TypeError
            path = FileData.model_validate(payload, context={"validate_meta": True}).path
            is_known = is_http_url_like(path) or self._is_uploaded(path)
        except (TypeError, ValueError, OSError) as error:
            raise _refusal(f"{UPLOAD} In Python: image=gradio_client.handle_file(path).") from error
        if not is_known:
            raise _refusal(UPLOAD)

    def _is_uploaded(self, path: str) -> bool:
        return is_upload(path, self.GRADIO_CACHE)

    def preprocess(self, payload: ImageData | None) -> str | None:
        """The path of the uploaded file; None where there is no photo, or the page itself has put it there.

        Raises:
            gr.Error: the payload is not an uploaded file, or that file is gone.
        """
        if payload is None or payload.mime_type == _TURNED:
            return None
        if not payload.path or not self._is_uploaded(payload.path):
            raise _refusal(UPLOAD)
        path = Path(payload.path).resolve()
        if not path.is_file():
            raise _refusal("The uploaded file is no longer here. Choose the picture again.")
        return str(path)

    def postprocess(self, value: Any) -> Any:  # noqa: ANN401
        """What the browser gets of a path; it hands back whether that was `Turned`."""
        data = super().postprocess(value)
        if isinstance(value, Turned) and isinstance(data, ImageData):
            data.mime_type = _TURNED
        return data

    async def async_move_resource_to_block_cache(self, url_or_file_path: str | Path | None) -> str | None:
        """Keep Gradio from fetching a web address on the visitor's behalf."""
        if url_or_file_path and is_http_url_like(str(url_or_file_path)):
            raise _refusal("Web addresses are not fetched. Save the picture and upload the file.")
        return await super().async_move_resource_to_block_cache(url_or_file_path)

    def example_payload(self) -> dict[str, Any]:
        return {"path": "photo.jpg", "meta": {"_type": "gradio.FileData"}}

    def example_value(self) -> str:
        return "photo.jpg"


def is_upload(path: str, cache: str) -> bool:
    """Whether a path, whoever names it, leads into the upload folder."""
    try:
        whole = Path(path).resolve()
        whole.is_file()
    except (ValueError, OSError):  # no file can be called so
        return False
    return whole.is_relative_to(Path(cache).resolve())


def _refusal(sentence: str) -> gr.Error:
    return gr.Error(sentence, title=TITLE, print_exception=False)
