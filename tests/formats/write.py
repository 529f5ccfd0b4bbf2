"""Writes the database that every later release opens: ``python -m tests.formats.write`` makes the folder of this release.

It holds all types, a key of every kind, a base with a run and a tail above it, values out of line in several pieces, deletions, a store
that is not unique, documents, a key that is an expression, secondary indexes of every kind, an altered store, two tags with what they
stand for, a checkpoint and commits after it. ``expected.json`` says beside it what is to be read.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from collections.abc import Iterable
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pandas as pd
import pyarrow as pa

import sopnb
from sopnb.engine import far

HERE = Path(__file__).parent
EXPECTED = "expected.json"
SETTINGS = sopnb.DatabaseSettings(
    segment_bytes=4096, inline_rows=12, inline_bytes=4096, value_bytes=512, leaf_bytes=4096, branch_bytes=4096
)
TYPES = pa.schema(
    [
        pa.field("key", pa.int64(), nullable=False),
        *(pa.field(str(kind), kind) for kind in (pa.bool_(), pa.int8(), pa.int16(), pa.int32(), pa.uint8(), pa.uint16(), pa.uint32())),
        *(pa.field(str(kind), kind) for kind in (pa.uint64(), pa.float32(), pa.float64(), pa.decimal128(38, 9), pa.date32(), pa.date64())),
        *(pa.field(f"time {unit}", pa.time32(unit)) for unit in ("s", "ms")),
        *(pa.field(f"time {unit}", pa.time64(unit)) for unit in ("us", "ns")),
        *(pa.field(f"naive {unit}", pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")),
        pa.field("aware", pa.timestamp("us", "America/New_York")),
        *(pa.field(f"duration {unit}", pa.duration(unit)) for unit in ("s", "ms", "us", "ns")),
        pa.field("string", pa.string()),
        pa.field("large_string", pa.large_string()),
        pa.field("binary", pa.binary()),
        pa.field("large_binary", pa.large_binary()),
        pa.field("fixed", pa.binary(4)),
        pa.field("list", pa.list_(pa.int64())),
        pa.field("lists", pa.list_(pa.list_(pa.string()))),
        pa.field("struct", pa.struct([("a", pa.int32()), ("b", pa.list_(pa.string()))])),
        pa.field("dictionary", pa.dictionary(pa.int8(), pa.string())),
        pa.field("document", pa.string(), metadata={b"sopnb": b"json"}),
    ]
)


def record_of(i: int) -> dict[str, Any]:
    """Return a record with every type; some of its values are null."""
    moment = datetime(2013, 1, 1, 10) + timedelta(hours=i, microseconds=i)
    values: dict[str, Any] = {"key": i - 40}
    for field in TYPES:
        kind, name = field.type, field.name
        if name == "key" or (i + len(name)) % 7 == 0:
            continue
        t = pa.types
        if name == "document":
            values[name] = {"i": i, "nested": [1.5, None, {"ü": True}]}
        elif t.is_boolean(kind):
            values[name] = i % 2 == 0
        elif t.is_integer(kind):
            values[name] = (2**kind.bit_width - 1 - i) if t.is_unsigned_integer(kind) else i - 2 ** (kind.bit_width - 1)
        elif t.is_floating(kind):
            values[name] = float("nan") if i % 11 == 5 else float("-inf") if i % 11 == 7 else i / 4
        elif t.is_decimal(kind):
            values[name] = Decimal(i * 10**20 + i) / Decimal(10**9)
        elif t.is_date(kind):
            values[name] = date(1969, 12, 25) + timedelta(days=i)
        elif t.is_time(kind):
            values[name] = time(i % 24, 5, 6)
        elif t.is_timestamp(kind):
            values[name] = moment.replace(microsecond=0) if kind.tz is None else moment.replace(tzinfo=UTC)
        elif t.is_duration(kind):
            values[name] = timedelta(seconds=i * 1000)
        elif t.is_string(kind) or t.is_large_string(kind):
            values[name] = f"text {i} ü\n" * (100 if i % 20 == 3 else 1)
        elif t.is_binary(kind) or t.is_large_binary(kind):
            values[name] = bytes([i, 0, 255]) * (400 if i % 20 == 9 else 1)
        elif t.is_fixed_size_binary(kind):
            values[name] = bytes([i, 1, 2, 3])
        elif name == "list":
            values[name] = list(range(i % 4))
        elif name == "lists":
            values[name] = [["a"] * (i % 3), []]
        elif t.is_struct(kind):
            values[name] = {"a": i, "b": [str(i)]}
        else:
            values[name] = ("red", "green", "blue")[i % 3]
    return values


def build(folder: Path) -> dict[str, Any]:
    """Write the database and return what is to be read from it."""
    small = patch.object(far, "PIECE", 300)  # so that values lie in several pieces without taking megabytes
    with small, sopnb.open(folder, settings=SETTINGS, handle=sopnb.HandleSettings(maintenance="off")) as db:
        types = db.create("types", schema=TYPES, index=["key"])
        types.insert([record_of(i) for i in range(40)])
        frame = pd.DataFrame(
            {
                "when": pd.date_range("2013-01-01", periods=30, freq="h", tz="Europe/Berlin"),
                "group": pd.Categorical(["a", "b", "c"] * 10, ["c", "b", "a", "unused"], ordered=True),
                "n": pd.array([None, 1, 2] * 10, "Int64"),
                "x": [0.5] * 30,
                "month": pd.period_range("2013-01", periods=30, freq="M"),
                "age": pd.cut(range(30), [0, 10, 20, 40]),
                "word": pd.array(["a", None, "ü"] * 10, "string"),
            }
        ).set_index(["group", "when"])
        frame.attrs = {"source": "sopnb"}
        db.load("frame", frame)
        every = ("string", "date32[day]", "naive us", "binary", "double", "bool", "decimal128(38, 9)")
        directions = [f"-{name}" if i % 2 == 0 else name for i, name in enumerate(every)]
        keys = db.create("keys", schema=pa.schema([TYPES.field(name) for name in every]), index=sopnb.IndexSpecification.of(*directions))
        keys.insert([{name: record_of(i).get(name) for name in every} for i in range(40)])
        repeated = db.create(
            "repeated", schema={"word": "string", "text": "string"}, index=sopnb.IndexSpecification.of("-word", unique=False)
        )
        for i in range(6):
            repeated.insert({"word": "same" if i % 2 else "other", "text": str(i)})
        indexed = db.create("indexed", schema={"k": "int64", "word": "string", "n": "int64"}, index=["cel: size(word) * 100", "k"])
        indexed.insert([{"k": i, "word": "ü" * (i % 4), "n": i * i} for i in range(20)])
        indexed.create_index("by_n", "-n", unique=True)
        indexed.create_index("by_word", sopnb.IndexSpecification.of("word", unique=False, carrying=["n"], nulls="first"))
        indexed.create_index("by_rest", ["cel: n % 3", "k"])
        altered = db.create("altered", schema={"a": "int32", "b": "string", "c": "binary"}, index="a")
        altered.insert([{"a": i, "b": str(i % 3), "c": b"gone"} for i in range(20)])
        altered.create_index("by_b", ["b"])
        with db.unlock("the format") as admin:
            admin.alter("altered", drop="c", rename={"b": "d"}, types={"a": "int64"}, add={"e": ("string", "new")}, index=["-a"])
        db.fold()
        db.tag("folded")
        db.compact()
        types.delete([i - 40 for i in range(15)])
        types.upsert([record_of(i + 5) | {"key": i - 40, "int32": i} for i in range(30, 50)])
        db.tag("with a run")
        with db.transaction(message="the tail", author="ada") as tx:
            tx["types"].update(0, {"string": "changed", "document": [None]})
            tx["types"].delete(1)
            tx["types"].insert(record_of(100))
            tx["keys"].delete(tx["keys"].first().key)
            tx["repeated"].insert({"word": "newest"})
            tx["indexed"].insert({"k": 100, "word": None, "n": -1})
            tx["altered"].update(3, {"d": "tail"})
        expected = {"now": read(db), "version": version("sopnb")}
        for tag in db.tags():
            with db.at(tag=tag) as past:
                expected[f"tag {tag}"] = digest(read(past))
        assert db.check().ok
    return expected


def read(db: Any) -> dict[str, Any]:
    """Return everything that is in a database, in words that do not depend on a library's way of showing values."""
    content = {}
    for name in sorted(db.stores()):
        store = db[name]
        content[name] = {
            "schema": {field.name: str(field.type) for field in store.schema},
            "index": str(store.index),
            "records": [[told(value) for value in record.values()] for record in store[:].to_dicts()],
        }
        if indexes := store.indexes():
            content[name]["indexes"] = {each: [repr(index), _told_keys(store.by(each))] for each, index in indexes.items()}
    return content


