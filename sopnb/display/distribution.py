"""What the values of a column are like: a few bars, and the same in words."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.display.sample import Sample
from sopnb.display.values import clean, told

BINS = 12
TOP = 4
"""So many of the most frequent values are told apart."""
LONGEST_LABEL = 24
t = pa.types


@dataclass(frozen=True, slots=True)
class Distribution:
    """``bars`` are heights of bars side by side, of 1 at most; ``parts`` shares of a whole, the largest first, which may add up to less.

    One of them at most is there. ``nulls`` is the share of null; ``caption`` the shortest account of it, ``words`` the full one.
    """

    bars: tuple[float, ...] = ()
    parts: tuple[float, ...] = ()
    nulls: float = 0.0
    caption: str = ""
    words: str = ""


def distribution(sample: Sample, name: str, *, document: bool = False) -> Distribution | None:
    """Return what a column of a sample is like; None where there is nothing to say."""
    column = sample.columns.column(name)
    total = len(column)
    large = sample.large.get(name, 0)
    missing = column.null_count - large
    whole = sample.rows == sample.of
    kind, found = column.type, column.drop_null()
    if not total:
        return None
    if document or not len(found):
        made = Distribution()
    elif t.is_boolean(kind):
        made = _truths(found)
    elif t.is_string(kind) or t.is_large_string(kind) or t.is_string_view(kind):
        made = _values(found, whole and not large)
    elif t.is_integer(kind) or t.is_floating(kind) or t.is_decimal(kind) or t.is_temporal(kind):
        made = _numbers(found, kind, whole)
    else:
        made = Distribution()
    nulls = missing / total
    captions = [made.caption, f"{_share(nulls)} null" if missing else ""]
    words = [made.words, f"{_share(nulls)} null" if missing else "", f"{large:,} large values" if large else ""]
    words.append("" if whole else f"of a sample of {sample.rows:,} rows")
    return Distribution(made.bars, made.parts, nulls, " · ".join(filter(None, captions)), "; ".join(filter(None, words)))


def _numbers(found: Any, kind: Any, whole: bool) -> Distribution:
    """Return a histogram of numbers or times in steps of equal width."""
    numbers = _stored(found).to_numpy()
    finite = np.flatnonzero(np.isfinite(numbers))
    others = len(numbers) - len(finite)
    if not len(finite):
        return Distribution(words="no finite number")
    numbers = numbers[finite]
    middle = (len(numbers) - 1) // 2
    places = np.argmin(numbers), np.argpartition(numbers, middle)[middle], np.argmax(numbers)
    low, half, high = (_stored_scalar(found[int(finite[at])]) for at in places)
    also = f"; {others:,} not finite" if others else ""
    if low == high:
        return Distribution(parts=(1.0,), caption=f"all {_short(low, kind)}", words=f"all {told(low, kind)}{also}")
    counts = _counts(numbers.astype(np.float64), int(min(BINS, high - low + 1)) if t.is_integer(kind) else BINS)
    return Distribution(
        bars=tuple((counts / counts.max()).tolist()),
        caption=f"{'' if whole else '≈ '}{_from_to(low, high, kind)}",
        words=f"from {told(low, kind)} to {told(high, kind)}, half of them up to {told(half, kind)}{also}",
    )


def _counts(values: Any, bins: int) -> Any:
    """Return how many values lie in each of some steps of equal width from the smallest to the largest."""
    scaled = values / max(abs(values.min()), abs(values.max()))
    start, stop = scaled.min(), scaled.max()
    if not start < stop:  # they differ by less than a float can say
        return np.array([len(values)])
    return np.bincount(np.minimum((scaled - start) / (stop - start) * bins, bins - 1).astype(np.int64), minlength=bins)


def _stored(found: Any) -> Any:
    """Return a column as numbers: times as integers in their unit, decimals as floats."""
    kind = found.type
    if t.is_decimal(kind):
        return found.cast(pa.float64())
    if t.is_temporal(kind):
        return found.cast(pa.int32() if kind.bit_width == 32 else pa.int64())
    return found


def _stored_scalar(scalar: Any) -> Any:
    return scalar.value if t.is_temporal(scalar.type) else scalar.as_py()


def _from_to(low: Any, high: Any, kind: Any) -> str:
    """Return two values in few characters: of times what tells them apart."""
    if not t.is_timestamp(kind):
        return f"{_short(low, kind)} … {_short(high, kind)}"
    one, two = told(low, kind), told(high, kind)
    if one[:7] != two[:7]:
        return f"{one[:10]} … {two[:10]}"
    return f"{one[:16]} … {two[11:16] if one[:10] == two[:10] else two[5:16]}"


def _short(value: Any, kind: Any) -> str:
    if t.is_integer(kind):
        return str(value) if abs(value) < 10**4 else f"{value:,}" if abs(value) < 10**7 else f"{value:.3g}"
    if t.is_floating(kind) or t.is_decimal(kind):
        return f"{value:,.0f}" if 10**4 <= abs(value) < 10**7 else f"{value:.4g}"
    return told(value, kind)


def _truths(found: Any) -> Distribution:
    true = pc.sum(found).as_py()
    share, most = true / len(found), max(true, len(found) - true)
    words = f"false {_share(1 - share)}, true {_share(share)}"
    return Distribution(bars=((len(found) - true) / most, true / most), caption=f"{_share(share)} true", words=words)


def _values(found: Any, whole: bool) -> Distribution:
    """Return the shares of the most frequent values."""
    counted = pc.value_counts(found.combine_chunks())
    counts = counted.field("counts").to_numpy()
    order = np.argsort(-counts, kind="stable")[:TOP]
    distinct, n = f"{len(counts):,}{'' if whole else '+'} distinct", f"{len(counts):,}{'' if whole else ' or more'} distinct values"
    if len(counts) == len(found) > 1:
        return Distribution(parts=(0.0,), caption="all distinct" if whole else "distinct in the sample", words=n)
    labels = counted.field("values").take(pa.array(order)).to_pylist()
    shares = [float(counts[at]) / len(found) for at in order]
    top = ", ".join(f"{clean(label, LONGEST_LABEL)} {_share(share)}" for label, share in zip(labels, shares, strict=True))
    if len(counts) == 1:
        return Distribution(parts=(1.0,), caption=f"all {clean(labels[0], LONGEST_LABEL)}", words=f"all {clean(labels[0])}")
    return Distribution(parts=tuple(shares), caption=distinct, words=f"{n}: {top}")


def _share(share: float) -> str:
    """Return a share in percent.

    >>> _share(0.25), _share(0.0243), _share(0.00001), _share(0.99999)
    ('25%', '2.4%', '<0.1%', '>99.9%')
    """
    percent = 100 * share
    if 0 < percent < 0.1:
        return "<0.1%"
    if 99.9 < percent < 100:
        return ">99.9%"
    return f"{percent:.0f}%" if percent >= 10 or percent == 0 else f"{percent:.1f}%"
