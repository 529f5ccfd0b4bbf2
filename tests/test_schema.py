"""A schema gives every type, refuses what does not fit by name, and survives being stored."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import msgspec
import pyarrow as pa
import pytest
from hypothesis import given

from sopnb.errors import InvalidInput, SchemaMismatch
from sopnb.index import IndexSpecification
from sopnb.schema import Schema
from tests.index.support import Case, cases

NOTES = Schema.of(
    {"author": "string", "written": "timestamp[us, UTC]", "price": "decimal128(10, 2)", "more": "json", "stars": "int64!"},
    IndexSpecification.of("author", "-written"),
)
WRITTEN = datetime(2013, 1, 1, tzinfo=UTC)
NOTE = {"author": "ada", "written": WRITTEN, "price": Decimal("1.50"), "more": {"a": [1, None]}, "stars": 5}


def test_a_record_comes_back_as_it_was() -> None:
    row = NOTES.row(NOTE)
    assert NOTES.record(row) == NOTE
    assert NOTES.rows(NOTES.batch([row])) == [row]
    assert NOTES.public_key(NOTES.codec.decode(NOTES.key_bytes(row))) == ("ada", WRITTEN)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"stars": 1.5}, "'notes', column 'stars'.*whole number"),
        ({"stars": None}, "'stars' may not be null"),
        ({"author": None}, "'author' may not be null"),
        ({"colour": "red"}, "no column 'colour'"),
        ({"more": {1, 2}}, "'more'.*JSON"),
    ],
)
def test_a_record_that_does_not_fit_is_refused_by_column(change: dict[str, Any], reason: str) -> None:
    with pytest.raises(SchemaMismatch, match=reason):
        NOTES.row({**NOTE, **change}, store="notes")


def test_a_column_left_out_is_null_if_it_may_be() -> None:
    row = NOTES.row({"author": "ada", "written": WRITTEN, "stars": 1})
    assert NOTES.record(row)["more"] is None
    with pytest.raises(SchemaMismatch, match="'stars'"):
        NOTES.row({"author": "ada", "written": WRITTEN})


def test_a_key_has_all_its_fields_or_fewer_where_asked() -> None:
    assert NOTES.key(("ada", "2013-01-01")) == NOTES.key(("ada", WRITTEN))
    assert NOTES.key("ada", partial=True) == ("ada",)
    with pytest.raises(InvalidInput, match="2 fields .author, written., 1 were given"):
        NOTES.key("ada")


def test_a_schema_survives_being_stored() -> None:
    arrow = pa.schema([pa.field("k", pa.int64()), pa.field("c", pa.dictionary(pa.int8(), pa.string(), ordered=True))])
    specification = IndexSpecification.of("-k", unique=False, nulls="first")
    schema = Schema(arrow, specification, categories={"c": pa.array(["b", "a", "unused"])}, frame={"attrs": {"x": 1}})
    stored = msgspec.msgpack.decode(msgspec.msgpack.encode(schema.to_dict()))
    assert Schema.from_dict(stored) == schema
    assert Schema.from_dict(stored) != NOTES
    assert Schema.from_dict(stored).physical.names == ["k", "c", "_id"]


def test_documents_are_still_documents_after_being_stored() -> None:
    again = Schema.from_dict(NOTES.to_dict())
    assert again.record(again.row(NOTE)) == NOTE


def test_categories_come_back_in_their_order_with_the_unused_ones() -> None:
    values = pa.array(["b", "a", "unused"])
    arrow = pa.schema([("k", pa.int64()), ("c", pa.dictionary(pa.int8(), pa.string(), ordered=True))])
    schema = Schema(arrow, IndexSpecification.of("k"), categories={"c": values})
    column = pa.DictionaryArray.from_arrays(pa.array([1, None, 0], pa.int8()), values, ordered=True)
    table = pa.table({"k": [1, 2, 3], "c": column})
    physical = schema.conform(table)
    assert physical.schema.field("c").type == pa.string()
    back = schema.present(physical)
    assert back.schema.field("c").type == arrow.field("c").type
    assert back["c"].chunk(0).dictionary.to_pylist() == ["b", "a", "unused"]
    assert back["c"].to_pylist() == ["a", None, "b"]
    with pytest.raises(SchemaMismatch, match="'c': 'z' is none of its categories"):
        schema.conform(pa.table({"k": [1], "c": ["z"]}))


@pytest.mark.parametrize(
    ("column", "fits"),
    [
        (pa.array([1], pa.int8()), True),
        (pa.array([2**62], pa.uint64()), True),
        (pa.array([2**63], pa.uint64()), False),
        (pa.array([1.0]), False),
        (pa.array(["1"]), False),
        (pa.array([True]), False),
        (pa.array([None]), True),
        (pa.array([1], pa.timestamp("us")), False),
    ],
)
def test_columns_widen_but_never_lose(column: Any, fits: bool) -> None:
    schema = Schema.of(pa.schema([("k", pa.string()), ("n", pa.int64())]), IndexSpecification.of("k"))
    table = pa.table({"k": ["a"], "n": column})
    if fits:
        assert schema.conform(table)["n"].to_pylist() == column.to_pylist()
    else:
        with pytest.raises(SchemaMismatch, match="'flights'.*'n'"):
            schema.conform(table, store="flights")


def test_a_table_may_be_partial_but_not_in_its_key() -> None:
    table = pa.table({"written": pa.array([WRITTEN], pa.timestamp("us", "UTC")), "author": ["ada"]})
    assert NOTES.conform(table, partial=True).column_names == ["author", "written"]
    with pytest.raises(SchemaMismatch, match="'stars' may not be null: store int64, not in the frame"):
        NOTES.conform(table)
    with pytest.raises(SchemaMismatch, match="'author' may not be null"):
        NOTES.conform(table.select(["written"]), partial=True)


@pytest.mark.parametrize("names", [["_id"], ["_seq"], ["a", "a"]])
def test_reserved_and_repeated_names_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput, match=names[0]):
        Schema(pa.schema([pa.field(name, pa.int64()) for name in names]), IndexSpecification.of(names[0]))


def test_a_word_that_is_no_type_is_refused_by_column() -> None:
    with pytest.raises(InvalidInput, match="'when'.*no type"):
        Schema.of({"when": "moment"}, IndexSpecification.of("when"))


@given(cases())
def test_keys_of_rows_and_of_batches_agree(case: Case) -> None:
    codec, rows, arrays = case
    names = [field.name for field in codec.specification.fields]
    fields = [pa.field(n, a.type, nullable=f.nullable) for n, a, f in zip(names, arrays, codec.fields, strict=True)]
    schema = Schema(pa.schema(fields), codec.specification)
    batch = schema.batch(rows)
    assert schema.keys(batch).tolist() == [schema.key_bytes(row) for row in rows] == [codec.encode(row) for row in rows]
    assert schema.keys(schema.conform(pa.Table.from_batches([batch]))).tolist() == schema.keys(batch).tolist()
