"""What a kind of file can do: be scanned, read and written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypeVar

Refuse = Callable[[Any], object]
"""Takes a table of rows that cannot be read, with their ``_reason``."""
C = TypeVar("C", bound="Column")


class Column(Protocol):
    """What is known of a column whose type is found by reading."""

    def join(self: C, other: C) -> C:
        """Return what is known from two parts of it."""
        ...

    def field(self, name: str) -> Any:
        """Return the Arrow field that holds all of its values."""
        ...


@dataclass
class Passing:
    """Going through a file: ``at`` is called with the bytes of it that were read; ``refuse`` takes bad rows, None raises instead."""

    at: Callable[[int], object] = lambda passed: None
    refuse: Refuse | None = None


@dataclass(frozen=True)
class Found:
    """What a scan found: the columns in order, each a ``Column`` or its Arrow field; the rows, None if not known; other facts.

    ``metadata`` is what the file says beyond its columns; ``block`` how much text must be parsed at a time; ``extra`` what reading needs.
    """

    columns: Mapping[str, Any]
    rows: int | None = None
    metadata: Mapping[bytes, bytes] = field(default_factory=dict)
    block: int | None = None
    extra: Any = None


@dataclass(frozen=True)
class Kind:
    """One kind of file.

    ``scan(path, types, passing)`` finds the columns, those that have a field in ``types`` without looking; ``read(path, schema, found,
    passing)`` yields batches of some columns, which then may be narrower than ``schema`` says; ``write(reader, sink)`` yields the rows
    of each batch that it wrote. ``text`` says that a file has no types of its own.
    """

    name: str
    suffixes: tuple[str, ...]
    scan: Callable[[Path, Mapping[str, Any], Passing], Found]
    read: Callable[[Path, Any, Found, Passing], Iterator[Any]]
    write: Callable[[Any, Any], Iterator[int]]
    text: bool = False
