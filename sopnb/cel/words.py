"""The words of a CEL expression: names, numbers, text, bytes and signs, each with its place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from sopnb.cel.refusal import refusal

MOST_CHARACTERS = 16_384
"""A longer text is refused before it is looked at."""
LEAST_INT, MOST_INT, MOST_UINT = -(2**63), 2**63 - 1, 2**64 - 1
Sort = Literal["name", "sign", "int", "uint", "double", "string", "bytes", "end"]

_WORDS = re.compile(
    r"""(?P<blank>(?:\s|//[^\n]*)+)
    |(?P<text>[rRbB]{0,2}(?:\"\"\"|\'\'\'|\"|\'))
    |(?P<double>\d+\.\d+(?:[eE][+-]?\d+)?|\d+[eE][+-]?\d+|\.\d+(?:[eE][+-]?\d+)?)
    |(?P<int>(?:0x[0-9a-fA-F]+|\d+)[uU]?)
    |(?P<name>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<sign>&&|\|\||==|!=|<=|>=|[-+*/%!<>?:.,()\[\]{}])""",
    re.VERBOSE | re.ASCII,
)
_ESCAPE = re.compile(r"""\\(?:(?P<plain>[abfnrtv\\?"'`])|[xX](?P<x>[0-9a-fA-F]{2})|u(?P<u>[0-9a-fA-F]{4})|U(?P<U>[0-9a-fA-F]{8})"""
                     r"""|(?P<o>[0-3][0-7]{2}))""")  # fmt: skip
_PLAIN = dict(zip("abfnrtv\\?\"'`", "\a\b\f\n\r\t\v\\?\"'`", strict=True))


@dataclass(frozen=True, slots=True)
class Word:
    """One word; ``value`` is the name or sign itself, else the constant."""

    sort: Sort
    value: Any
    at: int


def words(text: str) -> Iterator[Word]:
    """Yield the words of a text, and one of sort "end". Raises ``InvalidInput`` with the place that is none."""
    if len(text) > MOST_CHARACTERS:
        raise refusal(text, MOST_CHARACTERS, f"the expression has {len(text)} characters; at most {MOST_CHARACTERS} are taken")
    at = 0
    while at < len(text):
        found = _WORDS.match(text, at)
        if found is None:
            raise refusal(text, at, f"{text[at]!r} is not part of the language")
        said, stop = found[0], found.end()
        match found.lastgroup:
            case "text":
                word, stop = _quoted(text, at, said)
                yield word
            case "double":
                yield Word("double", _double(text, at, said), at)
            case "int":
                yield _int(text, at, said)
            case "name":
                yield Word("name", said, at)
            case "sign":
                yield Word("sign", said, at)
        at = stop
    yield Word("end", "", len(text))


def _double(text: str, at: int, said: str) -> float:
    value = float(said)
    if value == float("inf"):
        raise refusal(text, at, "the number is too large")
    return value


def _int(text: str, at: int, said: str) -> Word:
    digits = said.rstrip("uU")
    unsigned = digits != said
    # 2^63 itself is let through, for a minus sign may stand before it
    if len(digits) > 20 or (value := int(digits, 16 if digits[:2] == "0x" else 10)) > (MOST_UINT if unsigned else MOST_INT + 1):
        raise refusal(text, at, "the number does not fit 64 bits")
    return Word("uint" if unsigned else "int", value, at)


def _quoted(text: str, at: int, opening: str) -> tuple[Word, int]:
    """Return text or bytes between quotes, and where what follows begins."""
    prefix = opening.rstrip("\"'").lower()
    quote = opening[len(prefix) :]
    if prefix in ("rr", "bb"):
        raise refusal(text, at, f"{prefix!r} before a quote means nothing; write r, b or br")
    start = stop = at + len(opening)
    while not text.startswith(quote, stop):
        if stop >= len(text) or (len(quote) == 1 and text[stop] in "\r\n"):
            raise refusal(text, at, f"the text that begins here has no closing {quote}")
        stop += 2 if text[stop] == "\\" and "r" not in prefix else 1
    inner = text[start:stop]
    raw, binary = "r" in prefix, "b" in prefix
    value: Any = _bytes(text, start, inner, raw) if binary else inner if raw else _unescaped(text, start, inner)
    if not binary and any("\ud800" <= c <= "\udfff" for c in value):
        raise refusal(text, at, "half of a character (a surrogate) is no text")
    return Word("bytes" if binary else "string", value, at), stop + len(quote)


def _unescaped(text: str, start: int, inner: str) -> str:
    return "".join(piece if isinstance(piece, str) else chr(piece) for piece, _ in _pieces(text, start, inner))


def _bytes(text: str, start: int, inner: str, raw: bool) -> bytes:
    if any("\ud800" <= c <= "\udfff" for c in inner):
        raise refusal(text, start, "half of a character (a surrogate) is no text")
    if raw:
        return inner.encode()
    parts = _pieces(text, start, inner)
    return b"".join(bytes([piece]) if isinstance(piece, int) and byte else (piece if isinstance(piece, str) else chr(piece)).encode()
                    for piece, byte in parts)  # fmt: skip


def _pieces(text: str, start: int, inner: str) -> Iterator[tuple[str | int, bool]]:
    """Yield runs of plain text, and escaped characters as numbers; and whether in bytes it is one byte."""
    at = 0
    while at < len(inner):
        slash = inner.find("\\", at)
        if slash < 0:
            yield inner[at:], False
            return
        if slash > at:
            yield inner[at:slash], False
        found = _ESCAPE.match(inner, slash)
        if found is None:
            raise refusal(text, start + slash, "a backslash begins nothing known here; write \\\\ for itself, or r'...' for a pattern")
        if found["plain"]:
            yield _PLAIN[found["plain"]], False
        elif found["x"] or found["o"]:
            yield int(found["x"] or found["o"], 16 if found["x"] else 8), True
        else:
            code = int(found["u"] or found["U"], 16)
            if code > 0x10FFFF:
                raise refusal(text, start + slash, "there is no such character")
            yield code, False
        at = found.end()
