"""Was it serialisable? A checker for histories of transactions that append to lists and read them.

Every append adds a value that nobody else adds to the list of one key, so a read tells in which order the values came. From that follow
edges between transactions: *ww* (its value comes just before the other's), *wr* (it read the other's value last), *rw* (it read a list
to which the other added next) and *rt* (it ended before the other began). A cycle is an anomaly; which edges it needs names it:

    G0        only ww: two transactions' writes interleave
    G1c       ww and wr: each saw something of the other
    G-single  one rw: a read that is older than what the transaction saw elsewhere (read skew, lost update)
    G2        several rw: write skew
    real-time with rt: a transaction that began after an answer does not see what was answered

Other anomalies need no graph: a value read twice or not written by anybody (*garbage*), reads that no one order explains
(*incompatible*), values of aborted transactions (*G1a*), a list cut in the middle of a transaction (*G1b*), a transaction that does not
see its own appends (*internal*), acknowledged appends that are in no list at the end (*lost*).
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

Outcome = Literal["committed", "aborted", "unknown"]
Kind = Literal["ww", "wr", "rw", "rt"]
Graph = dict[int, dict[int, set[Kind]]]


@dataclass(frozen=True, slots=True)
class Read:
    """A transaction saw ``values`` as the list of ``key``."""

    key: Hashable
    values: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Append:
    """A transaction added ``value`` to the list of ``key``."""

    key: Hashable
    value: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """What one transaction did, in order. ``began`` and ``ended`` are moments of a clock that all share.

    An *unknown* one counts as committed if a read of another shows a value of it.
    """

    operations: tuple[Read | Append, ...]
    outcome: Outcome = "committed"
    began: float = 0
    ended: float = float("inf")


@dataclass(frozen=True, slots=True)
class Anomaly:
    """Something that no serial order explains. ``transactions`` are numbers into the history."""

    kind: str
    what: str
    transactions: tuple[int, ...] = ()


def anomalies(history: Sequence[Transaction], *, real_time: bool = True, complete: bool = False) -> list[Anomaly]:
    """Return what is wrong with a history, the plainest first; an empty list if some serial order explains it all.

    ``real_time``: the order must also respect which transaction ended before which began. ``complete``: a transaction at the end read
    every list, so whatever is in no list is lost.
    """
    found, orders, writers = _versions(history)
    if complete:
        found += _lost(history, orders)
    if found:
        return found
    counted = _counted(history, orders)
    graph = _graph(history, orders, writers, counted)
    found = _cycles(graph)
    if not found and real_time:
        _add_real_time(graph, history, counted)
        found = [Anomaly("real-time", "a transaction does not see what was answered before it began", tuple(c)) for c in _components(graph)]
    return found


# -- lists --------------------------------------------------------------------------------------------------------------------


def _versions(history: Sequence[Transaction]) -> tuple[list[Anomaly], dict[Hashable, tuple[int, ...]], dict[tuple[Hashable, int], int]]:
    """Return what the lists alone show to be wrong, the longest list of each key, and who wrote each value."""
    found: list[Anomaly] = []
    writers: dict[tuple[Hashable, int], int] = {}
    last: dict[tuple[int, Hashable], int] = {}
    for n, transaction in enumerate(history):
        for operation in transaction.operations:
            if isinstance(operation, Append):
                if (operation.key, operation.value) in writers:
                    raise ValueError(f"value {operation.value} of {operation.key!r} is appended twice; values must be unique")
                writers[operation.key, operation.value] = n
                last[n, operation.key] = operation.value
    orders: dict[Hashable, tuple[int, ...]] = {}
    for n, transaction in enumerate(history):
        if transaction.outcome != "committed":
            continue
        for key, values in _outer_reads(n, transaction, found).items():
            if len(values) > len(orders.get(key, ())):
                orders[key] = values
            found += _strange(n, key, values, history, writers, last)
    for n, transaction in enumerate(history):
        for operation in transaction.operations if transaction.outcome == "committed" else ():
            if isinstance(operation, Read):
                order = orders.get(operation.key, ())
                outer = _without_own(n, operation, writers)
                if outer != order[: len(outer)]:
                    found.append(Anomaly("incompatible", f"{operation.key!r} was read as {list(outer)} and as {list(order)}", (n,)))
    return found, orders, writers


def _without_own(n: int, read: Read, writers: Mapping[tuple[Hashable, int], int]) -> tuple[int, ...]:
    return tuple(value for value in read.values if writers.get((read.key, value)) != n)


def _outer_reads(n: int, transaction: Transaction, found: list[Anomaly]) -> dict[Hashable, tuple[int, ...]]:
    """Return what a transaction read of each key besides its own appends; note where it did not see those, or saw a list change."""
    seen: dict[Hashable, tuple[int, ...]] = {}
    own: dict[Hashable, tuple[int, ...]] = {}
    for operation in transaction.operations:
        if isinstance(operation, Append):
            own[operation.key] = (*own.get(operation.key, ()), operation.value)
            continue
        mine = own.get(operation.key, ())
        outer = operation.values[: len(operation.values) - len(mine)]
        if operation.values[len(outer) :] != mine or seen.get(operation.key, outer) != outer:
            found.append(
                Anomaly("internal", f"transaction {n} read {operation.key!r} as {list(operation.values)}, its own being {list(mine)}", (n,))
            )
        seen.setdefault(operation.key, outer)
    return seen


def _strange(
    n: int,
    key: Hashable,
    values: tuple[int, ...],
    history: Sequence[Transaction],
    writers: Mapping[tuple[Hashable, int], int],
    last: Mapping[tuple[int, Hashable], int],
) -> Iterable[Anomaly]:
    if len(set(values)) != len(values):
        yield Anomaly("garbage", f"{key!r} was read as {list(values)}: a value is there twice", (n,))
    for value in values:
        writer = writers.get((key, value))
        if writer is None:
            yield Anomaly("garbage", f"{key!r} was read as {list(values)}: nobody wrote {value}", (n,))
        elif history[writer].outcome == "aborted":
            yield Anomaly("G1a", f"{key!r} holds {value} of transaction {writer}, which was aborted", (writer, n))
    if values:
        writer = writers.get((key, values[-1]))
        if writer not in (None, n) and last[writer, key] != values[-1]:
            yield Anomaly("G1b", f"{key!r} was read as {list(values)}, in the middle of transaction {writer}", (n,))


def _lost(history: Sequence[Transaction], orders: Mapping[Hashable, tuple[int, ...]]) -> list[Anomaly]:
    there = {key: set(values) for key, values in orders.items()}
    return [
        Anomaly("lost", f"{operation.value} was appended to {operation.key!r} by transaction {n} and is in no list", (n,))
        for n, transaction in enumerate(history)
        if transaction.outcome == "committed"
        for operation in transaction.operations
        if isinstance(operation, Append) and operation.value not in there.get(operation.key, ())
    ]


# -- the graph ----------------------------------------------------------------------------------------------------------------


def _counted(history: Sequence[Transaction], orders: Mapping[Hashable, tuple[int, ...]]) -> set[int]:
    """Return the transactions that were committed, as far as is known."""
    there = {key: set(values) for key, values in orders.items()}
    return {
        n
        for n, transaction in enumerate(history)
        if transaction.outcome == "committed"
        or (
            transaction.outcome == "unknown"
            and any(isinstance(o, Append) and o.value in there.get(o.key, ()) for o in transaction.operations)
        )
    }


def _graph(
    history: Sequence[Transaction],
    orders: Mapping[Hashable, tuple[int, ...]],
    writers: Mapping[tuple[Hashable, int], int],
    counted: set[int],
) -> Graph:
    graph: Graph = {n: {} for n in counted}

    def edge(a: int, b: int, kind: Kind) -> None:
        if a != b and a in counted and b in counted:
            graph[a].setdefault(b, set()).add(kind)

    unseen: dict[Hashable, list[int]] = {}
    for (key, value), n in writers.items():
        if value not in orders.get(key, ()):
            unseen.setdefault(key, []).append(n)
    for key, order in orders.items():
        for a, b in pairwise(order):
            edge(writers[key, a], writers[key, b], "ww")
        for n in unseen.get(key, []) if order else []:
            edge(writers[key, order[-1]], n, "ww")
    for n in counted:
        for operation in history[n].operations:
            if isinstance(operation, Read):
                key, outer = operation.key, _without_own(n, operation, writers)
                order = orders.get(key, ())
                if outer:
                    edge(writers[key, outer[-1]], n, "wr")
                following = [writers[key, value] for value in order[len(outer) :] if writers[key, value] != n][:1]
                for other in following or unseen.get(key, []):
                    edge(n, other, "rw")
    return graph


def _add_real_time(graph: Graph, history: Sequence[Transaction], counted: set[int]) -> None:
    """Add an edge from each transaction to those that began after its end, leaving out what follows from others."""
    by_end = sorted(counted, key=lambda n: history[n].ended)
    for n in counted:
        before = [p for p in by_end if p != n and history[p].ended < history[n].began]
        newest = max((history[p].began for p in before), default=0.0)
        for p in reversed(before):
            if history[p].ended < newest:
                break
            graph[p].setdefault(n, set()).add("rt")


def _cycles(graph: Graph) -> list[Anomaly]:
    for kinds, name in (({"ww"}, "G0"), ({"ww", "wr"}, "G1c")):
        found = _components(graph, kinds)
        if found:
            return [Anomaly(name, f"these depend on each other by {'/'.join(sorted(kinds))}", tuple(c)) for c in found]
    found = _components(graph)
    out = []
    for component in found:
        single = any(
            "rw" in kinds and _reaches(graph, b, a, {"ww", "wr"}) for a in component for b, kinds in graph[a].items() if b in component
        )
        out.append(Anomaly("G-single" if single else "G2", "each read what another then changed", tuple(component)))
    return out


def _reaches(graph: Graph, start: int, goal: int, kinds: set[str]) -> bool:
    todo, seen = [start], {start}
    while todo:
        for other, edges in graph[todo.pop()].items():
            if edges & kinds:
                if other == goal:
                    return True
                if other not in seen:
                    seen.add(other)
                    todo.append(other)
    return False


def _components(graph: Graph, kinds: set[str] | None = None) -> list[list[int]]:
    """Return the strongly connected components of more than one transaction (Tarjan's, without recursion)."""

    def following(n: int) -> list[int]:
        return [other for other, edges in graph[n].items() if kinds is None or edges & kinds]

    index: dict[int, int] = {}
    low: dict[int, int] = {}
    stack: list[int] = []
    on_stack: set[int] = set()
    found = []
    for root in graph:
        if root in index:
            continue
        work = [(root, iter(following(root)))]
        index[root] = low[root] = len(index)
        stack.append(root)
        on_stack.add(root)
        while work:
            n, rest = work[-1]
            for other in rest:
                if other not in index:
                    index[other] = low[other] = len(index)
                    stack.append(other)
                    on_stack.add(other)
                    work.append((other, iter(following(other))))
                    break
                if other in on_stack:
                    low[n] = min(low[n], index[other])
            else:
                work.pop()
                if work:
                    low[work[-1][0]] = min(low[work[-1][0]], low[n])
                if low[n] == index[n]:
                    component = stack[stack.index(n) :]
                    del stack[-len(component) :]
                    on_stack.difference_update(component)
                    if len(component) > 1:
                        found.append(sorted(component))
    return found
