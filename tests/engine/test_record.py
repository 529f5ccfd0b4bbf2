"""The payload of a commit comes back as it was, or is refused."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pyarrow as pa
import pytest

from sopnb.engine import record
from sopnb.engine.counts import Counts
from sopnb.engine.record import DELETE, PUT, CatalogueChange, Fold, Payload, StoreChange
from sopnb.errors import Corruption, UnsupportedFormat
from sopnb.index import IndexSpecification
from sopnb.schema import Schema


def test_a_payload_comes_back_with_the_kinds_of_its_parts() -> None:
    change = StoreChange(7, 1, b"a", b"b", 1, 0, 1, 0, 2, ops=b"...")
    fold = Fold(7, 1, 0, 5, None)
    payload = Payload(author="ada", message="day 2", catalogue=[CatalogueChange("create", 7, 1, "flights", {"a": b"1"})], changes=[change])
    got = record.decode(record.encode(payload))
    assert got == msgspec.structs.replace(payload, kinds=["catalogue", "changes"])
    assert record.decode(record.encode(Payload(folds=[fold], tags=[("before", 3)]))).kinds == ["folds", "tags"]


def test_a_payload_of_a_newer_release_is_refused() -> None:
    newer = msgspec.msgpack.encode(Payload(kinds=["changes", "views"]))
    with pytest.raises(UnsupportedFormat, match=r"commit 12.*views"):
        record.decode(newer, "commit 12")
    with pytest.raises(UnsupportedFormat):
        record.decode(msgspec.msgpack.encode(Payload(format=record.FORMAT + 1)))


@pytest.mark.parametrize("data", [b"", b"\x00", b"\x93\x01", record.encode(Payload(message="x"))[:-1]])
def test_what_is_no_payload_is_corruption(data: bytes) -> None:
    with pytest.raises(Corruption, match="commit 3"):
        record.decode(data, "commit 3")


def test_rows_keep_their_decimals_bytes_and_nesting() -> None:
    columns = pa.schema(
        [
            ("id", pa.uint64()),
            ("price", pa.decimal128(10, 2)),
            ("raw", pa.binary()),
            ("parts", pa.list_(pa.decimal128(5, 1))),
            ("both", pa.struct([("d", pa.decimal128(5, 1)), ("s", pa.string())])),
        ]
    )
    rows = [
        (2**64 - 1, Decimal("1.50"), b"\x00\xff", [Decimal("0.1"), None], {"d": Decimal("2.5"), "s": "x"}),
        (0, None, None, None, None),
    ]
    operations = [(PUT, b"k1", 1, 0, rows[0]), (PUT, b"k2", 0, 4, rows[1]), (DELETE, b"k3", -1, 9, None)]
    got = record.decode_operations(record.encode_operations(operations), Schema.of(columns, IndexSpecification.of("id")))
    assert got == operations
    assert [type(row) for *_, row in got] == [tuple, tuple, type(None)]


def test_counts_add_up() -> None:
    total = Counts(inserted=2, rejected="first") + Counts(updated=1, unchanged=3, seq=9) + Counts(deleted=1, missing=1)
    assert total == Counts(2, 1, 3, 1, 1, "first", 9)
    assert total.at(12).seq == 12
