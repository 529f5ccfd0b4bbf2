"""The bytes of records and of the head: what is read back, and what is told apart when they are not whole."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sopnb.protocols import Draft
from sopnb.storage.log import ALIGNMENT, HEAD_BYTES, HEADER_BYTES, PADDED, SECTOR, HeadState, LogFormat, Place, Position, boot_key

UUID = bytes(range(1, 17))
AT = Position(3, 1600)
AFTER = Place(Position(3, 1600), 41, 0x1234, 1_000_000)
PAYLOADS = st.binary(max_size=300) | st.integers(0, 3000).map(bytes) | st.integers(0, 1500).map(lambda n: b"x" * n + bytes(n) + b"y" * 7)


def _record(format: LogFormat, payload: bytes, at: Position = AT) -> bytes:
    data, _ = format.encode([Draft(b"12345678", payload)], AFTER, at, 1, 5_000_000)
    return data


@given(st.lists(PAYLOADS, min_size=1, max_size=4), st.booleans())
def test_a_group_is_read_back_as_a_chain(payloads: list[bytes], pad: bool) -> None:
    format = LogFormat(UUID, pad)
    at = Position(4, 0)
    drafts = [Draft(i.to_bytes(8, "big"), payload) for i, payload in enumerate(payloads)]
    data, entries = format.encode(drafts, AFTER, at, 7, 5_000_000)
    place, offset = AFTER, 0
    for draft, entry in zip(drafts, entries, strict=True):
        found = format.decode(data, offset, Position(4, offset))
        assert found is not None
        header, read = found
        assert read == entry
        assert (header.seq, header.previous, header.durable) == (place.seq + 1, place.hash, AFTER.position)
        assert (read.commit.payload, read.commit.id, read.commit.epoch, read.commit.time) == (draft.payload, draft.id, 7, 5_000_000)
        place, offset = read.end, read.end.position.offset
        assert offset % (PADDED if pad else ALIGNMENT) == 0
    assert offset == len(data)


def test_every_sixteen_bytes_of_a_header_hold_something() -> None:
    data = _record(LogFormat(UUID), b"", Position(1, 0))
    assert all(any(data[at : at + ALIGNMENT]) for at in range(0, HEADER_BYTES, ALIGNMENT))
    assert any(data[-8:])


def test_a_record_counts_only_where_it_was_written_and_for_its_database() -> None:
    format = LogFormat(UUID)
    data = _record(format, b"payload")
    assert format.decode(data, 0, AT) is not None
    assert format.decode(data, 0, Position(3, 1616)) is None
    assert format.decode(data, 0, Position(4, 1600)) is None
    assert format.decode(data[:-1], 0, AT) is None
    assert LogFormat(bytes(16)).decode(data, 0, AT) is None
    assert LogFormat(UUID, pad=True).decode(data, 0, AT) is None


@pytest.mark.parametrize("pad", [False, True])
def test_any_damaged_byte_is_seen_and_is_no_torn_write(pad: bool) -> None:
    """In the header, the payload with its zeros, the padding and the checksum."""
    format = LogFormat(UUID, pad)
    at = Position(3, 4096) if pad else AT
    data = _record(format, b"x" * 200 + bytes(1200) + b"y" * 30, at)
    for offset in range(len(data)):
        bad = bytearray(data)
        bad[offset] ^= 0x10
        assert format.decode(bytes(bad), 0, at) is None, offset
        assert not format.torn(bytes(bad) + bytes(512), at), offset


@given(PAYLOADS, st.integers(0, 63), st.booleans())
def test_what_an_interrupted_write_leaves_is_torn(payload: bytes, start: int, pad: bool) -> None:
    """Any sectors of it, or any beginning of it, or all but a beginning, over which zeros were written; the rest reads as zeros."""
    format = LogFormat(UUID, pad)
    at = Position(3, start * (PADDED if pad else ALIGNMENT))
    data = _record(format, payload, at)
    for cut in range(0, len(data), ALIGNMENT):
        assert format.torn(data[:cut] + bytes(len(data) - cut), at)
        assert format.torn(bytes(cut) + data[cut:], at)
    edges = [0, *range(SECTOR - at.offset % SECTOR, len(data), SECTOR), len(data)]
    shares = list(itertools.pairwise(edges))
    for kept in itertools.islice(itertools.product((False, True), repeat=len(shares)), 64):
        left = b"".join(data[lo:hi] if there else bytes(hi - lo) for there, (lo, hi) in zip(kept, shares, strict=True))
        assert format.torn(left, at)


def test_a_header_that_claims_more_than_its_segment_holds_is_damage() -> None:
    format = LogFormat(UUID)
    data = _record(format, b"x" * 1000)
    assert not format.torn(data[:600], AT)


def test_a_later_record_says_how_far_the_log_was_durable() -> None:
    format = LogFormat(UUID)
    data = bytes(96) + _record(format, b"SOPR" * 20, Position(3, 1696))
    where = Position(3, 1600)
    assert format.later(data, where, Position(3, 1599))
    assert not format.later(data, where, Position(3, 1600))
    assert not format.later(data, where, Position(3, 1700))
    assert format.later(data, where, Position(2, 9999))
    assert not format.later(data[:-1], where, Position(2, 9999))


def test_a_head_is_read_back_and_any_damage_to_it_seen() -> None:
    format = LogFormat(UUID)
    for poisoned in (False, True):
        head = HeadState(boot_key("boot"), 1, AFTER, poisoned)
        data = format.encode_head(head)
        assert len(data) == HEAD_BYTES
        assert format.decode_head(data) == head
        for offset in range(HEAD_BYTES - 1):
            bad = bytearray(data)
            bad[offset] ^= 1
            assert format.decode_head(bytes(bad)) is None
        for size in range(HEAD_BYTES):
            assert format.decode_head(data[:size]) is None
    assert LogFormat(bytes(16)).decode_head(data) is None


def test_whatever_stands_in_the_mark_of_a_head_other_than_clean_is_poison() -> None:
    format = LogFormat(UUID)
    data = format.encode_head(HeadState(boot_key("boot"), 1, AFTER))
    for mark in range(1, 256):
        found = format.decode_head(data[:-1] + bytes([mark]))
        assert found is not None
        assert found.poisoned
