"""Which index specifications suit data, with the reasons in words.

The order of the fields of a key follows one rule. What is asked for decides first: columns asked for by value lead, then those asked for
in order. Where nothing is asked:

- Fields go from few different values to many, so that what belongs together stands together and a prefix is worth something.
- A time leads all others where the rows are events: then a range of time is one range of keys, and new records come last. Where the rows
  fill the grid of all combinations by half at least, as a measurement of each station in each hour does, they are not events but a few
  series, and the time comes last: each series stands together, in order of time.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import permutations
from math import prod
from typing import Any

from sopnb.errors import InvalidInput
from sopnb.index.combinations import MOST_COLUMNS, MOST_COMBINATIONS, WIDEST, derived, needed, unique, widest
from sopnb.index.profile import Profile, distinct
from sopnb.index.queries import Query
from sopnb.index.specification import IndexField, IndexSpecification

GRID = 0.5
"""Rows that fill so much of the grid of a key's values are series, fewer are events."""
MOST_QUERIES = 32
MOST_NAMED = 6
"""So many columns are named in a reason."""

Key = tuple[Profile, ...]


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An index specification that suits the data: whether its keys are unique, the share of rows that they tell apart, and why.

    ``distinct`` is the number of different keys in relation to that of rows, from 0 to 1.
    """

    specification: IndexSpecification
    unique: bool
    distinct: float
    reason: str


@dataclass(frozen=True)
class Findings:
    """Suggestions, the best first; what there is to say besides; and the columns left out of unique keys with their reasons."""

    suggestions: tuple[Suggestion, ...] = ()
    notes: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)


def suggest(
    table: Any, queries: Iterable[Any] | None = None, *, key: Sequence[str] = (), most: int = 5, unfit: Mapping[str, str] | None = None
) -> Findings:
    """Return the index specifications that suit an Arrow table; see ``sopnb.suggest``.

    ``key`` names columns that are thought to be a key, ``unfit`` those that cannot be in one, with the reason.
    """
    if most < 1:
        raise InvalidInput(f"most={most}; ask for at least 1 suggestion")
    given = [queries] if isinstance(queries, str) else list(queries or ())
    if len(given) > MOST_QUERIES:
        raise InvalidInput(f"{len(given)} queries were given; give the {MOST_QUERIES} that matter most")
    asked = list(dict.fromkeys(Query.of(query, table.column_names) for query in given))
    for name in table.column_names:
        if table.column_names.count(name) > 1:
            raise InvalidInput(f"column {name!r} is there twice; rename one of them")
    if table.num_rows < 2:
        return Findings(notes=("fewer than 2 rows say nothing about keys",))
    return _Search(table, asked, key, most, unfit or {}).findings()


class _Search:
    """One search for keys: what is known of the columns, what was asked for, and what was found to be said."""

    def __init__(self, table: Any, asked: Sequence[Query], key: Sequence[str], most: int, unfit: Mapping[str, str]) -> None:
        self.rows, self.asked, self.key, self.most = table.num_rows, asked, key, most
        self.columns: dict[str, Profile] = {}
        self.left_out: dict[str, str] = {}
        self.notes: list[str] = []
        for place, name in enumerate(table.column_names):
            found = unfit[name] if name in unfit else Profile.of(name, place, table.column(name))
            if isinstance(found, str):
                self.left_out[name] = found
            else:
                self.columns[name] = found

    def findings(self) -> Findings:
        """Return what is suggested."""
        keys = self._unique()
        ranked = sorted((self._ordered(key) for key in keys), key=self._rank)
        best = [self._told(fields) for fields in ranked]
        served = [self._told(fields, unique=False, query=query) for query, fields in self._for_queries(ranked[:1])]
        if not best and not served and self.columns:
            best = [self._told(self._fields(widest(self._candidates(list(self.columns.values())))), unique=False)]
        self._say_what_adds_nothing(ranked)
        suggestions = list({s.specification: s for s in (*best[:1], *served, *best[1:])}.values())
        return Findings(tuple(suggestions[: self.most]), tuple(self.notes), self.left_out)

    # -- unique keys ----------------------------------------------------------------------------------------------------------

    def _unique(self) -> list[Key]:
        """Return unique combinations: of columns against which nothing speaks, or, where there are none, of all."""
        everything = list(self.columns.values())
        sound = [column for column in everything if not column.poor]
        for columns in (sound, everything) if len(sound) < len(everything) else (everything,):
            kept, why = self._kept(columns)
            found = unique(kept, self.rows)
            if found.combinations or columns is everything:
                break
        if found.combinations:
            self.left_out |= why | {c.name: c.poor for c in everything if c not in columns}
        elif everything:
            repeated = self.rows - distinct(everything)
            rows = f"{repeated:,} rows repeat" if repeated > 1 else "1 row repeats"
            self.notes.append(
                f"nothing is unique: {rows} others in every column that can be in a key"
                if repeated
                else f"no unique combination of up to {WIDEST} columns was found"
            )
        if found.bounded:
            self.notes.append(f"the search ended at its limits: {MOST_COLUMNS} columns, {MOST_COMBINATIONS:,} combinations")
        return list(found.combinations)

    def _kept(self, columns: list[Profile]) -> tuple[list[Profile], dict[str, str]]:
        """Return the columns that follow from no other, and of the others from which they do."""
        follows = derived(columns, self.rows)
        why = {c.name: f"{'one to one with' if c.distinct == by.distinct else 'follows from'} {by.name}" for c, by in follows.items()}
        return [column for column in columns if column not in follows], why

    def _candidates(self, columns: list[Profile]) -> list[Profile]:
        return self._kept([c for c in columns if not c.poor] or columns)[0]

    def _rank(self, fields: Sequence[IndexField]) -> tuple[Any, ...]:
        """Return what puts better keys first.

        Those that serve more queries, of sound columns, of few columns; the fewer combinations of values there could be, the less is it
        by chance that none is there twice; those that stand first in the data.
        """
        key = self._profiles(fields)
        possible = prod(column.distinct for column in key)
        return -self._served(fields), sum(bool(c.poor) for c in key), len(key), possible, sum(c.place for c in key)

    def _profiles(self, fields: Iterable[IndexField]) -> Key:
        return tuple(self.columns[field.name] for field in fields)

    # -- order ----------------------------------------------------------------------------------------------------------------

    def _fields(self, key: Key) -> tuple[IndexField, ...]:
        """Return the fields of a key in the order that the rule gives where nothing is asked."""
        times = sorted((c for c in key if c.time), key=lambda c: (c.time, c.distinct, c.place))
        others = sorted((c for c in key if not c.time), key=lambda c: (c.distinct, c.place))
        ordered = [*others, *times] if self._is_grid(key) else [*times, *others]
        return tuple(IndexField(column.name) for column in ordered)

    def _is_grid(self, key: Key) -> bool:
        return bool(self.rows >= GRID * prod(column.distinct for column in key))

    def _ordered(self, key: Key) -> tuple[IndexField, ...]:
        """Return the fields of a key in the order that serves the most queries, else by the rule; descending only where that serves."""
        usual = self._fields(key)
        down = {field.name: field.descending for query in reversed(self.asked) for field in query.ordered}
        directed = tuple(IndexField(field.name, down.get(field.name, False)) for field in usual)
        orders = (*permutations(usual), *permutations(directed))
        return max(
            orders, key=lambda fields: (self._served(fields), self._served(fields, reverse=False), -sum(f.descending for f in fields))
        )

    def _served(self, fields: Sequence[IndexField], *, reverse: bool = True) -> int:
        return sum(query.served(fields, unique=True, reverse=reverse) for query in self.asked)

    # -- queries --------------------------------------------------------------------------------------------------------------

    def _for_queries(self, there: Sequence[tuple[IndexField, ...]]) -> list[tuple[Query, tuple[IndexField, ...]]]:
        """Return an index for each query that neither those that are there nor one before it serves."""
        found: list[tuple[Query, tuple[IndexField, ...]]] = []
        for query in sorted(self.asked, key=lambda query: -len(query.names)):
            unfit = [name for name in query.names if name not in self.columns]
            if unfit:
                self.notes.append(f"no index serves ({query}): {unfit[0]} is left out, {self.left_out[unfit[0]]}")
                continue
            known = [*((fields, True) for fields in there), *((fields, False) for _, fields in found)]
            if not any(query.served(fields, unique=unique) for fields, unique in known):
                found.append((query, self._serving(query)))
        place = {query: at for at, query in enumerate(self.asked)}
        return sorted(found, key=lambda pair: place[pair[0]])

    def _serving(self, query: Query) -> tuple[IndexField, ...]:
        """Return an index that serves a query, and as many as can be of those that ask for some of the same columns."""
        shared = [set(other.equal) for other in self.asked if set(other.equal) < set(query.equal)]

        def rank(name: str) -> tuple[Any, ...]:
            column = self.columns[name]
            return -sum(name in equal for equal in shared), column.time, column.distinct, column.place

        return (*(IndexField(name) for name in sorted(query.equal, key=rank)), *query.ordered)

    # -- words ----------------------------------------------------------------------------------------------------------------

    def _told(self, fields: tuple[IndexField, ...], *, unique: bool = True, query: Query | None = None) -> Suggestion:
        key = self._profiles(fields)
        different = self.rows if unique else distinct(key)
        unique = different == self.rows
        reasons = [] if query is None else [f"serves the query ({query})"]
        if unique:
            reasons.append("unique" if len(key) == 1 else "unique, and no column can be left out" if query is None else "unique")
        else:
            reasons.append(f"not unique: {_percent(different, self.rows)} of the rows are distinct")
        served = [str(each) for each in self.asked if each is not query and each.served(fields, unique=unique)]
        reasons += [f"serves ({each})" for each in served]
        if query is None and not served:
            reasons += self._why_so(key)
        reasons += [f"{column.name} {_against(column)}" for column in key if column.poor]
        return Suggestion(IndexSpecification(fields, unique), unique, different / self.rows, "; ".join(reasons))

    def _why_so(self, key: Key) -> list[str]:
        """Return why the fields have their order."""
        if len(key) == 1:
            return []
        times = [column.name for column in key if column.time]
        if times and len(times) < len(key):
            if self._is_grid(key):
                filled = _percent(self.rows, prod(column.distinct for column in key))
                return [
                    f"{filled} of all combinations are there, so {times[-1]} comes last and each series stands together in order of time"
                ]
            return [f"{times[0]} comes first, so a range of time is one range of keys; then from few values to many"]
        return ["from coarse to fine" if times else "from few values to many"]

    def _say_what_adds_nothing(self, ranked: Sequence[Sequence[IndexField]]) -> None:
        """Note which columns add nothing to the keys that were thought of or asked for, or to the best one that was found."""
        thought = [tuple(self.key)] if self.key else []
        for asked in dict.fromkeys((*thought, *(query.names for query in self.asked))):
            key = tuple(self.columns[name] for name in asked if name in self.columns)
            kept = needed(sorted(key, key=lambda c: not c.time)) if len(key) > 1 else key
            spare = [column.name for column in key if column not in kept]
            if spare:
                rest = [column.name for column in key if column in kept]
                is_unique = ", which is unique" if distinct(kept) == self.rows else ", which tells as many rows apart"
                self.notes.append(f"{_add(spare)} nothing to ({', '.join(asked)}): ({', '.join(rest)}){is_unique}")
        if ranked and len(self.columns) > len(ranked[0]):
            names = [field.name for field in ranked[0]]
            others = [c.name for c in self.columns.values() if c.name not in names]
            codes = [c.name for c in self.columns.values() if c.name in others and c.text]
            named = (codes or others)[:MOST_NAMED]
            told = f"{', '.join(named)} or any other column adds" if len(named) < len(others) else _add(named)
            self.notes.append(f"({', '.join(names)}) is unique already: {told} nothing to it")


def _against(column: Profile) -> str:
    return {"has nulls": "has nulls", "floating point": "is floating point, and seldom found by value"}.get(
        column.poor, f"is {column.poor}"
    )


def _percent(part: int, whole: int) -> str:
    share = 100 * part / whole
    told = f"{share:.1f}" if 0.05 <= share < 99.95 else f"{share:.2g}" if share < 0.05 else "100" if part == whole else "over 99.9"
    return f"{told} %"


def _add(names: Sequence[str]) -> str:
    return f"{', '.join(names[:-1])} and {names[-1]} add" if len(names) > 1 else f"{names[0]} adds"
