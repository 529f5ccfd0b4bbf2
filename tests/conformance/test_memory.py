"""The memory backend is what the protocols say."""

from __future__ import annotations

from typing import Any

import pytest

from sopnb import protocols
from sopnb.storage.memory import MemoryBlobs, MemoryPins, MemoryRegistry
from sopnb.storage.system import SystemClock
from sopnb.testing.blobs import BlobsSuite
from sopnb.testing.clock import ManualClock
from sopnb.testing.pins import PinsSuite
from sopnb.testing.registry import RegistrySuite, drafts


class TestMemoryRegistry(RegistrySuite):
    @pytest.fixture
    def registry(self) -> Any:
        return MemoryRegistry(SystemClock())


class TestMemoryBlobs(BlobsSuite):
    @pytest.fixture
    def blobs(self) -> Any:
        return MemoryBlobs()


class TestMemoryPins(PinsSuite):
    @pytest.fixture
    def pins(self) -> Any:
        return MemoryPins(SystemClock())


def test_the_parts_have_every_method_of_their_protocol() -> None:
    clock = SystemClock()
    assert isinstance(MemoryRegistry(clock), protocols.Registry)
    assert isinstance(MemoryBlobs(), protocols.Blobs)
    assert isinstance(MemoryPins(clock), protocols.Pins)
    assert isinstance(clock, protocols.Clock)
    assert isinstance(ManualClock(), protocols.Clock)


def test_the_time_of_commits_never_goes_back_even_if_the_clock_does() -> None:
    clock = ManualClock()
    registry = MemoryRegistry(clock)
    registry.append(drafts("a"), 0)
    registry.checkpoint(1, b"")
    registry.trim(1)
    clock.set(0)
    (second,) = registry.append(drafts("b"), 1)
    assert second.time == 1_700_000_000_000_000


def test_a_manual_clock_repeats_itself_and_moves_by_hand() -> None:
    a, b = ManualClock(seed=7), ManualClock(seed=7)
    assert a.new_id() == b.new_id() != a.new_id()
    before = a.monotonic()
    a.sleep(2.5)
    assert a.monotonic() - before == 2.5
    first = a.boot_id()
    a.reboot()
    assert a.boot_id() != first
