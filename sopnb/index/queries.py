"""What is asked of an index, as far as its fields go: columns by value, then columns in order or by range."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sopnb.errors import InvalidInput
from sopnb.index.specification import IndexField, instead

_TOKENS = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"|\w+|[<>=!]=?|\S")
_RANGES = ("<", ">", "<=", ">=", ".")
_VALUES = ("==", "=", "in")


@dataclass(frozen=True, slots=True)
class Query:
    """Columns of which single values are asked for, ``equal``, and then those of which ranges or an order are, ``ordered``."""

    equal: tuple[str, ...]
    ordered: tuple[IndexField, ...] = ()

    @classmethod
    def of(cls, asked: Any, columns: Collection[str]) -> Query:
        """Return what is asked by a column, several of them, or a condition as text; a ``-`` or ``+`` before a column asks for its order.

        Raises ``InvalidInput`` naming the column that is not there.
        """
        if not isinstance(asked, str) and isinstance(asked, Iterable):
            return cls._of_columns(list(asked), columns)
        text = str(asked)
        if text in columns or text[1:] in columns:
            return cls._of_columns([text], columns)
        return cls._of_condition(text, columns)

    @classmethod
    def _of_columns(cls, names: list[Any], columns: Collection[str]) -> Query:
        equal, ordered = [], []
        for name in names:
            sign = name[:1] if isinstance(name, str) and name not in columns and name[:1] in ("-", "+") else ""
            bare = name[len(sign) :] if sign else name
            if bare not in columns:
                raise InvalidInput(f"there is no column {bare!r} to query; {instead(str(bare), columns)}")
            if sign:
                ordered.append(IndexField(bare, sign == "-"))
            else:
                equal.append(bare)
        if not names or len({*equal, *(field.name for field in ordered)}) < len(names):
            raise InvalidInput(f"the query {names!r} names no column, or one twice; name each once")
        return cls(tuple(equal), tuple(ordered))

    @classmethod
    def _of_condition(cls, text: str, columns: Collection[str]) -> Query:
        tokens = _TOKENS.findall(text)
        equal: dict[str, None] = {}
        ordered: dict[str, None] = {}
        for at, token in enumerate(tokens):
            if token in columns:
                beside = {tokens[at + 1] if at + 1 < len(tokens) else "", tokens[at - 1] if at else ""}
                if beside & set(_VALUES):
                    equal[token] = None
                elif beside & set(_RANGES):
                    ordered[token] = None
        if not equal and not ordered:
            raise InvalidInput(f"the query {text!r} compares no column; {instead(text, columns)}")
        return cls(tuple(equal), tuple(IndexField(name) for name in ordered if name not in equal))

    @property
    def names(self) -> tuple[str, ...]:
        """All columns that it asks for."""
        return (*self.equal, *(field.name for field in self.ordered))

    def served(self, fields: Sequence[IndexField], *, unique: bool, reverse: bool = True) -> bool:
        """Say whether one range of keys of an index answers it, in the order asked for, perhaps by reading in reverse."""
        names = [field.name for field in fields]
        if unique and set(names) <= set(self.equal):
            return True
        head = len(self.equal)
        tail = fields[head : head + len(self.ordered)]
        if set(names[:head]) != set(self.equal) or [f.name for f in tail] != [f.name for f in self.ordered]:
            return False
        ways = {f.descending != wanted.descending for f, wanted in zip(tail, self.ordered, strict=True)}
        return not any(ways) or (reverse and all(ways))

    def __str__(self) -> str:
        return ", ".join((*self.equal, *map(str, self.ordered)))
