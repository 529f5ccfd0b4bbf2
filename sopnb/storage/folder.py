"""A database's folder: how it begins, how it is recognised, and the ``format`` file that says what it is.

    format         the uuid, the version, what a writer must understand, and the settings; linked last, so a folder is a database or not
    log/           lock, head and the numbered segments
    checkpoints/   what the engine knew after some commits
    blobs/         files of leaves and branches
    pins/          who still reads what

Nothing in it names where it lies: it may be moved while nobody has it open. Creating one is done under its lock and may be
interrupted anywhere: whoever comes next begins again.
"""

from __future__ import annotations

import errno
import re
from contextlib import suppress
from dataclasses import dataclass, fields
from pathlib import Path

import msgspec
from xxhash import xxh3_64_hexdigest

from sopnb.errors import Corruption, InvalidInput, NotFound, StorageError, UnsupportedFormat
from sopnb.protocols import Clock
from sopnb.settings import DatabaseSettings
from sopnb.storage.files import Files
from sopnb.storage.lock import FileLock
from sopnb.storage.log import SECTOR, LogFormat
from sopnb.storage.segments import Segments

VERSION = 1
FEATURES: frozenset[str] = frozenset()
"""Features that this release understands."""

_PARTS = ("log", "checkpoints", "blobs", "pins")
_FORMAT = "format"
_DRAFT = "format.tmp"
_BEGINNING = re.compile(rb'\{"sopnb":(\d+)')


@dataclass(frozen=True, slots=True)
class Description:
    """What the format file says. ``features`` are those that a writer must understand; a reader may pass them over."""

    uuid: bytes
    epoch: int
    settings: DatabaseSettings
    features: tuple[str, ...] = ()


def describe(folder: Path, *, files: Files, writable: bool) -> Description:
    """Return what a database's folder says of itself.

    Raises ``NotFound`` if there is no such folder, ``UnsupportedFormat`` if it is no database or one of a newer release,
    ``Corruption`` if the format file is damaged.
    """
    found = _read(folder, files)
    if found is None:
        if files.exists(folder):
            _refuse_foreign(folder, files)
        raise NotFound(f'there is no database at {folder}; open it with mode="a" to create one')
    unknown = sorted(set(found.features) - FEATURES)
    if writable and unknown:
        raise UnsupportedFormat(f'{folder} needs {", ".join(unknown)}; install a newer sopnb, or open it with mode="r"')
    return found


def create(folder: Path, settings: DatabaseSettings, *, files: Files, clock: Clock, timeout: float) -> Description:
    """Open a folder for writing, and make a database of it if it is not there or empty; ``settings`` are for a new one.

    What others made is returned as it is. Durable when this returns. Raises as ``describe`` does, but for ``NotFound``.
    """
    if _read(folder, files) is None:
        if files.exists(folder):
            _refuse_foreign(folder, files)
        _check(settings)
        _make_folders(folder, files)
        lock = FileLock(_lock_file(folder, files), files=files, clock=clock)
        lock.acquire(timeout)
        try:
            if _read(folder, files) is None:
                _begin(folder, Description(clock.new_id(16), 1, settings), files, clock)
        finally:
            lock.release()
            lock.close()
    _lock_file(folder, files)
    files.sync_dir(folder)  # who linked the format file may have died before the name was durable
    return describe(folder, files=files, writable=True)


def _begin(folder: Path, description: Description, files: Files, clock: Clock) -> None:
    format = LogFormat(description.uuid, description.settings.pad_records)
    segments(folder, description, files=files, clock=clock, format=format).ensure(1)
    draft = folder / _DRAFT
    files.unlink(draft, missing_ok=True)
    fd = files.create(draft)
    try:
        files.pwrite(fd, _encode(description), 0)
        files.sync(fd)
    finally:
        files.close(fd)
    files.link(draft, folder / _FORMAT)
    files.unlink(draft)


