"""How a selection uses an index, the one that it reads by or another, in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sopnb import display
from sopnb.access.keyrange import EVERYTHING, KeyRange
from sopnb.access.pruning import asked
from sopnb.access.scan import Scan
from sopnb.index import IndexField, IndexSpecification, successor
from sopnb.schema import Schema


@dataclass(frozen=True, repr=False)
class Usage:
    """Which fields of an index bound the keys that a selection reads, what is left to a filter, and whether the order is free.

    ``bound`` are the leading fields of which one value is read, ``ranged`` the field after them of which a range is, None if there is
    none; ``filtered`` the columns that are judged record by record; ``barred`` the fields that are asked for in vain, as one before them
    is not; ``ordered`` says whether the index gives the records in the order of the selection, perhaps read in reverse.
    """

    store: str
    specification: IndexSpecification
    bound: tuple[str, ...]
    ranged: str | None
    filtered: tuple[str, ...]
    barred: tuple[str, ...]
    ordered: bool
    nulls_apart: bool
    """Whether it would, but for the place of nulls."""
    fields: tuple[IndexField, ...]
    """The fields of the index, and the other ones of the store's key, which tell records apart that are equal in them."""
    order: tuple[IndexField, ...]
    """The order of the selection, without the fields of which one value is read."""

    @property
    def _told(self) -> tuple[tuple[str, str], ...]:
        range_of = f"a range of {self.ranged}" if self.ranged else ""
        by_value = f"{', '.join(self.bound)} by value" if self.bound else ""
        keys = (
            ", then ".join(filter(None, (by_value, range_of)))
            or f"all: {self.specification.fields[0].name}, the first field, is not asked for"
        )
        if self.barred:
            ahead = self.ranged or next(name for name in self.specification.names if name not in self.bound)
            keys += f"; {', '.join(self.barred)} in vain, as {ahead} comes before"
        order = ", ".join(map(str, self.order)) or "at most one key"
        apart = "free but for the place of nulls" if self.nulls_apart else "to be sorted, the index has another"
        return (
            ("keys", keys),
            ("filtered", f"{', '.join(self.filtered)}, record by record" if self.filtered else "nothing"),
            ("order", f"{order}: {'free' if self.ordered else apart}"),
        )

    def _panel(self) -> display.Panel:
        columns = (display.Column(""), display.Column("how it is used"))
        rows = tuple((what, display.clean(told, 400)) for what, told in self._told)
        return display.Panel("Index use", str(self.specification), (f"by a selection of store {self.store!r}",), columns, rows)

    def __repr__(self) -> str:
        head = f"index ({display.clean(str(self.specification), 200)}) for a selection of store {self.store!r}"
        return "\n".join((head, *(f"  {what:9} {display.clean(told, 400)}" for what, told in self._told)))

    def _repr_html_(self) -> str:
        return display.html(self)


def usage(scan: Scan, specification: IndexSpecification) -> Usage:
    """Return how a scan uses an index. Raises ``InvalidInput`` naming the column if the store cannot have it."""
    schema = scan.schema
    specification.validate(schema.arrow)
    own = schema.specification.fields
    said = asked(scan.filter.pushed.node, schema) if scan.filter is not None else None
    equal, ranged, others = ((), (), ()) if said is None else (said.equal, said.ranged, said.others)
    if scan.filter is not None:
        judged = scan.filter.columns if said is None else (name for program in scan.filter.residual for name in program.columns)
        others = (*others, *judged)
    fixed, between = _bounds(scan.keys, schema)
    fields = (*specification.fields, *(field for field in own if field.name not in specification.names))
    if fields == own:
        bound, next_one = _bounds(scan.range, schema)
    else:
        equal, ranged = (*fixed, *equal), (*ranged, *((between,) if between else ()))
        further = schema.key_names[len(fixed) : max(_touched(scan.keys.lo, schema), _touched(scan.keys.hi or b"", schema))]
        others = (*others, *(further if len(further) > 1 else ()))  # a range of several fields is no range of one
        if between is not None and own[len(fixed)] not in fields and _has_nulls(scan.keys, len(fixed), schema):
            others = (*others, between)  # where nulls stand apart from the other values
        bound, next_one = _walked(fields, equal, ranged)
    used = {*bound, *((next_one,) if next_one else ())}
    left = {*equal, *ranged, *others} - (used - set(others))
    constant = {*bound, *fixed, *equal}
    never_null = {field.name for field in schema.arrow if not field.nullable}
    nullable = {field.name for field in fields} - never_null  # an expression may be unknown
    index_order = [field for field in fields if field.name not in constant]
    order = tuple(field for field in own if field.name not in constant)
    ordered = _same_order(index_order, order, nullable)
    return Usage(
        store=scan.store,
        specification=specification,
        bound=bound,
        ranged=next_one,
        filtered=tuple(name for name in schema.physical_names if name in left),
        barred=tuple(f.name for f in fields if f.name in {*equal, *ranged} and f.name not in used),
        ordered=ordered,
        nulls_apart=not ordered and _same_order(index_order, order, ()),
        fields=fields,
        order=tuple(IndexField(f.name, f.descending != scan.reverse, f.nulls) for f in order),
    )


def _bounds(keys: KeyRange, schema: Schema) -> tuple[tuple[str, ...], str | None]:
    """Return (the leading fields of which a range of keys has one value, the next one if it has not all of its values)."""
    ends, names = keys.fixed(schema), schema.key_names
    start, count = keys.lo[: ends[-1]] if ends else b"", len(ends)
    whole = keys == (KeyRange(start, successor(start)) if count else EVERYTHING)
    return names[:count], None if whole or count == len(names) else names[count]


def _has_nulls(keys: KeyRange, fixed: int, schema: Schema) -> bool:
    """Say whether a range of keys with so many fixed fields has some of which the next one is null."""
    field = schema.codec.fields[fixed]
    null = keys.lo[: schema.codec.ends(keys.lo)[fixed - 1] if fixed else 0] + field.null
    after = successor(null)
    return field.nullable and (keys.hi is None or null < keys.hi) and (after is None or keys.lo < after)


def _touched(bound: bytes, schema: Schema) -> int:
    """Return of how many fields there is something in the beginning of a key."""
    ends = schema.codec.ends(bound)
    return len(ends) + (len(bound) > (ends[-1] if ends else 0))


def _walked(fields: Sequence[IndexField], equal: Collection[str], ranged: Collection[str]) -> tuple[tuple[str, ...], str | None]:
    """Return the same for what is asked of columns, in another order of fields."""
    bound: list[str] = []
    for field in fields:
        if field.name not in equal:
            return tuple(bound), field.name if field.name in ranged else None
        bound.append(field.name)
    return tuple(bound), None


def _same_order(fields: Sequence[IndexField], wanted: Sequence[IndexField], nullable: Collection[str]) -> bool:
    """Say whether records that stand in the order of ``fields`` stand in the order wanted, or its reverse."""

    def order(several: Sequence[IndexField], turn: bool) -> list[tuple[str, bool, bool]]:
        """Return (column, whether it descends, whether its nulls come first, where it may have some)."""
        return [(f.name, f.descending != turn, f.name in nullable and (f.nulls == "first") != turn) for f in several]

    head = fields[: len(wanted)]
    return order(wanted, False) in (order(head, False), order(head, True))
