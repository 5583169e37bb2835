"""The errors of this package: one family, each message a sentence that its reader can act on."""


class GradcamError(Exception):
    """What every error of this package derives from; its text is written for the person who asked."""


class PhotoError(GradcamError):
    """The photo cannot be read: damaged, empty, too large, or not a picture."""


class NetworkError(GradcamError):
    """The network is unknown, or is not an image classifier that can be explained."""


class WeightsError(NetworkError):
    """The weights of a network cannot be fetched or read."""


class TargetError(GradcamError):
    """The class asked for is unknown or ambiguous."""


class LayerError(GradcamError):
    """A layer asked for does not exist or has no map to show."""


class WriteError(GradcamError):
    """A folder cannot be written: it is full, read-only, or no folder."""


class SettingError(GradcamError):
    """A setting (score, method, colour map, opacity, ...) is outside what is possible."""
