"""Names of users' files: what a path or pattern means, and the bytes behind it.

Files that users bring or ask for go through this folder; the database's own go through ``storage/files.py``.
"""

from __future__ import annotations

import glob
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa

from sopnb.errors import InvalidInput
from sopnb.storage.files import translated

COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd"}
"""Suffixes of files that are compressed as a whole."""
_WIDE = (b"\xff\xfe", b"\xfe\xff")
_BOM = b"\xef\xbb\xbf"


def are_files(data: Any) -> bool:
    """Say whether data is files: a path, a pattern, or a list of them."""
    if isinstance(data, list | tuple):
        return bool(data) and all(map(_is_name, data))
    return _is_name(data)


def found(data: Any) -> tuple[Path, ...]:
    """Return the files that a path, a pattern or a list of them names; those of a pattern in the order of their names.

    A name that is there is itself, whatever characters it has. Raises ``InvalidInput`` naming what is not there.
    """
    names: Iterable[Any] = data if isinstance(data, list | tuple) else [data]
    return tuple(dict.fromkeys(path for name in names for path in _matches(name if isinstance(name, str) else str(Path(name)))))


def _is_name(data: Any) -> bool:
    return isinstance(data, str) or hasattr(data, "__fspath__")


def _matches(name: str) -> list[Path]:
    if "://" in name:
        raise InvalidInput(f"{name!r} is no local file; open it with pyarrow.dataset.dataset(...), and load that")
    path = Path(name).expanduser()
    if path.is_dir():
        raise InvalidInput(f"{name!r} is a folder; name its files with a pattern, such as {name.rstrip('/') + '/*.parquet'!r}")
    if path.exists():
        return [path]
    if not any(sign in name for sign in "*?["):
        raise InvalidInput(f"there is no file {name!r}")
    matches = [Path(match) for match in sorted(glob.glob(str(path), recursive=True))]
    files = [match for match in matches if not match.is_dir()]
    if not files:
        raise InvalidInput(f"no file matches {name!r}")
    return files


def compression(path: Path) -> str | None:
    """Return how a file is compressed, as its suffix says."""
    return COMPRESSIONS.get(path.suffix.lower())


class Source:
    """The bytes of a text file, decompressed, without a byte order mark and with a last newline; Arrow reads it like a Python file.

    ``passed`` is how many bytes of the file were read so far; ``quotes`` counts the quotation marks, ``tail`` is the end of the text.
    """

    def __init__(self, path: Path) -> None:
        self.path, self.quotes, self.tail = path, 0, b""
        with translated(path):
            self._raw = pa.OSFile(str(path))
            kind = compression(path)
            self._text = self._raw if kind is None else pa.CompressedInputStream(self._raw, kind)
        self._begun = self._over = False

    @property
    def passed(self) -> int:
        """Bytes of the file that were read."""
        return 0 if self._raw.closed else int(self._raw.tell())

    def read(self, size: int = -1) -> bytes:
        """Return up to so many bytes, none at the end. Raises ``InvalidInput`` for text that is not UTF-8 by its first bytes."""
        if self._over:
            return b""
        data, self._over = self._filled(size - 1 if size > 1 else 1 << 20)
        if not self._begun:
            self._begun = True
            if data.startswith(_WIDE):
                raise InvalidInput(f"{self.path}: the file is UTF-16; convert it to UTF-8")
            data = data.removeprefix(_BOM)
        if self._over and (data or self.tail) and not (data or self.tail).endswith((b"\n", b"\r")):
            data += b"\n"
        self.quotes += data.count(b'"')
        self.tail = (self.tail + data[-65_536:])[-65_536:]
        return data

    def _filled(self, size: int) -> tuple[bytes, bool]:
        """Return so many bytes, fewer only at the end, and whether this is the end."""
        parts: list[bytes] = []
        with translated(self.path):
            while size > 0:
                parts.append(self._text.read(size))
                if not parts[-1]:
                    return b"".join(parts), True
                size -= len(parts[-1])
        return b"".join(parts), False

    @property
    def closed(self) -> bool:
        """Whether it is closed."""
        return bool(self._raw.closed)

    def readable(self) -> bool:
        """Whether it can be read: yes."""
        return True

    def close(self) -> None:
        """Close the file."""
        self._text.close()
        self._raw.close()

    def __enter__(self) -> Source:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def undecodable_line(path: Path) -> int | None:
    """Return the first line of a text file that is not UTF-8; None if all are."""
    with Source(path) as source:
        line, rest = 1, b""
        while data := source.read(1 << 20):
            *lines, rest = (rest + data).split(b"\n")
            for each in lines:
                try:
                    each.decode()
                except UnicodeDecodeError:
                    return line
                line += 1
    return None
