"""The command line: ``gradcam``, or ``python -m gradcam_core``."""
