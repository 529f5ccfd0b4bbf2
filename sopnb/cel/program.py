"""An expression that is ready to be used over the records of a store."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pyarrow as pa

from sopnb.cel.binding import bound, stored
from sopnb.cel.checking import Scope, checked
from sopnb.cel.engines.engine import Engine, Evaluate, engine
from sopnb.cel.parser import parsed
from sopnb.cel.refusal import refusal
from sopnb.cel.rendering import Rendered, rendered, told
from sopnb.cel.translation import TYPES, translated
from sopnb.cel.tree import Call, Column, Macro, Missing, Node, Select, everything
from sopnb.cel.vectorised import evaluated
from sopnb.cel.work import MOST_SIZE, Extent, loops, widest, work
from sopnb.errors import InvalidInput
from sopnb.fields import one_array

CHUNK_ROWS = 4096
"""So many records at a time are values of Python."""


@dataclass(frozen=True, eq=False)
class Program:
    """A CEL expression over columns of known types.

    Null is *unknown*, not CEL's null: a column that is null is not there for the engine, so that ``&&`` and ``||`` are those of three
    values and any other use of it is unknown. An expression that errs for a record (an overflow, an element that is not there) is unknown
    for it. ``x == null`` and ``x != null``, with a column or a field of one, ask whether it is missing. Both engines, and Arrow where the
    expression has a translation, give the same; ``checking`` says of what kind columns are.

    >>> program = Program.of("seats > 100 && maker.startsWith('B')", {"seats": pa.int32(), "maker": pa.string()})
    >>> program.values(pa.table({"seats": [150, 55, 150, None], "maker": ["BOEING", "BOEING", None, "AIRBUS"]})).to_pylist()
    [True, False, None, False]
    """

    text: str
    tree: Node
    scope: Scope
    using: Engine | None = None

    @classmethod
    def of(
        cls,
        text: str,
        columns: Mapping[str, Any],
        parameters: Mapping[str, Any] | None = None,
        *,
        documents: Collection[str] = (),
        using: Engine | None = None,
    ) -> Program:
        """Return a program of a text over columns of Arrow types; ``documents`` are those whose text is JSON.

        ``using`` is the engine for what Arrow cannot say, by default the first that is installed. Raises ``InvalidInput`` with line, column
        and a mark for what cannot be read, means nothing, or is beyond a limit.
        """
        scope = Scope(columns, frozenset(documents), parameters or {})
        return cls(text, checked(parsed(text), text, scope), scope, using)

    def ready(self) -> Program:
        """Return the program itself when all that it needs is there. Raises ``MissingPackage``, or ``InvalidInput`` as its engine does."""
        if self.expression is None:
            self._evaluate  # noqa: B018 - made now rather than at the first record
        return self

    def knowing(self, columns: Mapping[str, Column]) -> Program:
        """Return the same program, in which a part that reads like one of these is the column that holds its values already."""
        return replace(self, tree=_known(self.tree, columns))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """The columns that it looks at."""
        below = (each.column if isinstance(each, Missing) else each for each in everything(self.tree))
        return tuple(dict.fromkeys(each.path[0] for each in below if isinstance(each, Column)))

    @property
    def kind(self) -> str:
        """CEL's type of its values; "dyn" if it differs from record to record."""
        return self.tree.kind

    @property
    def type(self) -> Any:
        """The Arrow type of its values. Raises ``InvalidInput`` for a list, a map, or what is known only when a record is there."""
        kind = TYPES.get(self.kind)
        if kind is None:
            remedy = "say which with int(), double(), string() ..." if self.kind == "dyn" else "take a member or a field of it"
            raise refusal(self.text, self.tree.at, f"the value of the expression is of type {self.kind}; {remedy}")
        return kind

    @cached_property
    def expression(self) -> Any:
        """The same as a ``pyarrow.compute`` expression, None if Arrow cannot say it."""
        return translated(self.tree)

    @cached_property
    def conjuncts(self) -> tuple[Program, ...]:
        """Conditions that are all true where this one is, and only there."""
        if isinstance(self.tree, Call) and self.tree.function == "_&&_":
            return tuple(part for each in self.tree.arguments for part in replace(self, tree=each).conjuncts)
        return (self,)

    @cached_property
    def residual(self) -> Program | None:
        """The conjunction of what Arrow cannot say, None if it can say all."""
        rest = tuple(each.tree for each in self.conjuncts if each.expression is None)
        if len(rest) < 2:
            return replace(self, tree=rest[0]) if rest else None
        return replace(self, tree=Call("_&&_", rest, self.tree.at, kind="bool"))

    def values(self, table: Any) -> Any:
        """Return its values for the rows of a table of physical columns, as one array; null where it is unknown.

        Raises ``InvalidInput`` if a record holds so much that the work would be beyond the limit.
        """
        return self.by_row(table) if self.expression is None else one_array(evaluated(self.expression, table)).cast(self.type)

    def by_row(self, table: Any) -> Any:
        """Return the same values from the engine, record by record. Raises as ``values`` does."""
        type = self.type if self.kind != "dyn" else pa.bool_()
        kind = "bool" if self.kind == "dyn" else self.kind
        parts = []
        for start in range(0, table.num_rows, CHUNK_ROWS):
            try:
                values = [stored(value, kind) for value in self._each(table.slice(start, CHUNK_ROWS))]
            except RecursionError:
                raise InvalidInput(f"the expression {self.text[:200]!r} meets what is nested too deep for it") from None
            except InvalidInput:
                raise
            except ValueError as error:
                raise InvalidInput(f"the expression {self.text[:200]!r} cannot be evaluated for every record: {error}") from None
            parts.append(pa.array(values, type))
        return pa.concat_arrays(parts) if parts else pa.array([], type)

    @cached_property
    def _rendered(self) -> Rendered:
        return rendered(self.tree)

    @cached_property
    def _engine(self) -> Engine:
        return self.using or engine()

    @cached_property
    def _evaluate(self) -> Evaluate:
        said = self._rendered
        self._bounded({})
        try:
            return self._engine.program(said.text, {name: each.kind for name, each in said.variables.items()})
        except ValueError as error:
            raise refusal(self.text, self.tree.at, f"the expression cannot be evaluated: {error}") from None

    def _each(self, table: Any) -> Iterator[Any]:
        """Yield the plain values of a few rows."""
        evaluate, names = self._evaluate, tuple(self._rendered.variables)
        columns = bound(table, self._rendered.variables)
        if loops(self.tree):
            given = {each.path: columns[name] for name, each in self._rendered.variables.items() if isinstance(each, Column)}
            self._bounded({path: widest(values) for path, values in given.items()})
        if not names:
            yield from [evaluate({})] * table.num_rows
            return
        for row in zip(*columns.values(), strict=True):
            yield evaluate({name: value for name, value in zip(names, row, strict=True) if value is not None})

    def _bounded(self, extents: Mapping[tuple[str, ...], Extent]) -> None:
        size, steps = work(self.tree, extents)
        most = self._engine.most_steps
        if steps > most or size > MOST_SIZE:
            held = f" for a record whose values have up to {max(each.members for each in extents.values()):,} members" if extents else ""
            limit = f"{steps:,} steps of {most:,}" if steps > most else f"values of {size:,} characters of {MOST_SIZE:,}"
            raise InvalidInput(f"the expression {self.text[:200]!r} may take {limit}{held}; put fewer loops within each other")

    def __str__(self) -> str:
        return told(self.tree)


def _known(node: Node, columns: Mapping[str, Column]) -> Node:
    found = columns.get(told(node)) if isinstance(node, Call) else None
    if found is not None and found.kind == node.kind:
        return found
    match node:
        case Call():
            return replace(node, arguments=tuple(_known(each, columns) for each in node.arguments))
        case Select():
            return replace(node, operand=_known(node.operand, columns))
        case Macro():  # what is beneath may speak of the variable, and is then no column
            return replace(node, range=_known(node.range, columns))
    return node
