"""The names of `gradcam_core.trust`, under the name that it had at first."""

from .trust import *  # noqa: F403
