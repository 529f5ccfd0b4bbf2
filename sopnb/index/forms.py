"""The forms in which an index specification is written down, read into one: that of ``IndexSpecification.to_json``.

==================  ===========================================================================================
stored              ``{"fields": [{"name": "ts", "descending": true, "nulls": "last"}], "unique": true}``, and
                    ``"carrying": [names]`` where there are some; only the names must be there
SOP's field list    ``{"index_fields": [{"field_name": "ts", "ascending_sort_order": false}]}``
a list              of fields in either form, or of names, a leading ``-`` for descending: ``["region", "-ts"]``
text                JSON of any of these
==================  ===========================================================================================
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sopnb.errors import InvalidInput


def stored(data: Any) -> dict[str, Any]:
    """Return the stored form of any form. Raises ``InvalidInput`` naming the part that is none."""
    if isinstance(data, str | bytes | bytearray):
        data = _parsed(data)
    if isinstance(data, list | tuple):
        data = {"fields": data}
    if not isinstance(data, Mapping):
        raise InvalidInput(f"an index specification is an object with {'fields'!r} or a list of fields, not {_brief(data)}")
    sop = "index_fields" in data
    _only(data, ("index_fields",) if sop else ("fields", "unique", "carrying"), "the index specification")
    place = "index_fields" if sop else "fields"
    fields = data.get(place)
    if not isinstance(fields, list | tuple):
        raise InvalidInput(f"the index specification: {place!r} is a list of fields, not {_brief(fields)}")
    unique, carrying = data.get("unique", True), data.get("carrying", [])
    if not isinstance(unique, bool):
        raise InvalidInput(f"the index specification: 'unique' is true or false, not {_brief(unique)}")
    if not isinstance(carrying, list | tuple) or not all(isinstance(name, str) for name in carrying):
        raise InvalidInput(f"the index specification: 'carrying' is a list of column names, not {_brief(carrying)}")
    read = [_field(field, f"{place}[{at}]") for at, field in enumerate(fields)]
    return {"fields": read, "unique": unique, "carrying": list(carrying)}


def listed(fields: Iterable[tuple[str, bool]]) -> dict[str, Any]:
    """Return SOP's field list of names and whether they are descending."""
    return {"index_fields": [{"field_name": name, "ascending_sort_order": not descending} for name, descending in fields]}


def _field(field: Any, where: str) -> dict[str, Any]:
    if isinstance(field, str):
        return {"name": _named(field.removeprefix("-"), where), "descending": field.startswith("-"), "nulls": "last"}
    if not isinstance(field, Mapping):
        raise InvalidInput(f"{where}: a field is an object or a column name, not {_brief(field)}")
    if "field_name" in field:
        _only(field, ("field_name", "ascending_sort_order"), where)
        ascending = field.get("ascending_sort_order")
        if not isinstance(ascending, bool):  # where it is missing some of SOP's libraries take true and others false
            raise InvalidInput(f"{where}: say 'ascending_sort_order', true or false; it is {_brief(ascending)}")
        return {"name": _named(field["field_name"], where), "descending": not ascending, "nulls": "last"}
    _only(field, ("name", "descending", "nulls"), where)
    descending, nulls = field.get("descending", False), field.get("nulls", "last")
    if not isinstance(descending, bool):
        raise InvalidInput(f"{where}: 'descending' is true or false, not {_brief(descending)}")
    if nulls not in ("first", "last"):
        raise InvalidInput(f'{where}: \'nulls\' is "first" or "last", not {_brief(nulls)}')
    return {"name": _named(field.get("name"), where), "descending": descending, "nulls": nulls}


def _named(name: Any, where: str) -> str:
    if not isinstance(name, str):
        raise InvalidInput(f"{where}: the name of a column is text, not {_brief(name)}")
    return name


def _only(data: Mapping[Any, Any], known: tuple[str, ...], where: str) -> None:
    for key in data:
        if key not in known:
            raise InvalidInput(f"{where}: {_brief(key)} is not known here; there are {', '.join(map(repr, known))}")


def _parsed(text: str | bytes | bytearray) -> Any:
    try:
        return json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        if isinstance(error, InvalidInput):
            raise
        raise InvalidInput(f"the index specification is no JSON: {error}") from None


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f"the index specification says {_brief(twice)} twice in one object; say it once")
    return found


def _brief(value: Any) -> str:
    told = repr(value) if isinstance(value, str | int | float | bool | None) else f"a {type(value).__name__}"
    return told if len(told) <= 60 else told[:59] + "…"
