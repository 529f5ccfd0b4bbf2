"""Packages that sopnb does without until somebody asks for what they do."""

from __future__ import annotations

import importlib
from typing import Any

from sopnb.errors import MissingPackage


def optional(module: str, extra: str) -> Any:
    """Return a module of a package that need not be installed; ``extra`` of sopnb brings it.

    Raises ``MissingPackage`` saying how to install it. A package that is there and cannot be imported says so itself.

    >>> optional("json.decoder", "polars").JSONDecoder().decode("[1]")
    [1]
    """
    package = module.partition(".")[0]
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] != package:
            raise
        raise MissingPackage(package, extra) from None
