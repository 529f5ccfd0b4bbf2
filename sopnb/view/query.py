"""What the browser looks at: the records of a store in one of its orders, a direction, a part of the keys, a condition, columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sopnb.access.filter import Filter
from sopnb.access.keyrange import KeyRange
from sopnb.access.pruning import Pushed
from sopnb.access.reading import Reading
from sopnb.access.scan import Scan
from sopnb.errors import InvalidInput, MissingPackage
from sopnb.index import successor
from sopnb.schema import Schema
from sopnb.view.arguments import Arguments
from sopnb.view.columns import Columns
from sopnb.view.refusal import Refusal, invalid
from sopnb.view.sight import Sight
from sopnb.view.target import Fixed


@dataclass(frozen=True)
class Query:
    """A message's query, checked against a store as it is seen."""

    store: str
    order: str
    reading: Reading
    scan: Scan
    columns: tuple[str, ...]

    @property
    def key_schema(self) -> Schema:
        """The schema whose key the order is."""
        return self.scan.schema


def query(given: Arguments, sight: Sight, fixed: Fixed | None) -> Query:
    """Return the query that a message asks. Raises ``Refusal`` for what does not fit, ``StoreNotFound``, ``IndexNotFound``."""
    store, order = given.text("store"), given.text("order", "")
    columns = sight.columns(store)
    if fixed is not None and fixed.ranged and order in ("", fixed.order):
        order = fixed.order
    elif fixed is not None and fixed.ranged:
        raise invalid("this is a range of keys, which has one order only; look at the whole store for others")
    reading = sight.reading(store, order)
    scan = _begun(fixed, reading.schema, store, same_order=fixed is not None and order == fixed.order)
    shown = columns.shown if fixed is None or fixed.columns is None else fixed.columns
    chosen = given.names("columns", None) or shown
    for name in chosen:
        columns[name]
    if given.has("prefix") or given.has("startswith"):
        values = leading(given.items("prefix", []), reading.schema, "prefix")
        scan = replace(scan, keys=scan.keys.meet(_beginning(reading.schema, values, given.text("startswith", None))))
    text = given.text("where", "")
    if text.strip():
        new = _condition(text, reading.schema, store)
        scan = replace(scan, filter=new if scan.filter is None else scan.filter & new)
    if given.flag("reverse", False):
        scan = replace(scan, reverse=not scan.reverse)
    return Query(store, order, reading, scan, tuple(chosen))


def _begun(fixed: Fixed | None, schema: Schema, store: str, *, same_order: bool) -> Scan:
    """Return a scan of everything, or of what a selection has."""
    if fixed is None:
        return Scan(schema, store)
    if same_order:
        if fixed.scan.schema is not schema and fixed.scan.schema != schema:
            raise Refusal("missing", f"store {store!r} has another schema than when the selection was made; make it anew")
        return replace(fixed.scan, schema=schema)
    condition = fixed.scan.filter
    if condition is not None:  # which keys it means depends on the order
        pushed = Pushed(None, schema) if condition.expression is None else Pushed.of(condition.expression, schema)
        condition = replace(condition, pushed=pushed)
    return Scan(schema, store, filter=condition)


def leading(values: Sequence[Any], schema: Schema, what: str) -> list[Any]:
    """Return wire values of the leading fields of an order as storage values. Raises ``Refusal`` naming the field."""
    names = schema.stored_key_names
    if len(values) > len(names):
        raise invalid(f"{what} has {len(values)} values, and the order only {len(names)} fields: {', '.join(names)}")
    columns = Columns.of(schema)
    stored = []
    for name, value in zip(names, values, strict=False):
        column = columns[name]
        stored.append(column.read(value))
    return stored


def encoded(stored: Sequence[Any], schema: Schema) -> bytes:
    """Return the bytes with which every key begins that has these leading fields."""
    n = len(schema.key_names)
    return schema.codec.encode_prefix(stored[:n]) + b"".join(stored[n:])


def _beginning(schema: Schema, values: list[Any], startswith: str | None) -> KeyRange:
    if startswith is None:
        lo = encoded(values, schema)
        return KeyRange(lo, successor(lo))
    try:
        return KeyRange(*schema.codec.encode_startswith(values, startswith))
    except (InvalidInput, UnicodeEncodeError) as error:
        raise invalid(str(error)) from None


def _condition(text: str, schema: Schema, store: str) -> Filter:
    try:
        return Filter.of(text, schema, store=store)
    except (InvalidInput, MissingPackage) as error:
        raise invalid(str(error).removeprefix(f"store {store!r}: "), where=text) from None
