"""The arguments of a message, each asked for by name and type. Anything else is refused as ``invalid``, naming the argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from sopnb.view.refusal import invalid

T = TypeVar("T")
LARGEST = 1 << 53
"""What a browser counts with is smaller than this."""
_NEEDED: Any = object()


class Arguments:
    """The arguments of one message, or a part of them."""

    def __init__(self, given: Any, what: str = "args") -> None:
        if not isinstance(given, Mapping) or not all(isinstance(name, str) for name in given):
            raise invalid(f"{what} is an object of named values")
        self._given, self._what = given, what

    def has(self, name: str) -> bool:
        """Say whether an argument is given and not null."""
        return self._given.get(name) is not None

    def any(self, name: str) -> Any:
        """Return an argument of any type, that must be given; null is one."""
        if name not in self._given:
            raise invalid(f"{self._what} needs {name!r}")
        return self._given[name]

    def _typed(self, name: str, kinds: type | tuple[type, ...], said: str, default: T) -> Any:
        value = self._given.get(name)
        if value is None:
            if default is _NEEDED:
                raise invalid(f"{self._what} needs {name!r}, {said}")
            return default
        if not isinstance(value, kinds) or (isinstance(value, bool) and kinds is not bool):
            raise invalid(f"{name!r} must be {said}")
        return value

    def text(self, name: str, default: Any = _NEEDED) -> Any:
        """Return text."""
        return self._typed(name, str, "text", default)

    def flag(self, name: str, default: Any = _NEEDED) -> Any:
        """Return true or false."""
        return self._typed(name, bool, "true or false", default)

    def items(self, name: str, default: Any = _NEEDED) -> Any:
        """Return a list."""
        return self._typed(name, list, "a list", default)

    def names(self, name: str, default: Any = _NEEDED) -> Any:
        """Return a list of texts, each once."""
        found = self.items(name, default)
        if found is default:
            return default
        if not all(isinstance(each, str) for each in found) or len(set(found)) < len(found):
            raise invalid(f"{name!r} must be a list of names, each once")
        return tuple(found)

    def part(self, name: str, default: Any = _NEEDED) -> Arguments:
        """Return an object of named values."""
        return Arguments(self._typed(name, Mapping, "an object of named values", default), name)

    def number(self, name: str, default: Any = _NEEDED, *, least: int = 0, most: int = LARGEST) -> Any:
        """Return a whole number from ``least`` to ``most``."""
        value = self._typed(name, (int, float), "a whole number", default)
        if not self.has(name):
            return default
        if not least <= value <= most or value != int(value):
            raise invalid(f"{name!r} must be a whole number from {least:,} to {most:,}")
        return int(value)

    @property
    def given(self) -> Mapping[str, Any]:
        """What was given, as it is."""
        return self._given
