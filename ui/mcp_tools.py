"""`/predict` and `/explain` as tools of the Model Context Protocol: what Gradio's own server leaves undone."""

import json
from typing import Any

import gradio.mcp
from gradio_client.utils import is_file_obj_with_meta


class ToolServer(gradio.mcp.GradioMCPServer):
    """Gradio's server of tools; its answers are JSON and pictures, and photos that came as text are cleared away."""

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:  # noqa: ANN401
        """An answer's values as blocks of content: a picture, a file's address, or JSON.

        Gradio hands over several values as a single one where the client wants no progress, and writes values as
        Python does.
        """
        if len(data) == 1 and any(map(is_file_obj_with_meta, data[0])):
            data = data[0]
        values = [value if is_file_obj_with_meta(value) else json.dumps(value) for value in data]
        return super().postprocess_output_data(values, root_url)

    def convert_strings_to_filedata(self, value: dict[str, Any], filedata_positions: list[list[str | int]]) -> Any:  # noqa: ANN401
        """A call's arguments with each file as Gradio describes files."""
        arguments = super().convert_strings_to_filedata(value, filedata_positions)
        texts = [name for name, text in value.items() if isinstance(text, str) and text.startswith("data:")]
        files = filter(is_file_obj_with_meta, map(arguments.get, texts))
        self.blocks.upload_file_set.update(file["path"] for file in files)  # for `delete_cache`
        return arguments


def install() -> None:
    """Let ``launch(mcp_server=True)`` use this server."""
    gradio.mcp.GradioMCPServer = ToolServer
