"""A pandas frame with any labels as columns with text for names, and back, equal.

A store holds columns that are named by text, in the order of a key. What a frame says beyond that is put beside it: the labels of its
columns, whatever they are, its index, the order of its rows, ``attrs``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from sopnb import literals
from sopnb.errors import InvalidInput
from sopnb.frames.numbered import ROW, unlike


def flattened(frame: Any, what: str) -> tuple[Any, tuple[str, ...], dict[str, Any]]:
    """Return (the frame's columns and index as columns, the names of those that are the key, what else it says, as literals).

    The index is the key if it has names, is unique, and puts the rows in the order that they have. Raises ``InvalidInput`` naming in
    ``what`` the part that cannot be kept.
    """
    labels = _labels(frame.columns, f"{what}.columns")
    attrs = _kept(frame.attrs, f"{what}.attrs")
    keyed = _orders(frame.index)
    texts = [label if isinstance(label, str) else repr(label) for label in frame.columns]
    index = [] if isinstance(frame.index, pd.RangeIndex) else list(frame.index.names)
    names = unlike([*(name if isinstance(name, str) else "index" for name in index), *texts])
    levels, columns = names[: len(index)], names[len(index) :]
    flat = frame.set_axis(columns, axis=1)
    flat.attrs = {}
    flat = flat.reset_index(drop=True)
    for at, level in enumerate(levels):
        flat.insert(at, level, pd.Series(frame.index.get_level_values(at)))
    key = tuple(levels)
    if not keyed:
        key = (unlike([*names, ROW])[-1],)
        flat.insert(0, key[0], np.arange(len(frame)))
    says = {
        "columns": labels,
        "index": _index(frame.index, f"{what}.index") | {"levels": levels},
        "row": None if keyed else key[0],
        "attrs": attrs,
    }
    return flat, key, says


def restored(flat: Any, says: dict[str, Any]) -> Any:
    """Return the frame of which ``flattened`` made columns."""
    index = says["index"]
    frame = flat.drop(columns=[*index["levels"], *([] if says["row"] is None else [says["row"]])])
    levels = [flat[level] for level in index["levels"]]
    if index["range"] is not None:
        start, step = index["range"]
        frame.index = pd.RangeIndex(start, start + step * len(frame), step)
    else:
        frame.index = pd.MultiIndex.from_arrays(levels) if index["multi"] else _with_freq(pd.Index(levels[0]), index["freq"])
    frame.index.names = literals.loads(index["names"])
    frame.columns = _made(says["columns"])
    frame.attrs = literals.loads(says["attrs"])
    return frame


def _kept(value: Any, what: str) -> str:
    return literals.dumps(value, what)


def _orders(index: Any) -> bool:
    """Say whether an index has names and puts the rows in the order of a store: texts, whole numbers and times, without null."""
    if isinstance(index, pd.RangeIndex) or not all(isinstance(name, str) for name in index.names):
        return False
    levels = [index.get_level_values(at) for at in range(index.nlevels)]
    plain = all(_plain(level) and not level.hasnans for level in levels)
    return bool(plain and index.is_unique and index.is_monotonic_increasing)


def _plain(level: Any) -> bool:
    kind = level.dtype
    whole = pd.api.types.is_integer_dtype(kind) or pd.api.types.is_datetime64_any_dtype(kind)
    return bool(whole or pd.api.types.infer_dtype(level) == "string")


def _index(index: Any, what: str) -> dict[str, Any]:
    return {
        "names": _kept(list(index.names), f"{what}.names"),
        "range": [index.start, index.step] if isinstance(index, pd.RangeIndex) else None,
        "multi": isinstance(index, pd.MultiIndex),
        "freq": _freq(index),
    }


def _freq(index: Any) -> str | None:
    """Return the step of an index of times, if it says that it has one."""
    return index.freqstr if isinstance(index, pd.DatetimeIndex | pd.TimedeltaIndex) else None


def _with_freq(index: Any, freq: str | None) -> Any:
    """Return an index with its frequency; as it is if rows were added or taken away since."""
    try:
        return index if freq is None else type(index)(index, freq=freq)
    except ValueError:
        return index


def _labels(labels: Any, what: str) -> dict[str, Any]:
    """Return the labels of the columns as literals. Raises ``InvalidInput`` if these would not come back equal."""
    said: dict[str, Any] = {"names": _kept(list(labels.names), f"{what}.names"), "range": None, "levels": [], "freq": _freq(labels)}
    if isinstance(labels, pd.RangeIndex):
        said["range"] = [labels.start, labels.stop, labels.step]
    else:
        levels = [labels.get_level_values(at) for at in range(labels.nlevels)]
        said["levels"] = [[str(level.dtype), _kept(level.tolist(), what)] for level in levels]
    if not _made(said).identical(labels):
        raise InvalidInput(f"{what} of type {type(labels).__name__} of {labels.dtype} cannot be kept; give the columns names of text")
    return said


def _made(said: dict[str, Any]) -> Any:
    if said["range"] is not None:
        labels = pd.RangeIndex(*said["range"])
    else:
        levels = [pd.Index(literals.loads(values), dtype=kind) for kind, values in said["levels"]]
        labels = pd.MultiIndex.from_arrays(levels) if len(levels) > 1 else _with_freq(levels[0], said["freq"])
    labels.names = literals.loads(said["names"])
    return labels
