"""Heat maps as pictures, from arrays alone: colours, overlays, contact sheets, and the files of a saved explanation."""
