"""``%sop`` and ``%%sop``: a notebook keeps its variables in a database, and queries it.

The parsing of lines and the user's namespace are here; what is done is done by ``Variables`` and by ``Database.sql``. An error that the
user can mend comes as one line.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NoReturn

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, magics_class

from sopnb import database, display
from sopnb.database import Database
from sopnb.errors import SopError
from sopnb.variables import LIST, PREFIX, Variable, Variables

USAGE = """\
%sop open PATH [as NAME]      open a database under a name (db), and keep variables there from now on
%sop use NAME                 keep them in a database that is open already
%sop                          show what is open
%sop close                    close it
%sop save VAR [VAR ...]       keep variables, in one commit; one of them `as NAME`
%sop load VAR [VAR ...]       bring them back; one of them `as NAME`
%sop ls                       list what is kept
%sop rm VAR [VAR ...]         keep them no longer
%%sop [VAR] [--params NAME]   run the cell as SQL; $name is the variable of that name, or the item of the dict NAME; the answer
                              goes into VAR"""
_PARAMETER = re.compile(
    r"""'(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | (\$\w*\$).*?\1   # none in texts, names and comments
        | \$(?P<name>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, slots=True)
class Listing:
    """The variables that a database keeps, as a table."""

    database: str
    variables: tuple[Variable, ...]

    def _panel(self) -> display.Panel:
        n = len(self.variables)
        columns = tuple(map(display.Column, ("variable", "kind", "type", "shape")))
        rows = tuple((v.name, v.kind, v.type, v.shape) for v in self.variables)
        return display.Panel("Variables", self.database, (f"{n} kept" if n else "none kept yet",), columns, rows)

    def __repr__(self) -> str:
        return display.text(self)

    def _repr_html_(self) -> str:
        return display.html(self)


def register(shell: Any) -> None:
    """Add the magics to a notebook, and what completes their lines."""
    magics = SopMagics(shell)
    shell.register_magics(magics)
    shell.set_hook("complete_command", magics.completions, str_key="%sop")


