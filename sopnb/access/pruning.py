"""What of a condition can be decided before records are read: a range of keys, and leaves that cannot hold a true row.

From the tree of a condition another one is made over the bounds of a leaf's columns, and Arrow evaluates that for all leaves of a
branch at once; so a bound is compared by the very rules by which the values are. It answers "may some row of this leaf make it true?",
and, beneath a negation, "... make it false?" (null makes it neither). Where nothing can be said of a part of the condition the answer is
yes: functions that are not known here, columns without bounds, NaN. Comparisons stay in one family of types, in which casts keep the
order of values.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce
from operator import and_, or_
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.access.condition import Call, Field, Literal, Node, both, tree
from sopnb.access.keyrange import NOTHING, KeyRange
from sopnb.cel.vectorised import evaluated
from sopnb.engine.statistics import Bounds
from sopnb.index import successor
from sopnb.schema import Schema
from sopnb.values import scalar_reader

MOST_RANGES = 16
"""A set of values is looked for as so many ranges at most."""
t = pa.types
_FLIPPED = {"equal": "equal", "not_equal": "not_equal", "less": "greater", "less_equal": "greater_equal", "greater": "less",
            "greater_equal": "less_equal"}  # fmt: skip
_OPPOSITE = {"equal": "not_equal", "not_equal": "equal", "less": "greater_equal", "less_equal": "greater", "greater": "less_equal",
             "greater_equal": "less"}  # fmt: skip
_FAMILIES: dict[str, Callable[[Any], bool]] = {
    "numbers": lambda kind: t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind),
    "texts": lambda kind: t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind),
    "bytes": lambda kind: t.is_binary(kind) or t.is_large_binary(kind) or t.is_binary_view(kind),
    "moments": lambda kind: t.is_timestamp(kind) and kind.tz is None,
    "moments in zones": lambda kind: t.is_timestamp(kind) and kind.tz is not None,
    "dates": t.is_date,
    "times": t.is_time,
    "durations": t.is_duration,
    "booleans": t.is_boolean,
}


@dataclass(frozen=True)
class Pushed:
    """What is decided before reading, for a condition on the records of a schema."""

    node: Node | None
    schema: Schema

    @classmethod
    def of(cls, condition: Any, schema: Schema) -> Pushed:
        """Return what can be decided of an expression."""
        return cls(tree(condition), schema)

    def __and__(self, other: Pushed) -> Pushed:
        """Return what is decided where both must hold."""
        if self.node is None or other.node is None:
            return other if self.node is None else self
        return Pushed(both(self.node, other.node), self.schema)

    def within(self, keys: KeyRange) -> Narrowed:
        """Return the part of a range of keys outside of which no record passes."""
        return Narrowed(keys, ()) if self.node is None else _narrowed(self.node, self.schema, keys)

    def told(self, keys: KeyRange) -> tuple[str, ...]:
        """Return what is decided before reading a range of keys, in words."""
        names = self.within(keys).names
        told = [f"keys by {', '.join(map(repr, names))}"] if names else []
        return (*told, f"leaves by the bounds of {', '.join(map(repr, self.leaves.columns))}") if self.leaves is not None else tuple(told)

    @cached_property
    def leaves(self) -> Leaves | None:
        """What says which leaves may hold a record that passes, None if any may."""
        if self.node is None:
            return None
        rules = _Rules(self.schema)
        may = rules.may(self.node, True)
        return None if may is None else Leaves(may, tuple(rules.columns))


@dataclass(frozen=True)
class Leaves:
    """Which leaves may hold a record that passes: the engine's ``Prune``. ``may`` is an expression over a table of bounds."""

    may: Any
    columns: tuple[str, ...]

    def keeps(self, bounds: Sequence[Bounds], entries: Sequence[int]) -> Any:
        """Return for each leaf whether it may."""
        columns = {"rows": pa.array(entries, pa.int64())}
        for at, each in enumerate(bounds):
            columns |= {f"{at} low": each.low, f"{at} high": each.high, f"{at} nulls": each.nulls, f"{at} known": each.known}
        try:
            return evaluated(self.may, pa.table(columns)).fill_null(True).to_numpy()
        except pa.ArrowException:  # a bound that cannot be compared; reading the records will tell
            return np.ones(len(entries), bool)


