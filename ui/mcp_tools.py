"""`/predict` and `/explain` as tools of the Model Context Protocol: what Gradio's own server leaves undone."""

import json
from typing import Any

import gradio.mcp
from gradio_client.utils import is_file_obj_with_meta


class ToolServer(gradio.mcp.GradioMCPServer):
    """Gradio's server of tools; its answers are JSON and pictures."""

    def postprocess_output_data(self, data: Any, root_url: str) -> list[Any]:  # noqa: ANN401
        """An answer's values as blocks of content: a picture, a file's address, or JSON.

        Gradio hands over several values as a single one where the client wants no progress, and writes values as
        Python does.
        """
        if len(data) == 1 and any(map(is_file_obj_with_meta, data[0])):
            data = data[0]
        values = [value if is_file_obj_with_meta(value) else json.dumps(value) for value in data]
        return super().postprocess_output_data(values, root_url)


def install() -> None:
    """Let ``launch(mcp_server=True)`` use this server."""
    gradio.mcp.GradioMCPServer = ToolServer  # type: ignore[misc]
