"""Text that means a duration."""

from __future__ import annotations

import re
from fractions import Fraction

MOST_CHARACTERS = 100
_PART = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(h|ms|us|ns|m|s)")
_NANOS = {"h": 3600 * 10**9, "m": 60 * 10**9, "s": 10**9, "ms": 10**6, "us": 1000, "ns": 1}


def nanoseconds(text: str) -> Fraction | None:
    """Return how many nanoseconds a text such as ``-1h30m`` or ``1.5s`` means; None if it is no duration.

    >>> nanoseconds("1m.5s"), nanoseconds("-1us"), nanoseconds("1 s")
    (Fraction(60500000000, 1), Fraction(-1000, 1), None)
    """
    body = text[1:] if text[:1] in ("+", "-") else text
    if len(body) > MOST_CHARACTERS:
        return None
    parts = _PART.findall(body)
    if body != "0" and (not parts or "".join(number + unit for number, unit in parts) != body):
        return None
    nanos = sum((Fraction(number.rstrip(".")) * _NANOS[unit] for number, unit in parts), Fraction(0))
    return -nanos if text.startswith("-") else nanos
