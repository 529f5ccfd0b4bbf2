"""The kinds of files that there are, and which one a name means."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from sopnb.errors import InvalidInput
from sopnb.frames.files import columnar, delimited, jsonlines
from sopnb.frames.files.kind import Kind
from sopnb.frames.files.path import COMPRESSIONS, compression

KINDS = (
    Kind("csv", (".csv",), delimited.scan, delimited.read, delimited.write, text=True),
    Kind("tsv", (".tsv",), delimited.scan, delimited.read, partial(delimited.write, delimiter="\t"), text=True),
    Kind("jsonl", (".jsonl", ".ndjson"), jsonlines.scan, jsonlines.read, jsonlines.write, text=True),
    Kind("parquet", (".parquet", ".pq"), columnar.scan_parquet, columnar.read_parquet, columnar.write_parquet),
    Kind("feather", (".feather", ".arrow", ".ipc"), columnar.scan_arrow, columnar.read_arrow, columnar.write_arrow),
    Kind("arrows", (".arrows",), columnar.scan_arrow, columnar.read_arrow, columnar.write_stream),
    Kind("orc", (".orc",), columnar.scan_orc, columnar.read_orc, columnar.write_orc),
)
"""All kinds. Text may be compressed as a whole."""


def kind_of(path: Path) -> Kind:
    """Return the kind that a file's name says. Raises ``InvalidInput`` listing what there is."""
    packed = compression(path)
    name = path.with_suffix("") if packed else path
    kind = next((kind for kind in KINDS if name.suffix.lower() in kind.suffixes), None)
    if kind is None or (packed and not kind.text):
        known = ", ".join(suffix for kind in KINDS for suffix in kind.suffixes)
        text = ", ".join(suffix for kind in KINDS if kind.text for suffix in kind.suffixes)
        raise InvalidInput(f"{str(path)!r}: a name must end in one of {known}; {text} may be followed by one of {', '.join(COMPRESSIONS)}")
    return kind


def kind_named(name: str) -> Kind:
    """Return a kind by its name. Raises ``InvalidInput`` listing what there is."""
    kind = next((kind for kind in KINDS if kind.name == name), None)
    if kind is None:
        raise InvalidInput(f"kind={name!r}; it is one of {', '.join(kind.name for kind in KINDS)}")
    return kind
