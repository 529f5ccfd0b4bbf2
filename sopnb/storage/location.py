"""From what people type to a backend: ``":memory:"``, or the path of a folder."""

from __future__ import annotations

import os
from dataclasses import fields
from pathlib import Path
from typing import Literal

from sopnb.errors import InvalidInput
from sopnb.protocols import Backend, Clock
from sopnb.settings import DatabaseSettings, HandleSettings
from sopnb.storage.blobs import LocalBlobs
from sopnb.storage.files import Files
from sopnb.storage.folder import create, describe
from sopnb.storage.local import LocalRegistry
from sopnb.storage.memory import MemoryBlobs, MemoryPins, MemoryRegistry
from sopnb.storage.pins import LocalPins
from sopnb.storage.system import SystemClock

MEMORY = ":memory:"
Location = str | os.PathLike[str]
Mode = Literal["a", "r"]


def open_backend(
    location: Location,
    *,
    mode: Mode = "a",
    settings: DatabaseSettings | None = None,
    handle: HandleSettings,
    clock: Clock | None = None,
    files: Files | None = None,
) -> tuple[Backend, DatabaseSettings]:
    """Open the database at a location; return its backend and the settings that are stored with it.

    ``":memory:"`` is a new database each time. A path is a folder: ``mode="a"`` creates it if it is not there or empty, with
    ``settings``; ``mode="r"`` writes nothing. Settings other than the stored ones are refused.

    Raises ``NotFound`` (``mode="r"`` and nothing there), ``InvalidInput`` (the location, mode or settings cannot be used),
    ``UnsupportedFormat`` (something else is there, or of a newer release), ``Corruption``, ``Timeout``, ``StorageError``.
    """
    if mode not in ("a", "r"):
        raise InvalidInput(f'mode={mode!r}; use "a" to read and write, or "r" to read only')
    clock = clock or SystemClock()
    if location == MEMORY:
        return _memory(mode, settings, clock)
    folder, files = _folder(location), files or Files()
    if files.exists(folder) and not files.is_folder(folder):
        raise InvalidInput(f"{folder} is a file; a database is a folder")
    kind = files.shared(folder)
    if kind is not None:
        raise InvalidInput(f"{folder} is on {kind}, where a lock on one machine does not keep others out; choose a folder on a local disk")
    if mode == "a":
        found = create(folder, settings or DatabaseSettings(), files=files, clock=clock, timeout=handle.lock_seconds)
    else:
        found = describe(folder, files=files, writable=False)
    _compare(folder, settings, found.settings)
    writable = mode == "a"
    backend = Backend(
        registry=LocalRegistry(folder, found, files=files, clock=clock, handle=handle, writable=writable),
        blobs=LocalBlobs(folder, files=files, clock=clock, descriptors=handle.descriptors, writable=writable),
        pins=LocalPins(folder, files=files, clock=clock, writable=writable),
        clock=clock,
        name=folder.name,
        writable=writable,
    )
    return backend, found.settings


def identity(location: Location, *, files: Files | None = None) -> tuple[int, int] | None:
    """Return (device, inode) of a database's folder: equal for equal folders, however they are spelt.

    None for ``":memory:"``, which is always a database of its own, and where there is nothing yet.
    """
    if location == MEMORY:
        return None
    try:
        return (files or Files()).identity(_folder(location))
    except FileNotFoundError:
        return None


def _folder(location: Location) -> Path:
    try:
        text = os.fspath(location)
    except TypeError as error:
        raise InvalidInput(f'{location!r} is no location; give the path of a folder, or ":memory:"') from error
    if not isinstance(text, str) or not text or "\0" in text:
        raise InvalidInput(f'{location!r} is no location; give the path of a folder, or ":memory:"')
    if "://" in text:
        raise InvalidInput(f'{text!r}: there is no such kind of location; give the path of a folder, or ":memory:"')
    return Path(text).expanduser().absolute()


def _memory(mode: Mode, settings: DatabaseSettings | None, clock: Clock) -> tuple[Backend, DatabaseSettings]:
    if mode == "r":
        raise InvalidInput('":memory:" is always new, so there is nothing to read; use mode="a"')
    backend = Backend(MemoryRegistry(clock), MemoryBlobs(), MemoryPins(clock), clock, MEMORY)
    return backend, settings or DatabaseSettings()


def _compare(folder: Path, wanted: DatabaseSettings | None, stored: DatabaseSettings) -> None:
    if wanted is None or wanted == stored:
        return
    names = [f.name for f in fields(DatabaseSettings) if getattr(wanted, f.name) != getattr(stored, f.name)]
    told = ", ".join(f"{name}={getattr(stored, name)!r}" for name in names)
    raise InvalidInput(f"{folder} was created with {told}; settings are fixed when a database is created, so leave them out")
