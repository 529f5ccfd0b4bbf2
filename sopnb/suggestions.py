"""Index specifications that suit a frame, as people ask for them and read them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, overload

from sopnb import display
from sopnb.errors import InvalidInput
from sopnb.fields import is_document
from sopnb.frames.arrow import adopt
from sopnb.index.suggest import Suggestion
from sopnb.index.suggest import suggest as found

MOST_LEFT_OUT = 12
"""So many columns that were left out are shown with their reasons."""


@dataclass(frozen=True, eq=False, repr=False)
class Suggestions(Sequence[Suggestion]):
    """Index specifications that suit a frame, the best first; each says whether its keys are unique, and why it is suggested.

    ``notes`` is what there is to say besides, such as columns that add nothing to a key; ``left_out`` names the columns that were not
    tried for unique keys, with the reasons. ``rows`` and ``columns`` are the size of the frame.
    """

    suggestions: tuple[Suggestion, ...]
    notes: tuple[str, ...]
    left_out: Mapping[str, str]
    rows: int
    columns: int

    @property
    def best(self) -> Suggestion:
        """The first one. Raises ``InvalidInput`` if no column can be a key."""
        if not self.suggestions:
            raise InvalidInput(f"there is nothing to suggest: {'; '.join(self.notes) or self._left_out or 'there is no column'}")
        return self.suggestions[0]

    @overload
    def __getitem__(self, index: int) -> Suggestion: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Suggestion, ...]: ...
    def __getitem__(self, index: int | slice) -> Suggestion | tuple[Suggestion, ...]:
        return self.suggestions[index]

    def __len__(self) -> int:
        return len(self.suggestions)

    @property
    def _left_out(self) -> str:
        told = [f"{display.clean(name)} ({why})" for name, why in list(self.left_out.items())[:MOST_LEFT_OUT]]
        more = len(self.left_out) - len(told)
        return f"left out: {', '.join(told)}{f' and {more:,} more' if more else ''}" if told else ""

    @property
    def _facts(self) -> tuple[str, ...]:
        rows = f"{self.rows:,} rows" if self.rows != 1 else "1 row"
        columns = f"{self.columns:,} columns" if self.columns != 1 else "1 column"
        return f"{len(self)} for {rows} of {columns}", *(display.clean(note, 400) for note in self.notes)

    def _panel(self) -> display.Panel:
        columns = (display.Column("index"), display.Column("unique"), display.Column("reason"))
        rows = tuple((display.clean(str(s.specification), 200), "yes" if s.unique else "no", display.clean(s.reason, 400)) for s in self)
        return display.Panel("Suggestions", "", self._facts, columns if rows else (), rows, self._left_out)

    def __repr__(self) -> str:
        first, *notes = self._facts
        lines = [f"Suggestions: {first}"]
        for s in self:
            lines += [f"  {display.clean(str(s.specification), 200)}", *_wrapped(display.clean(s.reason, 400), "      ")]
        for told in filter(None, (*notes, self._left_out)):
            lines += _wrapped(told, "  ")
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return display.html(self)


def suggest(data: Any, queries: Iterable[Any] | None = None, *, most: int = 5) -> Suggestions:
    """Return index specifications that suit a frame, ranked, with the reasons in words.

    ``data`` is a frame of pandas or polars, Arrow data, or a list of dicts; all its rows are looked at. The named index of a pandas
    frame is taken for a key that was thought of: it is told which of its columns add nothing. ``queries`` are what will be asked most, up
    to 32: each a column, several columns asked for by value, with ``-`` or ``+`` before those asked for in order after them, or a
    condition as text; what the best key does not serve gets an index of its own. At most ``most`` are returned.

    Unique keys come first, the narrowest before others and then those least likely to be so by chance, of columns that make good keys:
    neither floating point, nor free text, nor with nulls. Where there are none of these the others are tried, and at last what tells
    most rows apart is suggested as not unique. A unique key is minimal and is verified on all rows. Columns that follow from another, as
    the day from the hour, are left out in favour of it.

    The fields of a key go from few different values to many. A time leads where rows are events; where rows fill half of the grid of
    all combinations, as one measurement of each station in each hour, it comes last. Queries decide before that.

    The work is bounded: keys of up to 4 columns, of 40 columns (texts and times first, then those with the most values); 4,096
    combinations are tried on a sample of 16,384 rows, 64 on all; it is told if a limit was reached. It takes up to 4 bytes of memory for
    each row and column, and for a while some times what one column takes. Raises ``InvalidInput`` naming the column that a query has and
    the frame has not, or that cannot be read.

    >>> import pandas as pd
    >>> sensors = pd.DataFrame({"at": pd.to_datetime(["2024-01-01", "2024-01-02"] * 2), "sensor": [7, 7, 8, 8], "kelvin": [290.5] * 4})
    >>> suggest(sensors).best.specification
    IndexSpecification(sensor, at)
    >>> [s.specification for s in suggest(sensors, queries=["-at"])]
    [IndexSpecification(-at, sensor)]
    """
    table, names, _ = adopt(data)
    unfit = {field.name: "JSON documents" for field in table.schema if is_document(field)}
    result = found(table, queries, key=names or (), most=most, unfit=unfit)
    return Suggestions(result.suggestions, result.notes, result.left_out, table.num_rows, table.num_columns)


def _wrapped(text: str, indent: str) -> list[str]:
    return textwrap.wrap(text, display.TEXT_WIDTH, initial_indent=indent, subsequent_indent=indent + "  ", break_long_words=False)
