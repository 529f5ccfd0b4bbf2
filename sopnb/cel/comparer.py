"""The comparers that SOP has, as key fields: expressions over two records, ``mapX`` and ``mapY``, below, at or above zero.

A comparer is not evaluated for keys: that would be done at every step of every search. What it says depends on how each of its fields
stands between the two records: less, equal or greater. So it is looked at for every such case, whatever its form, and if it orders by one
field after the other, these are the key fields.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import product
from typing import NoReturn

from sopnb.cel.parser import RESERVED, parsed
from sopnb.cel.refusal import refusal
from sopnb.cel.rendering import told
from sopnb.cel.tree import ROW, Call, ListOf, Literal, Macro, MapOf, Name, Node, Select, everything

ONE, OTHER = "mapX", "mapY"
MOST_FIELDS = 7
"""So many fields are looked at, for there are three to that power of cases."""
_SIGNS = ("_<_", "_<=_", "_>_", "_>=_", "_==_", "_!=_")
Cases = dict[tuple[int, ...], float]


def compared(text: str) -> list[tuple[str, bool]]:
    """Return the fields by which a comparer orders, and whether each is descending.

    Raises ``InvalidInput`` with the nearest equivalent if it does not order by one field after the other.

    >>> compared("mapX.a != mapY.a ? (mapX.a < mapY.a ? -1 : 1) : mapY.b - mapX.b")
    [('a', False), ('b', True)]
    >>> compared("size(mapX.name) - size(mapY.name)")
    [('cel: size(name)', False)]
    """
    return _Comparer(text).fields()


class _Comparer:
    def __init__(self, text: str) -> None:
        self._text, self._tree = text, parsed(text)
        self._names: list[str] = []
        self._learn(self._tree)

    def fields(self) -> list[tuple[str, bool]]:
        if not self._names:
            self._refuse(self._tree, f"it compares no field of {ONE} with one of {OTHER}")
        if len(self._names) > MOST_FIELDS:
            self._refuse(self._tree, f"it has more than {MOST_FIELDS} fields")
        cases = {case: self._number(self._tree, case) for case in product((-1, 0, 1), repeat=len(self._names))}
        found: list[tuple[str, bool]] = []
        left = list(range(len(self._names)))
        while left:
            signs = {at: self._first(cases, at) for at in left}
            at = next((at for at in left if signs[at] is not None), None)
            if at is None:
                self._refuse(self._tree, "it does not order by one field after the other", self._nearest(cases, found, left))
            found.append((self._names[at], signs[at] == 1))
            cases = {case: sign for case, sign in cases.items() if case[at] == 0}
            left.remove(at)
        if any(cases.values()):
            self._refuse(self._tree, "two records that are equal in every field do not compare as 0", found)
        return found

    def _first(self, cases: Cases, at: int) -> int | None:
        """Return the sign of all cases in which a field is less, if it decides alone; None if it does not."""
        less = {_sign(number) for case, number in cases.items() if case[at] < 0}
        greater = {_sign(number) for case, number in cases.items() if case[at] > 0}
        return less.pop() if less in ({-1}, {1}) and greater == {-min(less)} else None

    def _nearest(self, cases: Cases, found: list[tuple[str, bool]], left: list[int]) -> list[tuple[str, bool]]:
        alone = {at: cases[tuple(-1 if i == at else 0 for i in range(len(self._names)))] for at in left}
        return [*found, *((self._names[at], alone[at] > 0) for at in left)]

    # -- one case -------------------------------------------------------------------------------------------------------------

    def _learn(self, node: Node) -> None:
        """Gather the fields in the order in which they are compared."""
        if isinstance(node, Call) and len(node.arguments) == 2 and (node.function in _SIGNS or node.function == "_-_"):
            field = self._pair(node)
            if field is not None:
                self._names += [] if field[0] in self._names else [field[0]]
                return
        for each in node.arguments if isinstance(node, Call) else ():
            self._learn(each)

    def _pair(self, node: Call) -> tuple[str, bool] | None:
        """Return (the field of which both records' are compared, whether ``mapX``'s stands first), None if it is none."""
        (one, first), (other, second) = map(_side, node.arguments)
        return (first, one == ONE) if first and first == second and {one, other} == {ONE, OTHER} else None

    def _number(self, node: Node, case: tuple[int, ...]) -> float:
        if isinstance(node, Literal) and node.kind in ("int", "double"):
            return float(node.value)
        if isinstance(node, Call):
            match node.function:
                case "_-_" if (field := self._pair(node)) is not None:
                    return self._stands(field, case)
                case "-_":
                    return -self._number(node.arguments[0], case)
                case "_?_:_":
                    return self._number(node.arguments[1 if self._true(node.arguments[0], case) else 2], case)
        self._refuse(node, f"it should be a number, or compare a field of {ONE} with the same one of {OTHER}")

    def _true(self, node: Node, case: tuple[int, ...]) -> bool:
        if isinstance(node, Literal) and node.kind == "bool":
            return bool(node.value)
        if isinstance(node, Call):
            match node.function:
                case "_&&_":
                    return all([self._true(each, case) for each in node.arguments])
                case "_||_":
                    return any([self._true(each, case) for each in node.arguments])
                case "!_":
                    return not self._true(node.arguments[0], case)
                case function if function in _SIGNS and (field := self._pair(node)) is not None:
                    return _holds(function, self._stands(field, case), 0)
                case function if function in _SIGNS:
                    return _holds(function, *(self._number(each, case) for each in node.arguments))
        self._refuse(node, f"it should compare a field of {ONE} with the same one of {OTHER}")

    def _stands(self, field: tuple[str, bool], case: tuple[int, ...]) -> int:
        state = case[self._names.index(field[0])]
        return state if field[1] else -state

    def _refuse(self, node: Node, reason: str, nearest: list[tuple[str, bool]] | None = None) -> NoReturn:
        fields = [(name, False) for name in self._names] if nearest is None else nearest
        said = ", ".join(repr(f"-{name}" if descending else name) for name, descending in fields)
        remedy = f"; nearest to it is IndexSpecification.of({said})" if fields else "; name the columns with IndexSpecification.of(...)"
        raise refusal(self._text, node.at, f"the comparer cannot become key fields: {reason}{remedy}")


def _side(node: Node) -> tuple[str, str]:
    """Return (whose field it is, the name of the field); empty where it is of neither record, or of both."""
    owners = {each.text for each in everything(node) if isinstance(each, Name)} & {ONE, OTHER}
    if len(owners) != 1:
        return "", ""
    field = _own(node)
    if isinstance(field, Name):
        return owners.pop(), field.text
    if isinstance(field, Call) and field.function == "_[_]" and field.arguments[0] == Name(ROW, 0):
        return owners.pop(), str(field.arguments[1].value)  # type: ignore[union-attr]
    return owners.pop(), f"cel: {told(field)}"


def _own(node: Node) -> Node:
    """Return an expression over one of the two records as one over the columns."""
    match node:
        case Select(operand=Name(text=text)) if text in (ONE, OTHER):
            plain = node.field not in RESERVED and node.field != ROW
            return Name(node.field, 0) if plain else Call("_[_]", (Name(ROW, 0), Literal(node.field, "string", 0)), 0)
        case Call(function="_[_]", arguments=(Name(text=text), Literal(kind="string", value=field))) if text in (ONE, OTHER):
            return _own(Select(node.arguments[0], field, 0)) if field.isidentifier() else replace(
                node, arguments=(Name(ROW, 0), Literal(field, "string", 0)))  # fmt: skip
        case Call():
            return replace(node, arguments=tuple(map(_own, node.arguments)))
        case Select():
            return replace(node, operand=_own(node.operand))
        case Macro():
            return replace(node, range=_own(node.range), bodies=tuple(map(_own, node.bodies)))
        case ListOf() | MapOf():
            return replace(node, items=tuple(map(_own, node.items)))
    return node


def _holds(function: str, one: float, other: float) -> bool:
    return {"_<_": one < other, "_<=_": one <= other, "_>_": one > other, "_>=_": one >= other, "_==_": one == other,
            "_!=_": one != other}[function]  # fmt: skip


def _sign(number: float) -> int:
    return (number > 0) - (number < 0)
