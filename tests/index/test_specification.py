"""Index specifications: what they refuse, what they say, and the forms in which they are written down."""

from __future__ import annotations

import pyarrow as pa
import pytest

from sopnb import IndexSpecification, InvalidInput

SCHEMA = pa.schema([("region", pa.string()), ("ts", pa.int64()), ("status", pa.string()), ("tags", pa.list_(pa.string()))])


# -- carried columns ----------------------------------------------------------------------------------------------------------


def test_carried_columns_neither_order_nor_identify() -> None:
    specification = IndexSpecification.of("region", "-ts", carrying=("status", "tags"))
    assert specification.carrying == ("status", "tags")
    assert specification.names == ("region", "ts")
    assert str(specification) == "region, -ts"
    assert repr(specification) == "IndexSpecification(region, -ts, carrying=(status, tags))"
    specification.validate(SCHEMA)


def test_one_carried_column_needs_no_list() -> None:
    assert IndexSpecification.of("region", carrying="status") == IndexSpecification.of("region", carrying=["status"])
    assert IndexSpecification.of("region", carrying="status") != IndexSpecification.of("region")


@pytest.mark.parametrize(
    ("carrying", "message"),
    [(("ts",), "column 'ts' is a key field"), (("status", "status"), "column 'status' is carried twice")],
)
def test_a_key_field_or_a_column_named_twice_is_not_carried(carrying: tuple[str, ...], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        IndexSpecification.of("region", "-ts", carrying=carrying)


def test_a_carried_column_must_be_there() -> None:
    with pytest.raises(InvalidInput, match="no column 'state' to carry; the columns are 'region', 'ts'"):
        IndexSpecification.of("region", carrying=("state",)).validate(SCHEMA)


def test_carried_columns_are_described_only_where_there_are_some() -> None:
    plain = IndexSpecification.of("region", "-ts", unique=False, nulls="first")
    assert plain.to_json() == {
        "fields": [
            {"name": "region", "descending": False, "nulls": "first"},
            {"name": "ts", "descending": True, "nulls": "first"},
        ],
        "unique": False,
    }
    carrying = IndexSpecification.of("region", "-ts", carrying=("status", "tags"))
    assert carrying.to_json()["carrying"] == ["status", "tags"]
    assert IndexSpecification.from_json(carrying.to_json()) == carrying
    assert IndexSpecification.from_json(plain.to_json()) == plain
