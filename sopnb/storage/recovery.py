"""What the log really holds after a crash, and making that durable.

A record counts when it is whole and names the one before it. Where the chain ends, bytes that are not zeros are either a torn
tail, which is what an interrupted write leaves, or damage, which is never cut. They are damage if something durable lies past
the end: a later whole record says so in ``durable``, an old ``head`` covers it, or the bytes cannot come of an interrupted write.

Assumed of the disk: a synced block stays as it is; a sector of 512 bytes is wholly old or new; writing one does not harm its
neighbours (``pad_records`` is for disks that may). Not found out: damage that itself reads as zeros, in the last group, after a
power cut that also took ``head`` back.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from sopnb.errors import Corruption
from sopnb.storage.checkpoints import Checkpoints
from sopnb.storage.log import HeadState, Place, Position
from sopnb.storage.segments import Segments


class Found(NamedTuple):
    """What the log holds: the ``end`` of what is whole, and the ``records`` that may not be durable yet, as they were read."""

    end: Place
    records: Sequence[tuple[Position, bytes]]


def examine(segments: Segments, checkpoints: Checkpoints, head: HeadState | None, *, this_boot: bool) -> Found:
    """Return what the log holds. Writes nothing. ``head`` is what the head file says, if anything, of this boot or an older one.

    All of it is checked from the newest checkpoint on; with a head of this boot, from there. Raises ``Corruption``.
    """
    while True:
        start = checkpoints.newest() or segments.format.genesis
        sure = head.place if head is not None and (this_boot or start.seq < head.place.seq) else start
        if this_boot:
            start = sure
        end, records = start, []
        try:
            for entry, data in segments.records(start):
                end = entry.end
                if entry.start >= sure.position:
                    records.append((entry.start, data))
            break
        except FileNotFoundError as missing:
            if (checkpoints.newest() or segments.format.genesis).seq <= start.seq:
                raise Corruption(str(segments.path(start.position.segment)), "this segment of the log is missing") from missing
            this_boot = False
    if sure.position > end.position:
        raise _damage(
            segments, end.position, f"commit {sure.seq} was durable and ends at {sure.position.offset} of segment {sure.position.segment}"
        )
    _refuse_damage(segments, end.position)
    return Found(end, records)


def _refuse_damage(segments: Segments, end: Position) -> None:
    """Raise ``Corruption`` if the bytes past the end of the chain were durable once."""
    format = segments.format
    for number in segments.numbers():
        if number < end.segment:
            continue
        position = end if number == end.segment else Position(number, 0)
        data = segments.rest(position)
        if format.later(data, position, end):
            raise _damage(segments, end, "a later record says that these bytes were durable")
        if number <= end.segment + 1 and not format.torn(data, position):
            raise _damage(segments, position, "these bytes are no record, and no interrupted write leaves them so")


def _damage(segments: Segments, position: Position, reason: str) -> Corruption:
    return Corruption(f"{segments.path(position.segment)} at {position.offset}", reason)


def rewrite(segments: Segments, found: Found) -> None:
    """Make what was found durable, and all after it zeros, to the end of the last segment.

    The records are written again through a new descriptor: after a failed sync their pages pass for clean, and a sync alone would
    succeed with nothing on the disk. They are written as they were read when they were whole: a clean page may leave the cache
    meanwhile, and then the disk shows. The zeros are written always, for the disk may hold other bytes than the cache. May be
    interrupted anywhere and begun again.
    """
    files, last = segments.files, found.end.position
    for number in segments.numbers():
        kept = [(start.offset, data) for start, data in found.records if start.segment == number]
        if not kept and number < last.segment:
            continue
        fd = files.open_write(segments.path(number))
        try:
            for offset, data in kept:
                files.pwrite(fd, data, offset)
            if number >= last.segment:
                segments.zero(fd, last.offset if number == last.segment else 0, files.size(fd))
            files.sync(fd)
        finally:
            files.close(fd)
    files.sync_dir(segments.folder)
