"""Names of stores and tags."""

from __future__ import annotations

import re

from sopnb.errors import InvalidInput

LONGEST = 128
_NAME = re.compile(r"\w[\w .:-]*")


def checked_name(name: object, what: str) -> str:
    """Return the name of a store or tag. Raises ``InvalidInput`` if it could be taken for something else."""
    if not isinstance(name, str) or len(name) > LONGEST or not _NAME.fullmatch(name) or name != name.strip() or ".." in name:
        raise InvalidInput(
            f"{name!r} cannot be the name of a {what}: use letters, digits, spaces and _ - . : up to {LONGEST} characters, a letter or "
            "digit first"
        )
    return name
