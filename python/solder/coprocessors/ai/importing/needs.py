"""Packages that only importing needs: loaded when asked for, and one clear error where one is absent."""

import importlib
from types import ModuleType

from solder.errors import InputError

__all__ = ["EXTRA", "needed"]

EXTRA = "solder-evm[models]"


def needed(name: str) -> ModuleType:
    """The module ``name``.

    Raises:
        InputError: it is not installed; the message names the extra that brings it.

    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.split(".")[0] != name.split(".", maxsplit=1)[0]:
            raise
        raise InputError(f"importing needs the package {name!r}: pip install '{EXTRA}'") from None
