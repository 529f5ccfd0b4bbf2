"""Encoding one key field straight from what people type, where that is plain; see ``encoding`` for the bytes."""

from __future__ import annotations

import struct
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa

_PACK = struct.Struct(">Q").pack
_HALF = 1 << 63
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)
_MICROSECOND = timedelta(microseconds=1)


class NotDirect(Exception):
    """The value needs the long way: another kind, null, out of range, or a field of another sort."""


def direct_writer(kind: Any, descending: bool, nullable: bool) -> Callable[[Any], bytes]:
    """Return what encodes plain values of a field (text, whole numbers, datetimes in microseconds) and raises ``NotDirect`` for others."""
    t = pa.types
    if descending:
        return _never
    marker = b"\1" if nullable else b""
    if t.is_string(kind) or t.is_large_string(kind):

        def text(value: Any) -> bytes:
            if type(value) is str and "\0" not in value:
                return marker + value.encode() + b"\0\0"
            raise NotDirect

        return text
    if t.is_int64(kind):

        def whole(value: Any) -> bytes:
            if type(value) is int and -_HALF <= value < _HALF:
                return marker + _PACK(value + _HALF)
            raise NotDirect

        return whole
    if t.is_timestamp(kind) and kind.unit == "us":
        epoch = _NAIVE_EPOCH if kind.tz is None else _EPOCH

        def moment(value: Any) -> bytes:
            if type(value) is not datetime or (value.tzinfo is None) != (kind.tz is None):
                raise NotDirect
            return marker + _PACK((value - epoch) // _MICROSECOND + _HALF)

        return moment
    return _never


def _never(value: Any) -> bytes:
    raise NotDirect
