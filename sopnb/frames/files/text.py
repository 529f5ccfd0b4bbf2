"""Values as text: which type a whole column of text has, and its values in that type.

A type is given to a column if every value of it *is* one of that type, so it does not matter in which order they are read or in which
pieces. No digit is ever lost: whole numbers with leading zeros or beyond 64 bits are text, and so are numbers of which some have a
fraction and others more digits than a double has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from sopnb.errors import InvalidInput

TEMPORAL = (
    pa.date32(),
    pa.time64("us"),
    pa.timestamp("us"),
    pa.timestamp("ns"),
    pa.timestamp("us", "UTC"),
    pa.timestamp("ns", "UTC"),
)
KINDS = (pa.int64(), pa.bool_(), *TEMPORAL, pa.float64())
"""The types that columns of text may turn out to have, the first that fits first."""
NULLS = pa.array(["", "NA", "N/A", "n/a", "#N/A", "#NA", "#N/A N/A", "NULL", "null"])
"""Words that mean null in columns that are not text."""
FEW = 8
_MORE_DIGITS = r"^-?(0\d|\d{16,}$)"
_BOOLS = pa.array(["true", "false", "True", "False", "TRUE", "FALSE"])
t = pa.types


@dataclass
class TextColumn:
    """What is known of the type of a column of text: ``kinds`` that fit all values seen, and whether any value was ``seen``.

    ``words`` says whether the words of ``NULLS`` mean null.
    """

    kinds: tuple[Any, ...] = KINDS
    seen: bool = False
    words: bool = True

    def add(self, text: Any) -> None:
        """Take values into account."""
        if not self.kinds or text.null_count == len(text):
            return
        fit = self._fitting(text)
        if fit != self.kinds and self.words:
            text = cleaned(text)
            if text.null_count == len(text):
                return
            fit = self._fitting(text)
        self.seen, self.kinds = True, fit

    def _fitting(self, text: Any) -> tuple[Any, ...]:
        """Return the kinds that fit some more values. A few are tried first: a cast that fails says so of every value, slowly."""
        few = text.drop_null()[:FEW]
        return tuple(kind for kind in self.kinds if _is(few, kind) and _is(text, kind))

    def join(self, other: TextColumn) -> TextColumn:
        """Return what is known from two parts of a column."""
        kinds = tuple(kind for kind in self.kinds if kind in other.kinds)
        return TextColumn(kinds, self.seen or other.seen, self.words)

    def field(self, name: str) -> Any:
        """Return the column as a field: text if nothing else fits, or if there is no value."""
        return pa.field(name, self.kinds[0] if self.kinds and self.seen else pa.string())


def cleaned(text: Any) -> Any:
    """Return values without spaces around them, and null for what means null."""
    trimmed = pc.utf8_trim_whitespace(text)
    return pc.if_else(pc.is_in(trimmed, NULLS), pa.scalar(None, trimmed.type), trimmed)


def _is(text: Any, kind: Any) -> bool:
    """Say whether every value is one of this type, and would come back as the same text, or as the same instant."""
    if t.is_boolean(kind):
        return bool(pc.all(pc.is_in(text.drop_null(), _BOOLS)).as_py())
    if t.is_time(kind) and pc.min(pc.binary_length(text)).as_py() < len("10:00"):
        return False
    try:
        values = _parsed(text, kind)
    except pa.ArrowInvalid:
        return False
    if t.is_integer(kind):
        return bool(pc.all(pc.equal(values.cast(text.type), text)).as_py())
    if t.is_floating(kind):
        return not pc.any(pc.match_substring_regex(text, _MORE_DIGITS)).as_py()
    return True


def values(text: Any, kind: Any, *, words: bool = True) -> Any:
    """Return a column of text in the type asked for. Raises ``pa.ArrowInvalid`` if a value is none of that type.

    Text that names no zone is read in the zone of the column. Durations are whole numbers in the unit of the column.
    """
    if is_text(kind):
        return text if text.type == kind else text.cast(kind)
    try:
        return _read(text, kind)
    except pa.ArrowInvalid:
        if not words:
            raise
        return _read(cleaned(text), kind)


def is_text(kind: Any) -> bool:
    """Say whether this is a type of text."""
    return bool(t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind))


def check_readable(name: str, kind: Any) -> None:
    """Raise ``InvalidInput`` if text cannot say values of this type."""
    if t.is_dictionary(kind):
        kind = kind.value_type
    if t.is_nested(kind) or t.is_binary(kind) or t.is_large_binary(kind) or t.is_fixed_size_binary(kind) or t.is_binary_view(kind):
        raise InvalidInput(f"column {name!r} of type {kind} cannot be read from text; use Parquet or Arrow for it")


def _read(text: Any, kind: Any) -> Any:
    if t.is_timestamp(kind) and kind.tz is not None:
        try:
            return _moments(text, kind)
        except pa.ArrowInvalid:
            return pc.assume_timezone(_moments(text, pa.timestamp(kind.unit)), kind.tz)
    return _parsed(text, kind)


def _moments(text: Any, kind: Any) -> Any:
    moments = text.cast(kind)
    if kind.unit == "ns":
        years = pc.utf8_slice_codeunits(text, 0, 4)  # those beyond 64 bits come back as others in Arrow before 19
        if pc.any(pc.or_(pc.less(years, "1677"), pc.greater(years, "2262"))).as_py():
            raise pa.ArrowInvalid("a moment does not fit 64 bits of nanoseconds")
    return moments


def _parsed(text: Any, kind: Any) -> Any:
    if t.is_time(kind):
        moments = pc.binary_join_element_wise("1970-01-01T", text, "").cast(pa.timestamp("ns" if kind.unit == "ns" else "us"))
        return moments.cast(pa.time64(moments.type.unit)).cast(kind)
    if t.is_duration(kind):
        return text.cast(pa.int64()).cast(kind)
    if t.is_date64(kind):
        return text.cast(pa.date32()).cast(kind)
    if t.is_float16(kind):
        return text.cast(pa.float32()).cast(kind)
    if t.is_null(kind):
        return pa.nulls(len(text)) if text.null_count == len(text) else text.cast(pa.int64()).cast(kind)
    return _moments(text, kind) if t.is_timestamp(kind) else text.cast(kind)
