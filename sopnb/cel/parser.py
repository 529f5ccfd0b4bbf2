"""From the text of a CEL expression to its tree.

It reads the whole language but for messages (``Type{...}``). What is too long, too deep or too much is refused before anything else
is done with it, so that whoever walks a tree may do so by recursion.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from math import ceil, log2
from typing import NoReturn

from sopnb.cel.refusal import refusal
from sopnb.cel.tree import Call, ListOf, Literal, Macro, MapOf, Name, Node, Select, children
from sopnb.cel.words import MOST_INT, Word, words

MOST_NODES = 2_000
"""An expression of more parts is refused."""
MOST_DEPTH = 24
"""Parts stand within each other to this depth at most; n of ``a && b && ...`` count as much as log2 n."""
RESERVED = frozenset(
    ("as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop", "namespace", "null",
     "package", "return", "true", "var", "void", "while")
)  # fmt: skip
_RELATIONS = {"<": "_<_", "<=": "_<=_", ">": "_>_", ">=": "_>=_", "==": "_==_", "!=": "_!=_", "in": "_in_"}
_SUMS = {"+": "_+_", "-": "_-_"}
_PRODUCTS = {"*": "_*_", "/": "_/_", "%": "_%_"}
_MACROS = {"all": (2,), "exists": (2,), "exists_one": (2,), "filter": (2,), "map": (2, 3)}


@lru_cache(maxsize=256)
def parsed(text: str) -> Node:
    """Return the tree of an expression. Raises ``InvalidInput`` with the place that cannot be read, or that is beyond a limit.

    >>> parsed("seats > 100").function
    '_>_'
    """
    return _Parser(text).whole()


class _Parser:
    """One walk over the words."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._words = words(text)
        self._word: Word = next(self._words)
        self._nesting = 0
        self._made: list[Node] = []  # keeps them alive, so that their ids are theirs alone
        self._depths: dict[int, int] = {}

    def whole(self) -> Node:
        if self._ended():
            self._refuse("the expression is empty")
        node = self._expression()
        if not self._ended():
            self._unexpected()
        return node

    # -- words ----------------------------------------------------------------------------------------------------------------

    def _ended(self) -> bool:
        return self._word.sort == "end"

    def _refuse(self, reason: str, at: int | None = None) -> NoReturn:
        raise refusal(self._text, self._word.at if at is None else at, reason)

    def _unexpected(self) -> NoReturn:
        word = self._word
        self._refuse("the expression ends too early" if word.sort == "end" else f"{str(word.value)!r} does not belong here")

    def _next(self) -> Word:
        word = self._word
        self._word = next(self._words, word)
        return word

    def _is(self, *signs: str) -> bool:
        return self._word.value in signs and (self._word.sort == "sign" or (self._word.sort, self._word.value) == ("name", "in"))

    def _take(self, sign: str) -> Word:
        if not self._is(sign):
            self._refuse("the expression ends too early" if self._ended() else f"{sign!r} is missing here")
        return self._next()

    def _node(self, node: Node) -> Node:
        """Count a node that was made."""
        below = children(node)
        joined = ceil(log2(len(below))) if isinstance(node, Call) and node.function in ("_&&_", "_||_") else 1
        depth = joined + max((self._depths[id(each)] for each in below), default=0)
        if depth > MOST_DEPTH:
            self._refuse(f"the expression is nested deeper than {MOST_DEPTH}", node.at)
        self._made.append(node)
        if len(self._made) > MOST_NODES:
            self._refuse(f"the expression has more than {MOST_NODES} parts", node.at)
        self._depths[id(node)] = depth
        return node

    # -- grammar --------------------------------------------------------------------------------------------------------------

    def _expression(self) -> Node:
        self._nesting += 1
        if self._nesting > MOST_DEPTH:
            self._refuse(f"the expression is nested deeper than {MOST_DEPTH}")
        node = self._joined("||", "_||_")
        if self._is("?"):
            at = self._next().at
            first = self._joined("||", "_||_")
            self._take(":")
            node = self._node(Call("_?_:_", (node, first, self._expression()), at))
        self._nesting -= 1
        return node

    def _joined(self, sign: str, function: str) -> Node:
        inner = self._all if sign == "||" else self._relation
        parts, at = [inner()], self._word.at
        while self._is(sign):
            self._next()
            parts.append(inner())
        return self._node(Call(function, tuple(parts), at)) if len(parts) > 1 else parts[0]

    def _all(self) -> Node:
        return self._joined("&&", "_&&_")

    def _relation(self) -> Node:
        return self._chain(_RELATIONS, lambda: self._chain(_SUMS, lambda: self._chain(_PRODUCTS, self._unary)))

    def _chain(self, signs: dict[str, str], inner: Callable[[], Node]) -> Node:
        node = inner()
        while self._is(*signs):
            word = self._next()
            node = self._node(Call(signs[word.value], (node, inner()), word.at))
        return node

    def _unary(self) -> Node:
        signs = []
        while self._is("!", "-"):
            signs.append(self._next())
            if signs[0].value != signs[-1].value:
                self._refuse(f"{signs[-1].value!r} does not belong here; use parentheses", signs[-1].at)
        if signs and signs[-1].value == "-" and self._word.sort in ("int", "double"):
            sign, word = signs.pop(), self._next()
            node = self._member(self._node(Literal(-word.value, word.sort, sign.at)))
        else:
            node = self._member(self._primary())
        for sign in reversed(signs):
            node = self._node(Call(f"{sign.value}_", (node,), sign.at))
        return node

    def _member(self, node: Node) -> Node:
        while self._is(".", "["):
            opening = self._next()
            if opening.value == "[":
                node = self._node(Call("_[_]", (node, self._expression()), opening.at))
                self._take("]")
                continue
            if self._word.sort != "name":
                self._unexpected()
            name = self._next()
            node = self._method(node, name) if self._is("(") else self._node(Select(node, name.value, name.at))
        if self._is("{"):
            self._refuse("messages are not known here; columns are plain values")
        return node

    def _method(self, node: Node, name: Word) -> Node:
        self._take("(")
        arguments = self._listed(")")
        if name.value not in _MACROS:
            return self._node(Call(name.value, (node, *arguments), name.at, method=True))
        if len(arguments) not in _MACROS[name.value] or not isinstance(arguments[0], Name):
            self._refuse(f"{name.value} is written as list.{name.value}(x, ...) with a name for each member", name.at)
        return self._node(Macro(name.value, node, arguments[0].text, tuple(arguments[1:]), name.at))

    def _primary(self) -> Node:
        word = self._next()
        match word.sort:
            case "int" if word.value > MOST_INT:
                self._refuse("the number does not fit 64 bits", word.at)
            case "int" | "uint" | "double" | "string" | "bytes":
                return self._node(Literal(word.value, word.sort, word.at))
            case "name":
                return self._named(word)
            case "sign" if word.value == "(":
                node = self._expression()
                self._take(")")
                return node
            case "sign" if word.value == "[":
                return self._node(ListOf(self._listed("]"), word.at))
            case "sign" if word.value == "{":
                return self._node(MapOf(self._listed("}", pairs=True), word.at))
        self._refuse("the expression ends too early" if word.sort == "end" else f"{word.value!r} does not belong here", word.at)

    def _named(self, word: Word) -> Node:
        match word.value:
            case "true" | "false":
                return self._node(Literal(word.value == "true", "bool", word.at))
            case "null":
                return self._node(Literal(None, "null", word.at))
        if word.value in RESERVED:
            self._refuse(f"{word.value!r} is a word of the language; write row[{word.value!r}] for the column", word.at)
        if self._is("("):
            self._next()
            return self._node(Call(word.value, self._listed(")"), word.at))
        return self._node(Name(word.value, word.at))

    def _listed(self, closing: str, *, pairs: bool = False) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._is(closing):
            items.append(self._expression())
            if pairs:
                self._take(":")
                items.append(self._expression())
            if not self._is(closing):
                self._take(",")
                if closing == ")" and self._is(closing):
                    self._unexpected()
        self._take(closing)
        return tuple(items)
