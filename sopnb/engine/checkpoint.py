"""The stored form of a state: what opening a database begins with, instead of its history.

A checkpoint is msgpack: the state's own fields, the outcomes of recent transactions, and for each store its catalogue entry, its trees
by their roots, and the operations of its unfolded tails as the commits brought them.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import msgspec

from sopnb.engine import record
from sopnb.engine.catalogue import Catalogue
from sopnb.engine.layer import Layer
from sopnb.engine.projection import Projection
from sopnb.engine.state import Dropped, Live, State, StoreState, names_of, tree_data, tree_ref
from sopnb.engine.tail import Tail, TailView
from sopnb.engine.tree import Tree, TreeReader
from sopnb.errors import Corruption, InternalError, UnsupportedFormat
from sopnb.schema import Schema

FORMAT = 2


class Stored(msgspec.Struct, array_like=True, frozen=True):
    """The whole state. ``outcomes`` are (seq, id, time) of recent commits.

    A store is ``[id, name, layout, schema, changed, layers, tail]``, a projection has ``[of, what, since, attached, ready]`` behind that,
    and makes the format 2; a layer ``["tree", lo, hi, root]`` or ``["tail", lo, hi, tail]``; a
    tail ``[lo, hi, commits]``, a commit of it ``[seq, operations, sum of their deltas, themselves]``.
    """

    format: int
    seq: int
    time: int
    tags: dict[str, int]
    live: dict[str, tuple[int, int]]
    dropped: dict[str, tuple[int, int, int]]
    horizon: int
    fenced: list[str]
    outcomes: list[tuple[int, bytes, int]]
    stores: list[Any]


class Head(msgspec.Struct, array_like=True, frozen=True):
    """The beginning of a stored state."""

    format: int
    seq: int
    time: int


_heads = msgspec.msgpack.Decoder(Head)
_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Stored)


def encode(state: State, outcomes: list[tuple[int, bytes, int]]) -> bytes:
    """Return the stored form of a state."""
    stores = [_store(state.store(id)) for id in sorted(state.by_id)]
    dropped: dict[str, tuple[int, int, int]] = dict(state.dropped)
    live: dict[str, tuple[int, int]] = dict(state.live)
    format = max(map(_format, stores), default=1)
    fenced = sorted(state.fenced)
    tags = dict(state.tags)
    stored = Stored(format, state.seq, state.time, tags, live, dropped, state.horizon, fenced, outcomes, stores)
    return _encoder.encode(stored)


def when(data: bytes) -> tuple[int, int]:
    """Return the seq and the time of a checkpoint."""
    head = _heads.decode(data)
    return head.seq, head.time


def decode(data: bytes, reader: TreeReader, where: str = "checkpoint") -> tuple[State, list[tuple[int, bytes, int]]]:
    """Return the state and the recent outcomes. Raises ``Corruption`` or ``UnsupportedFormat``."""
    try:
        stored = _decoder.decode(data)
        if stored.format > FORMAT:
            raise UnsupportedFormat(f"{where} was written by a newer sopnb (format {stored.format}); install a newer release")
        by_id = Catalogue((store.id, store) for store in [_restored(one, stored.seq, reader) for one in stored.stores])
    except msgspec.DecodeError as error:
        raise Corruption(where, f"it cannot be decoded ({error})") from error
    dropped = {blob: Dropped(*said) for blob, said in stored.dropped.items()}
    live = {blob: Live(*said) for blob, said in stored.live.items()}
    state = State(stored.seq, stored.time, by_id, names_of(by_id), stored.tags, live, dropped, stored.horizon, frozenset(stored.fenced))
    return state, stored.outcomes


def _store(store: StoreState) -> list[Any]:
    layers = [_layer(layer) for layer in store.layers]
    tail = _tail(store.tail, store.seq)
    stored = [store.id, store.name, store.layout, store.schema.to_dict(), store.changed, layers, tail]
    if store.projection is not None:
        how = store.projection
        stored.append([how.of, how.to_dict(), how.since, how.attached, how.ready])
    return stored


def _format(store: list[Any]) -> int:
    return 1 if len(store) == 7 else 2


def _layer(layer: Layer) -> list[Any]:
    if isinstance(layer, Tree):
        return ["tree", layer.lo, layer.hi, tree_data(layer.ref)]
    if isinstance(layer, TailView):
        return ["tail", layer.lo, layer.hi, _tail(layer.tail, layer.hi)]
    raise InternalError("a layer of this kind is never committed", kind=type(layer).__name__)


def _tail(tail: Tail, hi: int) -> list[Any]:
    commits = []
    for seq, operations in tail.commits(hi):
        commits.append((seq, len(operations), sum(op[2] for op in operations), record.encode_operations(operations)))
    return [tail.lo, hi, commits]


def _restored(one: Any, seq: int, reader: TreeReader) -> StoreState:
    id, name, layout, described, changed, layers, tail, *more = one
    schema = Schema.from_dict(described)
    restored: list[Layer] = []
    for kind, lo, hi, what in layers:
        if kind == "tree":
            restored.append(Tree(tree_ref(what), lo, hi, schema, reader))
        else:
            sealed = _restored_tail(what, schema)
            restored.append(sealed.view(hi, sealed.total))
    newest = _restored_tail(tail, schema)
    projection = None
    for of, what, since, attached, ready in more:
        projection = replace(Projection.from_dict(of, what), since=since, attached=attached, ready=ready)
    return StoreState(id, name, layout, schema, tuple(restored), newest, seq, reader, newest.total, changed, projection=projection)


def _restored_tail(stored: Any, schema: Schema) -> Tail:
    lo, _, commits = stored
    tail = Tail(lo, schema)
    for seq, count, delta, ops in commits:
        tail.add(seq, ops, count, delta)
    return tail
