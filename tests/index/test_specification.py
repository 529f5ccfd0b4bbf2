"""Index specifications: what they refuse, what they say, and the forms in which they are written down."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb import IndexField, IndexSpecification, InvalidInput

SCHEMA = pa.schema([("region", pa.string()), ("ts", pa.int64()), ("status", pa.string()), ("tags", pa.list_(pa.string()))])


NAMES = st.lists(st.text(min_size=1, max_size=5), min_size=1, max_size=6, unique=True)


@st.composite
def specifications(draw: Any) -> IndexSpecification:
    names = draw(NAMES)
    keys = draw(st.integers(1, len(names)))
    fields = tuple(IndexField(name, draw(st.booleans()), draw(st.sampled_from(["first", "last"]))) for name in names[:keys])
    return IndexSpecification(fields, draw(st.booleans()), tuple(names[keys:]))


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
    with pytest.raises(InvalidInput, match="no column 'state' to carry; did you mean 'status'\\?"):
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


# -- forms --------------------------------------------------------------------------------------------------------------------


@given(specifications())
def test_the_stored_form_comes_back_equal_as_values_and_as_text(specification: IndexSpecification) -> None:
    said = specification.to_json()
    assert IndexSpecification.from_json(said) == specification
    assert IndexSpecification.from_json(json.dumps(said)) == specification
    assert IndexSpecification.from_json(json.dumps(said).encode()) == specification
    assert IndexSpecification.from_json(json.dumps(said)).to_json() == said


@given(specifications())
def test_the_field_list_of_sop_keeps_names_and_directions(specification: IndexSpecification) -> None:
    said = specification.to_sop()
    back = IndexSpecification.from_json(json.dumps(said))
    assert [(f.name, f.descending) for f in back.fields] == [(f.name, f.descending) for f in specification.fields]
    assert back.unique
    assert back.carrying == ()
    assert back.to_sop() == said


def test_lists_of_names_and_of_fields_are_forms_too() -> None:
    wanted = IndexSpecification.of("region", "-ts")
    assert IndexSpecification.from_json(["region", "-ts"]) == wanted
    assert IndexSpecification.from_json('["region", {"name": "ts", "descending": true}]') == wanted
    assert IndexSpecification.from_json({"fields": [{"name": "region"}, {"field_name": "ts", "ascending_sort_order": False}]}) == wanted


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ("", "no JSON"),
        ("{", "no JSON"),
        (b"\xff\xfe\x00", "no JSON"),
        ("[" * 200_000, "no JSON"),
        ("7", "not 7"),
        (None, "not None"),
        ("{}", "'fields' is a list of fields, not None"),
        ({"fields": "region"}, "'fields' is a list of fields, not 'region'"),
        ({"fields": []}, "at least one field"),
        ({"fields": [7]}, r"fields\[0\]: a field is an object or a column name, not 7"),
        ({"fields": ["a", {"name": 7}]}, r"fields\[1\]: the name of a column is text, not 7"),
        ({"fields": [{"descending": True}]}, r"fields\[0\]: the name of a column is text, not None"),
        ({"fields": [{"name": "a", "descending": 1}]}, r"fields\[0\]: 'descending' is true or false, not 1"),
        ({"fields": [{"name": "a", "nulls": "middle"}]}, r"fields\[0\]: 'nulls' is .*, not 'middle'"),
        ({"fields": [{"name": "a", "nulls": []}]}, r"fields\[0\]: 'nulls' is .*, not a list"),
        ({"fields": [{"name": "a", "order": "up"}]}, r"fields\[0\]: 'order' is not known here"),
        ({"fields": ["a"], "unique": "no"}, "'unique' is true or false, not 'no'"),
        ({"fields": ["a"], "carrying": "b"}, "'carrying' is a list of column names, not 'b'"),
        ({"fields": ["a"], "carrying": [7]}, "'carrying' is a list of column names"),
        ({"fields": ["a"], "carrying": ["a"]}, "column 'a' is a key field"),
        ({"fields": ["a", "-a"]}, "column 'a' is twice"),
        ({"fields": ["a"], "index_fields": []}, "'fields' is not known here; there are 'index_fields'"),
        ({"fields": ["a"], "is_unique": True}, "'is_unique' is not known here"),
        ({"index_fields": [{"field_name": "a"}]}, r"index_fields\[0\]: say 'ascending_sort_order', true or false; it is None"),
        ({"index_fields": [{"field_name": "a", "ascending_sort_order": "yes"}]}, "'ascending_sort_order'.* it is 'yes'"),
        ('{"fields": ["a"], "fields": ["b"]}', "says 'fields' twice"),
        ('[{"name": "a", "name": "b"}]', "says 'name' twice"),
        ({"fields": [{"name": "a", "x" * 500: 1}]}, r"fields\[0\]: 'x{58}… is not known"),
    ],
)
def test_what_is_no_form_is_refused_by_name(data: Any, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        IndexSpecification.from_json(data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3) | st.sampled_from(["name", "a", "first"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["fields", "index_fields", "name", "field_name", "descending", "ascending_sort_order", "nulls", "unique", "x"]),
            inner,
            max_size=3,
        )
    ),
)


@given(JSON)
def test_whatever_json_is_given_it_is_a_specification_or_refused(data: Any) -> None:
    try:
        specification = IndexSpecification.from_json(json.dumps(data))
    except InvalidInput:
        return
    assert IndexSpecification.from_json(specification.to_json()) == specification


# -- frames -------------------------------------------------------------------------------------------------------------------


def test_a_named_index_is_the_key() -> None:
    frame = pd.DataFrame({"region": ["a"], "ts": [1], "size": [9]})
    assert IndexSpecification.of_frame(frame.set_index("ts")) == IndexSpecification.of("ts")
    assert IndexSpecification.of_frame(frame.set_index(["region", "ts"])) == IndexSpecification.of("region", "ts")
    assert IndexSpecification.of_frame(frame.set_index(["region", "ts"]).index, unique=False) == IndexSpecification.of(
        "region", "ts", unique=False
    )
    odd = IndexSpecification.of_frame(frame.rename(columns={"ts": "-ts"}).set_index("-ts"))
    assert odd.fields == (IndexField("-ts"),)


@pytest.mark.parametrize(
    ("frame", "named"),
    [
        (pd.DataFrame({"a": [1]}), "level 0 of the index has no name"),
        (pd.DataFrame({"a": [1], "b": [2]}, index=pd.MultiIndex.from_tuples([(1, 2)], names=["x", None])), "level 1 of the index"),
        (pd.DataFrame({7: [1]}).set_index(7), "named 7, which is no text"),
        (pa.table({"a": [1]}), "Table has no index"),
        ([{"a": 1}], "list has no index"),
    ],
    ids=["unnamed", "half named", "number", "table", "list"],
)
def test_a_frame_without_a_named_index_is_refused(frame: Any, named: str) -> None:
    with pytest.raises(InvalidInput, match=named):
        IndexSpecification.of_frame(frame)


# -- against a schema ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "schema", [SCHEMA, dict(zip(SCHEMA.names, SCHEMA.types, strict=True)), {"region": "string", "ts": "int64", "tags": "list[string]"}]
)
def test_a_key_is_judged_by_a_schema_or_by_types_by_name(schema: Any) -> None:
    IndexSpecification.of("region", "-ts").validate(schema)
    with pytest.raises(InvalidInput, match=r"no column 'regoin' to index; did you mean 'region'\? The columns are 'region', 'ts'"):
        IndexSpecification.of("regoin").validate(schema)
    with pytest.raises(InvalidInput, match=r"did you mean 'ts'\?"):
        IndexSpecification.of("TS").validate(schema)
    with pytest.raises(InvalidInput, match="column 'tags' of type list.* cannot be a key; use a number"):
        IndexSpecification.of("tags").validate(schema)


def test_documents_are_no_keys_and_long_schemas_are_told_in_part() -> None:
    with pytest.raises(InvalidInput, match="column 'more' holds JSON documents and cannot be a key; use"):
        IndexSpecification.of("more").validate({"more": "json"})
    with pytest.raises(InvalidInput, match="column 'more': 'sting' is no type"):
        IndexSpecification.of("more").validate({"more": "sting"})
    with pytest.raises(InvalidInput, match=r"'c29' and 70 more$"):
        IndexSpecification.of("zzz").validate({f"c{i}": "int64" for i in range(100)})
