"""The conformance suite of blobs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sopnb.errors import Corruption, NoSpace
from sopnb.protocols import Blobs
from sopnb.testing.faulty import FaultyBlobs

OWNER = "0123456789abcdef"


class BlobsSuite:
    """Subclass it and give a ``blobs`` fixture: new, empty blobs for each test."""

    @pytest.fixture
    def blobs(self) -> Any:
        """Make new, empty blobs."""
        pytest.fail("a subclass of this suite gives the fixture blobs", pytrace=False)

    def test_what_was_put_is_read_by_ranges(self, blobs: Blobs) -> None:
        """In the order asked, from several chunks."""
        assert blobs.put(f"{OWNER}-000001", [b"hello ", b"", b"world"]) == 11
        assert [bytes(b) for b in blobs.read(f"{OWNER}-000001", [(6, 5), (0, 5), (3, 0)])] == [b"world", b"hello", b""]

    def test_fewer_bytes_than_asked_are_corruption(self, blobs: Blobs) -> None:
        """Never a short answer."""
        blobs.put(f"{OWNER}-000001", [b"abc"])
        with pytest.raises(Corruption, match="000001"):
            blobs.read(f"{OWNER}-000001", [(0, 4)])

    def test_what_is_not_there_is_not_found(self, blobs: Blobs) -> None:
        """By the builtin that people catch."""
        with pytest.raises(FileNotFoundError):
            blobs.read(f"{OWNER}-000009", [(0, 1)])

    def test_a_put_that_fails_leaves_nothing(self, blobs: Blobs) -> None:
        """An error of the chunks passes through, and the name is still free."""

        def chunks() -> Iterator[bytes]:
            yield b"a" * 100_000
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            blobs.put(f"{OWNER}-000001", chunks())
        assert list(blobs.names()) == []
        assert blobs.put(f"{OWNER}-000001", [b"b"]) == 1

    def test_a_full_disk_leaves_nothing(self, blobs: Blobs) -> None:
        """The same for ``NoSpace``."""
        faulty = FaultyBlobs(blobs)
        faulty.room = 10
        with pytest.raises(NoSpace):
            faulty.put(f"{OWNER}-000001", [b"12345", b"1234567"])
        assert list(blobs.names()) == []

    def test_deleted_blobs_are_gone_and_absent_ones_are_passed_over(self, blobs: Blobs) -> None:
        """Twice is harmless."""
        blobs.put(f"{OWNER}-000001", [b"a"])
        blobs.put(f"{OWNER}-000002", [b"bc"])
        for _ in range(2):
            blobs.delete([f"{OWNER}-000001", f"{OWNER}-000007"])
        assert list(blobs.names()) == [(f"{OWNER}-000002", 2)]
        with pytest.raises(FileNotFoundError):
            blobs.read(f"{OWNER}-000001", [(0, 1)])

    def test_names_are_listed_by_owner(self, blobs: Blobs) -> None:
        """Or all of them."""
        other = "f" * 16
        for owner in (OWNER, other):
            blobs.put(f"{owner}-000001", [b"a"])
        assert [name for name, _ in blobs.names(other)] == [f"{other}-000001"]
        assert len(list(blobs.names())) == 2