@magics_class
class SopMagics(Magics):  # type: ignore[misc]
    """The magics, with the database that is current."""

    current: Database | None = None
    name = "db"
    """The name of the current database in the user's namespace."""

    @line_cell_magic  # type: ignore[untyped-decorator]
    def sop(self, line: str, cell: str | None = None) -> Any:
        """Keep variables in a database, and query it; ``%sop help`` lists the commands."""
        with _one_line():
            if cell is not None:
                return self._query(line, cell)
            words = _words(line)
            verb = words.pop(0) if words else "show"
            if verb not in _COMMANDS:
                _refuse(f"there is no command {verb!r}\n{USAGE}")
            return _COMMANDS[verb](self, words)

    def completions(self, shell: Any, event: Any) -> list[str]:
        """Return what may stand at the end of a line: a command, or names of variables, kept or of the user."""
        verb, *others = event.line.split()[1:] or [""]
        if not others and not event.line.endswith(" "):
            return list(_COMMANDS)
        if verb in ("load", "rm") and self.current is not None and not self.current.closed:
            return list(Variables(self.current).names())
        names = {name: value for name, value in self.shell.user_ns.items() if not name.startswith("_")}
        return [name for name, value in names.items() if verb == "save" or (verb == "use" and isinstance(value, Database))]

    # -- which database -------------------------------------------------------------------------------------------------------

    def _open(self, words: list[str]) -> None:
        words, name = _named(words)
        if len(words) != 1:
            _refuse("say which database: %sop open PATH [as NAME]")
        name = name or "db"
        earlier = self.shell.user_ns.get(name)
        opened = database.open(words[0])
        if isinstance(earlier, Database):
            earlier.close()
        self.shell.user_ns[name] = opened
        self._use([name])

    def _use(self, words: list[str]) -> None:
        if len(words) != 1 or not isinstance(self.shell.user_ns.get(words[0]), Database):
            _refuse("say which variable holds an open database: %sop use NAME")
        self.current, self.name = self.shell.user_ns[words[0]], words[0]
        print(self._told())

    def _show(self, words: list[str]) -> None:
        print(self._told() if self.current is not None and not self.current.closed else "no database is open; %sop open PATH")

    def _close(self, words: list[str]) -> None:
        self._db.close()
        print(f"{self.name} is closed")

    def _told(self) -> str:
        db = self._db
        kept = Variables(db).names()
        stores = [name for name in db.stores() if name != LIST and not name.startswith(PREFIX)]
        count = f"{len(stores)} store{'' if len(stores) == 1 else 's'}"
        return f"{self.name}: database {db.name!r}; {count}; variables: {', '.join(kept) or 'none yet'}"

    @property
    def _db(self) -> Database:
        if self.current is None or self.current.closed:
            _refuse("no database is open; %sop open PATH")
        return self.current

    # -- variables ------------------------------------------------------------------------------------------------------------

    def _save(self, words: list[str]) -> None:
        words, name = _renamed(words, "save")
        for word in words:
            if word not in self.shell.user_ns:
                _refuse(f"there is no variable {word!r} to save")
        values = {name or word: self.shell.user_ns[word] for word in words}
        for variable in Variables(self._db).save(values):
            print(f"saved {_about(variable)}")

    def _load(self, words: list[str]) -> None:
        words, name = _renamed(words, "load")
        loaded = Variables(self._db).several(words)
        self.shell.user_ns.update({name or word: value for word, value in zip(words, loaded, strict=True)})

    def _list(self, words: list[str]) -> Listing:
        return Listing(self._db.name, Variables(self._db).list())

    def _remove(self, words: list[str]) -> None:
        if not words:
            _refuse("say which variables: %sop rm VAR [VAR ...]")
        Variables(self._db).remove(*words)

    # -- queries --------------------------------------------------------------------------------------------------------------

    def _query(self, line: str, query: str) -> Any:
        words = _words(line)
        values = self.shell.user_ns
        if "--params" in words:
            at = words.index("--params")
            given = words[at + 1 : at + 2]
            if not given or not isinstance(values.get(given[0]), dict):
                _refuse("--params takes the name of a dict")
            values = values[given[0]]
            del words[at : at + 2]
        if len(words) > 1 or not all(word.isidentifier() for word in words):
            _refuse("the line takes the name of one variable: %%sop [VAR] [--params NAME]")
        names = parameters(query)
        missing = [name for name in names if name not in values]
        if missing:
            _refuse(f"the query names ${missing[0]}, and there is no variable {missing[0]!r}; set it first")
        frame = self._db.sql(query, {name: values[name] for name in names}).to_pandas()
        self.shell.user_ns.update({word: frame for word in words})
        return frame


def parameters(query: str) -> tuple[str, ...]:
    """Return the names after ``$`` in a query, each once; those in texts, quoted names and comments are none.

    >>> parameters("select '$a', x from t where x > $low and y < $high -- $b")
    ('low', 'high')
    """
    return tuple(dict.fromkeys(found["name"] for found in _PARAMETER.finditer(query) if found["name"]))


def _words(line: str) -> list[str]:
    try:
        return shlex.split(line)
    except ValueError as error:
        _refuse(f"{error}: {line}")


def _named(words: list[str]) -> tuple[list[str], str | None]:
    """Return (words, the name after ``as``, if there is one)."""
    if len(words) < 2 or words[-2] != "as":
        return words, None
    if not words[-1].isidentifier():
        _refuse(f"{words[-1]!r} cannot be the name of a variable")
    return words[:-2], words[-1]


def _renamed(words: list[str], verb: str) -> tuple[list[str], str | None]:
    words, name = _named(words)
    if not words or (name and len(words) > 1):
        _refuse(f"say which variables: %sop {verb} VAR [VAR ...], or %sop {verb} VAR as NAME")
    return words, name


def _about(variable: Variable) -> str:
    facts = ", ".join(filter(None, (variable.kind, variable.type, variable.shape)))
    return f"{variable.name} ({facts})"


def _refuse(message: str) -> NoReturn:
    raise UsageError(message)


@contextmanager
def _one_line() -> Iterator[None]:
    """Show errors that the user can mend as one line instead of a trace of ours."""
    try:
        yield
    except SopError as error:
        raise UsageError(str(error)) from error


_COMMANDS: dict[str, Callable[[SopMagics, list[str]], Any]] = {
    "show": SopMagics._show,
    "help": lambda magics, words: print(USAGE),
    "open": SopMagics._open,
    "use": SopMagics._use,
    "close": SopMagics._close,
    "save": SopMagics._save,
    "load": SopMagics._load,
    "ls": SopMagics._list,
    "rm": SopMagics._remove,
}