# -- leaves -------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Between:
    """The values that an operand may have in a leaf, of type ``kind``, as expressions over bounds: null where it has none.

    ``known`` is None if they are always known; ``nan`` says whether it may be NaN besides.
    """

    low: Any
    high: Any
    kind: Any
    known: Any = None
    nan: bool = False


class _Rules:
    """Makes of a condition an expression over bounds; None stands for yes. ``columns`` gathers whose bounds are looked at."""

    def __init__(self, schema: Schema) -> None:
        self._physical = schema.physical
        self.columns: dict[str, int] = {}

    def may(self, node: Node, wanted: bool) -> Any:
        """Return whether a row may make the condition true, or with ``wanted`` false make it false."""
        if isinstance(node, Literal):
            value = node.value.as_py()
            return None if value is wanted else pc.scalar(False)
        if isinstance(node, Field):
            return self._compared("equal", node, Literal(pa.scalar(True)), wanted)
        a = node.arguments
        match node.function:
            case "and_kleene" | "and" | "or_kleene" | "or" as function:
                parts = [self.may(each, wanted) for each in a]
                return _all(parts) if function.startswith("and") is wanted else _any(parts)
            case "invert":
                return self.may(a[0], not wanted)
            case "if_else":
                chosen, other = [self.may(a[0], True), self.may(a[1], wanted)], [self.may(a[0], False), self.may(a[2], wanted)]
                return _any([_all(chosen), _all(other)])
            case "is_null":
                return self._null(node, wanted)
            case "is_valid":
                return self._null(node, not wanted)
            case "is_in" if wanted:
                return self._in(node)
            case "starts_with" if wanted:
                return self._starts(node)
            case function if function in _FLIPPED:
                return self._compared(function, a[0], a[1], wanted)
        return None

    def _compared(self, function: str, left: Node, right: Node, wanted: bool) -> Any:
        if any(isinstance(each, Literal) and not each.value.is_valid for each in (left, right)):
            return pc.scalar(False)
        a, b = self._between(left), self._between(right)
        if a is None or b is None or _family(a.kind) != _family(b.kind):
            return None
        if (a.nan or b.nan) and (function == "not_equal") is wanted:
            return None
        match function if wanted else _OPPOSITE[function]:
            case "equal":
                found = (a.low <= b.high) & (b.low <= a.high)
            case "not_equal":
                found = (a.low != b.low) | (a.low != a.high) | (b.low != b.high)
            case "less":
                found = a.low < b.high
            case "less_equal":
                found = a.low <= b.high
            case "greater":
                found = a.high > b.low
            case _:
                found = a.high >= b.low
        return _if_known(found, a, b)

    def _in(self, node: Call) -> Any:
        a = self._between(node.arguments[0])
        members = None if a is None else _members(node, a.kind)
        if a is None or members is None:
            return None
        values, null = members
        step = -(-len(values) // MOST_RANGES) or 1
        found = pc.scalar(False)
        for start in range(0, len(values), step):
            some = values[start : start + step]
            found = found | ((a.low <= pc.scalar(some[-1])) & (a.high >= pc.scalar(some[0])))
        maybe = _if_known(found, a)
        return maybe | self._null(node, True) if null else maybe

    def _starts(self, node: Call) -> Any:
        a = self._between(node.arguments[0])
        if a is None or node.options is None or node.options["ignore_case"].as_py() or _family(a.kind) != "texts":
            return None
        pattern = node.options["pattern"].as_py()
        first = pc.scalar(pa.scalar(pattern, a.kind))
        return _if_known((a.high >= first) & ((a.low <= first) | pc.starts_with(a.low, pattern)), a)

    def _null(self, node: Call, wanted: bool) -> Any:
        at = self._number(node.arguments[0])
        if at is None:
            return None
        floating = t.is_floating(self._physical.field(node.arguments[0].path[0]).type)  # type: ignore[union-attr]
        if floating and node.options is not None and node.function == "is_null" and node.options["nan_is_null"].as_py():
            return None
        nulls = pc.field(f"{at} nulls")
        return ~pc.field(f"{at} known") | (nulls > 0 if wanted else nulls < pc.field("rows"))

    def _between(self, node: Node) -> _Between | None:
        if isinstance(node, Literal):
            value = node.value.as_py() if t.is_floating(node.value.type) else None
            constant = pc.scalar(node.value)
            return _Between(constant, constant, node.value.type, nan=value != value)
        at = self._number(node)
        if at is None:
            return None
        kind = self._physical.field(node.path[0]).type  # type: ignore[union-attr]
        return _Between(pc.field(f"{at} low"), pc.field(f"{at} high"), kind, pc.field(f"{at} known"), t.is_floating(kind))

    def _number(self, node: Node) -> int | None:
        """Return the number of a column among those whose bounds are looked at, None if it is none that has bounds."""
        if not isinstance(node, Field) or len(node.path) != 1 or node.path[0] not in self._physical.names:
            return None
        if _family(self._physical.field(node.path[0]).type) is None:
            return None
        return self.columns.setdefault(node.path[0], len(self.columns))


def _if_known(found: Any, *operands: _Between) -> Any:
    found = pc.coalesce(found, pc.scalar(False))
    for each in operands:
        if each.known is not None:
            found = ~each.known | found
    return found


def _all(parts: list[Any]) -> Any:
    said = [part for part in parts if part is not None]
    return reduce(and_, said) if said else None


def _any(parts: list[Any]) -> Any:
    return None if any(part is None for part in parts) else reduce(or_, parts)


def _family(kind: Any) -> str | None:
    return next((name for name, is_one in _FAMILIES.items() if is_one(kind)), None)


def _members(node: Call, kind: Any) -> tuple[Any, bool] | None:
    """Return (the values sought by ``is_in`` in ascending order, whether null is sought); None if that cannot be said exactly."""
    if node.options is None or not hasattr(sought := node.options["value_set"], "values"):
        return None
    given = sought.values
    alike = given.type == kind or all(map(t.is_integer, (given.type, kind))) or _family(given.type) == _family(kind) in ("texts", "bytes")
    if not alike or (t.is_floating(kind) and pc.any(pc.is_nan(given)).as_py()):
        return None
    try:
        return given.drop_null().cast(kind).sort(), bool(given.null_count)
    except pa.ArrowException:
        return None


# -- keys ---------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Narrowed:
    """A range of keys, and the names of the key fields of which a condition bounds it."""

    keys: KeyRange
    names: tuple[str, ...]


def _narrowed(node: Node, schema: Schema, keys: KeyRange) -> Narrowed:
    """Return what comparisons of the leading key fields leave of a range: equal ones, and then one range.

    A field of which the range has one value already is as good as compared with it.
    """
    wanted: dict[str, list[tuple[str, Any]]] = {}
    for part in _conjuncts(node):
        for name, function, value in _bounds(part, schema, schema.key_names):
            wanted.setdefault(name, []).append((function, value))
    ends, given = keys.fixed(schema), keys.lo
    used: list[str] = []
    leading = b""
    for at, field in enumerate(schema.specification.fields):
        equal = given[: ends[at]] if at < len(ends) else None
        for function, value in wanted.get(field.name, ()):
            data = leading + schema.codec.fields[at].full(value)
            keys = keys.meet(_beside(_FLIPPED[function] if field.descending else function, data))
            equal = data if function == "equal" and equal is None else equal
        if field.name in wanted:
            used.append(field.name)
        if equal is None:
            break
        leading = equal
    return Narrowed(keys, tuple(used))


def _conjuncts(node: Node) -> Iterator[Node]:
    """Yield conditions that must all be true."""
    if isinstance(node, Call) and node.function in ("and_kleene", "and"):
        for each in node.arguments:
            yield from _conjuncts(each)
    elif isinstance(node, Call) and node.function == "if_else" and _never(node.arguments[2]):
        yield from _conjuncts(node.arguments[0])
        yield from _conjuncts(node.arguments[1])
    else:
        yield node


def _never(node: Node) -> bool:
    return isinstance(node, Literal) and not node.value.as_py()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a condition asks of columns: one value, a range, or what only reading a record tells; a column may be in several."""

    equal: tuple[str, ...]
    ranged: tuple[str, ...]
    others: tuple[str, ...]


def asked(node: Node | None, schema: Schema) -> Asked | None:
    """Return what a condition asks of the columns of a schema, None if that cannot be read."""
    if node is None:
        return None
    equal: dict[str, None] = {}
    ranged: dict[str, None] = {}
    others: dict[str, None] = {}
    for part in _conjuncts(node):
        bounds = list(_bounds(part, schema, schema.physical_names))
        for name, function, _ in bounds:
            (equal if function == "equal" else ranged)[name] = None
        if not bounds or (isinstance(part, Call) and part.function == "is_in" and len(bounds) > 1):
            others |= dict.fromkeys(_columns(part))
    return Asked(tuple(equal), tuple(ranged), tuple(others))


def _columns(node: Node) -> Iterator[str]:
    if isinstance(node, Field):
        yield node.path[0]
    elif isinstance(node, Call):
        for each in node.arguments:
            yield from _columns(each)


def _bounds(node: Node, schema: Schema, names: Collection[str]) -> Iterator[tuple[str, str, Any]]:
    """Yield (column, comparison, storage value) for what a condition says of these columns."""
    if not isinstance(node, Call) or not node.arguments:
        return
    function, left, right = node.function, node.arguments[0], node.arguments[-1]
    if isinstance(left, Literal) and isinstance(right, Field) and function in _FLIPPED:
        function, left, right = _FLIPPED[function], right, left
    if not isinstance(left, Field) or len(left.path) != 1 or left.path[0] not in names:
        return
    name = left.path[0]
    kind = schema.physical.field(name).type
    if function == "is_in":
        members = _members(node, kind)
        if members is not None and len(members[0]) and not members[1]:
            first, last = (scalar_reader(kind)(members[0][at]) for at in (0, -1))
            yield from [(name, "equal", first)] if first == last else [(name, "greater_equal", first), (name, "less_equal", last)]
    elif function in _FLIPPED and function != "not_equal" and isinstance(right, Literal):
        value = _stored(right.value, kind)
        if value is not None:
            yield name, function, value


def _stored(literal: Any, kind: Any) -> Any:
    """Return a constant as a storage value of a column, None unless it is exactly the same there."""
    if not literal.is_valid or _family(literal.type) != _family(kind) or (t.is_floating(literal.type) and not t.is_floating(kind)):
        return None
    try:
        there = literal.cast(kind)
        return scalar_reader(kind)(there) if there.cast(literal.type).equals(literal) and there.equals(there) else None
    except pa.ArrowException:
        return None


def _beside(function: str, data: bytes) -> KeyRange:
    """Return the keys that compare so, in the order of the index, to all that begin with these bytes."""
    after = successor(data)
    match function:
        case "equal":
            return KeyRange(data, after)
        case "less":
            return KeyRange(b"", data)
        case "less_equal":
            return KeyRange(b"", after)
        case "greater":
            return NOTHING if after is None else KeyRange(after)
        case _:
            return KeyRange(data)
