"""Packages that only audits need, and what to say where they are not installed."""

import importlib
from types import ModuleType

from ..errors import SettingError


def needed(module: str, extra: str = "audit") -> ModuleType:
    """A module of a package that an extra of this project installs.

    Args:
        module: its name, such as "pyarrow.parquet".
        extra: "audit" or "ray".

    Raises:
        SettingError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0].replace("sklearn", "scikit-learn")
        raise SettingError(
            f"An audit needs {package}, which is not installed: pip install 'gradcam-explorer[{extra}]'."
        ) from error
