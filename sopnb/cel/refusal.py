"""How an expression is refused: the reason, the place, and the line with a mark beneath it."""

from __future__ import annotations

from sopnb.errors import InvalidInput

_LONGEST_REASON = 600
_BESIDE = 60
"""So many characters of the line are shown on each side of the place."""


def refusal(text: str, at: int, reason: str) -> InvalidInput:
    """Return the error for an expression that cannot be used, to be raised."""
    start = text.rfind("\n", 0, at) + 1
    stop = text.find("\n", at) if "\n" in text[at:] else len(text)
    shown = slice(max(start, at - _BESIDE), min(stop, at + _BESIDE))
    line = "".join(c if c.isprintable() else " " for c in text[shown])
    place = f"line {text.count(chr(10), 0, at) + 1}, column {at - start + 1}"
    reason = reason if len(reason) <= _LONGEST_REASON else f"{reason[:_LONGEST_REASON]} ..."
    return InvalidInput(f"{reason} ({place} of the expression)\n    {line}\n    {' ' * (at - shown.start)}^")
