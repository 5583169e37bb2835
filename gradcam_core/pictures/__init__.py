"""Heat maps as pictures, from arrays alone: colours, overlays, contact sheets, and the files of a saved explanation."""

from pathlib import Path

SCRIPTS = Path(__file__).parent / "scripts"
"""The same in a browser: scripts that draw, and know no page. They are joined, or loaded one by one from a file."""
