"""The labels of a frame's columns, which may be anything, as text, which names the columns of a store, and back, equal.

The text of a label depends on nothing but the label, so that frames meet a store by their labels; two labels of one text are refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cached_property
from typing import Any

import msgspec
import numpy as np
import pandas as pd
import pyarrow as pa

from sopnb import literals
from sopnb.errors import InvalidInput
from sopnb.fields import from_ipc, one_array, to_ipc
from sopnb.frames import kinds
from sopnb.frames.adopting import adopted
from sopnb.frames.kinds import Kind


def text(label: Any) -> str:
    """Return the name that a column with this label has in a store.

    >>> text(7), text(7.0), text(0.5), text(("delay", "mean")), text(("key", "")), text(pd.Timestamp("2013-01-31")), text(None)
    ('7', '7', '0.5', 'delay_mean', 'key', '2013-01-31', 'None')
    """
    if isinstance(label, tuple):
        return "_".join(part for part in map(text, label) if part)
    if isinstance(label, float | np.floating):
        return str(label).removesuffix(".0")
    return str(label).removesuffix(" 00:00:00") if isinstance(label, datetime) else str(label)


class Level(msgspec.Struct, frozen=True):
    """The labels of one level: values of a kind, in Arrow; or objects, as literals."""

    kind: Kind | None = None
    values: bytes = b""
    objects: str = "[]"
    freq: str | None = None

    @classmethod
    def of(cls, labels: Any) -> Level:
        """Return the level of an index. Raises ``InvalidInput`` for what cannot be kept."""
        if labels.dtype == object:
            return cls(objects=literals.dumps(list(labels), "columns"))
        column = adopted(labels, "columns")
        for fault in column.faults:
            raise InvalidInput(fault)
        return cls(column.kind, to_ipc(one_array(column.array)), freq=kinds.freq_text(labels))

    def made(self) -> Any:
        """Return the index."""
        if self.kind is None:
            labels = literals.loads(self.objects)
            return pd.Index(np.fromiter(labels, object, len(labels)), dtype=object, tupleize_cols=False)
        return kinds.index(pa.chunked_array([from_ipc(self.values)]), self.kind, freq=self.freq)


class Labels(msgspec.Struct, frozen=True, dict=True):
    """The labels of columns, and what these columns are named in a store.

    ``levels`` are the labels, or with ``codes`` those of each level, of which the codes choose; ``counted`` is the start, stop and step
    of a range. ``names`` are the names of the levels, ``others`` the labels of columns that the frame had as its index, by their
    names in the store, both as literals.
    """

    texts: list[str]
    names: str
    levels: list[Level] = []
    codes: list[list[int]] | None = None
    counted: list[int] | None = None
    others: str = "{}"

    @classmethod
    def of(cls, labels: Any, index: Sequence[Any] = ()) -> Labels:
        """Return the labels of a frame of which the index has these names. Raises ``InvalidInput`` for what would not come back."""
        said = cls(
            list(map(text, labels)),
            literals.dumps(list(labels.names), "columns.names"),
            others=literals.dumps({text(name): name for name in index}, "index.names"),
        )
        if isinstance(labels, pd.RangeIndex):
            said = msgspec.structs.replace(said, counted=[labels.start, labels.stop, labels.step])
        elif isinstance(labels, pd.MultiIndex):
            codes = [list(map(int, each)) for each in labels.codes]
            said = msgspec.structs.replace(said, levels=[Level.of(level) for level in labels.levels], codes=codes)
        else:
            said = msgspec.structs.replace(said, levels=[Level.of(labels)])
        if not _same(said.index, labels):
            raise InvalidInput(f"the column labels, of dtype {labels.dtype}, would not come back as they are; use names of text")
        return said

    @cached_property
    def index(self) -> Any:
        """The labels of all columns."""
        if self.counted is not None:
            labels = pd.RangeIndex(*self.counted)
        elif self.codes is not None:
            labels = pd.MultiIndex(levels=[level.made() for level in self.levels], codes=self.codes, verify_integrity=False)
        else:
            labels = self.levels[0].made()
        labels.names = literals.loads(self.names)
        return labels

    def named(self, names: Sequence[str]) -> Any:
        """Return the labels of the columns that have these names in the store; names that are of no label are labels themselves."""
        if list(names) == self.texts:
            return self.index
        place = {name: at for at, name in enumerate(self.texts)}
        more = [name for name in names if name not in place]
        place |= {name: len(self.texts) + at for at, name in enumerate(more)}
        return self._with(map(self.other, more)).take([place[name] for name in names])

    def other(self, name: str) -> Any:
        """Return the label of what the frame had as its index."""
        return literals.loads(self.others).get(name, name)

    def _with(self, more: Iterable[Any]) -> Any:
        """Return the labels and more of them, in as many levels."""
        labels, more = self.index, list(more)
        if not more:
            return labels
        n = labels.nlevels
        if not isinstance(labels, pd.MultiIndex):
            return labels.append(pd.Index(more, name=labels.name, tupleize_cols=False))
        deep = [label if isinstance(label, tuple) and len(label) == n else (label, *[""] * (n - 1)) for label in more]
        return labels.append(pd.MultiIndex.from_tuples(deep, names=labels.names))

    def grown(self, other: Labels, names: Sequence[str]) -> Labels:
        """Return the labels with those of some columns of another frame."""
        more = [name for name in names if name in other.texts and name not in self.texts]
        if not more or other.index.nlevels != self.index.nlevels:
            return self
        return type(self).of(self.index.append(other.named(more)), list(literals.loads(self.others).values()))

    def has(self, label: tuple[Any, ...]) -> bool:
        """Say whether a column of the frame has this label of several parts."""
        return any(isinstance(each, tuple) and each == label for each in (*self.index, *literals.loads(self.others).values()))


def are_text(labels: Any) -> bool:
    """Say whether labels are text in one level and of one of the usual dtypes, as those of most frames are."""
    return bool(
        not isinstance(labels, pd.MultiIndex)
        and str(labels.dtype) in ("object", "str", "string")
        and all(isinstance(label, str) for label in labels)
        and (labels.name is None or isinstance(labels.name, str))
        and text_dtype(str(labels.dtype)) == labels.dtype
    )


def text_dtype(name: str) -> Any:
    """Return the dtype that labels of text have by this name, or object where this version of pandas has none."""
    try:
        return pd.api.types.pandas_dtype(name) if name != "str" else pd.Index(["a"]).dtype
    except TypeError:
        return np.dtype(object)


def renamed(frame: Any) -> Any:
    """Return a frame with columns and levels of the index named as in a store."""
    if not are_text(frame.columns):
        frame = frame.set_axis(list(map(text, frame.columns)), axis=1)
    if all(name is None or isinstance(name, str) for name in frame.index.names):
        return frame
    return frame.rename_axis(index=[None if name is None else text(name) for name in frame.index.names])


def _same(a: Any, b: Any) -> bool:
    """Say whether two indexes are the same, values, dtypes, names and all."""
    if type(a) is not type(b) or list(map(_typed, a.names)) != list(map(_typed, b.names)):
        return False
    if isinstance(a, pd.MultiIndex):
        return len(a) == len(b) and all(_same(*pair) for pair in zip(a.levels, b.levels, strict=True))
    if a.dtype == object:
        return a.dtype == b.dtype and len(a) == len(b)  # literals keep each as it is
    return bool(a.dtype == b.dtype and a.equals(b) and getattr(a, "freq", None) == getattr(b, "freq", None))


def _typed(name: Any) -> tuple[type, str]:
    return type(name), repr(name)
