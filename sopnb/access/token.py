"""Page tokens: the key after which the next page begins, as text that may stand in an address.

A token is a letter for the direction, a checksum of the index, and the encoded key, in base 64.
"""

from __future__ import annotations

import base64
import binascii

from xxhash import xxh32_digest

from sopnb.access.keyrange import KeyRange
from sopnb.errors import InvalidInput
from sopnb.schema import Schema

_CHECK = 4


def token(key: bytes, schema: Schema, *, reverse: bool) -> str:
    """Return the token for the records after ``key``."""
    return base64.urlsafe_b64encode(_head(schema, reverse) + key).decode().rstrip("=")


def after(token: str, schema: Schema, *, reverse: bool) -> KeyRange:
    """Return the keys after the one that a token holds. Raises ``InvalidInput`` for a token of another index or direction."""
    try:
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError, TypeError) as error:
        raise InvalidInput(f"{token!r} is no page token; give one that next_page() returned, or None to begin") from error
    head, key = raw[: 1 + _CHECK], raw[1 + _CHECK :]
    if head != _head(schema, reverse):
        raise InvalidInput(f"the page token {token!r} is of a selection with another index or direction; begin with None")
    return KeyRange(b"", key) if reverse else KeyRange(key + b"\0")


def _head(schema: Schema, reverse: bool) -> bytes:
    kinds = [f"{field.spec}:{field.spec.nulls}:{field.kind}:{field.nullable}" for field in schema.codec.fields]
    return (b"<" if reverse else b">") + xxh32_digest(" ".join([*kinds, str(schema.unique)]).encode())