def segments(folder: Path, description: Description, *, files: Files, clock: Clock, format: LogFormat) -> Segments:
    """Return the segments of a database's log."""
    settings = description.settings
    return Segments(folder / "log", files=files, clock=clock, format=format, first=settings.segment_bytes, limit=settings.segment_limit)


def _make_folders(folder: Path, files: Files) -> None:
    """Make the folders, durable: those above too."""
    above = [folder]
    while not files.exists(above[-1]):
        above.append(above[-1].parent)
    files.mkdir(folder)
    for made in above[:-1]:
        files.sync_dir(made.parent)
    try:
        files.sync_dir(above[-1].parent)  # it may be there because a creation was interrupted
    except StorageError as error:
        if error.errno != errno.EACCES:
            raise
    for part in _PARTS:
        files.mkdir(folder / part)
    files.sync_dir(folder)


def _lock_file(folder: Path, files: Files) -> Path:
    path = folder / "log" / "lock"
    if not files.exists(path):
        with suppress(FileExistsError):
            files.close(files.create(path))
        files.sync_dir(path.parent)
    return path


def _refuse_foreign(folder: Path, files: Files) -> None:
    """Refuse a folder with anything in it that an interrupted creation would not have left."""
    names = set(files.listdir(folder))
    if _FORMAT in names:
        return
    foreign = names - {*_PARTS, _DRAFT}
    if "log" in names:
        foreign |= {name for name in files.listdir(folder / "log") if name != "lock" and not name.endswith((".segment", ".tmp"))}
    for part in names.intersection(_PARTS[1:]):
        foreign.update(files.listdir(folder / part))
    if foreign:
        raise UnsupportedFormat(
            f"{folder} is not empty and holds no sopnb database ({sorted(foreign)[0]!r} is in it); choose another folder"
        )


def _check(settings: DatabaseSettings) -> None:
    try:
        msgspec.convert(msgspec.json.decode(msgspec.json.encode(_stored(settings))), DatabaseSettings)
    except (TypeError, msgspec.ValidationError) as error:
        raise InvalidInput(f"these settings cannot be stored: {error}") from error
    if not SECTOR <= settings.segment_bytes <= settings.segment_limit:
        raise InvalidInput(f"segment_bytes must be between {SECTOR} and segment_limit, not {settings.segment_bytes}")


def _stored(settings: DatabaseSettings) -> dict[str, object]:
    return {each.name: getattr(settings, each.name) for each in fields(DatabaseSettings)}


def _encode(description: Description) -> bytes:
    body = msgspec.json.encode(
        {
            "sopnb": VERSION,
            "uuid": description.uuid.hex(),
            "epoch": description.epoch,
            "features": description.features,
            "settings": _stored(description.settings),
        }
    )
    return body + b"\n" + xxh3_64_hexdigest(body).encode() + b"\n"


def _read(folder: Path, files: Files) -> Description | None:
    """Return what the format file says; None if there is none."""
    path = folder / _FORMAT
    try:
        fd = files.open_read(path)
    except FileNotFoundError:
        return None
    try:
        body, _, sum = files.pread(fd, files.size(fd), 0).rstrip(b"\n").partition(b"\n")
    finally:
        files.close(fd)
    beginning = _BEGINNING.match(body)
    if beginning is None:
        raise UnsupportedFormat(f"{folder} holds no sopnb database; choose another folder")
    if int(beginning[1]) != VERSION:
        raise UnsupportedFormat(f"{folder} has format {int(beginning[1])}, this release understands {VERSION}; install a newer sopnb")
    if xxh3_64_hexdigest(body).encode() != sum:
        raise Corruption(str(path), "it is damaged")
    found = msgspec.json.decode(body)
    settings = msgspec.convert(found["settings"], DatabaseSettings)
    return Description(bytes.fromhex(found["uuid"]), found["epoch"], settings, tuple(found["features"]))