def _told_keys(selection: Any) -> list[Any]:
    """Return the keys of the records of a selection, in its order."""
    return [told(list(key) if isinstance(key, tuple) else key) for key in iter(selection.keys())]


def digest(content: dict[str, Any]) -> dict[str, Any]:
    """Return what stands for the content of a database: how many records each store has, and a hash of them."""
    hashes = {name: hashlib.sha256(json.dumps(store, ensure_ascii=False).encode()).hexdigest() for name, store in content.items()}
    return {name: [len(content[name]["records"]), hashed] for name, hashed in hashes.items()}


def told(value: Any) -> Any:
    """Return a value as JSON can hold it, its kind included."""
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, str | bytes) and len(value) > 100:
        raw = value.encode() if isinstance(value, str) else value
        return {type(value).__name__: len(value), "sha256": hashlib.sha256(raw).hexdigest()}
    if value is None or isinstance(value, int | str):
        return value
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    if isinstance(value, float | Decimal):
        return {type(value).__name__: str(value)}
    if isinstance(value, list | tuple):
        return [told(each) for each in value]
    if isinstance(value, dict):
        return {"dict": {key: told(each) for key, each in value.items()}}
    if hasattr(value, "isoformat"):
        return {"time": value.isoformat()}
    return {"other": str(value)}


def lines(expected: dict[str, Any]) -> str:
    """Return what is expected as JSON, a record a line."""
    text = json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
    return text.replace(']],"', ']],\n"').replace("],[", "],\n[") + "\n"


def main(arguments: Iterable[str] = ()) -> None:
    """Write the folder of this release, or the one named."""
    name = next(iter(arguments), version("sopnb").partition(".dev")[0])
    folder = HERE / name
    if folder.exists():
        shutil.rmtree(folder)
    folder.mkdir()
    expected = build(folder / "database")
    (folder / EXPECTED).write_text(lines(expected), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
