"""Whether a write changes anything: null equals null, NaN equals NaN, and -0.0 is another value than 0.0."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from sopnb.fields import one_array


def same_row(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Say whether two rows of storage values are the same."""
    return all(map(_same, a, b))


def _same(a: Any, b: Any) -> bool:
    if a is b:
        return True
    if isinstance(a, float) and isinstance(b, float):
        return (a == b and math.copysign(1, a) == math.copysign(1, b)) or (a != a and b != b)
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and same_row(a, b)
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(value, b[name]) for name, value in a.items())
    return bool(a == b)


def differ(new: pa.Table, old: pa.Table) -> Any:
    """Say for each row of two tables whether any column of ``new`` differs."""
    differs = np.zeros(old.num_rows, bool)
    for name in new.column_names:
        a, b = one_array(new[name]), one_array(old[name])
        kind = a.type
        if pa.types.is_null(kind):
            continue
        if pa.types.is_nested(kind):
            differs |= ~np.array(list(map(_same, a.to_pylist(), b.to_pylist())), bool)
        elif pa.types.is_floating(kind):
            differs |= _floats_differ(a, b)
        else:
            both = pc.and_(pc.is_null(a), pc.is_null(b))
            same = pc.or_(pc.fill_null(pc.equal(a, b), False), both)
            differs |= ~same.to_numpy(zero_copy_only=False)
    return differs


def _floats_differ(a: Any, b: Any) -> Any:
    (x, absent), (y, missing) = ((_bits(array), array.is_null().to_numpy(zero_copy_only=False)) for array in (a, b))
    same = (x == y) | (np.isnan(x.view(f"f{x.itemsize}")) & np.isnan(y.view(f"f{y.itemsize}")))
    return (absent != missing) | (~absent & ~same)


def _bits(array: Any) -> Any:
    """Return the values as whole numbers of the same bits; what stands for null does not matter."""
    width = array.type.bit_width // 8
    values = np.frombuffer(array.buffers()[1] or b"", f"i{width}")
    return values[array.offset : array.offset + len(array)]
