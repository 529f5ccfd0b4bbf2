"""The keys of records as the browser carries them: the encoded key, in base 64. It never looks into them."""

from __future__ import annotations

import base64
import binascii
import struct
from typing import Any

from sopnb.schema import Schema
from sopnb.view.columns import Columns
from sopnb.view.refusal import invalid


def token(key: bytes) -> str:
    """Return a key as text."""
    return base64.b64encode(key).decode()


def key_of(given: Any, schema: Schema) -> bytes:
    """Return the key that ``token`` told. Raises ``Refusal`` for anything that is no key of this schema."""
    try:
        key = base64.b64decode(given, validate=True)
        fields = schema.codec.decode(key)
        again = schema.codec.encode(fields, b"" if schema.unique else key[-16:])
    except (TypeError, ValueError, IndexError, binascii.Error, struct.error, ArithmeticError):
        again = None
    if again is None or again != key:
        raise invalid("this is no key of the store; take it from the rows of a page")
    return key


def readable(key: bytes, schema: Schema) -> str:
    """Return a key as people read it."""
    try:
        values = schema.codec.decode(key)
    except (ValueError, IndexError):
        return key.hex()
    return ", ".join(_said(name, value, schema) for name, value in zip(schema.key_names, values, strict=True))


def _said(name: str, value: Any, schema: Schema) -> str:
    return "null" if value is None else str(Columns.of(schema)[name].say(value))
