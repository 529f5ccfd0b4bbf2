"""What an engine does, and which one is used: the quick one where it can be installed, else the one in Python."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any, Protocol

from sopnb.errors import MissingPackage

Evaluate = Callable[[dict[str, Any]], Any]
"""Takes plain values by name, those that are missing left out, and returns a plain value: None for null and after an error.

Raises ``ValueError`` for a value that it cannot take, ``RecursionError`` for one that is nested too deep.
"""
ENGINES = {"cel-expr-python": "sopnb.cel.engines.native", "cel-python": "sopnb.cel.engines.python"}
"""The packages, the preferred one first, and the module that loads each."""


class Engine(Protocol):
    """A library that evaluates CEL. It gets text that was read, checked and bounded before; it never raises for what a record holds."""

    most_steps: int
    """Work beyond so many steps for one record is refused."""

    def program(self, text: str, kinds: Mapping[str, str]) -> Evaluate:
        """Return what evaluates a text whose variables are of these kinds. Raises ``ValueError`` if the engine will not have it."""


@cache
def engine(name: str | None = None) -> Engine:
    """Return the engine of a package, or the first that is installed. Raises ``MissingPackage``."""
    for package, module in ENGINES.items():
        if name in (None, package):
            try:
                made: Engine = importlib.import_module(module).make()
            except ImportError:
                continue
            return made
    raise MissingPackage(name or next(iter(ENGINES)), "cel")
